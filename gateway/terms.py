"""The staff's own terms: `terms.txt` in the home, whose terms are added to the facets of the shipped lexicon (`docs/classifier.md`).

A file that cannot be used is told by file and line, and never stops the sorting, which goes on with the shipped lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifiers.facets import shipped_facets
from classifiers.reading import Reader, shipped_reader
from gateway import home
from gateway.oplog import OperatorLog
from models.errors import BadSetting

# What the reader of the lexicon says, and the same in Chinese with what to do.
_MALFORMED: Sequence[tuple[re.Pattern[str], str, str]] = (
    (
        re.compile(r"a facet's head must read"),
        "分面的首行应写成“[代码] 类别 中文名”，例如 [defect] product_quality 缺陷",
        "a facet's head must read `[code] class 中文`, e.g. [defect] product_quality 缺陷",
    ),
    (
        re.compile(r"facet (\S+) stands twice"),
        "分面 {0} 出现了两次，请合并到一处",
        "facet {0} stands twice; put its terms into one place",
    ),
    (
        re.compile(r"terms before the first facet"),
        "词的前面要先有分面的首行，例如 [defect] product_quality 缺陷",
        "a facet's head must stand before its terms, e.g. [defect] product_quality 缺陷",
    ),
    (re.compile(r"must be UTF-8 text"), "不是 UTF-8 文本，请另存为 UTF-8", "is not UTF-8; save it as UTF-8"),
)
_LEFT_OUT: Sequence[tuple[re.Pattern[str], str]] = (
    (
        re.compile(r"\[(.+?)\] is not a facet of the lexicon; its (\d+) terms"),
        "自带词典里没有分面 [{0}]，它的 {1} 个词未采用；可用的分面见 docs/classifier.md",
    ),
    (re.compile(r"\[(.+?)\] (.+) is no word once"), "[{0}] 的 {1} 规范化以后不成词，未采用"),
)
# Whoever parts terms so writes one long term that stands in no text.
_MARKS = re.compile(r"[，、；。,;]")
# Each line of the log tells one; of a file that is all wrong the first are enough.
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """What came of a terms file: the reader that knows them, how many terms are new, and what does not count (Chinese, English)."""

    reader: Reader
    added: int
    left_out: tuple[tuple[str, str], ...]


def read(folder: Path) -> Terms | None:
    """The terms of this home; `None` where it has no such file. Raises `BadSetting` that names file and line."""
    path = home.terms_file(folder)
    try:
        if not path.is_symlink() and not path.exists():
            return None
        # A link that leads nowhere is a mistake, and no file that is not there.
        path.stat()
        reader = shipped_reader(path)
        marked = tuple(_marked(path))
    except OSError as error:
        raise BadSetting(
            str(path), f"读不了（{error.strerror}），请检查文件及其权限", f"cannot be read ({error.strerror}); see to the file and its mode"
        ) from None
    except ValueError as error:
        raise _malformed(path, str(error)) from None
    facets = reader.facets
    added = sum(1 for _ in facets.terms()) - sum(1 for _ in shipped_facets().terms())
    return Terms(reader, added, (*map(_left_out, facets.told), *marked))


def reader_of(folder: Path, log: OperatorLog) -> Reader:
    """The reader for this home. A terms file that cannot be used is told in the log, and the shipped lexicon reads alone."""
    try:
        terms = read(folder)
    except BadSetting as error:
        log.write("TermsNotRead", zh=error.zh, en=error.en)
        return shipped_reader()
    if terms is None:
        return shipped_reader()
    log.write("TermsRead", added=terms.added, left_out=len(terms.left_out))
    for zh, en in terms.left_out[:_MOST_TOLD]:
        log.write("TermsLeftOut", zh=zh, en=en)
    return terms.reader


def _malformed(path: Path, said: str) -> BadSetting:
    number = re.match(rf"{re.escape(path.name)}:(\d+)", said)
    where = f"{path}:{number[1]}" if number else str(path)
    for pattern, zh, en in _MALFORMED:
        if found := pattern.search(said):
            return BadSetting(where, zh.format(*found.groups()), en.format(*found.groups()))
    return BadSetting(where, f"写法不对（{said}）", f"is malformed ({said})")


def _marked(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if _MARKS.search(line) and not line.lstrip().startswith(("#", "[")):
            where = f"{path.name}:{number}"
            yield f"{where}：词之间要用空格分开，不用标点", f"{where}: part terms by blanks, not by punctuation"


def _left_out(said: str) -> tuple[str, str]:
    for pattern, zh in _LEFT_OUT:
        if found := pattern.search(said):
            source = said.partition(":")[0]
            more = "; docs/classifier.md tells which there are" if "not a facet" in said else ""
            return f"{source}：{zh.format(*found.groups())}", said + more
    return said, said
