"""Looks once a minute for what people must be told and nobody did just now: terms that end, groups, endpoints, mailboxes, what is parked.

Each look only compares the store with the notices that are there, so that whatever happened while nobody looked is found by the next; and
nodes that look at the same time put down the same keys, of which the store keeps one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway import circuit
from gateway.clock import Clock
from gateway.mailboxes import is_failing
from gateway.noticing import Noticing
from gateway.oplog import OperatorLog
from gateway.periodic import Periodic
from gateway.plan import Plan
from gateway.sections_robots import Notices
from gateway.store import endpoints, groups, jobs, notices, open_terms
from gateway.store.engine import Store
from gateway.store.open_terms import OpenTerm
from gateway.ticket import iso
from models.complaint import ComplaintState
from models.errors import JiesuError
from models.mailbox import Health
from models.notice import Notice, NoticeKind, Term
from models.verdict import ComplaintClass

_LOOK_SECONDS = 60.0
# So many terms are looked at in one transaction.
_TERMS = 200
# People are told that a term ends soon no earlier than so long before it does.
_EARLIEST = timedelta(hours=48)
_OVER = frozenset({ComplaintState.RESOLVED, ComplaintState.REJECTED, ComplaintState.CLOSED})
_UNTOUCHED = frozenset({ComplaintState.RECEIVED, ComplaintState.ROUTED})
# So many numbers stand in a notice.
_NAMED = 5
# What is wrong with an endpoint whose own secret, key or password cannot be used.
_UNUSABLE = "bad_setting"


class NoticeWatch(Periodic):
    """The watch. `mailboxes` gives how each does; `served` the endpoints of the settings, by name, of which `unusable` are not sent to."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        log: OperatorLog,
        plan: Plan,
        noticing: Noticing,
        settings: Notices,
        served: Sequence[str],
        unusable: Sequence[str],
        mailboxes: Callable[[], Sequence[Health]],
    ) -> None:
        super().__init__("notices", _LOOK_SECONDS, log, at_once=True)
        self._store, self._clock, self._plan = store, clock, plan
        self._noticing, self._settings, self._served, self._mailboxes = noticing, settings, frozenset(served), mailboxes
        self._unusable = frozenset(unusable)

    def look(self) -> None:
        """Looks at everything once. What cannot be looked at now is looked at the next time."""
        for part in (self._terms, self._groups, self._endpoints, self._mail, self._parked):
            try:
                part(self._clock.now())
            except JiesuError:
                # The store is away.
                continue
            except Exception as error:
                self._log.fault("notices", error)

    # ---- Terms (预案 4.3) ----------------------------------------------------------------------------------------------------------------

    def _terms(self, now: datetime) -> None:
        while True:
            with self._store.read() as conn:
                found = open_terms.to_look_at(conn, now, _TERMS)
            if not found:
                return
            with self._store.write() as conn:
                for one in found:
                    self._term(conn, one, now)
            if len(found) < _TERMS or self._stopping.is_set():
                return

    def _term(self, conn: Connection, one: OpenTerm, now: datetime) -> None:
        if is_kept(one):
            open_terms.close(conn, one)
        elif one.due <= now:
            self._noticing.put(conn, self._of_term(NoticeKind.OVERDUE, one, now), now)
            open_terms.close(conn, one)
        elif self.soon_at(one) <= now:
            if self._settings.due_soon_percent:
                self._noticing.put(conn, self._of_term(NoticeKind.DUE_SOON, one, now), now)
            open_terms.postpone(conn, one, one.due)
        else:
            open_terms.postpone(conn, one, self.soon_at(one))

    def soon_at(self, one: OpenTerm) -> datetime:
        """From when on a term ends soon."""
        return one.due - min((one.due - one.begun) * self._settings.due_soon_percent / 100, _EARLIEST)

    def _of_term(self, kind: NoticeKind, one: OpenTerm, now: datetime) -> Notice:
        own = (one.department,) if one.department else ()
        return Notice(
            key=f"{kind}:{one.number}:{one.round}:{one.term}",
            kind=kind,
            at=now,
            subject=one.number,
            number=one.number,
            # Once it is over, those to whom the plan escalates hear of it, too (预案 三).
            departments=own if kind is NoticeKind.DUE_SOON else (*own, *one.escalate_to),
            klass=one.klass,
            estate=one.estate,
            urgent=one.priority == "urgent",
            facts={"term": one.term.value, "due": iso(one.due), "priority": one.priority, "round": one.round},
        )

    # ---- Groups ------------------------------------------------------------------------------------------------------------------------

    def _groups(self, now: datetime) -> None:
        hours = self._settings.group_hours
        begin = now - timedelta(hours=hours)
        with self._store.read() as conn:
            found = groups.since(conn, begin, self._settings.group_homes)
            before = {one: notices.last(conn, NoticeKind.GROUP, _subject(one)) for one in found}
        for one, last in before.items():
            # Told again once it has doubled, or when it comes up anew.
            if last is not None and last.notice.at >= begin and one.homes < 2 * last.notice.facts["homes"]:
                continue
            handling = self._plan.classes[ComplaintClass(one.klass)]
            facts = {"homes": one.homes, "count": len(one.numbers), "hours": hours, "numbers": list(one.numbers[:_NAMED])}
            self._put(
                Notice(
                    key=f"group:{_subject(one)}:{last.notice.id if last else 0}",
                    kind=NoticeKind.GROUP,
                    at=now,
                    subject=_subject(one),
                    departments=tuple(dict.fromkeys((handling.department, *handling.escalate_to))),
                    klass=one.klass,
                    estate=one.estate,
                    urgent=one.urgent,
                    facts=facts,
                )
            )

    # ---- Endpoints -----------------------------------------------------------------------------------------------------------------------

    def _endpoints(self, now: datetime) -> None:
        with self._store.read() as conn:
            troubled, off, waiting = endpoints.troubled(conn), endpoints.disabled(conn), endpoints.waiting(conn)
            told = {kind: notices.lasting(conn, kind) for kind in (NoticeKind.ENDPOINT_FAILING, NoticeKind.ENDPOINT_DISABLED)}
            refused = endpoints.refused(conn)
        failing = {name: row for name, row in troubled.items() if row.open and name in self._served and name not in off}
        many = {name: one for name, one in refused.items() if one.complaints >= circuit.REFUSES_MANY}
        refusing = {name: one for name, one in many.items() if name in self._served and name not in off and name not in failing}
        away = {name: reason for name, reason in off.items() if name in self._served}

        begun = [notice for notice in told[NoticeKind.ENDPOINT_FAILING] if notice.facts.get("code") != _UNUSABLE]

        def waits(name: str) -> dict[str, object]:
            return {"waiting": waiting[name].waiting} if name in waiting else {}

        for name, row in failing.items():
            facts = {"since": iso(row.since), "code": row.code, "status": row.status, "failures": row.failures, **waits(name)}
            self._begin(NoticeKind.ENDPOINT_FAILING, name, begun, facts, now)
        for name, one in refusing.items():
            facts = {"since": iso(one.since), "code": "client_error", "status": None, "refused": one.complaints, **waits(name)}
            self._begin(NoticeKind.ENDPOINT_FAILING, name, begun, facts, now)
        for name in self._unusable - off.keys():
            # By the day, and with no end that is told: a node whose own file is sound would end it each minute.
            facts = {"since": iso(now), "code": _UNUSABLE, "status": None, **waits(name)}
            key = f"{NoticeKind.ENDPOINT_FAILING}:{name}:{_UNUSABLE}:{now:%Y-%m-%d}"
            self._put(Notice(key, NoticeKind.ENDPOINT_FAILING, now, name, urgent=True, facts=facts))
        for name, reason in away.items():
            facts = {"gone": reason.startswith("410"), **waits(name)}
            self._begin(NoticeKind.ENDPOINT_DISABLED, name, told[NoticeKind.ENDPOINT_DISABLED], facts, now)
        bad = {*failing, *refusing}
        for kind, still in ((NoticeKind.ENDPOINT_FAILING, bad), (NoticeKind.ENDPOINT_DISABLED, {*away})):
            for notice in told[kind]:
                if notice.subject not in still and notice.facts.get("code") != _UNUSABLE:
                    well = notice.subject in self._served and notice.subject not in bad | away.keys()
                    self._end(notice, NoticeKind.ENDPOINT_BACK if well else None, waits(notice.subject), now)

    # ---- Mailboxes -----------------------------------------------------------------------------------------------------------------------

    def _mail(self, now: datetime) -> None:
        health = {one.name: one for one in self._mailboxes()}
        with self._store.read() as conn:
            told = notices.lasting(conn, NoticeKind.MAILBOX_FAILING)
        for name, one in health.items():
            if is_failing(one, now):
                since = iso(one.failing_since) if one.failing_since else None
                facts = {"failures": one.failures, "since": since, "code": one.code}
                self._begin(NoticeKind.MAILBOX_FAILING, name, told, facts, now)
        for notice in told:
            here = health.get(notice.subject)
            if here is None or not here.failures:
                self._end(notice, NoticeKind.MAILBOX_BACK if here else None, {}, now)

    # ---- What is parked ------------------------------------------------------------------------------------------------------------------

    def _parked(self, now: datetime) -> None:
        with self._store.read() as conn:
            # What robots could not tell is told in the console; to tell it by robots would go round in circles.
            found = {key: count for key, count in jobs.parked_by_reason(conn).items() if key[0] != notices.KIND}
            told = {notice.subject: notice for notice in notices.lasting(conn, NoticeKind.PARKED)}
        subjects = {f"{step}:{where}:{code}"[:120]: (step, where, code) for step, where, code in found}
        for subject, key in subjects.items():
            before, count = told.get(subject), found[key]
            if before is not None and count < 2 * before.facts["count"]:
                continue
            step, where, code = key
            if before is not None:
                self._end(before, None, {}, now)
            facts = {"count": count, "step": step, "where": where, "code": code}
            self._begin(NoticeKind.PARKED, subject, [], facts, now)
        for subject, notice in told.items():
            if subject not in subjects:
                self._end(notice, None, {}, now)

    # ---- Parts ---------------------------------------------------------------------------------------------------------------------------

    def _begin(self, kind: NoticeKind, subject: str, told: Sequence[Notice], facts: Mapping[str, object], now: datetime) -> None:
        """Tells of a state that lasts, unless that is told already."""
        if any(notice.subject == subject[:120] for notice in told):
            return
        with self._store.read() as conn:
            last = notices.last(conn, kind, subject)
        self._put(Notice(f"{kind}:{subject}:{last.notice.id if last else 0}", kind, now, subject, urgent=True, facts=facts))

    def _end(self, notice: Notice, back: NoticeKind | None, facts: Mapping[str, object], now: datetime) -> None:
        """The state that a notice tells of is over; `back`: people are told so, too."""
        with self._store.write() as conn:
            notices.end(conn, notice.kind, notice.subject, now)
            if back is not None:
                self._noticing.put(conn, Notice(f"{back}:{notice.subject}:{notice.id}", back, now, notice.subject, facts=facts), now)

    def _put(self, notice: Notice) -> None:
        if self._noticing.told_by(notice):
            with self._store.write() as conn:
                self._noticing.put(conn, notice, notice.at)


def is_kept(one: OpenTerm) -> bool:
    """Whether a term needs nobody any more.

    The reply: the department has taken it on, or staff or tracker has told the customer something. The settlement: the round is over.
    To what machines alone have written nobody owes a reply: it may be a notice of ours that came back.
    """
    if one.machine:
        return True
    if one.term is Term.RESOLVE:
        return one.state in _OVER
    # What was said in an earlier round is no reply in this one.
    return one.state not in _UNTOUCHED or (one.spoken and one.round == 1)


def _subject(group: groups.Group) -> str:
    return f"{group.klass}:{hashlib.sha256(group.estate.encode()).hexdigest()[:24]}"
