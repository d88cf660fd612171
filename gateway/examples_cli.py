"""The commands `jiesu examples …`: history in, data out, doubtful labels, and what is to be forgotten."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from gateway import config, staff, terminal
from gateway.terminal import err, out
from models.errors import BadSetting, Refused
from models.verdict import ComplaintClass

if TYPE_CHECKING:
    from gateway.importing import FileRead, Plan

examples_cli = typer.Typer(help="训练样本：导入、导出、核对标注。 Training examples: import, export, check labels.", no_args_is_help=True)

_FIRST = 5
_LISTED = ("编号 id", "类别 class", "来源 origin", "渠道", "标注人 by", "标题与正文 title and text")
_SUSPECTS = ("编号 id", "标注为 labelled", "更像是 rather", "把握", "标注人 by", "标题与正文 title and text")

AsJson = Annotated[bool, typer.Option("--json", help="给程序用的 JSON。 JSON for programs.")]
By = Annotated[str, typer.Option("--by", help="谁标注或判定的；默认为当前账号。 Who labels or decides; this account by default.")]
Id = Annotated[int, typer.Argument(help="样本编号（见 list）。 The example's id.", metavar="ID")]


@examples_cli.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV、XLSX 或 JSONL。 CSV, XLSX or JSONL.", metavar="FILE", readable=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只说明会发生什么，不写入。 Only say what would happen.")] = False,
    golden: Annotated[bool, typer.Option("--golden", help="作为黄金集：只检验，不训练。 For the golden set: never trained on.")] = False,
    columns: Annotated[str, typer.Option("--columns", help="列名对应，如 text=内容,primary=类别。 Which column is what.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """导入已标注的历史投诉（自动去除姓名、电话等）。 Takes in labelled history; names, phones and the like are masked."""
    from gateway import bootstrap, home, importing

    mapped = importing.columns_of(columns)
    read = importing.read_file(file, mapped, by.strip() or getpass.getuser(), golden)
    settings = config.load()
    # History may well come before the first complaint does.
    home.prepare(settings.home)
    app = bootstrap.build(settings, serving=False)
    try:
        importer = importing.Importer(app.store, app.clock, app.examples.deidentifier, app.log)
        with terminal.bar(max(1, len(read.good))) as tell:
            planned = importer.plan(read, file.name, lambda done: tell("核对 comparing", done))
        # Before anything is written, so that a folder which cannot be written leaves nothing half done.
        kept = importing.keep_bad(file, read.bad) if read.bad and not dry_run else None
        if not dry_run:
            with terminal.bar(max(1, len(planned.rows))) as tell:
                importer.take_in(planned, len(read.bad), lambda done: tell("写入 writing", done))
    finally:
        app.close()
    if as_json:
        sys.stdout.write(json.dumps(_told(file, read, planned, kept, dry_run), ensure_ascii=False, indent=1) + "\n")
    else:
        _tell(read, planned, kept, dry_run)
    if read.bad and not read.good:
        raise Refused("nothing_good", "没有一行可用", "not one row can be used")


def _told(file: Path, read: FileRead, planned: Plan, kept: Path | None, dry_run: bool) -> dict[str, Any]:
    return {
        "file": str(file),
        "dry_run": dry_run,
        "new": planned.new,
        "known": planned.known,
        "changed": planned.changed,
        "repeated": planned.repeated,
        "contradicting": planned.contradicting,
        "stay_golden": planned.stay_golden,
        "bad": [{"row": one.number, "zh": one.problem.zh, "en": one.problem.en} for one in read.bad],
        "bad_file": str(kept) if kept else None,
        "passed_over": read.unused,
    }


def _tell(read: FileRead, planned: Plan, kept: Path | None, dry_run: bool) -> None:
    if read.unused:
        from classifiers.labelled import shown

        names = "、".join(shown(name) for name in read.unused[:10])
        err.print(f"未使用的列：{names}  passed over: {names}", style="yellow", markup=False)
    for one in read.bad[:10]:
        err.print(f"{one.problem.zh}\n{one.problem.en}", style="yellow", markup=False)
    if len(read.bad) > 10:
        err.print(f"……另有 {len(read.bad) - 10} 行有误。 … and {len(read.bad) - 10} more bad rows.", style="yellow")
    if dry_run and planned.rows:
        table = Table(title="将写入的前几条（已去除姓名、电话等） The first to be written, masked", title_justify="left")
        for heading in ("类别 class", "渠道", "标注人 by", "标题与正文 title and text"):
            table.add_column(heading, overflow="fold")
        for row in planned.rows[:_FIRST]:
            table.add_row(row.primary.zh, row.channel or "", _plain(row.by), _plain(_short(row.title, row.text)))
        staff.wide(table)
    verb_zh, verb_en = ("将新增", "would be new") if dry_run else ("新增", "new")
    out.print(
        f"{verb_zh} {planned.new}，已有 {planned.known}，改判 {planned.changed}，有误 {len(read.bad)}。 "
        f"{planned.new} {verb_en}, {planned.known} known already, {planned.changed} with a changed label, {len(read.bad)} bad."
    )
    if planned.repeated:
        out.print(
            f"另有 {planned.repeated} 行正文重复，其中 {planned.contradicting} 行类别前后不一，以最后一行为准。 "
            f"{planned.repeated} rows repeat a text, {planned.contradicting} of them with another label; the last row counts."
        )
    if planned.stay_golden:
        out.print(f"其中 {planned.stay_golden} 条已在黄金集，仍留在那里。 {planned.stay_golden} are in the golden set and stay there.")
    if kept:
        err.print(f"有误的行在 {kept}，改好后可从那里导入。 The bad rows are in {kept}; mended, import them from there.", markup=False)
    if dry_run:
        out.print("未写入任何内容。 Nothing was written.")


@examples_cli.command("export")
def export(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="写到文件，否则标准输出。 Into a file.")] = None,
    format: Annotated[str, typer.Option("--format", help="csv、xlsx、jsonl、label-studio；默认看文件名。 One of these.")] = "",
) -> None:
    """导出训练样本（已去除姓名、电话等）。 Gives the training examples out, masked as they are kept."""
    from gateway import importing
    from gateway.store import examples

    chosen = format or (output.suffix.lower().lstrip(".") if output else "csv")
    chosen = {"json": "label-studio", "ndjson": "jsonl"}.get(chosen, chosen)
    if chosen not in importing.FORMATS:
        known = ", ".join(importing.FORMATS)
        raise BadSetting("--format", f"“{chosen}” 不行，应为 {known} 之一", f"'{chosen}' will not do: one of {known}")
    if output is None and chosen == "xlsx" and sys.stdout.isatty():
        raise BadSetting("--output", "XLSX 请用 -o 写到文件", "write XLSX into a file with -o")
    with staff.opened_app() as app, app.store.read() as conn, _written(output) as file:
        count = importing.export(file, examples.every(conn), chosen)
    err.print(f"导出 {count} 条。 {count} examples.")


@contextlib.contextmanager
def _written(path: Path | None) -> Iterator[IO[bytes]]:
    """The file, whole or not at all, or standard output. Raises `BadSetting`."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise BadSetting(str(path), f"写不了（{error.strerror}）", f"cannot be written ({error.strerror})") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


@examples_cli.command("list")
def list_(
    klass: Annotated[str, typer.Option("--class", help="只看这一类。 Only of this class.")] = "",
    contains: Annotated[str, typer.Option("--contains", help="只看含有这些字的。 Only with these words.")] = "",
    golden: Annotated[bool, typer.Option("--golden", help="只看黄金集。 Only the golden set.")] = False,
    after: Annotated[int, typer.Option("--after", min=0, help="从这个编号之后开始。 Those after this id.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="最多列几条。 At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """列出训练样本。 Lists the training examples."""
    from gateway.examples import class_named, example_json
    from gateway.store import examples

    primary = class_named(klass, "--class") if klass else None
    with staff.opened_app() as app:
        counts = app.examples.counts()
        with app.store.read() as conn:
            found = examples.page(conn, after, limit, primary=primary, golden=True if golden else None, contains=contains)
    if as_json:
        for row in found:
            sys.stdout.write(json.dumps(example_json(row), ensure_ascii=False) + "\n")
        return
    if not found:
        out.print("没有样本。 No examples.")
        return
    table = Table()
    for heading in _LISTED:
        table.add_column(heading, overflow="fold")
    for row in found:
        marks = "".join((" 黄金" if row.golden else "", {"kept": " 已确认", "ignored": " 已忽略"}.get(row.looked_at or "", "")))
        origin = ("判定" if row.origin == examples.CORRECTION else "导入") + marks
        table.add_row(str(row.id), row.primary.zh, origin, row.channel or "", _plain(row.by), _plain(_short(row.title, row.text)))
    staff.wide(table)
    out.print(
        f"共 {counts['total']} 条，可训练 {counts['usable']}，黄金集 {counts['golden']}。 "
        f"{counts['total']} in all, {counts['usable']} fit for training, {counts['golden']} golden."
    )
    if len(found) == limit:
        out.print(f"下一页 next: jiesu examples list --after {found[-1].id}", markup=False)


@examples_cli.command("show")
def show(id: Id) -> None:
    """一条样本的全部内容。 Everything of one example."""
    from gateway.examples import example_json
    from gateway.store import examples

    with staff.opened_app() as app, app.store.read() as conn:
        row = examples.load(conn, id)
    if row is None:
        raise Refused("no_such_example", f"没有编号为 {id} 的样本", f"there is no example {id}")
    out.print(json.dumps(example_json(row), ensure_ascii=False, indent=1), markup=False)


@examples_cli.command("suspicious")
def suspicious(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="最多列几条。 At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """可能标错的样本，最可疑的在前。 Labels that are likely wrong, the worst first."""
    with staff.opened_app() as app, terminal.bar() as tell:
        found = app.examples.suspicious(limit, most=sys.maxsize, progress=tell)
    if as_json:
        for one in found:
            sys.stdout.write(json.dumps(one, ensure_ascii=False) + "\n")
        return
    if not found:
        out.print("没有可疑的标注。 No label looks wrong.")
        return
    table = Table()
    for heading in _SUSPECTS:
        table.add_column(heading, overflow="fold")
    for one in found:
        names = ComplaintClass(one["primary"]).zh, ComplaintClass(one["likely"]).zh
        table.add_row(str(one["id"]), *names, f"{one['probability']:.0%}", _plain(one["by"]), _plain(_short(one["title"], one["text"])))
    staff.wide(table)
    out.print("逐条决定 decide: jiesu examples settle ID keep | ignore | relabel CLASS", markup=False)


@examples_cli.command("settle")
def settle(
    id: Id,
    action: Annotated[str, typer.Argument(help="keep 标注正确，ignore 不用于训练，relabel 改判。 One of the three.", metavar="ACTION")],
    klass: Annotated[str, typer.Argument(help="改判为哪一类。 The class, when relabelling.", metavar="[CLASS]")] = "",
    by: By = "",
) -> None:
    """对可疑标注作出决定。 Decides about a doubtful label."""
    from gateway.examples import class_named

    primary = class_named(klass, "CLASS") if klass else None
    with staff.opened_app() as app:
        done = app.examples.settle(id, action, primary, by or getpass.getuser())
    state = {"kept": "已确认 kept", "ignored": "不用于训练 ignored"}[done["looked_at"]]
    out.print(f"{id}  {ComplaintClass(done['primary']).zh}  {state}", markup=False)


@examples_cli.command("agreement")
def agreement(as_json: AsJson = False) -> None:
    """多人判定同一投诉时是否一致，以及不一致的投诉。 How far people agree, and where they do not."""
    with staff.opened_app() as app:
        told, differ = app.examples.agreement(), app.examples.disagreements()
    if as_json:
        sys.stdout.write(json.dumps(told | {"disagreements": differ}, ensure_ascii=False, indent=1) + "\n")
        return
    if told["alpha"] is None:
        out.print("还没有多人判定过的投诉。 No complaint was judged by several people yet.")
        return
    out.print(
        f"Krippendorff α = {told['alpha']:.3f}（{told['people']} 人，{told['complaints']} 件，{told['differ']} 件不一致） "
        f"{told['people']} people, {told['complaints']} complaints, {told['differ']} on which they differ"
    )
    for one in differ:
        said = "，".join(f"{each['by']} {ComplaintClass(each['class']).zh}" for each in one["said"])
        out.print(f"{one['number']}  {said}  {one['title'][:40]}", markup=False)


@examples_cli.command("forget")
def forget(number: Annotated[str, typer.Argument(help="投诉编号。 The complaint's number.", metavar="NUMBER")]) -> None:
    """删除某投诉在训练样本中的副本（个人信息删除）。 Removes a complaint's copy from the training examples."""
    with staff.opened_app() as app:
        gone = app.examples.forget(number)
    out.print(f"已删除 {gone} 条。 {gone} removed.")
    if gone:
        out.print("已训练的模型要到下次重新训练才不再含有它。 Trained models hold what they learned of it until the next retraining.")


def _short(title: str, text: str) -> str:
    return " ".join(f"{title}｜{text}".lstrip("｜").split())[:80]


def _plain(text: str) -> str:
    """What customers wrote is text, never markup."""
    return text.replace("[", r"\[")


def drift(as_json: AsJson = False) -> None:
    """来信是否偏离了现用模型所学，附数字。 Whether complaints move away from what the model knows, with figures."""
    with staff.opened_app() as app:
        told = app.drift.report()
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
        return
    out.print(
        f"训练模型 trained model {told['trained_model']}：近 {told['days']} 天与此前 {told['reference_days']} 天相比 "
        f"the last {told['days']} days against the {told['reference_days']} before"
    )
    signs = {"steady": "平稳 steady", "noticed": "留意 noticed", "warning": "告警 warning", "too_few": "—"}
    for one in told["figures"]:
        style = "yellow" if one["state"] == "warning" else None
        out.print(f"{signs[one['state']]}  {one['zh']}\n    {one['en']}", style=style, markup=False)
