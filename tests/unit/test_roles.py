"""Who of unlabelled voices is the customer: measured on dialogues composed for it, and on some that no rule was written after.

`data/role_dialogues.jsonl` holds dialogues that the rules were mended by; `data/role_dialogues_held_back.jsonl` was composed afterwards and
never looked at for mending. In both A and B are agents, C and D customers; a dialogue is right when every turn is.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.transcripts.roles import settle
from connectors.transcripts.words import scores
from models.complaint import Speaker, Turn

DATA = Path(__file__).parent / "data"
ROLES = {"A": Speaker.AGENT, "B": Speaker.AGENT, "C": Speaker.CUSTOMER, "D": Speaker.CUSTOMER}


def dialogues(name: str) -> list[list[tuple[str, str]]]:
    return [json.loads(line)["turns"] for line in (DATA / name).read_text("utf-8").splitlines()]


def told(dialogue: list[tuple[str, str]], *, backwards: bool) -> list[tuple[Speaker, Speaker]]:
    """Wanted and found role of each turn, whatever number the recogniser gave to whom."""
    numbers = sorted({who for who, _ in dialogue}, reverse=backwards)
    turns = [Turn(Speaker.UNKNOWN, text, str(numbers.index(who))) for who, text in dialogue]
    return [(ROLES[who], turn.role) for (who, _), turn in zip(dialogue, settle(turns).turns, strict=True)]


@pytest.mark.parametrize(("name", "at_least", "least"), [("role_dialogues.jsonl", 60, 0.95), ("role_dialogues_held_back.jsonl", 20, 0.85)])
def test_voices_without_a_label_are_told_apart(name: str, at_least: int, least: float) -> None:
    found = dialogues(name)
    assert len(found) >= at_least
    whole = [all(wanted is got for back in (False, True) for wanted, got in told(one, backwards=back)) for one in found]
    assert sum(whole) / len(found) >= least, [one[0] for one, right in zip(found, whole, strict=True) if not right]


@pytest.mark.parametrize("name", ["role_dialogues.jsonl", "role_dialogues_held_back.jsonl"])
def test_hardly_a_word_of_the_customers_is_taken_for_the_agents(name: str) -> None:
    turns = [pair for one in dialogues(name) for pair in told(one, backwards=False)]
    lost = [pair for pair in turns if pair == (Speaker.CUSTOMER, Speaker.AGENT)]
    assert len(lost) / len(turns) < 0.01


def test_without_voices_hardly_a_word_of_the_customers_is_lost_either() -> None:
    lost = every = 0
    for one in dialogues("role_dialogues.jsonl") + dialogues("role_dialogues_held_back.jsonl"):
        settled = settle([Turn(Speaker.UNKNOWN, text) for _, text in one])
        for (who, _), turn in zip(one, settled.turns, strict=True):
            every += 1
            lost += (ROLES[who], turn.role) == (Speaker.CUSTOMER, Speaker.AGENT)
    assert lost / every < 0.02


def test_what_a_customer_says_that_the_agent_has_said_is_no_sign_of_an_agent() -> None:
    assert scores("上次你们客服跟我说，先生您放心，三天之内给您回复")[0] == 0
    assert scores("先生您放心，三天之内给您回复")[0] > 3
