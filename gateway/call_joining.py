"""Which earlier complaint of the same caller a call is about: a decision with its reason, by a literal table of rules (docs/phone.md).

Only a call that has just been taken in and that nobody was told of is ever joined. What is not joined is linked: staff sees both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.call_records import words_of
from gateway.store import calls, complaints
from gateway.store.calls import CallRow, EarlierRow
from gateway.store.complaints import ComplaintRow, MessageRow
from gateway.store.engine import Store
from models.complaint import Customer
from models.verdict import ComplaintClass, Verdict

# So much of two texts is compared, and from this share of common pairs of characters on they are about the same.
_COMPARED_CHARS, _ALIKE = 4000, 0.5
# Fewer pairs of characters say nothing.
_LEAST_PAIRS = 12
# Recognisers fill silence with the same few words again and again; so much is nobody's invention.
_OWN_WORDS = 40
# So many earlier complaints of one caller are compared by their words.
_MOST_COMPARED = 20
_SPOKEN = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Matter:
    """What the rules may look at of a complaint. `said` is empty where it was not loaded."""

    number: str
    received_at: datetime
    phones: frozenset[str]
    klass: ComplaintClass | None
    customer: Customer
    said: str
    # (centre, id) of each call.
    call_ids: frozenset[tuple[str, str]]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Joining:
    """That a call belongs to an earlier complaint, and why."""

    to_number: str
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule: when a call belongs to an earlier complaint, and a sentence for people."""

    code: str
    applies: Callable[[Matter, Matter], bool]
    zh: str
    en: str


def _same_caller(new: Matter, old: Matter) -> bool:
    return bool(new.phones & old.phones)


def _callers_differ(new: Matter, old: Matter) -> bool:
    return bool(new.phones and old.phones) and not _same_caller(new, old)


def _homes_differ(new: Matter, old: Matter) -> bool:
    one, other = new.customer, old.customer
    units = bool(one.unit and other.unit and one.unit != other.unit)
    return units or bool(one.estate and other.estate and one.estate != other.estate)


def _same_home(new: Matter, old: Matter) -> bool:
    one, other = new.customer, old.customer
    return not _homes_differ(new, old) and bool((one.unit and one.unit == other.unit) or (one.estate and one.estate == other.estate))


# The first rule that applies to a call and an earlier complaint joins them.
RULES: tuple[Rule, ...] = (
    # The same call again: transcribed anew, in another format, or its transcript came late.
    Rule(
        "same_call",
        lambda n, o: bool(n.call_ids & o.call_ids) and not _callers_differ(n, o),
        "同一通电话（通话编号相同）",
        "the same call (the same id)",
    ),
    # The same call again under another name; two callers never say the same to the letter, one caller's number may be lacking.
    Rule(
        "same_words",
        lambda n, o: bool(n.words & o.words) and not _callers_differ(n, o) and (_same_caller(n, o) or len(n.said) >= _OWN_WORDS),
        "通话内容相同",
        "the very same words",
    ),
    # He rings again about his home, and it is of the same class.
    Rule(
        "same_home",
        lambda n, o: _same_caller(n, o) and n.klass is not None and n.klass is o.klass and _same_home(n, o),
        "同一来电号码，类别与房号（或楼盘）相同",
        "the same number, class and home",
    ),
    # He rings again and does not say which home; the words tell that it is the same.
    Rule(
        "alike",
        lambda n, o: (
            _same_caller(n, o) and n.klass is not None and n.klass is o.klass and not _homes_differ(n, o) and alike(n.said, o.said)
        ),
        "同一来电号码，类别相同，内容相近",
        "the same number and class, and similar words",
    ),
)


def alike(one: str, other: str) -> bool:
    """Whether two texts are about the same, by the share of pairs of characters of the shorter that the longer has too."""
    a, b = _pairs(one), _pairs(other)
    least = min(len(a), len(b))
    return least >= _LEAST_PAIRS and len(a & b) / least >= _ALIKE


def _pairs(text: str) -> set[str]:
    spoken = "".join(_SPOKEN.findall(text[:_COMPARED_CHARS])).lower()
    return {spoken[at : at + 2] for at in range(len(spoken) - 1)}


def decide(new: Matter, earlier: Sequence[Matter], within: timedelta) -> Joining | None:
    """To which of these complaints, the newest first, a call belongs; None where it is a matter of its own."""
    for rule in RULES:
        for old in earlier:
            if abs(new.received_at - old.received_at) <= within and old.number != new.number and rule.applies(new, old):
                return Joining(old.number, rule.code, f"{rule.zh}，并入 {old.number}", f"{rule.en}: joined to {old.number}")
    return None


def known_of(earlier: Sequence[EarlierRow]) -> Customer:
    """What earlier complaints of a number, the newest first, say of who rings: the last name, and the home where it is one."""
    name = next((row.customer.name for row in earlier if row.customer.name), None)
    estates = {row.customer.estate for row in earlier if row.customer.estate}
    units = {row.customer.unit for row in earlier if row.customer.unit}
    alone = len(estates) <= 1 and len(units) <= 1
    return Customer(name=name, estate=next(iter(estates), None) if alone else None, unit=next(iter(units), None) if alone else None)


def filled(customer: Customer, known: Customer) -> Customer:
    """Who rings, with what he did not say taken from what is known of him; of a home that differs nothing is taken."""
    differs = any(mine and theirs and mine != theirs for mine, theirs in ((customer.estate, known.estate), (customer.unit, known.unit)))
    return customer.or_else(Customer(name=known.name) if differs else known)


@dataclass(frozen=True, slots=True)
class History:
    """What was there before a call."""

    calls: Sequence[CallRow]
    known: Customer
    earlier: Sequence[Matter]


class Histories:
    """Looks up, for a batch of complaints, what their callers have complained of before.

    join_days: how long after a complaint a call about the same is joined to it; 0 joins nothing.
    """

    def __init__(self, store: Store, join_days: float) -> None:
        self._store, self._within = store, timedelta(days=join_days)

    def of(self, asked: Mapping[str, tuple[ComplaintRow, Sequence[MessageRow], Verdict]]) -> dict[str, History]:
        """The history of each complaint of a call; others have none."""
        numbers = list(asked)
        with self._store.read() as conn:
            rows = calls.of_numbers(conn, numbers)
            mine = [call for several in rows.values() for call in several]
            if not mine:
                return {}
            # Who spoke his number and did not show it is known by it too.
            phones = {n: self._phones(rows[n], asked[n][2].customer) for n in numbers}
            found = calls.earlier(
                conn,
                callers=[phone for several in phones.values() for phone in several],
                call_ids=[call.call_id for call in mine],
                words=[call.words for call in mine],
                besides=numbers,
            )
            near = [row.number for row in found]
            their_calls = calls.of_numbers(conn, near)
            talks = complaints.conversation(conn, near[:_MOST_COMPARED])
        matters = {row.number: _matter_of(row, their_calls[row.number], talks.get(row.number, ())) for row in found}
        return {
            number: History(
                rows[number],
                known_of([row for row in found if phones[number] & matters[row.number].phones]),
                [matters[row.number] for row in found],
            )
            for number in numbers
            if rows[number]
        }

    def matter(
        self, complaint: ComplaintRow, messages: Sequence[MessageRow], verdict: Verdict, customer: Customer, history: History
    ) -> Matter:
        """A call that has just been sorted, as the rules look at it."""
        row = EarlierRow(complaint.number, complaint.received_at, verdict.primary, customer)
        found = _matter_of(row, history.calls, messages)
        return replace(found, phones=self._phones(history.calls, customer))

    def decide(self, new: Matter, history: History, before: Sequence[Matter]) -> Joining | None:
        """To which complaint a call belongs; `before` are those of its own batch, the oldest first."""
        return decide(new, [*reversed(before), *history.earlier], self._within) if self._within else None

    @staticmethod
    def _phones(rows: Sequence[CallRow], customer: Customer) -> frozenset[str]:
        return frozenset(filter(None, (*(row.caller for row in rows), customer.phone)))


def _matter_of(row: EarlierRow, rows: Sequence[CallRow], messages: Sequence[MessageRow]) -> Matter:
    said = "\n".join(message.said for message in messages if message.said)
    spoken = {call.words for call in rows} | {words_of(said)}
    return Matter(
        number=row.number,
        received_at=row.received_at,
        phones=frozenset(filter(None, (row.customer.phone, *(call.caller for call in rows)))),
        klass=row.klass,
        customer=row.customer,
        said=said,
        call_ids=frozenset((call.centre, call.call_id) for call in rows if call.call_id),
        words=frozenset(spoken - {""}),
    )
