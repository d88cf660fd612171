"""Talks: keeps what the dialogue decides, tells the chat's door what is new, and lets staff speak in a talk (预案 4.1, 4.4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from connectors.base import Cursor, Entry, Standing, TalkNow, Visitor
from connectors.chat_answers import Ask, Kind, read
from connectors.chat_lines import MEDIA_TYPE, conversation_of, read_line, talk_of
from gateway import dialogue, rules, ticket
from gateway.caution import Caution
from gateway.clock import Clock
from gateway.dialogue import Event, Says, Sorted, State, Taken, Uploaded, Wrote
from gateway.dialogue_words import CONSENT_VERSION
from gateway.oplog import OperatorLog
from gateway.records import Records
from gateway.store import answers, complaints, corrections, desk, talks
from gateway.store.engine import Store
from gateway.store.talks import Said, Written
from models.answer import Answer, AnswerKind, AnswerState, Way
from models.assignment import Priority
from models.complaint import Customer
from models.errors import Refused, Unreadable

# Finds who writes, and from which home, in what he wrote.
Finder = Callable[[str], Customer]

# So much of a long line is looked through for who writes.
_LOOKED_THROUGH = 4000
# So many answers at a time go by mail instead.
_MAILS_AT_ONCE = 100
# Why an answer was not shown in the chat: it went by mail.
BY_MAIL = "sent_by_mail"
# Longest line of an agent.
MOST_AGENT_CHARS = 4000


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """How long a customer may be away until he is written to, and how long an agent may be silent until the machine goes on."""

    away: timedelta = timedelta(minutes=10)
    agent_silent: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Pane:
    """A talk as staff sees it."""

    talk: str
    now: TalkNow
    here: bool
    consent_at: datetime | None
    consent_version: str | None


class TalkDesk:
    """The talks of a store. Every method blocks and may be called from any thread."""

    def __init__(
        self, store: Store, clock: Clock, records: Records, find: Finder, estates: Sequence[str], log: OperatorLog, options: TalkOptions
    ) -> None:
        self._store, self._clock, self._records, self._find = store, clock, records, find
        self._estates, self._log, self._options = tuple(estates), log, options
        # What the machine said here since `changed` was last asked.
        self._told: set[int] = set()

    def warm(self) -> None:
        """Loads what is loaded at its first use, so that the first customer need not wait for it."""
        self._find("我叫林树，云栖府3栋2单元1201，电话13800001111")

    # ---- For the chat's door (connectors.base.Talks) -----------------------------------------------------------------------------------

    def open(self, talk: str, visitor: Visitor, topics: Collection[str] = ()) -> TalkNow | None:
        """The talk with everything in it, and what there is to say by now; None where it is somebody else's."""
        names = {conversation_of(talk, topic) for topic in {"", *topics}}
        with self._store.read() as conn:
            kept = talks.load(conn, [talk]).get(talk)
            if kept is None and not talks.numbers(conn, names):
                return TalkNow()
        # What was taken in and not answered before a crash is answered now.
        self.advance(names)
        with self._store.read() as conn:
            kept = talks.load(conn, [talk])[talk]
        if kept.identity and (visitor.identity or {}).get("id") != kept.identity.get("id"):
            return None
        if kept.language != visitor.language:
            with self._store.write() as conn:
                talks.set_values(conn, talk, language=visitor.language)
        return self.whole(talk)

    def begin(self, talk: str, visitor: Visitor, *, consent: str | None = None) -> None:
        """Keeps a talk before its first line, for a program. `consent`: the wording that was agreed to there."""
        now = self._clock.now()
        row = {"talk": talk, "begun_at": now, "language": visitor.language, "identity": visitor.identity}
        with self._store.write() as conn:
            talks.begin(self._store, conn, [row])
            if consent and talks.load(conn, [talk])[talk].consent_at is None:
                state = State(consent="yes", over=(Ask.CONSENT.value,))
                talks.set_values(conn, talk, consent_at=now, consent_version=consent, state=state.as_json())

    def files(self, talk: str) -> Collection[str]:
        """The customer's own ids of the files in this talk."""
        with self._store.read() as conn:
            row = talks.load(conn, [talk]).get(talk)
            topics = {topic.key for topic in State.of_json(row.state).topics} if row else set()
            found = talks.written(conn, [conversation_of(talk, topic) for topic in {"", *topics}], MEDIA_TYPE)
        return {one.source_key.rpartition(":")[2] for one in found if "filename" in one.envelope}

    def advance(self, conversations: Collection[str]) -> Mapping[str, TalkNow]:
        """Lets the machine answer what was taken in for these conversations; by talk, with what it says."""
        names: dict[str, set[str]] = {}
        for conversation in conversations:
            names.setdefault(talk_of(conversation)[0], set()).add(conversation)
        with self._store.read() as conn:
            states = {talk: State.of_json(row.state) for talk, row in talks.load(conn, names).items()}
            for talk, state in states.items():
                names[talk] |= {conversation_of(talk, topic.key) for topic in state.topics}
            # A talk that is not kept yet has its first line here.
            after = min((states.get(talk, State()).through for talk in names), default=0)
            found = talks.written(conn, [name for some in names.values() for name in some], MEDIA_TYPE, after)
        happened: dict[str, list[Event]] = {}
        begun: dict[str, dict[str, object]] = {}
        for one in found:
            talk = talk_of(one.conversation)[0]
            if talk not in states:
                begun.setdefault(talk, _begun(talk, one))
            if one.id > states.get(talk, State()).through:
                happened.setdefault(talk, []).extend(self._event(one))
        moved = self._happen(happened, names.keys(), list(begun.values()))
        # Whoever asked is told these at once, and needs no second look for them.
        self._told |= {int(entry.id[1:]) for now in moved.values() for entry in now.entries}
        return moved

    def changed(self, since: Cursor | None) -> tuple[Cursor, Collection[str]]:
        """How far everything is, and the complaints (numbers) and talks that something has happened to since then."""
        with self._store.read() as conn:
            cursor = talks.newest(conn)
            if since is None or cursor == since:
                return cursor, set()
            said = {said_id: talk for said_id, talk in talks.said_since(conn, since) if said_id not in self._told}
            self._told.clear()
            return cursor, talks.changed(conn, since) | set(said.values())

    def refresh(self, names: Mapping[str, int]) -> Mapping[str, TalkNow]:
        """These talks with where their complaints stand, all answers, and what the machine said after the entry of this number."""
        with self._store.read() as conn:
            states = {talk: State.of_json(row.state) for talk, row in talks.load(conn, names).items()}
            topics = {topic.number: (talk, topic.key) for talk, state in states.items() for topic in state.topics if topic.number}
            told = answers.of_numbers(conn, list(topics))
            said = talks.said_after(conn, names)
        standings = self._records.standings(list(topics))
        by_talk: dict[str, list[Standing]] = {talk: [] for talk in states}
        happened: dict[str, list[Event]] = {}
        for number, (talk, key) in topics.items():
            standing = replace(standings[number], topic=key)
            by_talk[talk].append(standing)
            known = states[talk].topic(key)
            sorted_ = self._sorted(standing)
            if standing.klass and known is not None and known.told != sorted_.told:
                happened.setdefault(talk, []).append(sorted_)
        moved = self._happen(happened, states)
        for talk, entries in moved.items():
            moved[talk] = replace(entries, entries=[*(_of_said(one) for one in said if one.talk == talk), *entries.entries])
        answered: dict[str, list[Entry]] = {talk: [] for talk in states}
        for answer in told:
            talk, key = topics[answer.number]
            if _is_for_chat(answer):
                answered[talk].append(_of_answer(answer, key))
        return {
            talk: replace(moved[talk], entries=[*moved[talk].entries, *answered[talk]], standings=by_talk[talk])
            for talk in states
            if talk in moved
        }

    def shown(self, talk: str, through: int) -> None:
        """The customer has seen the answers up to the one of this number."""
        with self._store.write() as conn:
            row = talks.load(conn, [talk]).get(talk)
            if row is not None:
                numbers = [topic.number for topic in State.of_json(row.state).topics if topic.number]
                talks.shown(conn, numbers, through, self._clock.now())

    def look_after(self, here: Collection[str]) -> None:
        """Now and then: who is connected; what goes by mail instead; which talks go back to the machine."""
        now = self._clock.now()
        with self._store.write() as conn:
            if here:
                talks.still_here(conn, here, now)
            for answer_id, address in talks.unseen(conn, now - self._options.away, _MAILS_AT_ONCE):
                self._by_mail(conn, answers.load(conn, [answer_id])[answer_id], address, now)
            alone = talks.left_alone(conn, now - self._options.agent_silent)
        self._happen({talk: [Taken("")] for talk in alone}, alone)

    # ---- For programs --------------------------------------------------------------------------------------------------------------------

    def find(self, number: str) -> tuple[str, str] | None:
        """The talk that a complaint belongs to, and which of its complaints it is; None where it did not come by chat."""
        with self._store.read() as conn:
            conversation = talks.conversation_of_number(conn, number)
            found = talk_of(conversation) if conversation else None
            return found if found and talks.load(conn, [found[0]]) else None

    def place(self, talk: str) -> TalkNow:
        """Which question stands open in a talk, and about which of its complaints."""
        with self._store.read() as conn:
            return _now(State.of_json(talks.load(conn, [talk])[talk].state), [])

    def whole(self, talk: str) -> TalkNow:
        """A talk with everything in it, as its customer may see it."""
        now = self.refresh({talk: 0})[talk]
        return replace(now, entries=self._entries(talk, now.topics))

    # ---- For staff -----------------------------------------------------------------------------------------------------------------------

    def pane(self, number: str) -> Pane | None:
        """The talk that a complaint belongs to; None where it did not come by chat."""
        with self._store.read() as conn:
            conversation = talks.conversation_of_number(conn, number)
            row = talks.load(conn, [talk_of(conversation)[0]]).get(talk_of(conversation)[0]) if conversation else None
        if row is None:
            return None
        now = self.whole(row.talk)
        here = self._clock.now() - row.here_at < timedelta(minutes=1, seconds=30)
        return Pane(row.talk, now, here, row.consent_at, row.consent_version)

    def take(self, number: str, by: str) -> None:
        """Lets a person have the talk of a complaint; `by` empty: hands it back. Raises `Refused` where it is no chat."""
        talk = self._talk_of_number(number)
        self._happen({talk: [Taken(by)]}, [talk])
        if by:
            self._log.write("TalkTaken", number)
        else:
            self._log.write("TalkHandedBack", number)

    def write(self, number: str, by: str, text: str, key: str) -> None:
        """What a person of our side writes into a talk, which he has from then on. The same `key` is one line. Raises `Refused`."""
        text = text.strip()
        if not text or len(text) > MOST_AGENT_CHARS:
            raise Refused("bad_answer", f"请写 1–{MOST_AGENT_CHARS} 字", f"write 1 to {MOST_AGENT_CHARS} characters")
        talk = self._talk_of_number(number)
        self._happen({talk: [Taken(by)]}, [talk])
        now = self._clock.now()
        with self._store.write() as conn:
            language = talks.load(conn, [talk])[talk].language
            answer = Answer(0, number, AnswerKind.STAFF, f"staff:{key}", Way.CHAT, None, language, "", text, by, now)
            if complaints.load(conn, [number]):
                answers.add(self._store, conn, answer, now)
            else:
                raise Refused("not_sorted_yet", f"投诉 {number} 还在受理，请稍候", f"{number} is still being taken in; wait a moment")
            talks.set_values(conn, talk, agent_at=now)

    def _talk_of_number(self, number: str) -> str:
        with self._store.read() as conn:
            conversation = talks.conversation_of_number(conn, number)
            talk = talk_of(conversation)[0] if conversation else ""
            if not talk or talk not in talks.load(conn, [talk]):
                raise Refused("no_chat", f"投诉 {number[:40]} 不是在线对话", f"{number[:40]} did not come by chat")
        return talk

    # ---- What happens --------------------------------------------------------------------------------------------------------------------

    def _event(self, one: Written) -> list[Event]:
        topic = talk_of(one.conversation)[1]
        if "filename" in one.envelope:
            return [Uploaded(one.id, topic, one.number, str(one.envelope["filename"]))]
        try:
            text = read_line(one.raw)["text"]
        except Unreadable:
            return []
        asked = str(one.envelope.get("asked") or "")
        # An answer is what was asked for; only in what he writes of his own accord is looked for more.
        free = read(asked, text).kind in (Kind.MATTER, Kind.ANOTHER)
        found = self._find(text[:_LOOKED_THROUGH]) if free else Customer()
        told = one.envelope.get("customer")
        if isinstance(told, Mapping):
            found = found.or_else(Customer(**{key: told.get(key) for key in ("name", "phone", "email", "estate", "unit")}))
        return [Wrote(one.id, topic, one.number, text, asked if asked in list(Ask) else "", found)]

    def _sorted(self, standing: Standing) -> Sorted:
        hours = 0
        if standing.reply_due:
            # A quarter of an hour is allowed for, so that a moment's delay does not make 23 hours of 24.
            hours = math.ceil((standing.reply_due - self._clock.now()).total_seconds() / 3600 - 0.25)
        return Sorted(standing.topic, standing.klass, (standing.department, standing.department_en), hours, standing.review)

    def _happen(
        self, events: Mapping[str, Sequence[Event]], names: Collection[str], begun: Sequence[Mapping[str, object]] = ()
    ) -> dict[str, TalkNow]:
        """Lets the dialogue go on, keeps what comes of it in one transaction, and says how each of these talks is now."""
        now = self._clock.now()
        if not any(events.values()):
            with self._store.read() as conn:
                return {talk: _now(State.of_json(row.state), []) for talk, row in talks.load(conn, names).items()}
        with self._store.write() as conn:
            talks.begin(self._store, conn, begun)
            states = {talk: State.of_json(row.state) for talk, row in talks.load(conn, names, hold=True).items()}
            rows: list[dict[str, object]] = []
            for talk, some in events.items():
                for event in some if talk in states else ():
                    if isinstance(event, Wrote | Uploaded) and event.submission <= states[talk].through:
                        continue
                    move = dialogue.step(states[talk], event, estates=self._estates)
                    rows += [_row(talk, one, now) for one in move.says]
                    self._keep(conn, talk, states[talk], move, event, now)
                    states[talk] = move.state
            happened = {talk: state.as_json() for talk, state in states.items() if talk in events}
            ids = talks.advance(conn, happened, rows)
        entries: dict[str, list[Entry]] = {talk: [] for talk in states}
        for row, said_id in zip(rows, ids, strict=True):
            entries[str(row["talk"])].append(_of_said(Said(id=said_id, **row)))  # type: ignore[arg-type]
        return {talk: _now(state, entries[talk]) for talk, state in states.items()}

    def _keep(self, conn: Any, talk: str, before: State, move: dialogue.Move, event: Event, now: datetime) -> None:
        """What beside the state comes of a move: consent, who has the talk, and what the customer says of the class."""
        if move.consented:
            talks.set_values(conn, talk, consent_at=now, consent_version=CONSENT_VERSION)
        if before.agent != move.state.agent:
            talks.set_values(conn, talk, agent_at=now if move.state.agent else None)
        if move.objection is not None and isinstance(event, Wrote):
            topic = move.state.topic(event.topic)
            talks.state_class(conn, event.number, topic.klass if topic else "", move.objection, now)
            self._put_to_review(conn, event.number)
            self._log.write("ClassDisputed", event.number, klass=move.objection)

    def _put_to_review(self, conn: Any, number: str) -> None:
        """A person is to look at it, unless one has already."""
        complaint = complaints.load(conn, [number]).get(number)
        body = complaints.latest_verdict(conn, number)
        if complaint is None or body is None or corrections.settled(conn, [number]):
            return
        verdict = ticket.verdict_of(body, complaint.customer)
        rank = Caution.rank(verdict, True, rules.urgency(Priority(complaint.priority or Priority.NORMAL)))
        if rank is not None and not desk.waits(conn, number):
            desk.put_back(conn, number, rank)

    def _by_mail(self, conn: Any, answer: Answer, address: str, now: datetime) -> None:
        subject = answer.subject or f"投诉 {answer.number} 的答复 / Answer on {answer.number}"
        mailed = replace(answer, source_key=f"away:{answer.id}", way=Way.EMAIL, to=address, subject=subject, at=now)
        answers.add(self._store, conn, mailed, now)
        reason = f"{BY_MAIL}: 顾客不在线，改由邮件答复 / the customer is away, so it goes by mail"
        answers.settle(conn, answer.id, AnswerState.SUPPRESSED, reason=reason)
        self._log.write("AnsweredByMail", answer.number)

    # ---- What is shown -------------------------------------------------------------------------------------------------------------------

    def _entries(self, talk: str, topics: Sequence[str]) -> list[Entry]:
        """Everything in a talk, in the order in which it happened."""
        with self._store.read() as conn:
            names = [conversation_of(talk, topic) for topic in {"", *topics}]
            lines = talks.written(conn, names, MEDIA_TYPE)
            said = talks.said(conn, talk)
            numbers = {one.number: talk_of(one.conversation)[1] for one in lines}
            told = [one for one in answers.of_numbers(conn, list(numbers)) if _is_for_chat(one)]
        entries = [entry for one in lines for entry in _of_written(one)]
        entries += [_of_said(one) for one in said]
        entries += [_of_answer(one, numbers[one.number]) for one in told]
        # What was said in answer to a line stands behind it, also within one moment.
        return sorted(entries, key=lambda entry: (entry.at, entry.kind not in ("line", "file")))


def _now(state: State, entries: Sequence[Entry]) -> TalkNow:
    return TalkNow(entries, (), state.asked, state.current, state.agent, tuple(topic.key for topic in state.topics))


def _begun(talk: str, first: Written) -> dict[str, object]:
    """A talk as it is kept with its first line."""
    told, user = first.envelope.get("customer"), first.envelope.get("user")
    identity = {"id": user, **(told if isinstance(told, Mapping) else {})} if user else None
    language = "en" if first.envelope.get("language") == "en" else "zh"
    return {"talk": talk, "begun_at": first.received_at, "language": language, "identity": identity}


def _row(talk: str, says: Says, now: datetime) -> dict[str, object]:
    return {
        "talk": talk,
        "topic": says.topic,
        "at": now,
        "code": says.code,
        "zh": says.words[0],
        "en": says.words[1],
        "asks": says.asks,
        "replies": [list(reply) for reply in says.replies],
    }


def _of_said(one: Said) -> Entry:
    replies = [(str(zh), str(en)) for zh, en in one.replies]
    return Entry("say", f"s{one.id}", one.at, one.zh, one.en, one.topic, "", one.asks, replies)


def _of_answer(answer: Answer, topic: str) -> Entry:
    return Entry("answer", f"a{answer.id}", answer.at, answer.body, answer.body, topic, answer.by)


def _of_written(one: Written) -> list[Entry]:
    topic = talk_of(one.conversation)[1]
    if "filename" in one.envelope:
        name = str(one.envelope["filename"])
        return [Entry("file", one.source_key.rpartition(":")[2], one.received_at, name, name, topic)]
    try:
        line = read_line(one.raw)
    except Unreadable:
        return []
    return [Entry("line", line["id"], one.received_at, line["text"], line["text"], topic)]


def _is_for_chat(answer: Answer) -> bool:
    """Whether an answer is shown in the chat: what was meant for it, also where it went by mail because nobody was there."""
    if answer.way is not Way.CHAT:
        return False
    return answer.state is not AnswerState.SUPPRESSED or (answer.reason or "").startswith(BY_MAIL)
