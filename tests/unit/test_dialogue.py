"""The machine's side of a chat, as stories (`tests/talks`) and as rules that hold whatever is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.base import Query
from classifiers.fields import FieldFinder
from connectors.chat_answers import CLASSES, Ask, Kind, names_a_time, read
from gateway import dialogue
from gateway.dialogue import Event, Move, Sorted, State, Taken, Uploaded, Wrote, step
from gateway.dialogue_words import QUESTIONS, SAYS

TALKS = sorted((Path(__file__).parents[1] / "talks").glob("*.talk"))
FINDER = FieldFinder(["云栖府", "湖畔名邸"])


class Story:
    """A talk held with the pure function, as its file tells it."""

    def __init__(self) -> None:
        self.state, self.move, self.submissions = State(), Move(State()), 0

    def happen(self, event: Event) -> list[str]:
        # What is kept is what goes on.
        self.state = State.of_json(json.loads(json.dumps(self.state.as_json())))
        self.move = step(self.state, event, estates=["云栖府", "湖畔名邸"])
        self.state = self.move.state
        offered = ["|".join(zh for zh, _ in one.replies) for one in self.move.says]
        return [f"{one.words[0]} [{some}]" if some else one.words[0] for one, some in zip(self.move.says, offered, strict=True)]

    def tell(self, line: str) -> list[str]:
        sign, _, rest = line.partition(" ")
        if sign.startswith(">"):
            topic = sign[1:] or self.state.current
            self.submissions += 1
            number = f"TS-20261123-{41 + int(topic or 1):04d}"
            found = FINDER.find(Query(said=rest))
            return self.happen(Wrote(self.submissions, topic, number, rest, self.state.asked, found))
        verb, *words = rest.split(" ")
        if verb == "sorted":
            topic, klass, department, hours = words[0].strip("-"), words[1], words[2], int(words[3])
            return self.happen(Sorted(topic, klass, (department, department), hours, "review" in words))
        if verb == "file":
            self.submissions += 1
            return self.happen(Uploaded(self.submissions, self.state.current, "TS-20261123-0042", words[0]))
        assert verb == "agent", line
        return self.happen(Taken(words[0] if words else ""))


@pytest.mark.parametrize("file", TALKS, ids=lambda file: file.stem)
def test_talk(file: Path) -> None:
    story, said = Story(), list[str]()
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        where = f"{file.name}:{number}: {line}"
        if line.startswith((">", "@")):
            assert not said, f"{where}: before it the machine also said {said}"
            said = story.tell(line)
        elif line.startswith("<"):
            assert said, f"{where}: the machine said nothing more"
            assert said.pop(0) == line[2:], where
        elif line.startswith("?"):
            assert story.state.asked == line[2:].strip(), where
        elif line.startswith("="):
            key, _, value = line[2:].partition(" ")
            kept = story.state.known.found() | {"consent": story.state.consent, "objection": str(story.move.objection)}
            assert kept.get(key, "") == value, where
        else:
            assert not line or line.startswith("#"), f"{where}: no such sign"
    assert not said, f"{file.name}: at the end the machine also said {said}"


def test_there_are_stories() -> None:
    assert len(TALKS) >= 6


@pytest.mark.parametrize(
    ("asked", "text", "kind", "value"),
    [
        ("", "我家漏水", Kind.MATTER, "我家漏水"),
        ("", "同意", Kind.MATTER, "同意"),
        ("", "另一件事", Kind.ANOTHER, ""),
        ("name", "另一件事：电梯坏了", Kind.ANOTHER, "电梯坏了"),
        ("", "另一件事我也要说", Kind.MATTER, "另一件事我也要说"),
        ("consent", "同意。", Kind.ANSWER, "yes"),
        ("consent", "I agree", Kind.ANSWER, "yes"),
        ("consent", "不同意", Kind.SKIP, ""),
        ("consent", "还有，电梯也坏了", Kind.MATTER, "还有，电梯也坏了"),
        ("name", "我叫林树", Kind.ANSWER, "林树"),
        ("name", "林树", Kind.ANSWER, "林树"),
        ("name", "你们到底管不管？", Kind.MATTER, "你们到底管不管？"),
        ("name", "跳过", Kind.SKIP, ""),
        ("contact", "138 0000 1111", Kind.ANSWER, "13800001111"),
        ("contact", "微信 a.b@example.com", Kind.ANSWER, "a.b@example.com"),
        ("contact", "没有手机", Kind.MATTER, "没有手机"),
        ("estate", "云栖府", Kind.ANSWER, "云栖府"),
        ("unit", "3栋2单元1201", Kind.ANSWER, "3栋2单元1201"),
        ("unit", "不记得了吧", Kind.MATTER, "不记得了吧"),
        ("since", "上个月", Kind.ANSWER, "上个月"),
        ("class", "对", Kind.ANSWER, "yes"),
        ("class", "不对，是价格问题", Kind.OBJECTION, "price"),
        ("class", "不对", Kind.OBJECTION, ""),
        ("class", "Wrong, it is price", Kind.OBJECTION, "price"),
        ("class", "合同", Kind.OBJECTION, "contract"),
        ("class", "合同里写的是精装", Kind.MATTER, "合同里写的是精装"),
        ("", "不对，是服务态度", Kind.OBJECTION, "service_attitude"),
        ("", "价格问题", Kind.MATTER, "价格问题"),
        ("", "不是质量问题那么简单", Kind.MATTER, "不是质量问题那么简单"),
        ("no such question", "x", Kind.MATTER, "x"),
    ],
)
def test_a_line_is_read_by_the_question_before_it(asked: str, text: str, kind: Kind, value: str) -> None:
    assert (read(asked, text).kind, read(asked, text).value) == (kind, value)


@pytest.mark.parametrize(
    ("text", "told"),
    [("漏水三个月了", True), ("昨天开始的", True), ("从交房起就这样", True), ("since May", True), ("房子漏水", False), ("12栋漏水", False)],
)
def test_a_time_that_was_written_is_not_asked_for(text: str, told: bool) -> None:
    assert names_a_time(text) is told


lines = st.text(max_size=40) | st.sampled_from(
    ["同意", "不同意", "跳过", "林树", "13800001111", "另一件事", "不对", "不对，是价格问题", "对", "漏水三个月", "3栋", "agree"]
)
events = st.one_of(
    st.builds(lambda text, topic: ("wrote", text, topic), lines, st.sampled_from(["", "2", "3"])),
    st.builds(lambda klass, topic: ("sorted", klass, topic), st.sampled_from([*CLASSES, "other"]), st.sampled_from(["", "2"])),
    st.just(("file", "a.pdf", "")),
    st.sampled_from([("agent", "周", ""), ("agent", "", "")]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=30))
def test_whatever_is_written_one_thing_is_asked_at_a_time_and_nobody_is_pestered(happening: list[tuple[str, str, str]]) -> None:
    state, asked = State(), dict[str, int]()
    for n, (verb, what, topic) in enumerate(happening, 1):
        before = state
        event: Event
        if verb == "wrote":
            event = Wrote(n, topic, f"TS-20261123-{n:04d}", what, state.asked)
        elif verb == "sorted":
            event = Sorted(topic, what, ("工程部", "Engineering"), n, bool(n % 2))
        elif verb == "file":
            event = Uploaded(n, topic, "TS-20261123-0001", what)
        else:
            event = Taken(what)
        move = step(state, event)
        state = move.state
        assert State.of_json(json.loads(json.dumps(state.as_json()))) == state
        questions = [one for one in move.says if one.asks]
        assert len(questions) <= 1
        # While a person has the talk the machine is silent.
        if before.agent and state.agent:
            assert move.says == ()
        for one in questions:
            # Nothing of the person is asked without his consent.
            if one.asks in (Ask.NAME, Ask.CONTACT, Ask.ESTATE, Ask.UNIT):
                assert state.consent == "yes"
            if one.asks not in (Ask.MATTER, Ask.CLASS):
                key = one.asks if one.asks != Ask.SINCE else f"{one.asks}:{one.topic}"
                asked[key] = asked.get(key, 0) + 1
        assert len(state.topics) <= dialogue.MOST_TOPICS


def test_every_sentence_is_in_both_languages() -> None:
    pairs = [*SAYS.values(), *(q.words for q in QUESTIONS.values()), *(q.again for q in QUESTIONS.values())]
    pairs += [reply for question in QUESTIONS.values() for reply in question.replies]
    for zh, en in pairs:
        assert re.search(r"[\u4e00-\u9fff]", zh)
        assert re.search(r"[A-Za-z]", en)
        assert not re.search(r"[\u4e00-\u9fff]", en)
        assert "亲" not in zh
    # Only the matter cannot be skipped.
    assert all(question.replies for ask, question in QUESTIONS.items() if ask is not Ask.MATTER)
