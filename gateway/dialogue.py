"""The machine's side of a chat as one pure function: (state, event) → (state, what it says). It knows no store, no clock and no connection.

One thing is asked at a time, and nothing that the customer has written already (预案 4.1). `dialogue_words` has the questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from connectors import chat_answers
from connectors.chat_answers import CLASSES, Ask, Kind, Reading
from connectors.chat_lines import answered
from gateway.dialogue_words import CLASS_REPLIES, QUESTIONS, SAYS, Both, objections, within
from models.complaint import Customer

# Asked of the person, once a talk and with his consent.
_OF_THE_PERSON = (Ask.NAME, Ask.CONTACT, Ask.ESTATE, Ask.UNIT)
# A question that was not answered is asked once more and then let go.
_MOST_TIMES = 2
# More complaints than these in one talk, and further lines join the last.
MOST_TOPICS = 20


@dataclass(frozen=True, slots=True)
class Topic:
    """One complaint of a talk. `told`: the sorting that the customer knows of, `klass` its class; `settled`: he has spoken on it."""

    key: str
    number: str = ""
    matter: bool = False
    since: bool = False
    told: str = ""
    klass: str = ""
    settled: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What the machine knows of a talk.

    current: the topic that a line without one belongs to.
    asked:   the question that stands open, empty where none does; `about` is its topic and `times` how often it was asked.
    over:    what need not be asked (again): answered, skipped or let go.
    consent: empty until he was asked, then yes, no, or none where he did not say.
    agent:   who of our side has the talk; while somebody has, the machine is silent.
    through: the last submission that is part of this.
    """

    topics: tuple[Topic, ...] = ()
    current: str = ""
    asked: str = ""
    about: str = ""
    times: int = 0
    over: tuple[str, ...] = ()
    known: Customer = field(default_factory=Customer)
    consent: str = ""
    agent: str = ""
    through: int = 0

    def topic(self, key: str) -> Topic | None:
        """The topic of this key."""
        return next((one for one in self.topics if one.key == key), None)

    def with_topic(self, topic: Topic) -> State:
        """The state with this topic put in its place."""
        others = [topic if one.key == topic.key else one for one in self.topics]
        return replace(self, topics=tuple(others) if self.topic(topic.key) else (*self.topics, topic))

    def as_json(self) -> dict[str, Any]:
        """The state as it is kept."""
        return asdict(self)

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> State:
        """The state again; keys of another version are passed over."""
        known = {key: value for key, value in kept.items() if key in cls.__dataclass_fields__}
        known["topics"] = tuple(Topic(**one) for one in kept.get("topics", ()))
        known["over"] = tuple(kept.get("over", ()))
        known["known"] = Customer(**kept.get("known", {}))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Wrote:
    """The customer wrote a line; `found` is what of him stands in it."""

    submission: int
    topic: str
    number: str
    text: str
    asked: str = ""
    found: Customer = field(default_factory=Customer)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The customer sent a file."""

    submission: int
    topic: str
    number: str
    name: str


@dataclass(frozen=True, slots=True)
class Sorted:
    """A complaint of the talk was sorted, or sorted anew. `hours` until somebody must have answered."""

    topic: str
    klass: str
    department: Both
    hours: int
    review: bool

    @property
    def told(self) -> str:
        """What a customer is told once: the hours that are left change by themselves."""
        return f"{self.klass}|{self.department[0]}|{self.review}"


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody of our side has taken the talk; `by` nobody: it was handed back."""

    by: str


Event = Wrote | Uploaded | Sorted | Taken


@dataclass(frozen=True, slots=True)
class Says:
    """One thing that the machine says; `asks` names the question that it is, `replies` are offered beside the text box."""

    code: str
    topic: str
    words: Both
    asks: str = ""
    replies: tuple[Both, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """What comes of an event. `objection`: the class that the customer says it is, for the topic of the event (empty: he named none)."""

    state: State
    says: tuple[Says, ...] = ()
    consented: bool = False
    objection: str | None = None


def step(state: State, event: Event, *, estates: Sequence[str] = ()) -> Move:
    """What the machine makes of an event. Whatever was said while an agent has the talk is known and not answered."""
    match event:
        case Wrote():
            move = _wrote(state, event)
        case Uploaded():
            move = _uploaded(state, event)
        case Sorted():
            move = _sorted(state, event)
        case Taken():
            move = _taken(state, event)
    if state.agent and move.state.agent:
        return replace(move, says=())
    if isinstance(event, Sorted | Taken) and not move.says:
        # Nothing that the customer does not know already.
        return move
    return _ask_on(move, estates)


def _wrote(state: State, event: Wrote) -> Move:
    state = _begun(state, event.topic, event.number, event.submission)
    topic = state.topic(event.topic) or Topic(event.topic)
    reading = chat_answers.read(event.asked, event.text)
    says: list[Says] = []
    first = not topic.number or not topic.matter
    if reading.kind is Kind.ANOTHER and not reading.value:
        key = next_topic(state)
        state = replace(state, current=key, asked="", times=0).with_topic(Topic(key))
        return Move(replace(state, asked=Ask.MATTER, about=key, times=1), (_says("another", key), _question(Ask.MATTER, key)))
    known = state.known.or_else(answered(event.asked, reading)).or_else(event.found)
    state = replace(state, known=known)
    # The answer closes the question that stands open, also where it stood open in another tab.
    closed = event.asked and event.asked == state.asked
    if reading.kind is Kind.OBJECTION:
        return _on_class(_closed(state) if closed else state, topic, reading)
    if reading.kind in (Kind.MATTER, Kind.ANOTHER):
        topic = replace(topic, matter=True, number=event.number, since=topic.since or chat_answers.names_a_time(event.text))
        if first:
            # What was asked before is asked anew under the new matter, below its number.
            state, closed = _closed(state), False
            says.append(_says("taken", topic.key, number=event.number))
        elif not closed and not state.asked:
            says.append(_says("taken_more", topic.key))
        state = state.with_topic(topic)
        return Move(state, tuple(says))
    return _answered(state, topic, event.asked, reading)


def _answered(state: State, topic: Topic, asked: str, reading: Reading) -> Move:
    """The customer answered, or would not."""
    over = _over_name(asked, topic.key)
    state = replace(state, over=(*state.over, over) if over not in state.over else state.over)
    if state.asked == asked:
        state = _closed(state)
    if asked == Ask.CONSENT:
        agreed = reading.kind is Kind.ANSWER
        state = replace(state, consent="yes" if agreed else "no")
        return Move(state, () if agreed else (_says("declined", topic.key),), consented=agreed)
    if asked == Ask.CLASS:
        return _on_class(state, topic, reading)
    return Move(state)


def _on_class(state: State, topic: Topic, reading: Reading) -> Move:
    if reading.kind is Kind.OBJECTION and not reading.value:
        # He is asked once which it is; whatever he answers is closed by that.
        question = QUESTIONS[Ask.CLASS]
        state = replace(state, asked=Ask.CLASS, about=topic.key, times=_MOST_TIMES)
        return Move(state, (Says("class", topic.key, question.again, Ask.CLASS, CLASS_REPLIES),), objection="")
    state = state.with_topic(replace(topic, settled=True))
    if reading.kind is Kind.OBJECTION and reading.value != topic.klass:
        zh, en = CLASSES[reading.value]
        return Move(state, (_says("objected", topic.key, class_zh=zh, class_en=en),), objection=reading.value)
    return Move(state, (_says("confirmed", topic.key),))


def _uploaded(state: State, event: Uploaded) -> Move:
    state = _begun(state, event.topic, event.number, event.submission)
    says = (_says("file", event.topic, name=event.name),)
    topic = state.topic(event.topic)
    if topic is None or topic.matter or state.asked or state.agent:
        return Move(state, says)
    # A photograph alone does not say what is wrong.
    state = replace(state, asked=Ask.MATTER, about=event.topic, times=1)
    return Move(state, (*says, _question(Ask.MATTER, event.topic)))


def _sorted(state: State, event: Sorted) -> Move:
    topic = state.topic(event.topic) or Topic(event.topic)
    if topic.told == event.told:
        return Move(state)
    fresh = topic.klass != event.klass
    # A class that a person still confirms, or that is none of the four, is not put to the customer.
    ask = fresh and event.klass in CLASSES and not event.review
    topic = replace(topic, told=event.told, klass=event.klass, settled=topic.settled or not ask)
    state = state.with_topic(topic)
    within_zh, within_en = within(event.hours)
    code = "review" if event.review else "routed"
    department = {"department_zh": event.department[0], "department_en": event.department[1]}
    return Move(state, (_says(code, topic.key, **department, within_zh=within_zh, within_en=within_en),))


def _taken(state: State, event: Taken) -> Move:
    if state.agent == event.by:
        return Move(state)
    # A question of the machine is not left hanging over a person's conversation.
    state = replace(_closed(state), agent=event.by)
    return Move(state, (_says("agent", state.current, name=event.by) if event.by else _says("machine", state.current),))


def _ask_on(move: Move, estates: Sequence[str]) -> Move:
    """The next question, where none stands open; or the open one once more, where the line was no answer to it."""
    state, says = move.state, move.says
    topic = state.topic(state.current)
    if state.agent or topic is None or not topic.matter or any(one.asks for one in says):
        return move
    if state.asked and says:
        # Something else was told in between; the question still stands.
        return move
    if state.asked and state.times < _MOST_TIMES and state.asked != Ask.CLASS:
        again = _question(Ask(state.asked), state.about, again=True, estates=estates)
        return replace(move, state=replace(state, times=state.times + 1), says=(again,))
    if state.asked:
        state = _let_go(state)
    asked = _next(state, topic)
    if asked is None:
        return replace(move, state=state, says=says or (_says("noted", topic.key),))
    if asked is Ask.CLASS:
        zh, en = CLASSES[topic.klass]
        words = tuple(one.format(class_zh=zh, class_en=en) for one in QUESTIONS[Ask.CLASS].words)
        question = Says("class", topic.key, (words[0], words[1]), Ask.CLASS, objections(topic.klass))
    else:
        question = _question(asked, topic.key, estates=estates)
    return replace(move, state=replace(state, asked=asked.value, about=topic.key, times=1), says=(*says, question))


def _next(state: State, topic: Topic) -> Ask | None:
    """What to ask now; None where nothing is left."""
    person = [ask for ask in _OF_THE_PERSON if ask not in state.over and not _is_known(state.known, ask)]
    if person and not state.consent and Ask.CONSENT not in state.over:
        return Ask.CONSENT
    if person and state.consent == "yes":
        return person[0]
    if not topic.since and _over_name(Ask.SINCE, topic.key) not in state.over:
        return Ask.SINCE
    if topic.klass in CLASSES and not topic.settled and _over_name(Ask.CLASS, topic.key) not in state.over:
        return Ask.CLASS
    return None


def _is_known(known: Customer, ask: Ask) -> bool:
    return bool(known.phone or known.email) if ask is Ask.CONTACT else bool(getattr(known, ask.value))


def _let_go(state: State) -> State:
    """The question that stands open will not be answered."""
    over = _over_name(state.asked, state.about)
    return replace(_closed(state), over=(*state.over, over))


def _closed(state: State) -> State:
    return replace(state, asked="", about="", times=0)


def _begun(state: State, topic: str, number: str, submission: int) -> State:
    known = state.topic(topic) or Topic(topic)
    state = state.with_topic(replace(known, number=number))
    return replace(state, current=topic, through=max(state.through, submission))


def next_topic(state: State) -> str:
    """The key of a further complaint of the talk; the last one where there are too many."""
    taken = {one.key for one in state.topics} | {""}
    if len(taken) >= MOST_TOPICS:
        return state.current
    return next(str(n) for n in range(2, MOST_TOPICS + 2) if str(n) not in taken)


def _over_name(asked: str, topic: str) -> str:
    """What is asked of each matter is over for that matter only."""
    return f"{asked}:{topic}" if asked in (Ask.SINCE, Ask.CLASS) else str(asked)


def _says(code: str, topic: str, **fill: str) -> Says:
    zh, en = SAYS[code]
    return Says(code, topic, (zh.format(**fill), en.format(**fill)))


def _question(ask: Ask, topic: str, *, again: bool = False, estates: Sequence[str] = ()) -> Says:
    question = QUESTIONS[ask]
    replies = question.replies
    if ask is Ask.ESTATE:
        replies = (*((name, name) for name in estates[:5]), *replies)
    return Says(ask.value, topic, question.again if again else question.words, ask.value, replies)
