"""The command line `jiesu`, in Chinese and English. Exit codes: 0 done, 1 refused or failed, 2 wrong use or setting, 75 try later."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Annotated

import typer
from rich.table import Table

from gateway import (
    calls,
    config,
    erasing_cli,
    examples_cli,
    first_look_cli,
    handoff_cli,
    learning,
    mailboxes_cli,
    people,
    questions,
    robots_cli,
    settings_help,
    staff,
    templates_cli,
)
from gateway.terminal import err, out
from models.endpoint import without_secrets
from models.errors import BadSetting, JiesuError, TryLater

cli = typer.Typer(
    name="jiesu",
    help="接诉：房地产销售投诉受理网关。 A complaint intake gateway for real-estate sales.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 140, "terminal_width": 140},
)


def main() -> None:
    """The entry point: every error of ours becomes a sentence and an exit code; a bug keeps its traceback."""
    # What is written here holds complaints and secrets: for the owner alone.
    os.umask(0o077)
    try:
        cli(standalone_mode=True)
    except JiesuError as error:
        err.print(f"错误：{error.zh}", style="red", markup=False)
        err.print(f"error: {error.en}", style="red", markup=False)
        sys.exit(2 if isinstance(error, BadSetting) else 75 if isinstance(error, TryLater) else 1)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


UntilEof = Annotated[bool, typer.Option("--until-eof", hidden=True)]


@cli.command()
def serve(until_eof: UntilEof = False) -> None:
    """启动网关，直到 Ctrl-C。 Runs the gateway until Ctrl-C."""
    from gateway import bootstrap, up
    from gateway import serve as serving

    if until_eof:
        up.end_with_parent()
    settings = config.load()
    with serving.locked(settings):
        app = bootstrap.build(settings)
        told = up.addresses_file(settings.home)

        def ready(addresses: serving.Addresses) -> None:
            host, port = addresses.web
            scheme = "https" if settings.web.tls_certificate else "http"
            web = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
            drop = str(addresses.drop) if addresses.drop else None
            unfinished = told.with_suffix(".tmp")
            unfinished.write_text(json.dumps({"smtp": addresses.smtp, "web": web, "drop": drop, "pid": os.getpid()}), "utf-8")
            unfinished.replace(told)
            # Beside `jiesu up` it tells; here it would end in a file.
            if not until_eof and (link := app.staffing.first_link()):
                people.tell_first_link(settings.web.public_url or web, link)

        try:
            serving.serve(app, ready)
        finally:
            told.unlink(missing_ok=True)


cli.command()(first_look_cli.up)


@cli.command()
def init(
    force: Annotated[bool, typer.Option("--force", help="覆盖已有文件。 Overwrite what is there.")] = False,
) -> None:
    """写出带说明的设置文件和预案文件。 Writes a commented settings file and the plan file."""
    from gateway import home, plan

    folder = config.home()
    home.prepare(folder)
    for name, text in (("jiesu.toml", settings_help.commented_file()), ("plan.toml", plan.shipped_text())):
        path = folder / name
        if path.exists() and not force:
            err.print(f"已存在，未改动：{path}（--force 覆盖）  exists, left alone: {path} (--force overwrites)", markup=False)
            continue
        path.write_text(text, "utf-8")
        out.print(f"已写出 {path}  written: {path}", markup=False)


@cli.command("check-config")
def check_config() -> None:
    """检查设置与预案；有错则说明是哪一项、怎么改。 Checks settings and plan; names what is wrong and what to do."""
    from gateway import bootstrap, mail_door, mailboxes, robots, senders, terms, wording

    settings = config.load()
    mail_door.smtp_options(settings)
    mailboxes.check_secrets(settings)
    in_force = bootstrap.load_plan(settings)
    senders.check(settings, list(in_force.departments))
    tellers = robots.of_settings(settings, list(in_force.departments))
    own = terms.read(settings.home)
    templates = wording.load(settings.home)
    server = bootstrap.mail_server(settings)
    if server is not None:
        server.check()
    _check_store(settings.store_url)
    if settings.tracker.url and settings.tracker.secret:
        bootstrap.tracker_secret(settings)
    changed = [key for key in settings_help.every_key() if getattr(getattr(settings, key.section), key.name) != key.default]
    out.print(f"设置无误。 Settings are in order. {settings.home}", markup=False)
    for key in changed:
        value = getattr(getattr(settings, key.section), key.name)
        if isinstance(value, str):
            value = "…" if config.hidden(key.name) else _without_password(value) if key.section == "store" else without_secrets(value)
        out.print(f"  {key.section}.{key.name} = {value}", markup=False)
    for box in settings.mailbox:
        out.print(
            f"  mailbox {box.name}: {box.user} @ {box.host}:{box.port} {box.folder}{'' if box.enabled else '（停用 off）'}", markup=False
        )
    out.print("".join(f"  robot {one.name}: {one.kind.value}\n" for one in tellers), markup=False, end="")
    out.print(f"预案版本 plan version {in_force.version}，部门 departments {len(in_force.departments)}", markup=False)
    if server is None:
        out.print("未启用外发邮件：顾客收不到邮件回执（mail.enabled）  outgoing mail is off: no acknowledgements by mail (mail.enabled)")
    for name, estate in settings_help.unknown_estates(settings, in_force.estates):
        err.print(
            f"注意：{name}：预案的 estates 中没有 “{estate}”；若是写错，就不会收到任何通知\n"
            f"note: {name}: the plan's estates have no '{estate}'; misspelt, it would hear of nothing",
            style="yellow",
            markup=False,
        )
    if templates.own:
        out.print(f"自有模板 templates of your own: {' '.join(templates.own)}", markup=False)
    if own is not None:
        out.print(f"自有词 terms.txt：新增 {own.added} 个  terms of your own: {own.added} new", markup=False)
        for zh, en in own.left_out:
            err.print(f"注意：{zh}\nnote: {en}", style="yellow", markup=False)


def _without_password(url: str) -> str:
    """An address as it may be shown. What stands before the last @ is hidden even where the address is not well formed."""
    return re.sub(r"(?<=password=)[^&]*", "…", re.sub(r"(://[^:/@]*):.*@", r"\1:…@", url))


def _check_store(url: str) -> None:
    """Whether the address of the database can be understood; nothing is connected to. Raises `BadSetting`."""
    from gateway.store.engine import Store

    try:
        Store(url).close()
    except ImportError:
        raise BadSetting(
            "store.url", "没有这种数据库驱动；请用 sqlite:///… 或 postgresql://…", "no such driver; use sqlite:///… or postgresql://…"
        ) from None
    except (ValueError, OSError) as error:
        # The text of a ValueError may quote the password.
        zh, en = (error.strerror, error.strerror) if isinstance(error, OSError) else ("地址写法有误", "it is not well formed")
        raise BadSetting("store.url", f"数据库地址不能用（{zh}）", f"this address will not do ({en})") from None


@cli.command()
def tracker(
    host: Annotated[str, typer.Option(help="监听地址。 Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="监听端口。 Port to listen on.", min=0, max=65535)] = 8100,
    until_eof: UntilEof = False,
) -> None:
    """开发用跟踪系统：验签、保存并显示工单，可令其出错。 A development tracker: verifies, keeps and shows tickets, fails when told to."""
    from gateway import bootstrap, devtracker, home
    from gateway import up as starting

    if until_eof:
        starting.end_with_parent()
    settings = config.load()
    home.prepare(settings.home)
    page_token = home.secret(settings.secrets_folder, "tracker-page.token", home.token)

    def ready(where: str, at: int) -> None:
        # The token opens personal data; it goes to a person's screen and into no log.
        token = page_token if err.is_terminal else "…（secrets/tracker-page.token）"
        err.print(f"跟踪系统 tracker: http://{where}:{at}/?token={token}", markup=False)

    devtracker.serve(host, port, bootstrap.tracker_secret(settings), settings.home / "tracker", page_token, ready)


@cli.command()
def parked(
    as_json: Annotated[bool, typer.Option("--json", help="每行一条 JSON。 One JSON line each.")] = False,
) -> None:
    """列出搁置的任务及原因。 Lists what was put aside, and why."""
    from gateway import bootstrap
    from gateway.store import jobs

    store = bootstrap.open_store(config.load())
    try:
        with store.read() as conn:
            found = jobs.parked(conn)
    finally:
        store.close()
    if as_json:
        for job in found:
            fields = ("id", "kind", "number", "attempts", "reason_code", "reason")
            row = {name: getattr(job, name) for name in fields} | {"created_at": job.created_at.isoformat()}
            out.print(json.dumps(row, ensure_ascii=False), markup=False)
        return
    if not found:
        out.print("没有搁置的任务。 Nothing is parked.")
        return
    table = Table()
    for heading in ("任务 job", "步骤 step", "编号 number", "次数 attempts", "原因代码 code", "原因 reason"):
        table.add_column(heading, overflow="fold")
    for job in found:
        cells = (job.id, job.kind, job.number, job.attempts, job.reason_code, job.reason)
        table.add_row(*(str(cell).replace("[", r"\[") for cell in cells))
    out.print(table)
    out.print("排除原因后运行 jiesu replay 任务号… 或 jiesu replay --all。 Mend the cause, then jiesu replay JOB… or --all.")


@cli.command()
def replay(
    ids: Annotated[list[int] | None, typer.Argument(help="任务号（见 jiesu parked）。 Job numbers.", metavar="JOB…")] = None,
    everything: Annotated[bool, typer.Option("--all", help="全部放回。 Put all of them back.")] = False,
) -> None:
    """把搁置的任务放回队列。 Puts parked jobs back to work."""
    from gateway import bootstrap
    from gateway.clock import SystemClock
    from gateway.oplog import OperatorLog
    from gateway.quarantine import Quarantine

    if bool(ids) == everything:
        raise BadSetting("JOB…", "请给出任务号，或用 --all", "name job numbers, or use --all")
    settings = config.load()
    log = OperatorLog(settings.log.format, settings.log.level)
    store = bootstrap.open_store(settings)
    try:
        # The running gateway finds them by itself.
        back = Quarantine(store, SystemClock(), log, lambda: None).replay(None if everything else ids or [], "command line")
    finally:
        store.close()
    out.print(f"已放回 {back} 件。 {back} put back.")


cli.command()(questions.classify)
cli.command()(questions.evaluate)
cli.command("unknown-words")(questions.unknown_words)
cli.add_typer(questions.inspect_cli, name="inspect")
cli.command()(questions.train)
cli.add_typer(first_look_cli.samples_cli, name="samples")
cli.command()(staff.review)
cli.command()(staff.show)
cli.command()(staff.correct)
cli.command()(staff.promise)
cli.add_typer(examples_cli.examples_cli, name="examples")
cli.command()(examples_cli.drift)
cli.command()(learning.retrain)
cli.add_typer(learning.trained_cli, name="trained")
cli.add_typer(people.people_cli, name="people")
cli.add_typer(people.token_cli, name="token")
cli.add_typer(calls.calls_cli, name="calls")
cli.add_typer(people.relay_cli, name="relay")
cli.command()(templates_cli.templates)
cli.add_typer(mailboxes_cli.mailboxes_cli, name="mailboxes")
cli.add_typer(handoff_cli.endpoints_cli, name="endpoints")
cli.add_typer(handoff_cli.report_cli, name="report")
cli.add_typer(robots_cli.robots_cli, name="robots")
cli.command()(erasing_cli.erase)


if __name__ == "__main__":
    main()
