"""Commands about robots: how each does, and a test of one."""

from __future__ import annotations

import getpass
import json
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from gateway import config, terminal
from gateway.terminal import out
from models.errors import Refused

robots_cli = typer.Typer(help="提醒机器人。 Robots that tell people.", no_args_is_help=True)


def _operating() -> Any:
    from gateway import operating

    return operating.operating(config.load())


@robots_cli.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="每行一条 JSON。 One JSON line each.")] = False,
) -> None:
    """列出机器人、积压和最近的结果；地址中的密钥不显示。 Lists robots, what waits, and how they do; keys are never shown."""
    with _operating() as app:
        states = app.robots.states()
    if as_json:
        for state in states:
            out.print(json.dumps(state.as_json(), ensure_ascii=False), markup=False)
        return
    if not states:
        out.print(
            "设置文件中没有机器人（[[robot]]，见 docs/robots.md）。 The settings name no robot ([[robot]], see docs/robots.md).",
            markup=False,
        )
        return
    zone = ZoneInfo(config.load().general.timezone)
    table = Table()
    for heading in ("名称 name", "方式 kind", "发往 to", "等待 waiting", "搁置 parked", "上次发出 last told", "最近错误 last error"):
        table.add_column(heading, overflow="fold")
    for state in states:
        told = terminal.local_time(state.last_told.at if state.last_told else None, zone)
        error = ""
        if state.robot.off:
            error = " / ".join(state.robot.off)
        elif state.failing and state.last_error:
            failed = state.last_error
            error = f"{failed.outcome.zh} / {failed.outcome.en} {failed.outcome.maker_code or failed.outcome.status or ''}".strip()
        cells = (state.robot.name, state.robot.kind.value, state.address, state.waiting, state.parked, told, error)
        table.add_row(*(str(cell).replace("[", r"\[") for cell in cells))
    out.print(table)


@robots_cli.command()
def test(name: Annotated[str, typer.Argument(help="机器人名称。 Its name.", metavar="NAME")]) -> None:
    """让机器人发一条测试，说明结果和怎么办。 Has a robot send a test, and says what came of it and what to do."""
    with _operating() as app:
        outcome = app.robots.test(name, by=_who())
    number = f" {outcome.maker_code or outcome.status or ''}".rstrip()
    out.print(f"{outcome.code.value}{number}  {outcome.seconds * 1000:.0f} ms", markup=False)
    if outcome.code.value != "accepted":
        if outcome.said:
            out.print(outcome.said, markup=False)
        raise Refused("test_failed", outcome.zh or "没有发出", outcome.en or "it was not sent")
    if outcome.zh:
        out.print(f"{outcome.zh} / {outcome.en}", markup=False)
    out.print("已发出，请到群里或邮箱中查看。 Sent; look into the group or mailbox.")


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "?"
