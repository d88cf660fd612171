"""The commands that ask: `classify`, `inspect`, `evaluate`, `unknown-words`; and `train`, which makes what answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import config, terminal
from gateway.terminal import err, out
from models.errors import BadSetting, Refused, Unreadable

inspect_cli = typer.Typer(help="看看 jiesu 如何理解一封邮件或一段通话。 What jiesu makes of a mail or a call.", no_args_is_help=True)

# So much is read at once.
_READ_BYTES = 65_536

Files = Annotated[list[Path], typer.Argument(help="文件；- 为标准输入。 Files; - is standard input.", metavar="FILE…", readable=False)]


def classify(
    text: Annotated[str | None, typer.Argument(help="要分类的文字。 The text.")] = None,
    jsonl: Annotated[
        Path | None, typer.Option("--jsonl", readable=False, help="每行一条 JSON：text，可选 title、channel；- 为标准输入。 JSON lines.")
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
    path = jsonl or Path("-")
    total = _count(path) if terminal.err.is_terminal and path.is_file() else 0
    bad = done = 0
    progress: AbstractContextManager[Callable[[str, float], None] | None] = terminal.bar(total) if total else nullcontext()
    with progress as tell:
        for first, lines in _lines_as_they_come(path):
            for answer in ask.classify_lines(classifier, lines, first):
                bad += "error" in answer
                done += 1
                sys.stdout.write(ask.as_line(answer) + "\n")
            # Whoever asks through a pipe may wait for the answer before he asks on.
            sys.stdout.flush()
            if tell is not None:
                tell("分类 classifying", done)
    if bad:
        raise Refused(
            "bad_lines", f"{bad} 行无法读取，原位写出了错误", f"{bad} lines could not be read; each is answered by its error in its place"
        )


def _classifier() -> Any:
    """The home's champion; the shipped one where nothing was served yet."""
    from classifiers import trained_model
    from gateway import bootstrap, champion, home
    from gateway.clock import SystemClock

    settings = config.load()
    in_force = bootstrap.load_plan(settings)
    if home.has_no_store(settings.home) and not settings.store.url:
        with terminal.bar() as tell:
            trained = champion.shipped(tell)
        return trained_model.load(trained.data, trained.card, estates=in_force.estates, reader=_reader(settings.home))
    store = bootstrap.open_store(settings)
    reader = partial(_reader, settings.home)
    try:
        return champion.StoredChampion(store, SystemClock(), estates=in_force.estates, crowns=False, reader=reader).classifier()
    finally:
        store.close()


def _reader(folder: Path) -> Any:
    """What reads the texts, with the terms of this home; a terms file that cannot be used is told, and the answer goes on without it."""
    from classifiers.reading import shipped_reader
    from gateway import terms

    try:
        own = terms.read(folder)
    except BadSetting as error:
        err.print(f"注意：{error.zh}。这次只用自带词典。", style="yellow", markup=False)
        err.print(f"note: {error.en}. The shipped lexicon answers alone.", style="yellow", markup=False)
        own = None
    return own.reader if own else shipped_reader()


def evaluate(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="有标注的 JSONL 或 CSV：text、primary，可选 title、channel、secondary、risk、customer.*。 Labelled texts.",
            metavar="FILE…",
            readable=False,
        ),
    ],
    model: Annotated[
        Path | None, typer.Option("--model", readable=False, help="用这个模型（.skops，旁边有 .json）。 Another model than the one in use.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON。 As JSON.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", readable=False, help="把图写到这个 .svg 文件。 Draws the charts into this .svg file.")
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="both / zh / en")] = "both",
) -> None:
    """用有标注的文本检验分类有多准；只看不学。 How right the classifier is on labelled texts; nothing is learned from them."""
    from gateway import measuring

    language = _language(lang)
    if picture is not None:
        measuring.check_picture(picture)
    rows, unused = measuring.read_files(files, _read_bytes)
    _tell_unused(unused)
    classifier = _classifier() if model is None else _model(model)
    with terminal.bar(len(rows)) as tell:
        found = measuring.evaluated(classifier, rows, tell)
    if as_json:
        sys.stdout.write(json.dumps(found.as_json(), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write(found.table(language) + "\n")
    if picture is not None:
        from classifiers import pictures

        measuring.keep_picture(picture, pictures.of_measured(found, [path.name for path in dict.fromkeys(files)]))
        err.print(f"图已写到 {picture}  the picture is in {picture}", markup=False)


def unknown_words(
    files: Annotated[
        list[Path], typer.Argument(help="文本，JSONL 或 CSV，只需要 text。 Texts; only `text` is needed.", metavar="FILE…", readable=False)
    ],
    least: Annotated[int, typer.Option("--least", help="至少出现在几篇文本里。 In so many texts at least.", min=1)] = 3,
    top: Annotated[int, typer.Option("--top", help="最多列几个。 So many at most.", min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="每行一条 JSON。 One JSON line each.")] = False,
) -> None:
    """词典和语料都不认识的常见词，可以补进 terms.txt。 Frequent words that lexicon and corpus do not know, for terms.txt."""
    from classifiers import unknown
    from gateway import ask, measuring

    settings = config.load()
    rows, unused = measuring.read_files(files, _read_bytes, labels=False)
    _tell_unused(unused)
    questions = [ask.query_of(row.text, title=row.title, channel=row.channel) for _, row in rows]
    facets = _reader(settings.home).facets
    texts = [f"{one.title}\n{one.said}" for one in questions]
    words = unknown.unknown_words(texts, facets, known=unknown.corpus_words(), least=least)[:top]
    if as_json:
        for one in words:
            sys.stdout.write(ask.as_line({"word": one.word, "texts": one.texts, "example": one.example}) + "\n")
    elif not words:
        out.print(f"在 {len(rows)} 条文本里没有常见的生词。 Among {len(rows)} texts there are no frequent unknown words.")
    else:
        sys.stdout.write(f"生词 word　篇数 texts　一处 a place（{len(rows)} 条文本 texts）\n{unknown.table(words)}\n")


def _language(lang: str) -> Any:
    if lang not in ("both", "zh", "en"):
        raise BadSetting("--lang", f"“{lang}” 不行，应为 both、zh、en 之一", f"'{lang}' will not do: one of both, zh, en")
    return lang


def _tell_unused(keys: tuple[str, ...]) -> None:
    """A key that is misspelt would be passed over in silence otherwise."""
    if keys:
        from classifiers.labelled import shown

        names = "、".join(shown(key) for key in keys[:10])
        err.print(f"未使用的列：{names}  passed over: {names}", markup=False)


def _model(path: Path) -> Any:
    """The classifier of a trained model's file."""
    from classifiers import trained_model
    from classifiers.stored import BadTrainedModel
    from gateway import bootstrap

    settings = config.load()
    try:
        trained = trained_model.read_shipped(path)
        estates = bootstrap.load_plan(settings).estates
        return trained_model.load(trained.data, trained.card, estates=estates, reader=_reader(settings.home))
    except OSError as error:
        raise BadSetting(
            "--model",
            f"{error.filename} 读不了（{error.strerror}）；模型是一个 .skops 文件，旁边有同名的 .json",
            f"{error.filename} cannot be read ({error.strerror}); a model is a .skops file with a .json of the same name beside it",
        ) from None
    except (BadTrainedModel, ValueError) as error:
        raise BadSetting("--model", f"{path} 不是完好的模型（{error}）", f"{path} is no sound model ({error})") from None


def _read_bytes(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSetting(str(path), f"读不了（{error.strerror}）", f"cannot be read ({error.strerror})") from None


def _opened(path: Path) -> AbstractContextManager[Any]:
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        raise BadSetting(str(path), f"读不了（{error.strerror}）", f"cannot be read ({error.strerror})") from None


def _count(path: Path) -> int:
    """How many lines are not blank."""
    with _opened(path) as file:
        return sum(1 for line in file if line.strip())


def _lines_as_they_come(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines that one read completes, and the number of the first; so a pipe is answered before its end, and no file is held whole."""
    first, parts, encoding = 1, [], "utf-8-sig"
    with _opened(path) as file:
        ended = False
        while not ended:
            chunk = file.read1(_READ_BYTES)
            ended = not chunk
            whole, line_end, begun = chunk.rpartition(b"\n")
            parts.append(whole if line_end else begun)
            if not line_end and not ended:
                continue
            try:
                lines = b"".join(parts).decode(encoding).split("\n")
            except UnicodeDecodeError:
                raise BadSetting(str(path), "不是 UTF-8 文本，请另存为 UTF-8", "is not UTF-8; save it as UTF-8") from None
            yield first, lines
            first, parts, encoding = first + len(lines), [begun], "utf-8"


def _inspect(files: list[Path], look: Callable[[bytes], dict[str, Any]]) -> None:
    """One JSON line a file; one that cannot be understood is answered by its error, and the others go on."""
    from gateway import ask

    bad = 0
    for path in files:
        try:
            told = look(_read_bytes(path))
        except (Unreadable, BadSetting) as error:
            bad += 1
            told = {"error": {"file": str(path), "code": error.code, "zh": error.zh, "en": error.en}}
        sys.stdout.write(ask.as_line(told) + "\n")
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


def train() -> None:
    """用随附语料训练分类模型；同样的语料得到逐字节相同的文件。 Trains the shipped model; the same corpus gives the same bytes."""
    from classifiers import train as training
    from classifiers import trained_model

    with terminal.bar() as tell:
        trained = training.build_shipped(tell)
    out.print(f"{trained_model.shipped_path().name}  {trained.card['version']}", markup=False)
    out.print(json.dumps(trained.card, ensure_ascii=False, indent=1), markup=False)
