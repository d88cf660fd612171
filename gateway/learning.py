"""The commands of the learning loop: `retrain`, and `trained list`, `show`, `promote`, `rollback`."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from gateway import staff, terminal
from gateway.terminal import err, out
from models.errors import Refused
from models.verdict import ComplaintClass

if TYPE_CHECKING:
    from gateway.bootstrap import App
    from gateway.retraining import Retrainer

trained_cli = typer.Typer(help="训练模型：列出、查看、启用、退回。 Trained models.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="给程序用的 JSON。 JSON for programs.")]
By = Annotated[str, typer.Option("--by", help="是谁；默认为当前账号。 Who; this account by default.")]
Version = Annotated[str, typer.Argument(help="版本（见 jiesu trained list）。 The version.", metavar="VERSION")]

_SETS = {"golden": "黄金集 golden", "newest": "最新判定 newest"}


def retrain(
    wait: Annotated[
        bool, typer.Option("--wait", help="就地运行（若别处已开始则等它），直到结束。 Run it here and wait for its end.")
    ] = False,
    by: By = "",
    run: Annotated[str, typer.Option("--run", hidden=True)] = "",
    until_eof: Annotated[bool, typer.Option("--until-eof", hidden=True)] = False,
) -> None:
    """用判定与导入的例子重新训练，产生候选模型。 Retrains from corrections and imported examples; makes a candidate."""
    from gateway import up

    if until_eof:
        up.end_with_parent()
    with staff.opened_app() as app:
        if run:
            # Answering customers comes first.
            os.nice(10)
            _runner(app, run).run()
            return
        asked = app.learning.ask(by or getpass.getuser())
        if not asked["new"]:
            err.print("已有一次重新训练在等待或进行。 A retraining waits or runs already.")
        if not wait:
            out.print(f"重新训练 {asked['id']} 已提交，运行中的网关会在数秒内开始。 Asked for; a running gateway begins within seconds.")
            return
        with terminal.bar() as tell:
            # Whoever claims it runs it: this command, or a gateway that was faster.
            _runner(app, f"command-{uuid.uuid4().hex}").run(tell)
            while (now := app.learning.retraining(asked["id"]))["finished_at"] is None:
                tell(f"{now['doing_zh']} {now['doing_en']}", now["done"])
                time.sleep(0.5)
    outcome = now["outcome"] or {}
    out.print(f"{outcome.get('zh', '')}\n{outcome.get('en', '')}", markup=False)
    if now["state"] == "failed":
        raise Refused(str(outcome.get("code", "failed")), "重新训练没有完成", "the retraining did not come to an end")


def _runner(app: App, who: str) -> Retrainer:
    from gateway.retraining import Retrainer

    return Retrainer(app.store, app.clock, app.log, app.retraining_rules, who)


@trained_cli.command("list")
def listed(as_json: AsJson = False) -> None:
    """列出全部训练模型，新的在前。 Lists all trained models, the newest first."""
    with staff.opened_app() as app:
        models = app.learning.models()
        current = app.learning.current()
    if as_json:
        sys.stdout.write(json.dumps({"models": models, "retraining": current}, ensure_ascii=False, indent=1) + "\n")
        return
    table = Table()
    for heading in ("版本 version", "状态 state", "加入 added", "语料 corpus", "自有 own", "准确率 accuracy", "把关 gate"):
        table.add_column(heading)
    for one in models:
        figures = one["figures"] or {}
        gate = one["gate"]
        passed = "—" if gate is None or gate["passed"] is None else "通过 passed" if gate["passed"] else "未通过 failed"
        accuracy = figures.get("accuracy")
        cells = (
            one["version"],
            f"{one['state_zh']} {one['state_en']}",
            one["added_at"] or "",
            str(one["texts"] or ""),
            str(one["own"] or "—"),
            "" if accuracy is None else f"{accuracy:.3f}",
            passed + ("*" if gate and gate.get("anyway") else ""),
        )
        table.add_row(*cells)
    staff.wide(table)
    if current:
        out.print(f"重新训练 retraining {current['id']}：{current['doing_zh']} {current['doing_en']} {current['done']:.0%}", markup=False)
    out.print("准确率是交叉验证所得，只宜与同类模型比较。 Cross-validated accuracy; to be compared with models of the same kind only.")


@trained_cli.command()
def show(version: Version, as_json: AsJson = False) -> None:
    """一个训练模型的来历、指标与把关结论。 One trained model: where it comes from, its figures, what the gate said."""
    with staff.opened_app() as app:
        one = app.learning.model(version)
    if as_json:
        sys.stdout.write(json.dumps(one, ensure_ascii=False, indent=1) + "\n")
        return
    out.print(f"{one['version']}  {one['state_zh']} {one['state_en']}  {one['added_at']}", markup=False)
    out.print(f"出厂语料 corpus {one['texts']}，自有例子 own examples {one['own']}", markup=False)
    gate = one["gate"]
    if gate is None:
        out.print("随附的模型，没有经过把关。 It shipped; the gate was not asked.")
        return
    _print_gate(gate)


def _print_gate(gate: dict[str, Any]) -> None:
    said = "通过 passed" if gate.get("passed") else "未通过 failed"
    out.print(f"把关 gate：{said}（对照 against {gate.get('against')}，{gate.get('at')}）", markup=False)
    for reason in gate.get("reasons") or ():
        out.print(f"  {'✓' if reason['ok'] else '✗'} {reason['zh']}\n    {reason['en']}", markup=False)
    if anyway := gate.get("anyway"):
        out.print(f"  仍予启用 promoted anyway：{anyway['by']}  {anyway['at']}  {anyway['reason']}", markup=False)
    for name, exam in (gate.get("sets") or {}).items():
        if not exam["texts"]:
            continue
        table = Table(title=f"{_SETS.get(name, name)}：{exam['texts']} 条 texts", title_justify="left")
        for heading in ("", "现用 champion", "候选 candidate"):
            table.add_column(heading)
        was, now = exam["champion"], exam["candidate"]
        table.add_row("正确率 right", f"{was['accuracy']:.1%}", f"{now['accuracy']:.1%}")
        for klass in ComplaintClass:
            if klass.value in was["found"]:
                table.add_row(f"{klass.zh} {klass.value}", f"{was['found'][klass.value]:.1%}", f"{now['found'][klass.value]:.1%}")
        for channel, figures in was["channels"].items():
            table.add_row(channel, f"{figures['accuracy']:.1%}", f"{now['channels'][channel]['accuracy']:.1%}")
        table.add_row("改对／改错 mended / spoilt", "", f"{exam['better']} / {exam['worse']}")
        staff.wide(table)
        _print_confusion(now["confusion"])
        for one in exam["changed"][:20]:
            label, before, after = (ComplaintClass(one[key]).zh for key in ("label", "was", "is"))
            mark = "✓" if one["is"] == one["label"] else "✗" if one["was"] == one["label"] else "·"
            out.print(f"  {mark} {one['key'][:40]}  {one['channel']}  {before} → {after}（标注 label {label}）", markup=False)
        if exam["changed_count"] > 20:
            out.print(f"  …… 共 {exam['changed_count']} 条（--json 列出更多）  in all (--json lists more)", markup=False)


def _print_confusion(confusion: list[list[int]]) -> None:
    table = Table(title="候选的混淆表：行为标注，列为分类。 Candidate: rows the label, columns the answer.", title_justify="left")
    for heading in ("", *(klass.zh for klass in ComplaintClass)):
        table.add_column(heading)
    for klass, row in zip(ComplaintClass, confusion, strict=True):
        table.add_row(klass.zh, *map(str, row))
    staff.wide(table)


@trained_cli.command()
def promote(
    version: Version,
    by: By = "",
    anyway: Annotated[
        str,
        typer.Option(
            "--anyway", help="未通过把关仍要启用的理由，会记录在案。 Why to use it although the gate said no; kept.", metavar="REASON"
        ),
    ] = "",
) -> None:
    """启用一个训练模型；各节点数秒内生效，无需重启。 Makes it the champion; every node follows within seconds."""
    with staff.opened_app() as app:
        done = app.learning.promote(version, by or getpass.getuser(), anyway)
    out.print(f"{done['version']} 已启用，数秒内生效。 It answers within seconds.", markup=False)


@trained_cli.command()
def rollback(by: By = "") -> None:
    """退回到上一个使用过的模型；各节点数秒内生效。 Lets the model before answer again; every node follows within seconds."""
    with staff.opened_app() as app:
        done = app.learning.roll_back(by or getpass.getuser())
    out.print(f"已退回 {done['version']}，数秒内生效。 It answers again within seconds.", markup=False)
