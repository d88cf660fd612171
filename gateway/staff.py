"""The commands of staff: `review`, `correct`, and `promise`, which tells what routing alone rests on."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from gateway import config, terminal
from gateway.terminal import out
from models.errors import BadSetting, Refused
from models.verdict import ComplaintClass

if TYPE_CHECKING:
    from gateway.bootstrap import App

_BASES = {"shipped": "出厂 shipped", "class": "本类 class", "channel": "本渠道 channel"}
_CHANNELS = {"*": "全部 all", "email": "邮件 email", "chat": "对话 chat", "phone": "电话 phone"}
_NAMES = {name.zh: name for name in ComplaintClass} | {name.value: name for name in ComplaintClass}
_QUEUE = ("编号 number", "渠道", "收到 received", "标题 title", "可能的类别 candidates", "风险 risk")
_PROMISE = ("渠道 channel", "类别 class", "自动门槛 alone from", "依据 basis", "已审 reviewed", "抽查 audited", "错 wrong", "承诺 promise")

AsJson = Annotated[bool, typer.Option("--json", help="给程序用的 JSON。 JSON for programs.")]


def review(
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="最多列几件。 At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """等待人工判定的投诉，最该先看的在前。 Complaints that wait for a person, the most useful first."""
    with opened_app() as app:
        queue, zone = app.records.waiting(limit), ZoneInfo(app.settings.general.timezone)
    if as_json:
        sys.stdout.write(json.dumps(queue, ensure_ascii=False, indent=1) + "\n")
        return
    if not queue["complaints"]:
        out.print("没有等待判定的投诉。 Nothing waits for a person.")
        return
    table = Table()
    for heading in _QUEUE:
        table.add_column(heading, overflow="fold")
    for one in queue["complaints"]:
        chances = one["probabilities"] or {}
        candidates = "  ".join(f"{ComplaintClass(name).zh} {chances.get(name, 0):.0%}" for name in one["candidates"] or ())
        at = terminal.local_time(datetime.fromisoformat(one["received_at"]), zone)
        cells = (one["number"], one["channel"], at, one["title"][:40], candidates, " ".join(one["risk"] or ()))
        # What customers wrote is text, never markup.
        table.add_row(*(str(cell).replace("[", r"\[") for cell in cells))
    wide(table)
    out.print(f"共 {queue['waiting']} 件等待判定。 {queue['waiting']} wait in all.")


def show(
    number: Annotated[str, typer.Argument(help="投诉编号。 The complaint's number.", metavar="NUMBER")],
    as_json: AsJson = False,
) -> None:
    """一件投诉办到哪一步；还没读或读不了的也说明。 Where a complaint stands; also one that is not read, or cannot be, and why."""
    number = number.strip().upper()
    with opened_app() as app:
        whole = app.records.whole(number) if number.isascii() and number.isprintable() else None
        zone, departments = ZoneInfo(app.settings.general.timezone), app.plan.departments
    if whole is None:
        raise Refused("no_such_complaint", f"没有编号为 {number[:40]} 的投诉", f"there is no complaint {number[:40]}")
    if as_json:
        sys.stdout.write(json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
        return
    if "unread" in whole:
        for part in whole["unread"]["parts"]:
            _show_unread(number, whole["unread"]["channel"], part, zone)
        return
    joined = f"（{number} 已并入 joined）" if whole["number"] != number else ""
    out.print(f"{whole['number']}{joined}  {whole['state']}", markup=False)
    if verdict := whole["verdict"]:
        klass, assigned = ComplaintClass(verdict["primary"]), whole["assignment"]["department"]
        department = departments[assigned["code"]].name_en if assigned["code"] in departments else ""
        due = terminal.local_time(datetime.fromisoformat(whole["assignment"]["reply_due"]), zone)
        out.print(f"  {klass.zh} {klass.value}  {assigned['name']} {department}  答复时限 reply due {due}", markup=False)
    for message in whole["conversation"]:
        at = terminal.local_time(datetime.fromisoformat(message["received_at"]), zone)
        out.print(f"  {at}  {message['title'][:60]}", markup=False)


def _show_unread(number: str, channel: str, part: dict[str, Any], zone: ZoneInfo) -> None:
    at = terminal.local_time(datetime.fromisoformat(part["received_at"]), zone)
    out.print(f"{number}  {at}  {_CHANNELS[channel]}  {part['size']:,} 字节 bytes", markup=False)
    if part["state"] == "waiting":
        out.print("  已收到，还没有读完，请稍候。 Received, not read yet; wait a moment.")
        return
    out.print(f"  已收到，内容无法读取，已搁置：{part['zh']}（{part['code']}）", markup=False)
    out.print(f"  received, cannot be read, parked: {part['en']} ({part['code']})", markup=False)
    out.print(
        f"  原文完整保存：控制台“搁置”页可下载；排除原因后 jiesu replay {part['job']} 从原文重读。\n"
        f"  The bytes are kept whole: download them under Parked; once the cause is mended, jiesu replay {part['job']} reads them again.",
        markup=False,
    )


def correct(
    number: Annotated[str, typer.Argument(help="投诉编号。 The complaint's number.", metavar="NUMBER")],
    klass: Annotated[str, typer.Argument(help="应归的类别，如 合同问题 或 contract。 What the class should be.", metavar="CLASS")],
    by: Annotated[str, typer.Option("--by", help="谁判定的；默认为当前账号。 Who decides; this account by default.")] = "",
    note: Annotated[str, typer.Option("--note", help="备注。 A note.")] = "",
) -> None:
    """判定一件投诉的类别；转到相应部门并通知跟踪系统。 Says what the class is; the complaint goes there and the tracker is told."""
    from models.correction import Source

    if klass not in _NAMES:
        known = "、".join(f"{name.zh} {name.value}" for name in ComplaintClass)
        raise BadSetting("CLASS", f"“{klass}” 不行，应为 {known} 之一", f"'{klass}' will not do: one of {', '.join(ComplaintClass)}")
    with opened_app() as app:
        done = app.correcting.correct(number, _NAMES[klass], by=by or getpass.getuser(), source=Source.COMMAND_LINE, note=note)
        department = app.plan.departments[done.department].name
    told = "已通知跟踪系统 the tracker is told" if done.event else "与原来一致 as it was"
    out.print(f"{number}  {done.correction.was.zh} → {done.correction.should_be.zh}  {department}  {told}", markup=False)


def promise(as_json: AsJson = False) -> None:
    """自动分派凭什么、有没有守住误差承诺。 What routing alone rests on, and whether its promise is kept."""
    from classifiers.promise import Basis

    with opened_app() as app:
        report = app.caution.report(app.champion.classifier(), app.clock.now())
    policy = report.policy
    rows: list[dict[str, Any]] = []
    for (channel, name), threshold in policy.thresholds.items():
        if name is ComplaintClass.OTHER:
            continue
        kept = report.kept.get((channel, name))
        if channel != "*" and kept is None and threshold.basis is not Basis.CHANNEL:
            # Nothing that is not said of all channels together.
            continue
        rows.append(
            {
                "channel": channel,
                "class": name.value,
                "threshold": round(threshold.probability, 4) if threshold.probability <= 1 else None,
                "basis": threshold.basis.value,
                "reviewed": threshold.reviewed,
                "audited": kept.audited if kept else 0,
                "wrong": kept.wrong if kept else 0,
                "broken": bool(kept and kept.broken),
            }
        )
    if as_json:
        head = {"trained_model": report.trained_model, "tolerated": policy.tolerated, "reviewed": policy.reviewed}
        whole = {**head, "cautious": policy.cautious, "thresholds": rows}
        sys.stdout.write(json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
        return
    out.print(f"训练模型 trained model {report.trained_model}  容忍误差 tolerated {policy.tolerated:.1%}  已审 reviewed {policy.reviewed}")
    if policy.cautious:
        out.print("人工判定还不够多：只有把握很大的才自动分派。 Little is reviewed yet: only what is very sure is routed alone.")
    table = Table()
    for heading in _PROMISE:
        table.add_column(heading)
    for row in rows:
        table.add_row(
            _CHANNELS.get(row["channel"], row["channel"]),
            ComplaintClass(row["class"]).zh,
            "从不 never" if row["threshold"] is None else f"{row['threshold']:.1%}",
            _BASES[row["basis"]],
            str(row["reviewed"]),
            str(row["audited"]),
            str(row["wrong"]),
            "失守 broken" if row["broken"] else "守住 kept" if row["audited"] else "—",
        )
    wide(table)


def wide(table: Table) -> None:
    """Wide enough to be read where nobody says how wide the terminal is."""
    Console(width=None if out.is_terminal else max(out.width, 150), highlight=False).print(table)


@contextmanager
def opened_app() -> Iterator[App]:
    """The gateway's parts, beside a gateway that may be running."""
    from gateway import bootstrap, home

    settings = config.load()
    if home.has_no_store(settings.home) and not settings.store.url:
        raise Refused(
            "no_store",
            f"{settings.home} 里还没有投诉；请先用 jiesu serve 或 make run 启动网关",
            f"there are no complaints in {settings.home} yet; start the gateway first (jiesu serve or make run)",
        )
    app = bootstrap.build(settings, serving=False)
    try:
        yield app
    finally:
        app.close()
