"""Joining: what came in under a fresh number moves to the complaint that it belongs to, and the fresh number leads there from then on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from models.tables import answers, calls, complaints, joined_numbers, messages, submissions


def join(conn: Connection, submission_id: int, from_number: str, to_number: str, at: datetime, why: Mapping[str, str]) -> bool:
    """Moves a submission, and what was made of it, from the complaint that it began to an earlier one, on the caller's transaction.

    why: the code of the rule as `by`, and its sentences as `zh` and `en`; kept beside the message. False, and nothing is written, where
    the earlier complaint is gone or erased, or the other has more than this one submission.
    """
    c, m, s = complaints.c, messages.c, submissions.c
    there = select(c.number, c.triaged_through).where(c.number == to_number, c.erased_at.is_(None))
    known = conn.execute(there.with_for_update()).first()
    others = conn.execute(select(func.count()).select_from(submissions).where(s.number == from_number, s.id != submission_id)).scalar_one()
    message = conn.execute(select(m.id, m.parsed).where(m.submission_id == submission_id, m.number == from_number)).first()
    if known is None or others or message is None or from_number == to_number:
        return False
    parsed = {**message.parsed, "joined": {"number": from_number, **why}}
    conn.execute(update(messages).where(m.id == message.id).values(number=to_number, parsed=parsed))
    conn.execute(update(submissions).where(s.id == submission_id).values(number=to_number))
    conn.execute(update(calls).where(calls.c.number == from_number).values(number=to_number))
    conn.execute(update(answers).where(answers.c.number == from_number).values(number=to_number))
    if known.triaged_through and known.triaged_through >= message.id:
        # What was decided there later than this message was taken in has not seen it.
        conn.execute(update(complaints).where(c.number == to_number).values(triaged_through=message.id - 1))
    # Whatever led to the number that goes leads on.
    conn.execute(update(joined_numbers).where(joined_numbers.c.joined == from_number).values(joined=to_number))
    conn.execute(delete(complaints).where(c.number == from_number))
    conn.execute(insert(joined_numbers).values(number=from_number, joined=to_number, at=at, by=why["by"]))
    return True
