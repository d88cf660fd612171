"""What a mail says that says it twice, as plain text and as HTML (multipart/alternative).

Purpose: normally both say the same, and one is shown. Where they do not, nothing that only one of them says may be lost.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from html import unescape

from connectors.mail_html import without_raw
from connectors.replies import history_at

_TAG = re.compile(r"<[^<>]*>")
# What the makers of plain text add to the HTML's words: targets of links, names of pictures.
_ADDED = re.compile(
    r" ?(?:<(?:https?|mailto|tel|cid):[^<>]*>|\[(?:cid|image|inline|图片|圖片)[^\[\]]*\]|\((?:https?|mailto):[^()]*\))", re.IGNORECASE
)
_NO_WORD = re.compile(r"[\s>|<*_=#\u200b-\u200f\ufeff\u00ad-]+")
_HUGE_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{7,};?")
_COMPARED = 200_000
# Sought one by one in the other text, which takes time; beyond that many both are kept.
_MOST_SOUGHT = 1_000

# What programs write as plain text that cannot write it.
_PLACEHOLDER = re.compile(
    r"see the html|(?:does|do|can)(?: not|n.t) (?:support|display|read|view|show|understand) .{0,20}html"
    r"|view (?:this|it) .{0,30}(?:browser|online)"
    r"|(?:html|multi-?part)[- ](?:format|message|e-?mail|content|mail)|不支持\s*html|html\s*(?:格式|邮件|郵件|内容|版)",
    re.IGNORECASE,
)
_LONGEST_PLACEHOLDER = 300

_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(r"[，,。；;：:！!？?、|\t\n（）()]+|\s{2,}")
_NUMBERING = re.compile(r"^\s*(?:\[?\d{1,3}[\].)、]|[-*•·])\s*")
# Addresses of pages and people, which plain text spells out where the HTML has a link.
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]，。]+|[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}", re.IGNORECASE | re.ASCII)
# Programs make one text of the other, so two long ones with not a clause in common are a trick upon filters.
_LONG, _CLAUSE = 200, 4


def chosen(plain: str, rich: str, source: str) -> str:
    """The text of a choice: the plain text when it says the same as the HTML, because it keeps lines and quotation marks; else the HTML's,
    because that is what the sender saw when he wrote; the plain text where only that says more; and where each says something that the
    other does not, both: the lines which only the plain text has stand above the HTML's, where no quotation swallows them, and those of
    its history below, where they swallow nothing.

    plain:  the plain text.
    rich:   the text of the HTML (`mail_html.html_text`).
    source: the HTML; empty where it is not known.
    """
    if not plain or not rich:
        return rich or plain
    shown = unescape(_HUGE_REFERENCE.sub("", _TAG.sub("", without_raw(source)))) if len(source) <= _COMPARED else ""
    if shown and _squeezed(plain) == _squeezed(shown) and "[删除线：" not in rich:
        # The targets of links that the maker of the plain text added are not the sender's words.
        return plain if _ADDED.search(shown) else _ADDED.sub("", plain)
    if len(plain) <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.search(plain):
        return rich
    # Hidden words are none that the sender saw, but if the plain text has them it need not be kept for them.
    lines, both = plain.split("\n"), f"{rich}\n{shown}"
    cut = history_at(lines)
    only = _only_in(lines, both, source)
    missing, old = [line for at, line in only if at < cut], [line for at, line in only if at >= cut]
    if not only:
        return rich
    beyond = [line for _, line in _only_in(rich.split("\n"), plain, "")]
    if not beyond and not _loses_marks(plain, rich):
        return plain
    # An address that is spelt in two ways in the same place.
    if len(only) == len(beyond) and all(_ADDRESS.fullmatch(line) for line in (*missing, *old, *beyond)):
        return rich
    if min(len(plain), len(rich)) > _LONG and not _clauses(lines) & _clauses(rich.split("\n")):
        return rich
    return "\n\n".join(part for part in ("\n".join(missing), rich, "\n".join(old)) if part)


def _squeezed(text: str) -> str:
    return _NO_WORD.sub("", _ADDED.sub("", text))


def _words(text: str) -> str:
    """The letters and figures of `text` alone, in one spelling."""
    return "".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _only_in(lines: Iterable[str], other: str, source: str) -> list[tuple[int, str]]:
    """The lines of which `other` lacks something, with their places. source: where the targets of links may stand."""
    there = _words(other)
    known = {_words(piece) for line in other.split("\n") for piece in _pieces(line)}
    sought = 0
    found: list[tuple[int, str]] = []
    for at, line in enumerate(lines):
        bare = _ADDRESS.sub(lambda match: "" if match.group() in source else match.group(), _ADDED.sub("", line))
        for piece in map(_words, _pieces(_NUMBERING.sub("", bare))):
            if not piece or piece in known:
                continue
            sought += 1
            if sought > _MOST_SOUGHT or not _stands_in(piece, there):
                found.append((at, line.strip()))
                break
    return found


def _stands_in(piece: str, there: str) -> bool:
    """Whether the words are there; a figure is no part of a longer one."""
    if not (piece[0].isdigit() or piece[-1].isdigit()):
        return piece in there
    return re.search(rf"(?<!\d){re.escape(piece)}(?!\d)", there) is not None


def _clauses(lines: Iterable[str]) -> set[str]:
    return {words for line in lines for piece in _pieces(line) if len(words := _words(piece)) >= _CLAUSE}


def _pieces(line: str) -> list[str]:
    return _PIECE.split(line)


def _loses_marks(plain: str, rich: str) -> bool:
    """Whether the HTML marks quoted or struck-out words and the plain text does not."""
    quotes = any(line.startswith("> ") for line in rich.split("\n")) and not any(line.startswith(">") for line in plain.split("\n"))
    return quotes or "[删除线：" in rich
