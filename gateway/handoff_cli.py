"""Commands of the hand-off: endpoints, deliveries made once more, and the report that nothing is missing."""

from __future__ import annotations

import getpass
import json
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from gateway import config, terminal
from gateway.ranges import days_in_order, number_of, numbers_in_order
from gateway.terminal import err, out
from models.errors import BadSetting, Refused

endpoints_cli = typer.Typer(help="事件的接收方。 Who is told of events.", no_args_is_help=True)
report_cli = typer.Typer(help="报表。 Reports.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="接收方名称。 Its name.", metavar="NAME")]
Json = Annotated[bool, typer.Option("--json", help="输出 JSON。 As JSON.")]
From = Annotated[str, typer.Option("--from", help="起始日期，如 2026-11-01。 First day.", metavar="DAY")]
To = Annotated[str, typer.Option("--to", help="截止日期（含）。 Last day, included.", metavar="DAY")]


def _with_operating() -> Any:
    from gateway import operating

    return operating.operating(config.load())


@endpoints_cli.command("list")
def list_(as_json: Json = False) -> None:
    """列出接收方、状态和积压。 Lists endpoints, how they stand, and what waits."""
    with _with_operating() as app:
        states = app.redelivery.states()
    rows = [
        {
            "name": one.endpoint.name,
            "url": one.endpoint.shown_url,
            "state": one.circuit.value,
            "waiting": one.waiting.waiting,
            "parked": one.waiting.parked,
            "lag_seconds": round(one.lag_seconds),
            "last_error": _last_error(one),
            "refused": one.refused,
            "next_try": one.trouble.next_try.isoformat() if one.trouble and one.trouble.next_try else None,
        }
        for one in states
    ]
    if as_json:
        for row in rows:
            out.print(json.dumps(row, ensure_ascii=False), markup=False)
        return
    table = Table()
    for heading in ("名称 name", "状态 state", "等待 waiting", "搁置 parked", "滞后 lag s", "最近错误 last error", "地址 address"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        cells = (row[key] for key in ("name", "state", "waiting", "parked", "lag_seconds", "last_error", "url"))
        table.add_row(*(str(cell).replace("[", r"\[") for cell in cells))
    out.print(table)


def _last_error(state: Any) -> str:
    if state.off:
        return " / ".join(state.off)
    return f"{state.trouble.code} {state.trouble.status or ''}".strip() if state.trouble else ""


@endpoints_cli.command()
def test(name: Name) -> None:
    """发一个测试事件，不计入统计。 Sends a test, which counts nowhere."""
    with _with_operating() as app:
        outcome = app.redelivery.test(name, by=_who())
    status = f" {outcome.status}" if outcome.status else ""
    out.print(f"{outcome.code.value}{status}  {outcome.seconds * 1000:.0f} ms", markup=False)
    if outcome.answer:
        out.print(outcome.answer, markup=False)
    if outcome.code.value != "accepted":
        raise Refused("test_failed", "接收方没有接受测试事件", "the endpoint did not take the test")


@endpoints_cli.command()
def rotate(
    name: Name,
    hours: Annotated[float, typer.Option(help="新旧密钥并用多少小时。 Hours that both are good.", min=0, max=24 * 90)] = 24,
    end_former: Annotated[
        bool, typer.Option("--end-former", help="上次更换前的密钥若仍有效，立即作废。 Ends one that still holds from the change before.")
    ] = False,
) -> None:
    """换签名密钥；到期前新旧两个都有效。 A new signing secret; both are good for a while."""
    with _with_operating() as app:
        until = app.redelivery.rotate(name, timedelta(hours=hours), by=_who(), end_former=end_former).until
        file = app.endpoints.get(name).keyring.file
    told = terminal.local_time(until, ZoneInfo(config.load().general.timezone))
    out.print(f"新密钥在 {file}，旧密钥到 {told} 为止仍有效。", markup=False)
    out.print(f"The new secret is in {file}; the former one is good until {told}.", markup=False)


@endpoints_cli.command()
def enable(name: Name) -> None:
    """启用接收方，积压的随即投递。 Switches an endpoint on; what waits is sent."""
    with _with_operating() as app:
        app.redelivery.enable(name, by=_who())
    out.print(f"已启用 {name}。 {name} is on.", markup=False)


@endpoints_cli.command()
def disable(name: Name) -> None:
    """停用接收方，给它的事件全部保留。 Switches an endpoint off; everything for it is kept."""
    with _with_operating() as app:
        app.redelivery.disable(name, by=_who())
    out.print(f"已停用 {name}。 {name} is off.", markup=False)


@endpoints_cli.command()
def redeliver(
    name: Annotated[str, typer.Argument(help="接收方名称；省略为全部。 Its name; all where it is left out.", metavar="[NAME]")] = "",
    number: Annotated[str, typer.Option(help="只此投诉编号。 Only this complaint.")] = "",
    first: Annotated[str, typer.Option("--first", help="从此编号起。 From this number.")] = "",
    last: Annotated[str, typer.Option("--last", help="到此编号止。 To this number.")] = "",
    since: From = "",
    until: To = "",
    failed: Annotated[bool, typer.Option("--failed", help="全部试过而未送达的。 All that were tried in vain.")] = False,
) -> None:
    """重新投递一段范围。 Makes deliveries once more."""
    from gateway.store.deliveries import Wanted

    settings = config.load()
    begin, end = _days(since, until, settings.general.timezone) if since or until else (None, None)
    number, (first, last) = number_of(number), numbers_in_order(first, last)
    wanted = Wanted(endpoint=name, number=number, first=first, last=last, since=begin, until=end, state="failed" if failed else "")
    with _with_operating() as app:
        if name:
            app.endpoints.get(name)
        count = app.redelivery.all_of(wanted, by=_who())
    out.print(f"将重新投递 {count} 次。 {count} deliveries will be made once more.")


@report_cli.command()
def reconcile(since: From = "", until: To = "", as_json: Json = False) -> None:
    """对账：每件受理的投诉去了哪里，无法解释的必须为零。 What became of every submission; the unexplained must be none."""
    from gateway.reconcile import BUCKETS

    settings = config.load()
    with _with_operating() as app:
        if since or until:
            report = app.reconciliation.report(*_days(since, until, settings.general.timezone))
        else:
            report = app.reconciliation.days(settings.report.reconcile_days)
    told = report.as_json()
    if as_json:
        out.print(json.dumps(told, ensure_ascii=False), markup=False)
    else:
        out.print(
            f"受理 accepted {report.accepted}，投诉 complaints {report.complaints}（{told['since']} – {told['until']}）", markup=False
        )
        table = Table()
        table.add_column("接收方 endpoint")
        for bucket in BUCKETS:
            table.add_column(f"{_BUCKET_WORDS[bucket]} {bucket}", justify="right")
        for name, one in report.endpoints.items():
            table.add_row(name or "—", *(str(one.counts[bucket]) for bucket in BUCKETS))
        out.print(table)
        for name, one in report.endpoints.items():
            if one.why:
                why = "，".join(f"{code} {count}" for code, count in one.why.items())
                err.print(f"{name}: {why}: {' '.join(one.numbers)}", style="red", markup=False)
        for day, count in report.lost.items():
            err.print(f"{day}: 有 {count} 个编号没有投诉 / {count} numbers have no submission", style="red", markup=False)
    if report.unexplained:
        raise Refused("unexplained", f"有 {report.unexplained} 件无法解释，见上", f"{report.unexplained} cannot be explained; see above")


_BUCKET_WORDS = {
    "delivered": "已送达",
    "pending": "等待",
    "parked": "搁置",
    "dead": "放弃",
    "joined": "并入",
    "not_for_it": "不需告知",
    "unexplained": "无法解释",
}


def _days(first: str, last: str, zone: str) -> tuple[datetime, datetime]:
    here = ZoneInfo(zone)
    try:
        begin = datetime.fromisoformat(first or "2000-01-01").replace(tzinfo=here)
        end = datetime.fromisoformat(last or "2999-12-30").replace(tzinfo=here) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise BadSetting("DAY", "日期应写作 2026-11-01", "write a day as 2026-11-01") from None
    days_in_order(begin, end)
    return begin, end


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "?"
