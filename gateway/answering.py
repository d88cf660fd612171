"""Answering: what a customer is told, in which language, and on which way (预案 4.4).

`acknowledge` says that a mail has arrived; `tell` passes on what became of the complaint, or what a member of staff writes. The way is
his own: a mail in the thread for who wrote a mail, the chat for who chats, else a mail where he gave an address, else the call list.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from gateway import correspondence
from gateway.correspondence import Ours
from gateway.languages import language_of
from gateway.links import without_links
from gateway.plan import Plan
from gateway.store import answers, complaints, fence, unread
from gateway.store.complaints import ComplaintRow, MessageRow
from gateway.store.engine import Store
from gateway.ticket import Triaged
from gateway.wording import Wording
from models.answer import Answer, AnswerKind, AnswerState, Limits, Way, box_of
from models.errors import Refused
from models.submission import Channel
from models.verdict import Decision

# Whom a mail server can be asked to send to: no quotes, blanks or controls, so that nothing gets into a command (RFC 5321 4.1.2).
_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f-\x9f<>()\[\]\\,;:\"@|]{1,64}@[^\s\x00-\x20\x7f-\x9f<>()\[\]\\,;:\"'@|/]{1,253}")
# Boxes that nobody reads.
_NO_REPLY = re.compile(r"(?:(?:no|do-?not|dont)[-_.]?reply|mailer-daemon|mail-daemon|postmaster|bounces?)(?:[-_.+][^@]*)?@", re.IGNORECASE)
_MOST_TEXT = 5000
# Who wrote so long ago has heard from somebody, or would not know what an acknowledgement is about (mail that a first start takes in).
_LONG_AGO = timedelta(days=7)


class Told(StrEnum):
    """What a customer is told of his complaint; each has a template of this name."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    NEED_INFO = "need_info"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    # Not a state: a person writes.
    STAFF = "staff"


# Why something is not sent: code, Chinese, English.
_SUPPRESSED: Mapping[str, str] = {
    "mail_off": "未启用外发邮件（mail.enabled） / outgoing mail is off (mail.enabled)",
    "machine": "来信是自动发出的，不自动答复 / a machine wrote, which is never answered by itself",
    "mailing_list": "经邮件列表发来，不自动答复 / it came through a mailing list, which is never answered by itself",
    "own_address": "来信出自本公司地址 / it came from an address of ours",
    "no_address": "没有可用的回信地址 / there is no address to answer to",
    "no_reply_address": "对方是不收信的地址 / nobody reads that address",
    "old_mail": "来信在邮箱里放了一周以上才受理，不自动答复 / it lay in the mailbox for more than a week, which is not answered by itself",
    "unreachable": "没有邮箱也没有电话，无法联系 / there is neither a mail address nor a phone",
}


class Mailing(Protocol):
    """What of the settings `[mail]` is looked at."""

    @property
    def enabled(self) -> bool:
        """Whether mail leaves."""
        ...

    @property
    def from_address(self) -> str:
        """From whom."""
        ...

    @property
    def company(self) -> str:
        """The company's name."""
        ...

    @property
    def phone(self) -> str:
        """Its phone."""
        ...

    @property
    def most_per_hour(self) -> int:
        """The most acknowledgements to one address in an hour."""
        ...

    @property
    def most_per_day(self) -> int:
        """In a day."""
        ...


@dataclass(frozen=True, slots=True)
class _Reach:
    """On which way a customer can be told, or why not."""

    way: Way
    to: str | None = None
    suppressed: str | None = None


class Answering:
    """Makes answers, and keeps them on the caller's transaction."""

    def __init__(self, store: Store, wording: Wording, plan: Plan, mail: Mailing, zone: ZoneInfo, ours: Ours) -> None:
        self._store, self._wording, self._plan, self._mail, self._zone, self._ours = store, wording, plan, mail, zone, ours
        self._limits = Limits(((timedelta(hours=1), mail.most_per_hour), (timedelta(days=1), mail.most_per_day)))

    # ---- Acknowledgements ------------------------------------------------------------------------------------------------------------

    def acknowledge(self, conn: Connection, triaged: Triaged, now: datetime) -> Answer | None:
        """Tells who sent a mail that it has arrived: the number, what happens next, and by when. None for other channels, which see it."""
        complaint = triaged.complaint
        if complaint.channel is not Channel.EMAIL:
            return None
        first = triaged.messages[0]
        reach = self._by_mail(triaged.messages, automatic=True)
        came_at = first.details.get("came_at")
        if reach.suppressed is None and came_at and first.received_at - datetime.fromisoformat(came_at) > _LONG_AGO:
            reach = replace(reach, suppressed="old_mail")
        assigned = triaged.assignment
        name = (
            "acknowledgement_review"
            if triaged.verdict.decision is Decision.REVIEW and assigned.rule != "danger_first"
            else "acknowledgement"
        )
        language = language_of(f"{first.title}\n{first.said}")
        title = self._wording.subject_of(str(first.details.get("topic") or first.title))
        values = self._values(language, complaint, title, triaged.customer.name, assigned.department, text="", due=assigned.reply_due)
        answer = self._answer(complaint, AnswerKind.ACKNOWLEDGEMENT, f"ack:{complaint.number}", reach, name, language, values, "jiesu", now)
        if answer.state is AnswerState.WAITING and answer.to:
            most = answers.beyond(self._store, conn, box_of(answer.to), self._limits, now)
            if most is not None:
                said = f"limit: 该地址的回执已达上限（{most} 封） / {most} acknowledgements went to this address already"
                answer = replace(answer, state=AnswerState.SUPPRESSED, reason=said, message_id=None)
        return answer if answers.add(self._store, conn, answer, now) is not None else None

    # ---- What became of it, and what staff writes -----------------------------------------------------------------------------------

    def tell(self, conn: Connection, number: str, told: Told, text: str, *, source_key: str, by: str, now: datetime) -> Answer | None:
        """Tells the customer of a complaint, in his language and on his way; on the caller's transaction.

        text: for the customer, plain. source_key: what this answers; never twice for one key, then None is returned.
        Raises `Refused` when there is no such complaint, or a person has written nothing or too much.
        """
        text = _plain(text)
        if told is Told.STAFF and not text:
            raise Refused("nothing_written", "请写下要答复的内容", "write what the customer is to be told")
        if len(text) > _MOST_TEXT:
            raise Refused("too_long", f"太长，最多 {_MOST_TEXT} 字", f"too long; {_MOST_TEXT} characters at most")
        # Nobody is erased between the look and the answer.
        fence.shared(conn)
        answer = self.draft(conn, number, told, text, source_key=source_key, by=by, now=now)
        kept = answers.add(self._store, conn, answer, now)
        return None if kept is None else replace(answer, id=kept)

    def draft(self, conn: Connection, number: str, told: Told, text: str, *, source_key: str, by: str, now: datetime) -> Answer:
        """The answer that `tell` would keep, for looking at. Raises `Refused` when there is no such complaint."""
        complaint = complaints.load(conn, [number]).get(number)
        if complaint is None:
            raise unread.lacking(conn, number)
        complaints.not_erased(complaint)
        said = [message for message in complaints.conversation(conn, [number])[number] if not message.aside]
        staff = told is Told.STAFF
        language = language_of("\n".join(f"{message.title}\n{message.said}" for message in said))
        values = self._values(
            language, complaint, complaint.title, complaint.customer.name, complaint.department or "", text=_plain(text), due=None
        )
        kind = AnswerKind.STAFF if staff else AnswerKind.STATUS
        return self._answer(
            complaint, kind, source_key, self._reach(complaint, said, automatic=not staff), told.value, language, values, by, now
        )

    def _reach(self, complaint: ComplaintRow, said: Sequence[MessageRow], *, automatic: bool) -> _Reach:
        """His own way; where that is closed, the next one."""
        if complaint.channel is Channel.CHAT:
            return _Reach(Way.CHAT)
        suppressed = "unreachable"
        if complaint.channel is Channel.EMAIL:
            reach = self._by_mail(said, automatic=automatic)
            # A machine that may not be answered has no phone either; a mail server that is not there yet is no reason not to ring.
            if reach.suppressed in (None, "machine", "mailing_list", "own_address"):
                return reach
            suppressed = reach.suppressed or suppressed
        elif self._mail.enabled and (given := complaint.customer.email) and self._refusal(given) is None:
            return _Reach(Way.EMAIL, given)
        if complaint.customer.phone:
            return _Reach(Way.CALL)
        return _Reach(Way.EMAIL if complaint.channel is Channel.EMAIL else Way.CALL, suppressed=suppressed)

    def _by_mail(self, said: Sequence[MessageRow], *, automatic: bool) -> _Reach:
        """To whose complaint it is; what no automatic answer may go to gets none (RFC 3834 2)."""
        found = correspondence.answerable(said, self._ours)
        if found is None:
            return _Reach(Way.EMAIL, suppressed="no_address")
        to, last = found
        if automatic and last.machine:
            return _Reach(Way.EMAIL, to or None, "mailing_list" if correspondence.through_list(last) else "machine")
        refused = self._refusal(to)
        if refused is None and automatic and (sender := last.details.get("from_email")):
            # Robots with such boxes name others to answer to, which is for people to use.
            refused = self._refusal(str(sender))
        if refused is None and not self._mail.enabled:
            refused = "mail_off"
        return _Reach(Way.EMAIL, to or None, refused)

    def _refusal(self, address: str) -> str | None:
        """Why nothing is ever sent there."""
        if not _ADDRESS.fullmatch(address) or not address.isprintable():
            return "no_address"
        if self._ours.has(address):
            return "own_address"
        return "no_reply_address" if _NO_REPLY.match(address) else None

    # ---- Words -----------------------------------------------------------------------------------------------------------------------

    def _answer(
        self,
        complaint: ComplaintRow,
        kind: AnswerKind,
        source_key: str,
        reach: _Reach,
        template: str,
        language: str,
        values: Mapping[str, str],
        by: str,
        now: datetime,
    ) -> Answer:
        worded = self._wording.write(template, language, values)
        mailed = reach.way is Way.EMAIL and reach.suppressed is None
        return Answer(
            id=0,
            number=complaint.number,
            kind=kind,
            source_key=source_key,
            way=reach.way,
            to=reach.to,
            language=language,
            subject=worded.subject,
            body=worded.body,
            by=by,
            at=now,
            state=AnswerState.SUPPRESSED if reach.suppressed else AnswerState.WAITING,
            reason=f"{reach.suppressed}: {_SUPPRESSED[reach.suppressed]}" if reach.suppressed else None,
            message_id=new_message_id(self._mail.from_address) if mailed else None,
        )

    def _values(
        self, language: str, complaint: ComplaintRow, title: str, name: str | None, department: str, *, text: str, due: datetime | None
    ) -> dict[str, str]:
        english = language == "en"
        known = self._plan.departments.get(department)
        return {
            "number": complaint.number,
            "title": without_links(_one_line(title))[:60],
            "name": without_links(_one_line(name or ""))[:30] or ("customer" if english else ""),
            "department": (known.name_en if english else known.name) if known else ("our customer service" if english else "客服"),
            "due": self._spelt(due, english=english) if due else "",
            "text": text,
            "company": self._mail.company,
            "phone": self._mail.phone,
        }

    def _spelt(self, at: datetime, *, english: bool) -> str:
        local = at.astimezone(self._zone)
        if english:
            return f"{local:%H:%M} on {local.day} {_MONTHS[local.month - 1]} {local.year}"
        return f"{local.year}年{local.month}月{local.day}日{local:%H:%M}"


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def new_message_id(from_address: str) -> str:
    """A Message-ID of ours, which nobody can guess; fixed before the first try, so that one that is sent twice is known as the same."""
    return f"<jiesu.{uuid.uuid4().hex}@{from_address.partition('@')[2] or 'jiesu.invalid'}>"


def _plain(text: str) -> str:
    """Text without controls, its lines ended alike."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")).strip()


def _one_line(text: Any) -> str:
    return " ".join(_CONTROLS.sub(" ", str(text)).split())
