"""The command line `jiesu`, in Chinese and English. Exit codes: 0 done, 1 refused or failed, 2 wrong use or setting, 75 try later."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gateway import config
from models.errors import BadSetting, JiesuError, TryLater

cli = typer.Typer(
    name="jiesu",
    help="接诉：房地产销售投诉受理网关。 A complaint intake gateway for real-estate sales.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
samples_cli = typer.Typer(help="示例投诉。 Sample complaints.", no_args_is_help=True)
inspect_cli = typer.Typer(help="看看 jiesu 如何理解一封邮件或一段通话。 What jiesu makes of a mail or a call.", no_args_is_help=True)
cli.add_typer(samples_cli, name="samples")
cli.add_typer(inspect_cli, name="inspect")

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

Files = Annotated[list[Path], typer.Argument(help="文件；- 为标准输入。 Files; - is standard input.", metavar="FILE…")]


def main() -> None:
    """The entry point: every error of ours becomes a sentence and an exit code; a bug keeps its traceback."""
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


@contextmanager
def _bar(total: int | None = None) -> Iterator[Callable[[str, float], None]]:
    """A progress bar on standard error, for people only. The yielded function takes what is being done and how much is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=total or 100)

        def tell(what: str, done: float) -> None:
            progress.update(task, description=what, completed=done if total else round(done * 100))

        yield tell


@cli.command()
def serve() -> None:
    """启动网关，直到 Ctrl-C。 Runs the gateway until Ctrl-C."""
    from gateway import bootstrap, up
    from gateway import serve as serving

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

        try:
            serving.serve(app, ready)
        finally:
            told.unlink(missing_ok=True)


@cli.command()
def up(
    once: Annotated[bool, typer.Option("--once", help="示例全部送达后自行结束。 End when every sample has arrived.")] = False,
) -> None:
    """试用：网关加开发用跟踪系统；首次运行时送入示例投诉。 A first look: gateway, development tracker, sample complaints."""
    from gateway import home, samples
    from gateway.up import Up

    settings = config.load()
    fresh = home.is_empty(settings.home) and not settings.store.url
    # Ctrl-C and a polite kill end it alike.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    both = Up(settings)
    try:
        err.print("正在启动网关与开发用跟踪系统…  Starting the gateway and the development tracker…")
        both.start()
        if fresh:
            total = samples.count()
            numbers: set[str] = set()
            with _bar(total) as tell:
                for sent in samples.send(both.doors()):
                    numbers.add(sent.number)
                    tell("送入示例 sending samples", len(numbers))
            with _bar(len(numbers)) as tell:
                for there in both.arrived(numbers):
                    tell("等待送达 waiting for the tracker", there)
            err.print(f"{len(numbers)} 件示例投诉已经由邮件、对话、电话三个入口送达跟踪系统。")
            err.print(f"{len(numbers)} sample complaints came in by mail, chat and phone and reached the tracker.")
        _print_tickets(both.tickets())
        if once:
            return
        _print_what_next(settings, both.doors(), both.tracker_page)
        both.wait()
    except KeyboardInterrupt:
        err.print("\n正在收尾…  Finishing what is in hand…")
    finally:
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
            ticket["summary"],
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


def _print_what_next(settings: config.Settings, doors: Any, tracker_page: str) -> None:
    host, port = doors.smtp or ("", 0)
    here = "" if str(settings.home) == str(Path("var").absolute()) else f"JIESU_HOME={settings.home} "
    lines = [
        "",
        f"在线对话 chat             {doors.web}/chat",
        f"跟踪系统 tracker          {tracker_page}",
        f"邮件入口 mail             {host}:{port}",
        f"电话转写投放 call drop     {doors.drop}",
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


@cli.command()
def init(
    force: Annotated[bool, typer.Option("--force", help="覆盖已有文件。 Overwrite what is there.")] = False,
) -> None:
    """写出带说明的设置文件和预案文件。 Writes a commented settings file and the plan file."""
    from gateway import home, plan

    folder = Path(os.environ.get("JIESU_HOME") or "var").absolute()
    home.prepare(folder)
    for name, text in (("jiesu.toml", config.commented_file()), ("plan.toml", plan.shipped_text())):
        path = folder / name
        if path.exists() and not force:
            err.print(f"已存在，未改动：{path}（--force 覆盖）  exists, left alone: {path} (--force overwrites)", markup=False)
            continue
        path.write_text(text, "utf-8")
        out.print(f"已写出 {path}  written: {path}", markup=False)


@cli.command("check-config")
def check_config() -> None:
    """检查设置与预案；有错则说明是哪一项、怎么改。 Checks settings and plan; names what is wrong and what to do."""
    from gateway import bootstrap
    from gateway import serve as serving

    settings = config.load()
    serving.smtp_options(settings)
    in_force = bootstrap.load_plan(settings)
    if settings.tracker.url and settings.tracker.secret:
        bootstrap.tracker_secret(settings)
    changed = [key for key in config.every_key() if getattr(getattr(settings, key.section), key.name) != key.default]
    out.print(f"设置无误。 Settings are in order. {settings.home}", markup=False)
    for key in changed:
        value = "…" if key.name == "secret" else getattr(getattr(settings, key.section), key.name)
        out.print(f"  {key.section}.{key.name} = {value}", markup=False)
    out.print(f"预案版本 plan version {in_force.version}，部门 departments {len(in_force.departments)}", markup=False)


@samples_cli.command("send")
def samples_send() -> None:
    """经真实入口送入全部示例投诉。 Sends every sample through the real doors of the running gateway."""
    from gateway import samples, up

    settings = config.load()
    for sent in samples.send(up.doors_of(settings.home)):
        out.print(f"{sent.number}  {sent.name}", markup=False)


@cli.command()
def tracker(
    host: Annotated[str, typer.Option(help="监听地址。 Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="监听端口。 Port to listen on.", min=0, max=65535)] = 8100,
) -> None:
    """开发用跟踪系统：验签、保存并显示工单，可令其出错。 A development tracker: verifies, keeps and shows tickets, fails when told to."""
    from gateway import bootstrap, devtracker, home

    settings = config.load()
    home.prepare(settings.home)
    page_token = home.secret(settings.secrets_folder, "tracker-page.token", home.token)

    def ready(where: str, at: int) -> None:
        err.print(f"跟踪系统 tracker: http://{where}:{at}/?token={page_token}", markup=False)

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
    from gateway.store import events, jobs

    if bool(ids) == everything:
        raise BadSetting("JOB…", "请给出任务号，或用 --all", "name job numbers, or use --all")
    settings = config.load()
    log = OperatorLog(settings.log.format, settings.log.level)
    store = bootstrap.open_store(settings)
    try:
        with store.write() as conn:
            wanted = list(ids or [job.id for job in jobs.parked(conn)])
            back = jobs.replay(conn, wanted, SystemClock().now())
            for endpoint in {str(job.payload["endpoint"]) for job in back if job.kind == "deliver"}:
                events.enable_endpoint(conn, endpoint)
    finally:
        store.close()
    for job in back:
        log.write("Replayed", job.number, kind=job.kind, job=job.id)
    out.print(f"已放回 {len(back)} 件。 {len(back)} put back.")
    lacking = sorted(set(wanted) - {job.id for job in back})
    if lacking:
        numbers = ", ".join(map(str, lacking))
        raise _not_parked(numbers)


def _not_parked(numbers: str) -> JiesuError:
    from models.errors import Refused

    return Refused("not_parked", f"这些任务并未搁置：{numbers}", f"these jobs are not parked: {numbers}")


@cli.command()
def classify(
    text: Annotated[str | None, typer.Argument(help="要分类的文字。 The text.")] = None,
    jsonl: Annotated[
        Path | None, typer.Option("--jsonl", help="每行一条 JSON：text，可选 title、channel；- 为标准输入。 JSON lines.")
    ] = None,
    title: Annotated[str, typer.Option(help="标题。 The title.")] = "",
    channel: Annotated[str | None, typer.Option(help="email / chat / phone")] = None,
) -> None:
    """一段文字会被归到哪一类、为什么。 Which class a text would get, and why."""
    from gateway import ask
    from models.submission import Channel

    if (text is None) == (jsonl is None):
        raise BadSetting("TEXT", "请给出一段文字，或用 --jsonl 文件", "give a text, or --jsonl FILE")
    if channel is not None and channel not in list(Channel):
        raise BadSetting(
            "--channel", f"“{channel}” 不行，应为 email、chat、phone 之一", f"'{channel}' will not do: one of email, chat, phone"
        )
    classifier = _classifier()
    if text is not None:
        verdict = ask.answer(classifier.classify([ask.query_of(text, title=title, channel=channel)])[0])
        sys.stdout.write(json.dumps(verdict, ensure_ascii=False, indent=2) + "\n")
        return
    lines = _read_text(jsonl or Path("-")).split("\n")
    total = sum(1 for line in lines if line.strip())
    bad = 0
    with _bar(total) as tell:
        for done, answer in enumerate(ask.classify_lines(classifier, lines), 1):
            bad += "error" in answer
            sys.stdout.write(ask.as_line(answer) + "\n")
            if done % 64 == 0:
                tell("分类 classifying", done)
    sys.stdout.flush()
    if bad:
        from models.errors import Refused

        raise Refused(
            "bad_lines", f"{bad} 行无法读取，原位写出了错误", f"{bad} lines could not be read; each is answered by its error in its place"
        )


def _classifier() -> Any:
    """The home's champion; the shipped one where nothing was served yet."""
    from classifiers import train as training
    from gateway import bootstrap, champion, home
    from gateway.clock import SystemClock

    settings = config.load()
    in_force = bootstrap.load_plan(settings)
    if home.is_empty(settings.home) and not settings.store.url:
        with _bar() as tell:
            trained = champion.shipped(tell)
        return training.load(trained.data, trained.card, estates=in_force.estates)
    store = bootstrap.open_store(settings)
    try:
        return champion.StoredChampion(store, SystemClock(), estates=in_force.estates).classifier()
    finally:
        store.close()


def _read_bytes(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSetting(str(path), f"读不了（{error.strerror}）", f"cannot be read ({error.strerror})") from None


def _read_text(path: Path) -> str:
    try:
        return _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadSetting(str(path), "不是 UTF-8 文本，请另存为 UTF-8", "is not UTF-8; save it as UTF-8") from None


def _inspect(files: list[Path], look: Callable[[bytes], dict[str, Any]]) -> None:
    """One JSON line a file; one that cannot be understood is answered by its error, and the others go on."""
    from models.errors import Refused, Unreadable

    bad = 0
    for path in files:
        try:
            told = look(_read_bytes(path))
        except (Unreadable, BadSetting) as error:
            bad += 1
            told = {"error": {"file": str(path), "code": error.code, "zh": error.zh, "en": error.en}}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    if bad:
        raise Refused("unreadable", f"{bad} 个文件无法理解", f"{bad} files could not be understood")


@inspect_cli.command("mail")
def inspect_mail(files: Files) -> None:
    """每个文件一行 JSON：发件人、主题、正文、本次回复、附件。 One JSON line a file: sender, subject, text, reply, attachments."""
    from connectors import mime

    _inspect(files, lambda raw: mime.as_json(mime.read_mail(raw)))


@inspect_cli.command("transcript")
def inspect_transcript(files: Files) -> None:
    """每个文件一行 JSON：格式、话轮、顾客的话、通话信息。 One JSON line a file: format, turns, customer's words, call."""
    from connectors import transcripts

    _inspect(files, lambda raw: transcripts.as_json(transcripts.read_transcript(raw)))


@cli.command()
def train() -> None:
    """用随附语料训练分类模型；同样的语料得到逐字节相同的文件。 Trains the shipped model; the same corpus gives the same bytes."""
    from classifiers import train as training

    with _bar() as tell:
        trained = training.build_shipped(tell)
    out.print(f"{training.shipped_path().name}  {trained.card['version']}", markup=False)
    out.print(json.dumps(trained.card, ensure_ascii=False, indent=1), markup=False)


if __name__ == "__main__":
    main()
