"""Bytes to text: what charset labels mean in real mail, and what is done when they are missing or lie.

Purpose: no complaint is lost to a wrong label. Every function returns text for any bytes; what was wrong is added to `defects` as a code of
`connectors.mail_defects.DEFECTS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import chardet

# The codecs that stand for a label, tried in this order. Only these are ever used: Python also knows codecs that are slow on purpose-made
# input (punycode, idna) or are no charsets at all (hex, rot13, unicode_escape).
_CODECS: Mapping[str, tuple[str, ...]] = {
    "utf-8": ("utf-8",),
    "us-ascii": ("cp1252",),
    # Mailers label as gb2312 what holds characters of GBK and GB 18030 (镕, 喆, 㛃): the largest of the three reads them all.
    "gb18030": ("gb18030",),
    "hz": ("hz",),
    # Windows' Big5 is what mailers in Taiwan send; Hong Kong's adds characters, but reads some of Taiwan's signs as others.
    "big5": ("cp950", "big5hkscs"),
    "big5hkscs": ("big5hkscs", "cp950"),
    # Shift_JIS under this label is common in Japanese bulk mail.
    "iso-2022-jp": ("iso2022_jp", "iso2022_jp_ext", "cp932"),
    "shift-jis": ("cp932", "shift_jis_2004"),
    "euc-jp": ("euc_jp", "euc_jis_2004"),
    "euc-kr": ("cp949",),
    "johab": ("johab",),
    "iso-2022-kr": ("iso2022_kr",),
    "utf-16": ("utf-16",),
    "utf-16le": ("utf-16-le",),
    "utf-16be": ("utf-16-be",),
    "utf-32": ("utf-32",),
    "utf-7": ("utf-7",),
    "tis-620": ("cp874",),
    "koi8-r": ("koi8-r",),
    "koi8-u": ("koi8-u",),
    "macintosh": ("mac-roman",),
    # A label of Latin 1 means Windows' superset of it (WHATWG Encoding 4.2).
    "iso-8859-1": ("cp1252", "iso-8859-1"),
    "iso-8859-9": ("cp1254", "iso-8859-9"),
    **{f"iso-8859-{n}": (f"iso-8859-{n}",) for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"windows-{n}": (f"cp{n}",) for n in range(1250, 1259)},
    **{f"cp{n}": (f"cp{n}",) for n in (437, 850, 852, 855, 858, 866)},
}

_ALIASES: Mapping[str, str] = {
    "utf8": "utf-8", "utf-8-sig": "utf-8", "unicode-1-1-utf-8": "utf-8", "utf-8mb4": "utf-8", "utf8mb4": "utf-8",
    "ascii": "us-ascii", "ansi-x3.4-1968": "us-ascii", "iso646-us": "us-ascii", "7bit": "us-ascii",
    "gb2312": "gb18030", "gbk": "gb18030", "iso-gb2312": "gb18030", "x-gbk": "gb18030", "x-gb2312": "gb18030",
    "cp936": "gb18030", "ms936": "gb18030", "windows-936": "gb18030", "gb-2312": "gb18030", "gb-2312-80": "gb18030",
    "gb2312-80": "gb18030", "gb2312.1980": "gb18030", "euc-cn": "gb18030", "eucgb2312-cn": "gb18030",
    "chinese": "gb18030", "csgb2312": "gb18030", "iso-ir-58": "gb18030", "gb-18030": "gb18030", "zh-cn": "gb18030",
    "hz-gb-2312": "hz", "hz-gb2312": "hz",
    "big-5": "big5", "cp950": "big5", "windows-950": "big5", "x-x-big5": "big5", "csbig5": "big5", "cn-big5": "big5",
    "zh-tw": "big5", "big5-hkscs": "big5hkscs", "hkscs": "big5hkscs", "big5-eten": "big5",
    "csiso2022jp": "iso-2022-jp", "iso-2022-jp-1": "iso-2022-jp", "iso-2022-jp-2": "iso-2022-jp",
    "iso-2022-jp-3": "iso-2022-jp", "cp50220": "iso-2022-jp", "cp50221": "iso-2022-jp", "jis": "iso-2022-jp",
    "sjis": "shift-jis", "x-sjis": "shift-jis", "cp932": "shift-jis", "windows-31j": "shift-jis", "ms932": "shift-jis",
    "ms-kanji": "shift-jis", "eucjp": "euc-jp", "x-euc-jp": "euc-jp",
    "ks-c-5601-1987": "euc-kr", "ks-c-5601": "euc-kr", "ksc5601": "euc-kr", "cp949": "euc-kr", "uhc": "euc-kr",
    "windows-949": "euc-kr", "euckr": "euc-kr", "korean": "euc-kr",
    "latin1": "iso-8859-1", "latin-1": "iso-8859-1", "l1": "iso-8859-1", "iso8859-1": "iso-8859-1", "cp1252": "windows-1252",
    "8bit": "iso-8859-1", "iso-8859-8-i": "iso-8859-8", "iso-8859-6-i": "iso-8859-6",
    "windows-874": "tis-620", "cp874": "tis-620", "iso-8859-11": "tis-620", "koi8": "koi8-r",
    "utf16": "utf-16", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be", "mac": "macintosh", "x-mac-roman": "macintosh",
    "utf7": "utf-7", "unicode-1-1-utf-7": "utf-7", "x-unicode-2-0-utf-7": "utf-7",
    **{f"iso8859-{n}": f"iso-8859-{n}" for n in range(2, 17) if n not in (11, 12)},
    **{f"cp{n}": f"windows-{n}" for n in range(1250, 1259)},
    **{f"ibm{n}": f"cp{n}" for n in (437, 850, 852, 855, 866)},
}  # fmt: skip

# Read every byte, so that a lie under these labels shows only in what comes out.
_LATIN = frozenset({"us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"})

# Say in seven bits what is not ASCII, so that ASCII bytes do not mean themselves.
_SEVEN_BIT = frozenset({"iso-2022-jp", "iso-2022-kr", "hz", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-7"})

_LABEL = re.compile(r"[a-z0-9][a-z0-9.:+_-]{0,40}")
_HIGH = re.compile(rb"[\x80-\xff]")
_CJK = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff00-\uffef]")
_SOUND = re.compile(r"[\u0080-\ufffc]")
# The signs of GB 2312 and its 3,755 commonest characters: what real Chinese text consists of nearly alone.
_GB2312_COMMON = re.compile(rb"(?:[\xb0-\xd7][\xa1-\xfe]|[\xa1\xa3][\xa1-\xfe])+")

# Controls, byte order marks, zero-width spaces, lone surrogates and non-characters, none of which a reader can see.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b\ufeff\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
_NEWLINE = re.compile("\r+\n|\r|\x0b|\x0c|\x85|\u2028|\u2029")

_SAMPLE = 4096
_SHORT = 24


def charset_of(label: str | None) -> str | None:
    """The charset that a label means, by the name it has here, or `None` when the label is unknown.

    label: as found in a header: any case, perhaps quoted, perhaps with a language behind `*` (RFC 2231 5).
    """
    if not label:
        return None
    found = _LABEL.search(label.lower().partition("*")[0])
    if not found:
        return None
    name = found.group().replace("_", "-").rstrip("-.:")
    name = _ALIASES.get(name, name)
    return name if name in _CODECS else None


def decode(content: bytes, label: str | None, defects: set[str], hints: Iterable[str] = ()) -> str:
    """The text of `content`; never fails.

    label:   the declared charset, `None` if there is none.
    defects: gets `unknown_charset`, `no_charset`, `wrong_charset` or `undecodable` where one applies.
    hints:   charsets (as `charset_of` names them) declared elsewhere in the same mail, asked when this one is missing or lies.
    """
    charset = charset_of(label)
    if content.isascii() and charset not in _SEVEN_BIT and not (charset is None and b"\x1b$" in content):
        if label and charset is None:
            defects.add("unknown_charset")
        return content.decode("ascii")
    if charset is None:
        defects.add("unknown_charset" if label else "no_charset")
        return guess(content, defects, tuple(hints))
    if charset == "us-ascii":
        defects.add("wrong_charset")
        return guess(content, defects, tuple(hints))
    if charset in _SEVEN_BIT and b"\x00" not in content and charset.startswith("utf-") and charset != "utf-7" and content.isascii():
        defects.add("wrong_charset")
        return content.decode("ascii")
    if charset != "utf-8" and charset not in _SEVEN_BIT:
        lied = _lied(content, charset)
        if lied is not None:
            defects.add("wrong_charset")
            return lied
    for codec in _CODECS[charset]:
        text = _strict(content, codec)
        if text is not None:
            return text
    return _repair(content, charset, defects, tuple(hints))


def guess(content: bytes, defects: set[str], hints: Sequence[str] = ()) -> str:
    """The text of bytes that no label describes: strict UTF-8, then the charsets of `hints`, then what `chardet` finds, then GB 18030."""
    text = _strict(content, "utf-8")
    if text is not None and "\x1b$" not in text:
        return text
    if b"\x1b$" in content:
        text = _strict(content, "iso2022_jp")
        if text is not None:
            return text
    text = _scratched(content)
    if text is not None:
        defects.add("undecodable")
        return text
    for hint in hints:
        if hint in _LATIN or hint == "utf-8":
            continue
        for codec in _CODECS[hint]:
            text = _strict(content, codec)
            if text is not None:
                return text
    # A name or a short subject is too little for statistics; where it reads as common Chinese characters throughout, it is Chinese.
    high = len(_HIGH.findall(content[:_SAMPLE]))
    if high <= _SHORT and high == sum(len(run.group()) for run in _GB2312_COMMON.finditer(content[:_SAMPLE])):
        text = _strict(content, "gb18030")
        if text is not None:
            return text
    first = _HIGH.search(content)
    start = first.start() if first else 0
    found = charset_of(chardet.detect(content[start : start + _SAMPLE])["encoding"])
    if found is not None:
        for codec in _CODECS[found]:
            text = _strict(content, codec)
            if text is not None:
                return text
    defects.add("undecodable")
    # The reading that damages least is the likeliest; a tie goes to the first, and Latin reads all but says nothing.
    readings = [content.decode(codec, "replace") for codec in ("utf-8", "gb18030", "cp950")]
    best = min(readings, key=lambda reading: reading.count("\ufffd"))
    if best.count("\ufffd") * 5 > len(best):
        return content.decode("cp1252", "replace")
    return best


def clean_text(text: str) -> str:
    """`text` with `\\n` as its only line end and without what nobody can see: controls, NUL, byte order marks, lone surrogates."""
    if _NEWLINE.search(text):
        text = _NEWLINE.sub("\n", text)
    if _UNSEEN.search(text):
        text = _UNSEEN.sub("", text)
    return text.replace("\xa0", " ")


def _strict(content: bytes, codec: str) -> str | None:
    try:
        return content.decode(codec)
    except (UnicodeDecodeError, ValueError):
        return None


def _lied(content: bytes, charset: str) -> str | None:
    """The text, when the bytes show that they are not of `charset` although it would read them."""
    text = _strict(content, "utf-8")
    # GBK text is valid UTF-8 only by a rare accident, and then never as Chinese; Latin text of two bytes and more practically never.
    if text is not None and (charset in _LATIN or _CJK.search(text)):
        return text
    if charset in _LATIN:
        high = len(_HIGH.findall(content[:_SAMPLE]))
        common = sum(len(run.group()) for run in _GB2312_COMMON.finditer(content[:_SAMPLE]))
        if high >= 6 and common * 10 >= high * 9:
            return _strict(content, "gb18030")
    return None


def _scratched(content: bytes) -> str | None:
    """The text when it is UTF-8 with little damage: four sound characters beyond ASCII for each lost one, which no other charset yields."""
    text = content.decode("utf-8", "replace")
    lost = text.count("\ufffd")
    return text if lost and lost * 4 <= len(_SOUND.findall(text)) else None


def _repair(content: bytes, charset: str, defects: set[str], hints: Sequence[str]) -> str:
    """The text of bytes that `charset` does not read: a wrong label, or the right one with some bytes damaged."""
    text = _strict(content, "utf-8")
    if text is not None:
        defects.add("wrong_charset")
        return text
    damaged = content.decode(_CODECS[charset][0], "replace")
    lost = damaged.count("\ufffd")
    if lost * 25 <= len(damaged) or (lost == 1 and damaged.endswith("\ufffd")) or (charset == "utf-8" and _scratched(content)):
        defects.add("undecodable")
        return damaged
    found: set[str] = set()
    text = guess(content, found, hints)
    if "undecodable" in found:
        defects.add("undecodable")
        return damaged if lost <= text.count("\ufffd") else text
    defects.add("wrong_charset")
    return text
