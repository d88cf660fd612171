"""The reply desk: what staff writes to a customer, and the call list of those whom nobody can write to (预案 4.4)."""

from __future__ import annotations

import hashlib
from typing import Any

from gateway.answering import Answering, Told
from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.store import answers, threads
from gateway.store.answers import Call
from gateway.store.engine import Store
from gateway.ticket import answer_json
from models.answer import Answer, AnswerState
from models.errors import Refused

_MOST_NOTE, _MOST_BY = 500, 80


class ReplyDesk:
    """Writes to customers for people."""

    def __init__(self, store: Store, clock: Clock, answering: Answering, log: OperatorLog) -> None:
        self._store, self._clock, self._answering, self._log = store, clock, answering, log

    def preview(self, number: str, text: str, *, by: str) -> Answer:
        """What the customer would get, and on which way. Raises `Refused`."""
        _check(text, by)
        with self._store.read() as conn:
            number = threads.resolve(conn, number)
            return self._answering.draft(conn, number, Told.STAFF, text, source_key="", by=by, now=self._clock.now())

    def write(self, number: str, text: str, *, by: str, key: str) -> Answer:
        """Answers a customer. The same `key` with the same complaint is one answer, however often it is asked for. Raises `Refused`."""
        _check(text, by)
        now = self._clock.now()
        with self._store.write() as conn:
            number = threads.resolve(conn, number)
            source_key = f"staff:{hashlib.sha256(f'{number}:{key}'.encode()).hexdigest()}"
            made = self._answering.tell(conn, number, Told.STAFF, text, source_key=source_key, by=by, now=now)
            if made is None:
                return next(one for one in answers.of_number(conn, number) if one.source_key == source_key)
        if made.state is AnswerState.SUPPRESSED:
            self._log.write("AnswerSuppressed", number, kind=made.kind.value, reason=(made.reason or "").partition(":")[0])
        return made

    def calls(self, limit: int = 200) -> list[Call]:
        """Who is to be rung up, oldest first."""
        with self._store.read() as conn:
            return answers.calls(conn, limit)

    def called(self, answer_id: int, *, by: str, note: str = "") -> Answer:
        """Strikes a call off the list. Raises `Refused` when it is not on it."""
        # Counted as it is kept, on one line: a browser sends each new line as two characters, of which its own limit counts one.
        note = " ".join(note.split())
        if not by.strip() or len(by) > _MOST_BY or len(note) > _MOST_NOTE:
            raise Refused(
                "bad_call", f"by 不可为空，note 最多 {_MOST_NOTE} 字", f"by must not be empty, note has {_MOST_NOTE} characters at most"
            )
        with self._store.write() as conn:
            done = answers.call_done(conn, answer_id, by.strip(), note, self._clock.now())
        if done is None:
            raise Refused("no_such_call", f"致电名单上没有 {answer_id} 号", f"there is no call {answer_id} on the list")
        self._log.write("Called", done.number, answer=done.id)
        return done


def call_json(call: Call) -> dict[str, Any]:
    """An entry of the call list for programs."""
    return answer_json(call.answer) | {"number": call.answer.number, "name": call.name, "phone": call.phone}


def _check(text: str, by: str) -> None:
    if not text.strip():
        raise Refused("nothing_written", "请写下要答复的内容", "write what the customer is to be told")
    if not by.strip() or len(by) > _MOST_BY:
        raise Refused("bad_by", f"by：应为 1–{_MOST_BY} 个字", f"by: 1 to {_MOST_BY} characters")
