"""How the console shows things: marks in a text, times in words, nothing hidden; and that every word is there in both languages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import learning_service, rules
from gateway.web.answer_words import ANSWER_WORDS
from gateway.web.call_words import CALL_WORDS
from gateway.web.console_view import Times, percent, pieces, plain
from gateway.web.console_words import CODES, WORDS, Say
from gateway.web.handoff_words import HANDOFF_WORDS
from gateway.web.learning_words import LEARNING_WORDS
from gateway.web.mailbox_words import MAILBOX_WORDS
from gateway.web.robot_words import ROBOT_WORDS
from gateway.web.talk_words import TALK_WORDS
from gateway.web.unread_words import UNREAD_WORDS
from models.answer import AnswerKind, AnswerState, MailCode, Way
from models.assignment import Priority
from models.complaint import Customer
from models.correction import UNDONE, Correction, Source, last_words
from models.delivery import EventType, OutcomeCode
from models.notice import RobotKind
from models.staff import Role
from models.submission import Channel
from models.verdict import ComplaintClass, Risk

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
ALL_WORDS = {
    **WORDS,
    **LEARNING_WORDS,
    **ANSWER_WORDS,
    **CALL_WORDS,
    **MAILBOX_WORDS,
    **TALK_WORDS,
    **HANDOFF_WORDS,
    **ROBOT_WORDS,
    **UNREAD_WORDS,
}


def reason(term: str, weight: float, *spans: tuple[int, int]) -> dict[str, Any]:
    return {"term": term, "weight": weight, "spans": [list(span) for span in spans]}


def test_reasons_are_marked_where_they_stand() -> None:
    found = pieces("我家漏水，合同没写", [reason("漏水", 1.5, (2, 4)), reason("合同", -0.5, (5, 7)), reason("〔其余〕", 0.1)])
    assert [(one.text, one.kind) for one in found] == [("我家", ""), ("漏水", "for"), ("，", ""), ("合同", "against"), ("没写", "")]


def test_where_marks_lie_upon_one_another_the_strongest_shows() -> None:
    found = pieces("电梯困人", [reason("电梯", 0.5, (0, 2)), reason("电梯困人", -2.0, (0, 4))])
    assert [(one.text, one.term) for one in found] == [("电梯困人", "电梯困人")]


@given(
    text=st.text(max_size=60),
    reasons=st.lists(
        st.builds(
            lambda weight, spans: {"term": "词", "weight": weight, "spans": spans},
            st.floats(-5, 5),
            st.lists(st.lists(st.integers(-5, 80), min_size=2, max_size=2), max_size=4),
        ),
        max_size=5,
    ),
)
def test_no_character_is_lost_or_told_twice(text: str, reasons: list[dict[str, Any]]) -> None:
    assert "".join(one.text for one in pieces(text, reasons)) == plain(text)


def test_a_long_text_is_shown_whole() -> None:
    text = "漏水" * 150_000
    found = pieces(text, [reason("漏水", 1.0, *((at, at + 2) for at in range(0, 300_000, 2)))])
    assert "".join(one.text for one in found) == text


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\u200b", "\x00", "\x1b", "\ufeff", "\u2028", "\x85"])
def test_nothing_is_hidden(hidden: str) -> None:
    assert plain(f"a{hidden}b\n\tc") == "a\ufffdb\n\tc"


def test_times_in_words() -> None:
    zh, en = (Times(Say(language), ZoneInfo("Asia/Shanghai"), NOW) for language in ("zh", "en"))  # type: ignore[arg-type]
    told = {
        timedelta(seconds=-5): ("刚刚", "just now"),
        timedelta(seconds=59): ("刚刚", "just now"),
        timedelta(minutes=3): ("3 分钟前", "3 min ago"),
        timedelta(hours=3, minutes=59): ("3 小时前", "3 h ago"),
        timedelta(hours=47): ("47 小时前", "47 h ago"),
        timedelta(days=3): ("3 天前", "3 d ago"),
        timedelta(days=400): ("2025-10-20 12:00", "2025-10-20 12:00"),
    }
    for past, words in told.items():
        assert (zh.ago(NOW - past), en.ago(NOW - past)) == words
    due = {
        timedelta(days=5): ("还剩 5 天", "calm"),
        timedelta(hours=5): ("还剩 5 小时", "calm"),
        timedelta(hours=3): ("还剩 3 小时", "soon"),
        timedelta(seconds=5): ("还剩 1 分钟", "soon"),
        timedelta(seconds=-5): ("已超 1 分钟", "over"),
        timedelta(hours=-30): ("已超 30 小时", "over"),
        timedelta(days=-9): ("已超 9 天", "over"),
    }
    for left, words in due.items():
        found = zh.due(NOW + left)
        assert (found.words, found.state) == words
    assert zh.exact(NOW) == "2026-11-24 12:00:00"
    assert zh.of_text("2026-11-24T04:00:00Z") == NOW
    assert zh.of_text(None) is zh.of_text("x") is None


def test_no_chance_is_shown_as_certainty() -> None:
    assert [percent(chance) for chance in (0, 0.004, 0.5, 0.994, 0.999, 1)] == ["0%", "<1%", "50%", ">99%", ">99%", "100%"]


def test_every_word_is_there_in_both_languages() -> None:
    tables = (WORDS, LEARNING_WORDS, ANSWER_WORDS, CALL_WORDS, MAILBOX_WORDS, TALK_WORDS, HANDOFF_WORDS, ROBOT_WORDS, UNREAD_WORDS)
    assert len(ALL_WORDS) == sum(map(len, tables))
    for key, (zh, en) in {**ALL_WORDS, **CODES}.items():
        assert zh, key
        assert en, key
        # What is filled in is the same.
        assert sorted(re.findall(r"\{(\w+)\}", zh)) == sorted(re.findall(r"\{(\w+)\}", en)), key
        if key != "other_language":
            assert not re.search("[\u4e00-\u9fff]", en), key


def test_every_word_that_a_page_says_is_in_the_table_and_every_other_is_said() -> None:
    sources = [*(ROOT / "gateway/web/templates").glob("console_*.html"), *(ROOT / "gateway/web").glob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in sources if not path.name.endswith("_words.py"))
    said = set(re.findall(r"""say\(\s*["']([\w.]+)["'](?!\s*~)""", text))
    assert said <= set(ALL_WORDS), said - set(ALL_WORDS)
    ways = tuple(re.findall(r"""["']([\w.]+\.)["']\s*~""", text)) + tuple(re.findall(r'f"([\w.]+\.)\{', text))
    quoted = set(re.findall(r"""["']([\w.]+)["']""", text))
    # These are said by way of a value.
    ways += ("span.", "ago.", "channel.", "priority.", "joined.by.", "claims.", "sender.result.", "status.", "why.")
    assert [key for key in ALL_WORDS if key not in quoted and not key.startswith(ways)] == []


def test_every_closed_list_has_words() -> None:
    lists: dict[str, list[str]] = {
        "class": list(ComplaintClass),
        "tag": list(ComplaintClass),
        "channel": [*Channel, "*"],
        "risk": list(Risk),
        "priority": list(Priority),
        "role": list(Role),
        "field": list(Customer().missing()),
        "correction.source": list(Source),
        "answer.kind": list(AnswerKind),
        "answer.way": list(Way),
        "answer.state": list(AnswerState),
        "claims": ["forward", "other_sender", "new_topic"],
        "joined.by": ["token", "references", "number", "bounce", "duplicate"],
        "basis": ["shipped", "class", "channel"],
        "robots.kind": list(RobotKind),
        "verdict": ["unsure", "nothing_to_go_by", "decided_by_person", "alone", "sampled"],
    }
    for kind, values in lists.items():
        for value in values:
            assert f"{kind}.{value}" in ALL_WORDS
    coded = {"event": list(EventType), "rule": [rule.code for rule in rules.RULES], "outcome": list(OutcomeCode), "mail": list(MailCode)}
    for kind, values in coded.items():
        for value in values:
            assert f"{kind}.{value}" in CODES
    assert {"champion", "candidate", "retired", "rejected"} == set(learning_service.STATES)


def test_what_was_taken_back_is_held_by_nobody() -> None:
    def said(by: str, klass: ComplaintClass, note: str = "") -> Correction:
        return Correction("n", NOW, by, Source.CONSOLE, ComplaintClass.OTHER, klass, "m", "email", (0.2,) * 5, False, 1.0, note)

    price, contract = ComplaintClass.PRICE, ComplaintClass.CONTRACT
    told = [said("甲", price), said("乙", contract), said("甲", contract), said("甲", price, UNDONE), said("乙", price, UNDONE)]
    assert {by: one.should_be for by, one in last_words(told).items()} == {"甲": price}
    assert last_words([said("甲", price, UNDONE)]) == {}
