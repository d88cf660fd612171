"""The commands of a first look: `up` with its sample complaints, and what it shows of them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gateway import config, people, terminal
from gateway.terminal import err, out

samples_cli = typer.Typer(help="示例投诉。 Sample complaints.", no_args_is_help=True)


def up(
    once: Annotated[bool, typer.Option("--once", help="示例全部送达后自行结束。 End when every sample has arrived.")] = False,
) -> None:
    """试用：网关加开发用跟踪系统；首次运行时送入示例投诉。 A first look: gateway, development tracker, sample complaints."""
    from gateway import bootstrap, samples
    from gateway.store import submissions
    from gateway.up import Up

    settings = config.load()
    both = Up(settings)
    # Ctrl-C, a polite kill and a closed terminal end it alike.
    endings = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # Under nohup a closed terminal is ignored, and stays so.
    for sign in endings:
        if sign is not signal.SIGHUP or signal.getsignal(sign) is not signal.SIG_IGN:
            signal.signal(sign, both.end)
    try:
        err.print("正在启动网关与开发用跟踪系统…  Starting the gateway and the development tracker…")
        both.start()
        store = bootstrap.open_store(settings)
        try:
            with store.read() as conn:
                fresh = not submissions.any_taken_in(conn)
        finally:
            store.close()
        if fresh:
            total = samples.count()
            numbers: set[str] = set()
            with terminal.bar(total) as tell:
                for sent in samples.send(both.doors()):
                    numbers.add(sent.number)
                    tell("送入示例 sending samples", len(numbers))
            with terminal.bar(len(numbers)) as tell:
                for there in both.arrived(numbers):
                    tell("等待送达 waiting for the tracker", there)
            err.print(f"{len(numbers)} 件示例投诉已经由邮件、对话、电话三个入口送达跟踪系统。")
            err.print(f"{len(numbers)} sample complaints came in by mail, chat and phone and reached the tracker.")
        _print_tickets(both.tickets())
        if once:
            return
        _print_first_link(settings, both.doors().web or "")
        _print_what_next(settings, both.doors(), both.tracker_page)
        both.wait()
    except KeyboardInterrupt:
        err.print("\n正在收尾…  Finishing what is in hand…")
    finally:
        # A second Ctrl-C must not leave a program behind.
        for sign in endings:
            signal.signal(sign, signal.SIG_IGN)
        both.stop()


def _print_tickets(tickets: list[dict[str, Any]]) -> None:
    table = Table(title="跟踪系统收到的工单 Tickets as the tracking system received them", title_justify="left")
    for heading in (
        "编号 number",
        "渠道",
        "摘要 summary",
        "类别 class",
        "把握",
        "方式",
        "部门 department",
        "优先",
        "风险 risk",
        "顾客 customer",
    ):
        table.add_column(heading, overflow="fold")
    for ticket in tickets:
        customer = ticket.get("customer", {})
        cells = (
            ticket["number"],
            ticket["channel"],
            ticket["summary"][:20],
            ticket["class_name"],
            f"{ticket['confidence']:.0%}",
            {"auto": "自动 auto", "review": "待审 review"}.get(ticket["decision"], ticket["decision"]),
            ticket["department"]["name"],
            ticket["priority"],
            " ".join(ticket["risk"]),
            " ".join(filter(None, (customer.get("name"), customer.get("estate"), customer.get("unit")))),
        )
        # What customers wrote is text, never markup.
        table.add_row(*(str(cell).replace("[", r"\[") for cell in cells))
    Console(width=max(out.width, 150) if not out.is_terminal else None, highlight=False).print(table)


def _print_first_link(settings: config.Settings, web: str) -> None:
    from gateway import bootstrap

    store = bootstrap.open_store(settings)
    try:
        link = bootstrap.staffing(settings, store).first_link()
    finally:
        store.close()
    if link:
        people.tell_first_link(settings.web.public_url or web, link)


def _print_what_next(settings: config.Settings, doors: Any, tracker_page: str) -> None:
    host, port = doors.smtp or ("", 0)
    here = "" if str(settings.home) == str(Path("var").absolute()) else f"JIESU_HOME={settings.home} "
    lines = [
        "",
        f"在线对话 chat             {doors.web}/chat",
        f"控制台 console           {doors.web}/console",
        f"跟踪系统 tracker          {tracker_page}",
        f"邮件入口 mail             {host}:{port}",
        f"电话转写投放 call drop     {doors.drop}",
        f"外发邮件 outgoing mail      {'已启用 on' if settings.mail.enabled else '未启用 off（[mail], docs/email.md）'}",
        f"日志 logs                 {settings.home / 'log'}",
        "",
        "可以试试 try next:",
        f"  swaks --server {host}:{port} --to tousu@example.com --header 'Subject: 漏水' --body '5栋1201卫生间漏水'",
        f"  cp 某通话.txt {doors.drop}/",
        f"  {here}.venv/bin/jiesu classify '销售承诺送的车位没有兑现'",
        f"  {here}.venv/bin/jiesu parked",
        "",
        "按 Ctrl-C 结束。 Ctrl-C ends it.",
    ]
    for line in lines:
        err.print(line, markup=False)


@samples_cli.command("send")
def samples_send() -> None:
    """经真实入口送入全部示例投诉。 Sends every sample through the real doors of the running gateway."""
    from gateway import samples, up

    settings = config.load()
    for sent in samples.send(up.doors_of(settings.home)):
        out.print(f"{sent.number}  {sent.name}", markup=False)
