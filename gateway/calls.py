"""The command `calls`: customers who must be rung up, because nobody can write to them, and striking them off."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer
from rich.table import Table

from gateway.staff import opened_app, wide
from gateway.terminal import out

calls_cli = typer.Typer(help="需要致电告知的顾客。 Customers who must be rung up.", no_args_is_help=True)

_HEADINGS = ("序号 call", "编号 number", "姓名 name", "电话 phone", "要告知的话 what to say", "为什么致电 why")


@calls_cli.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="每行一条 JSON。 One JSON line each.")] = False) -> None:
    """列出等待致电的顾客，先来的在前。 Lists who is to be rung up, oldest first."""
    from gateway.ask import as_line
    from gateway.reply_desk import call_json

    with opened_app() as app:
        found = app.replies.calls()
    if as_json:
        for call in found:
            sys.stdout.write(as_line(call_json(call)) + "\n")
        return
    if not found:
        out.print("没有需要致电的顾客。 Nobody is to be rung up.")
        return
    table = Table()
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold")
    for call in found:
        answer = call.answer
        cells = (
            answer.id,
            answer.number,
            call.name or "",
            call.phone or "",
            f"{answer.subject}\n{answer.body.strip()}",
            answer.reason or "",
        )
        # What customers wrote is text, never markup.
        table.add_row(*(str(cell).replace("[", r"\[") for cell in cells))
    wide(table)
    out.print("致电后运行 jiesu calls done 序号。 After the call: jiesu calls done CALL.")


@calls_cli.command("done")
def done(
    call: Annotated[int, typer.Argument(help="序号（见 jiesu calls list）。 The call's number.", metavar="CALL")],
    by: Annotated[str, typer.Option("--by", help="谁打的；默认为当前账号。 Who rang; this account by default.")] = "",
    note: Annotated[str, typer.Option("--note", help="备注，如顾客的答复。 A note, e.g. what he answered.")] = "",
) -> None:
    """记下已经致电。 Says that the customer was rung up."""
    with opened_app() as app:
        answered = app.replies.called(call, by=by or getpass.getuser(), note=note)
    out.print(f"{answered.number}  已致电 rung up", markup=False)
