"""Erases whose complaint it was, when he asks for it or the time for keeping it is over (PIPL 47, 19; docs/erasure.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from gateway.announcing import Announcer
from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.store import complaints, erasing, events, fence, threads
from gateway.store.engine import Store
from models.errors import Refused, TryLater

_MOST_BY = 80


class Reason(StrEnum):
    """Why somebody is erased."""

    # He asked for it, or took his consent back.
    PERSON_ASKED = "person_asked"
    # It has been kept for as long as it was needed.
    RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased, or would be.

    number:   the complaint; numbers: all that go with it, because they were written in one chat.
    rows:     how many rows of each table are changed or removed.
    told:     the endpoints that are told to erase their copies.
    others:   complaints under the same telephone number or address, which stay.
    outside:  where copies may lie that the store does not hold, as far as known.
    before:   whether it had been erased before.
    """

    number: str
    numbers: Sequence[str]
    rows: Mapping[str, int]
    told: Sequence[str]
    others: Sequence[str]
    outside: Sequence[str]
    before: bool

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "number": self.number,
            "numbers": list(self.numbers),
            "rows": dict(self.rows),
            "told": list(self.told),
            "others": list(self.others),
            "outside": list(self.outside),
            "before": self.before,
        }


class Erasing:
    """Erases on behalf of people and programs."""

    def __init__(self, store: Store, clock: Clock, announcer: Announcer, log: OperatorLog) -> None:
        self._store, self._clock, self._announcer, self._log = store, clock, announcer, log

    def preview(self, number: str) -> Erasure:
        """What an erasure would do. Raises `Refused` where there is no such complaint."""
        with self._store.read() as conn:
            return self._look(conn, number)[1]

    def erase(self, number: str, *, reason: Reason, by: str) -> Erasure:
        """Erases in one transaction, and tells those who were told of the complaint. Cannot be taken back.

        Once more does no harm, and tells nobody again. Raises `Refused` where there is no such complaint, or nobody says who erases.
        """
        by = by.strip()
        if not by or len(by) > _MOST_BY:
            raise Refused("bad_by", f"by：请写明是谁删除的（1–{_MOST_BY} 字）", f"by: say who erases (1 to {_MOST_BY} characters)")
        now = self._clock.now()
        with self._store.write() as conn:
            # Whoever has his words in hand at this moment is let finish, or finds him erased.
            fence.alone(conn)
            whose, found = self._look(conn, number)
            records = complaints.load(conn, whose.numbers, hold=True)
            erasing.erase(conn, whose, now)
            for one, complaint in records.items():
                if complaint.erased:
                    continue
                event = self._announcer.erased(complaint, now, reason=reason.value)
                erasing.supersede(conn, one, event.id)
                # Whoever was told must hear of it, whatever he filters by.
                events.announce(conn, event, erasing.told(conn, one))
        for one in whose.numbers:
            self._log.write("Erased", one, by=by, reason=reason.value, again=found.before)
        with suppress(TryLater):
            # Done is done: the log of writes is cut as far as it can be now, and else overwritten by what comes.
            self._store.forget_log()
        return found

    def _look(self, conn: Connection, number: str) -> tuple[erasing.Whose, Erasure]:
        resolved = threads.resolve(conn, number)
        whose = erasing.find(conn, resolved)
        if whose is None:
            raise Refused("no_such_complaint", f"没有编号为 {number[:40]} 的投诉", f"there is no complaint {number[:40]}")
        records = complaints.load(conn, whose.numbers)
        told = sorted({endpoint for one in whose.numbers for endpoint in erasing.told(conn, one)})
        found = Erasure(
            number=resolved,
            numbers=whose.numbers,
            rows=erasing.counts(conn, whose),
            told=told,
            others=erasing.others(conn, whose),
            outside=list(dict.fromkeys(place for one in erasing.envelopes(conn, whose) if (place := _outside(one)))),
            before=bool(records) and all(complaint.erased for complaint in records.values()),
        )
        return whose, found


def _outside(envelope: Mapping[str, Any]) -> str:
    """Where a copy of what came in may lie besides the store; empty where none is known."""
    door = envelope.get("door")
    if door == "drop":
        return f"drop/done: {envelope.get('file_name', '')}"
    if door == "bucket":
        return f"bucket: {envelope.get('file_name', '')}"
    return f"mailbox: {envelope.get('mailbox', '')}" if door == "imap" else ""
