"""Cues of an agent's rudeness: found in what he says and nowhere else, and not in what polite agents say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from classifiers.agent_conduct import CUES, conduct_of

DATA = Path(__file__).parent / "data"


def cue(text: str, role: str = "agent") -> str | None:
    found = conduct_of([{"role": role, "text": text, "start": 3.5}])
    return found[0].code if found else None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("这个不归我管，你自己去问", "brush_off"),
        ("那你去投诉好了", "brush_off"),
        ("随便你去告", "brush_off"),
        ("催什么催，排着队呢", "impatient"),
        ("我没空跟你说这些", "impatient"),
        ("有完没完啊你", "impatient"),
        ("你有病吧", "insult"),
        ("没钱就别买", "insult"),
        ("再闹我就报警了", "threat"),
        ("我拉黑你信不信", "threat"),
        ("懒得跟你讲", "hangs_up"),
    ],
)
def test_what_no_agent_should_say(text: str, code: str) -> None:
    assert cue(text) == code
    # The customer may say so.
    assert cue(text, "customer") is cue(text, "unknown") is None


@pytest.mark.parametrize(
    "text",
    [
        "您别急，我马上给您登记",
        "师傅今天没空，明天一早过去",
        "好的，那我先挂了，再见",
        "您也可以去法院起诉，这是您的权利",
        "请问是滚动屏还是固定屏",
        "我来管这件事，您放心",
        "您是说催了三次没人来对吗",
        "建议您报警处理",
        "我们这边负责，您不用找别人",
    ],
)
def test_what_he_may_say(text: str) -> None:
    assert cue(text) is None


def test_of_the_composed_dialogues_only_the_rude_agents_are_noted() -> None:
    noted = []
    for name in ("role_dialogues.jsonl", "role_dialogues_held_back.jsonl"):
        for line in (DATA / name).read_text("utf-8").splitlines():
            one = json.loads(line)
            turns = [{"role": "agent" if who in "AB" else "customer", "text": text} for who, text in one["turns"]]
            if conduct_of(turns):
                noted.append(one["kind"])
    assert "agent rude" in noted
    assert set(noted) <= {"agent rude", "chatty agent"}


def test_a_cue_is_quoted_with_its_turn_and_few_are_enough() -> None:
    turns = [{"role": "customer", "text": "喂"}, {"role": "agent", "text": "嗯" * 300 + "关你什么事，催什么催" + "啊" * 300, "start": 7.0}]
    (one,) = conduct_of(turns)
    assert (one.turn, one.start, one.cue) == (1, 7.0, "催什么催")
    assert len(one.text) <= 60
    assert one.cue in one.text
    assert len(conduct_of([{"role": "agent", "text": "催什么催"}] * 99)) == 10
    assert all(code and zh for code, _, zh in CUES)
