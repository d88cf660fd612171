"""What `jiesu evaluate` and `jiesu unknown-words` do: read files of other hands, ask the classifier in batches, keep the picture."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from classifiers.base import Classifier
from classifiers.labelled import BadLabelled, Labelled, read
from classifiers.measured import Measured, measure
from gateway import ask
from models.errors import BadSetting, JiesuError
from models.verdict import Verdict

# So many texts are classified at once; more gain nothing and cost memory.
_BATCH = 256

# Each text with the name of its file.
Rows = list[tuple[str, Labelled]]


def read_files(paths: Sequence[Path], read_bytes: Callable[[Path], bytes], *, labels: bool = True) -> tuple[Rows, tuple[str, ...]]:
    """All texts of the files, and the keys that were passed over. Raises `BadSetting` with every place of the first bad file."""
    rows: Rows = []
    unused: dict[str, None] = {}
    for path in dict.fromkeys(paths):
        try:
            found, passed = read(read_bytes(path), str(path), labels=labels)
        except BadLabelled as error:
            # File and line stand at the head of each sentence already.
            raise BadInput(error) from None
        rows += [(str(path), one) for one in found]
        unused.update(dict.fromkeys(passed))
    return rows, tuple(unused)


class BadInput(BadSetting):
    """A file of other hands cannot be used; the sentences name file, line, key and value."""

    def __init__(self, error: BadLabelled) -> None:
        JiesuError.__init__(self, "bad_input", error.zh, error.en)
        self.key = ""


def evaluated(classifier: Classifier, rows: Rows, tell: Callable[[str, float], None]) -> Measured:
    """The texts classified as the gateway would, and measured by their labels."""
    verdicts: list[Verdict] = []
    for start in range(0, len(rows), _BATCH):
        batch = [row for _, row in rows[start : start + _BATCH]]
        verdicts += classifier.classify([ask.query_of(row.text, title=row.title, channel=row.channel) for row in batch])
        tell("分类 classifying", len(verdicts))
    return measure(rows, verdicts)


def check_picture(path: Path) -> None:
    """Whether a picture can be kept there, before anything is reckoned. Raises `BadSetting`."""
    if path.suffix.lower() != ".svg":
        raise BadSetting(
            "--picture", f"“{path}” 不行，图片只写 SVG，文件名应以 .svg 结尾", f"'{path}' will not do: pictures are SVG, ending .svg"
        )
    if not path.parent.is_dir():
        raise BadSetting("--picture", f"目录 {path.parent} 不存在，请先建立", f"there is no folder {path.parent}; make it first")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise BadSetting("--picture", f"{path} 写不了，请换一个位置", f"{path} cannot be written; choose another place")


def keep_picture(path: Path, svg: str) -> None:
    """Writes the picture whole or not at all. Raises `BadSetting`."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(svg, "utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise BadSetting("--picture", f"{path} 写不了（{error.strerror}）", f"{path} cannot be written ({error.strerror})") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
