"""Commands about mailboxes: how each does, and what is wrong with one, in words."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from gateway import config, terminal
from gateway.terminal import err, out
from models.errors import Refused

mailboxes_cli = typer.Typer(help="邮箱（IMAP）。 Mailboxes (IMAP).", invoke_without_command=True)


@mailboxes_cli.callback()
def mailboxes_(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="每行一条 JSON。 One JSON line each.")] = False,
) -> None:
    """列出各邮箱的状态。 Lists how each mailbox does."""
    if context.invoked_subcommand is not None:
        return
    from gateway import bootstrap, mailboxes
    from gateway.clock import SystemClock
    from gateway.oplog import OperatorLog

    settings = config.load()
    store = bootstrap.open_store(settings)
    try:
        boxes = mailboxes.Mailboxes(settings, store, SystemClock(), OperatorLog(settings.log.format, settings.log.level), "")
        found, counts = boxes.health(), boxes.counts()
    finally:
        store.close()
    if as_json:
        for one in found:
            row: dict[str, Any] = {key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in asdict(one).items()}
            out.print(json.dumps(row | {"up": one.up, "mails": counts.get(one.name, {})}, ensure_ascii=False), markup=False)
        return
    if not found:
        out.print(
            "设置文件中没有邮箱（[[mailbox]]，见 docs/email.md）。 The settings name no mailbox ([[mailbox]], see docs/email.md).",
            markup=False,
        )
        return
    zone = ZoneInfo(settings.general.timezone)
    table = Table()
    for heading in ("邮箱 mailbox", "状态 state", "上次成功 last success", "新受理 new", "重复 known", "搁置 aside", "上次出错 last error"):
        table.add_column(heading, overflow="fold")
    for one in found:
        mails = counts.get(one.name, {})
        state = "正常 up" if one.up else "还没看过 not looked into yet" if one.looked_at is None else f"失败 failing ({one.failures})"
        last = terminal.local_time(one.succeeded_at, zone)
        error = f"{one.zh} / {one.en}" if one.code and not one.up else ""
        cells = (one.name, state, last, mails.get("taken", 0), mails.get("duplicate", 0), mails.get("aside", 0), error)
        table.add_row(*(str(cell).replace("[", r"\[") for cell in cells))
    out.print(table)


@mailboxes_cli.command()
def check(name: Annotated[str, typer.Argument(help="邮箱名称。 Its name.", metavar="NAME")]) -> None:
    """试着登录并打开文件夹，说明哪里不对。 Tries to log in and to open the folder, and says what is wrong."""
    from connectors.imap import Session
    from connectors.imap_troubles import Trouble
    from connectors.imap_wire import Wake
    from gateway import bootstrap, mailboxes
    from gateway.clock import SystemClock
    from gateway.oplog import OperatorLog
    from gateway.store import mailboxes as kept

    settings = config.load()
    box = next((one for one in settings.mailbox if one.name == name), None)
    if box is None:
        names = ", ".join(one.name for one in settings.mailbox) or "—"
        raise Refused("no_such_mailbox", f"设置中没有叫 {name} 的邮箱（有：{names}）", f"there is no mailbox {name} (there are: {names})")
    clock = SystemClock()
    store = bootstrap.open_store(settings)
    wake = Wake()
    try:
        with store.write() as conn:
            kept.register(store, conn, box.name, box.folder)
        shelf = mailboxes.StoreLedger(store, clock, OperatorLog(settings.log.format, settings.log.level), settings, box)
        secret, _ = mailboxes.secret_source(settings, box, shelf, clock)
        options = mailboxes.imap_options(settings, box)
        err.print(f"正在连接 {box.host}:{box.port}（{box.tls}）…  connecting…", markup=False)
        try:
            with closing(Session(options, secret, wake)) as session:
                err.print(f"登录成功：{box.user}  logged in", markup=False)
                folder = session.select(readonly=True)
                there = session.folders()
        except Trouble as trouble:
            raise Refused(trouble.code, trouble.zh, trouble.en) from None
    finally:
        wake.close()
        store.close()
    waits = "IDLE" if session.idles else f"每 {box.poll_seconds:g} 秒看一次 polling"
    out.print(f"文件夹 folder {box.folder}：{folder.exists} 封 mails，UIDVALIDITY {folder.validity}，{waits}", markup=False)
    out.print(f"全部文件夹 all folders：{'、'.join(there)}", markup=False)
    if box.after == "move" and box.after_folder not in there:
        out.print(
            f"文件夹 {box.after_folder} 还没有，第一次移动时会建立。 {box.after_folder} is made when the first mail is moved.", markup=False
        )
    out.print("可以收取。 All is in order.")
