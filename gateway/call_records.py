"""What is kept of a call beside its words, and whether somebody must ring the customer up (预案 4.1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from gateway.store import answers, calls
from gateway.store.engine import Store
from models.answer import Answer, AnswerKind, Way
from models.complaint import Parsed

# Defects of a transcript that leave us not knowing what the customer wanted, with what is said of them.
CALL_BACK: Mapping[str, tuple[str, str]] = {
    # The recogniser heard nobody, or nobody but the agent.
    "no_speech": ("通话中没有听到顾客说话", "nobody was heard"),
    # The recogniser gave up.
    "recognition_failed": ("语音识别失败", "the speech was not recognised"),
    # There is a recording, and nobody has written down what was said.
    "not_transcribed": ("只有录音，没有转写", "there is a recording and no transcript"),
}
# With fewer characters two calls may have the same words by chance.
_TELLING = 8
_SPOKEN = re.compile(r"\w")


def keep(store: Store, conn: Connection, number: str, submission_id: int, received_at: datetime, parsed: Parsed, now: datetime) -> None:
    """Keeps a call on the caller's transaction; one that says nothing is put on the list of those to be called back."""
    told = parsed.details.get("call")
    call: Mapping[str, Any] = told if isinstance(told, dict) else {}
    why = call_back_of(parsed.said, parsed.defects)
    calls.add(
        store,
        conn,
        {
            "submission_id": submission_id,
            "number": number,
            "received_at": received_at,
            "centre": _cut(call.get("centre"), 60),
            "call_id": _cut(call.get("id"), 120) if call.get("unique") else "",
            "caller": _cut(parsed.hints.phone, 32),
            "words": words_of(parsed.said),
            "to_call_back": why is not None,
        },
    )
    if why is None:
        return
    recording = f"录音 {call['recording']}" if call.get("recording") else "没有录音链接"
    body = f"待回电：{why[0]}。来电号码 {parsed.hints.phone or '未知'}；{recording}。"
    answer = Answer(
        id=0,
        number=number,
        kind=AnswerKind.ACKNOWLEDGEMENT,
        source_key=f"callback:{submission_id}",
        way=Way.CALL,
        to=None,
        language="zh",
        subject="待回电",
        body=body,
        by="jiesu",
        at=now,
    )
    answers.add(store, conn, answer, now)


def call_back_of(said: str, defects: Sequence[str]) -> tuple[str, str] | None:
    """Why a call must be called back, in Chinese and English; None where we know what the customer wanted."""
    return None if said.strip() else next((CALL_BACK[code] for code in defects if code in CALL_BACK), None)


def words_of(said: str) -> str:
    """A fingerprint of what was said, without punctuation and spacing; empty where that is next to nothing."""
    spoken = "".join(_SPOKEN.findall(said)).lower()
    return hashlib.sha256(spoken.encode("utf-8", "replace")).hexdigest() if len(spoken) >= _TELLING else ""


def _cut(value: object, most: int) -> str:
    return value[:most] if isinstance(value, str) else ""
