"""What a call centre says of a call beside its transcript: in a sidecar file, in the fields of a request, in an object's neighbour.

A sidecar is a JSON object with some of the names below; what is not known is passed over, what is no good is left out. It is never trusted
with more than to be shown and to look up earlier complaints of the number: a recording's link is kept as text and never fetched.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.transcripts import FORMATS, read_transcript
from connectors.transcripts.base import has_words
from connectors.transcripts.decoding import decoded, document
from connectors.transcripts.units import cleaned, instant, phone
from models.errors import Unreadable
from models.submission import Channel, Submission

# A sidecar is small; a larger file is none.
LARGEST_SIDECAR = 65_536
# Files that are recordings, by the ends of their names. They are never taken into the store: a link to them is enough.
RECORDINGS = frozenset(
    (".wav", ".mp3", ".m4a", ".amr", ".ogg", ".opus", ".flac", ".aac", ".wma", ".silk", ".pcm", ".mp4", ".webm", ".g711", ".gsm")
)
# With so many spoken characters two calls that are the same to the letter are the same call.
_TELLING = 8
# Larger files are not empty, and not read twice.
_SURELY_TELLING_BYTES = 65_536
_ID_CHARS, _NAME_CHARS, _LINK_CHARS = 120, 60, 2000

# What the fields are called, without case, blanks, `_` and `-`; the first that is there and makes sense counts.
NAMES: Mapping[str, tuple[str, ...]] = {
    "id": (
        "callid", "id", "uuid", "recordid", "sessionid", "callsheetid", "contactid", "ucid",
        "通话编号", "通话id", "通话标识", "流水号", "话单号", "会话id", "录音编号",
    ),
    "started_at": (
        "startedat", "starttime", "start", "time", "calltime", "begintime", "begin", "createdat", "timestamp",
        "通话时间", "呼叫时间", "开始时间", "来电时间", "时间",
    ),
    "caller": (
        "caller", "callernumber", "callerid", "ani", "from", "callingnumber", "customerphone", "customernumber", "phone", "mobile",
        "主叫", "主叫号码", "来电号码", "客户电话", "客户号码", "电话", "手机",
    ),
    "callee": ("callee", "calleenumber", "callednumber", "to", "dnis", "被叫", "被叫号码"),
    "direction": ("direction", "calltype", "type", "呼叫方向", "呼叫类型", "方向"),
    "agent": (
        "agent", "agentname", "agentid", "agentno", "seat", "operator", "user", "坐席", "坐席姓名", "坐席工号", "座席", "客服",
        "工号", "话务员",
    ),
    "recording": (
        "recording", "recordingurl", "recordurl", "recordfile", "audiourl", "audio", "url", "link",
        "录音", "录音地址", "录音链接", "录音文件",
    ),
    "centre": ("centre", "center", "callcentre", "callcenter", "呼叫中心", "话务中心"),
}  # fmt: skip
_OUTBOUND = re.compile(r"(?i)out|呼出|外呼|去电|拨出")
_PLAIN_LINK = re.compile(r"[!-~\u00a1-\uffff]+")


@dataclass(frozen=True, slots=True)
class CallData:
    """What is known of a call. `caller` is the customer's number, also where we rang him up; `started_at` is aware, UTC."""

    id: str | None = None
    started_at: datetime | None = None
    caller: str | None = None
    agent: str | None = None
    recording: str | None = None
    centre: str | None = None

    def found(self) -> dict[str, str]:
        """Only what is known, as JSON values: as it goes into a submission's envelope."""
        whole = {
            "id": self.id,
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "caller": self.caller,
            "agent": self.agent,
            "recording": self.recording,
            "centre": self.centre,
        }
        return {key: value for key, value in whole.items() if value}


def read(fields: Mapping[str, object], *, centre: str | None = None) -> CallData:
    """The call that these fields tell of; `centre` where they name none."""
    flat = {re.sub(r"[\s_\-]", "", str(key)).lower(): value for key, value in fields.items()}

    def words(what: str, most: int) -> str | None:
        for name in NAMES[what]:
            value = flat.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and (kept := _line(str(value), most)):
                return kept
        return None

    numbers = {what: next((got for name in NAMES[what] if (got := phone(_spelt(flat.get(name))))), None) for what in ("caller", "callee")}
    outbound = bool(_OUTBOUND.search(words("direction", 20) or ""))
    return CallData(
        id=words("id", _ID_CHARS),
        started_at=next((at for name in NAMES["started_at"] if (at := _moment(flat.get(name)))), None),
        caller=numbers["callee"] if outbound and numbers["callee"] else numbers["caller"],
        agent=words("agent", _NAME_CHARS),
        recording=next((link for name in NAMES["recording"] if (link := http_link(flat.get(name)))), None),
        centre=words("centre", _NAME_CHARS) or centre,
    )


def of_envelope(envelope: Mapping[str, object]) -> CallData:
    """The call data that a door put into a submission's envelope; nothing where there is none."""
    kept = envelope.get("call")
    return read({str(key): value for key, value in kept.items()}) if isinstance(kept, dict) else CallData()


def sidecar(raw: bytes) -> dict[str, Any] | None:
    """The fields of a sidecar; None for anything else, a transcript among them."""
    if len(raw) > LARGEST_SIDECAR:
        return None
    try:
        doc = document(decoded(raw)[0])
    except Unreadable:
        return None
    if not isinstance(doc, dict) or any(row.recognise(doc) for row in FORMATS):
        return None
    if any(isinstance(value, list) for value in doc.values()):
        # A call has no lists; what has may be a transcript that nobody knows.
        return None
    found = read(doc)
    return doc if found.caller or found.recording or len(found.found()) >= 2 else None


def http_link(value: object) -> str | None:
    """A link that a browser may be given: http or https with a host, no blanks or controls in it; else None."""
    if not isinstance(value, str):
        return None
    link = value.strip()
    if not (0 < len(link) <= _LINK_CHARS and _PLAIN_LINK.fullmatch(link)) or cleaned(link) != link:
        return None
    try:
        parts = urlsplit(link)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return link if whole and not parts.username and not parts.password else None


def source_key(raw: bytes, name: bytes, data: CallData) -> str:
    """The same for the same call offered twice: by its words and what is known of it; by its name too where nobody said a word."""
    by_name = b"" if _is_telling(raw) else name + b"\0"
    known = json.dumps(data.found(), ensure_ascii=False, sort_keys=True).encode() if data != CallData(centre=data.centre) else b""
    return "sha256:" + hashlib.sha256(by_name + known + b"\0" + raw).hexdigest()


def submission(raw: bytes, name: bytes, data: CallData, at: datetime, envelope: Mapping[str, object], media_type: str = "") -> Submission:
    """The submission of one call.

    name: what tells two calls without a word apart, e.g. the file's name; envelope: what the door adds.
    """
    kept = dict(envelope)
    if call := data.found():
        kept["call"] = call
    return Submission(
        channel=Channel.PHONE,
        raw=raw,
        media_type=media_type[:100] or "application/octet-stream",
        source_key=source_key(raw, name, data),
        received_at=at,
        envelope=kept,
    )


def _is_telling(raw: bytes) -> bool:
    """Whether so much was said that no other call has the same bytes."""
    if len(raw) > _SURELY_TELLING_BYTES:
        return True
    try:
        turns = read_transcript(raw).turns
    except Exception:
        # The parser has its turn later, and says why; here nothing may stop the bytes from being kept.
        return False
    return sum(len(turn.text) for turn in turns if has_words(turn.text)) >= _TELLING


def _line(text: str, most: int) -> str:
    return " ".join(cleaned(text).split())[:most].strip()


def _spelt(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _moment(value: object) -> datetime | None:
    """An instant: ISO 8601, or seconds or milliseconds since 1970."""
    if found := instant(value):
        return found
    text = _spelt(value)
    if not (text.isascii() and text.isdigit() and len(text) in (10, 13)):
        return None
    return datetime.fromtimestamp(int(text) / (1000 if len(text) == 13 else 1), UTC)
