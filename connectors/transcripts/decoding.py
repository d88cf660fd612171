"""Bytes of a file to a JSON document or a text, within limits."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

from connectors.transcripts.base import BAD_BYTES
from models.errors import Unreadable

# As much as a mail may have; an hour of talk with every word's time is a tenth of it.
LARGEST = 25 * 1024 * 1024

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    # UTF-32 begins like UTF-16, so it is looked for first.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# So many characters show whether a text is Chinese.
_SAMPLE = 100_000
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_PLAIN = re.compile(r"[\t\n\r\x20-\x7e\u2010-\u2027\u3000-\u303f\u4e00-\u9fff\uff00-\uffef·…—℃×÷°]")
# `[00:01] 客服：您好` begins like JSON and is none.
_JSON_START = re.compile(r'\{\s*["}]|\[\s*(?:["{\[\]]|-?\d+(?:\.\d+)?\s*[,\]]\s*[-\d\[\]"{]|-?\d+(?:\.\d+)?\s*\]\s*$)')


def decoded(raw: bytes) -> tuple[str, tuple[str, ...]]:
    """The text of the bytes with Unix line ends, and the defects put up with.

    Read as what a byte-order mark says, else UTF-8, else GB 18030. A few broken bytes are replaced (`bad_bytes`).

    Raises `Unreadable`: `too_large` above 25 MB, `not_text` for bytes that are no text, such as a sound recording.
    """
    if len(raw) > LARGEST:
        raise Unreadable(
            "too_large",
            f"文件有 {len(raw) // 1024 // 1024} MB，超过转写文件 25 MB 的上限；请确认投递的不是录音。",
            f"The file has {len(raw) // 1024 // 1024} MB, above the 25 MB for a transcript: make sure that it is no recording.",
        )
    text, broken = _as_marked(raw) or _as_utf8(raw) or _as_gb18030(raw) or ("", None)
    if broken is None or len(text) - len(_CONTROL.sub("", text)) > 4 + len(text) // 100:
        raise Unreadable(
            "not_text",
            "这些字节不是文本：按 UTF-8、带 BOM 的 UTF-16 和 GB18030 都无法解读；转写文件应为 JSON、字幕、CSV 或纯文本。",
            "These bytes are no text: neither UTF-8, UTF-16 with a mark nor GB 18030; a transcript is JSON, subtitles, CSV or plain text.",
        )
    return text.replace("\r\n", "\n").replace("\r", "\n"), (BAD_BYTES,) if broken else ()


def _as_marked(raw: bytes) -> tuple[str, bool] | None:
    """The text as its byte-order mark says, and whether bytes in it were broken."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            text = raw[len(mark) :].decode(encoding, errors="replace")
            return (text, "\ufffd" in text) if text.count("\ufffd") <= 3 + len(text) // 20 else None
    return None


def _as_utf8(raw: bytes) -> tuple[str, bool] | None:
    """The text as UTF-8, where nearly all of it is."""
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        text = raw.decode(errors="replace")
    broken = text.count("\ufffd")
    whole = len(text) - len(text.encode("ascii", errors="ignore")) - broken
    return (text, True) if whole >= 20 * broken or (broken <= 2 and whole > 4 * broken) else None


def _as_gb18030(raw: bytes) -> tuple[str, bool] | None:
    """The text as GB 18030, where it looks like Chinese; the encoding takes many bytes that are no text at all."""
    text = raw.decode("gb18030", errors="replace")
    broken = text.count("\ufffd")
    sample = text[:_SAMPLE]
    if len(_PLAIN.findall(sample)) < 0.9 * len(sample) or broken > 2 + len(text) // 100:
        return None
    return text, broken > 0


def document(text: str) -> Any:
    """The JSON document of a text that is one, else the text itself.

    Raises `Unreadable`: `broken_json` for what begins as JSON and is none (half a file), `too_deep` for too many levels.
    """
    stripped = text.strip()
    if stripped[:1] not in ("{", "["):
        return text
    try:
        return json.loads(stripped)
    except RecursionError as error:
        raise Unreadable(
            "too_deep",
            "这份 JSON 的嵌套层数过多，不是任何识别引擎的转写结果。",
            "This JSON is nested too deeply to be any recogniser's result.",
        ) from error
    # An integer of thousands of digits is a plain ValueError.
    except ValueError as error:
        if not _JSON_START.match(stripped[:200]):
            return text
        place = getattr(error, "pos", 0)
        raise Unreadable(
            "broken_json",
            f"文件以 JSON 开头，但在第 {place} 个字符处无法解析；文件可能不完整。",
            f"The file begins as JSON but cannot be parsed at character {place}; it may be incomplete.",
        ) from error
