"""Risks (预案 二) on 140 composed hard texts: euphemism, indirect threats, sarcasm, negation, idiom, hearsay, misheard words.

Not all are found, and they need not be: the floors say how much must be, so that a change of the lexicon that loses it shows.
"""

from __future__ import annotations

import json
from pathlib import Path

from classifiers.risk import risks
from classifiers.text import normalise
from models.verdict import Risk

HARD = Path(__file__).parent / "data" / "risk_hard.jsonl"


def test_most_of_the_hard_texts_are_read_rightly() -> None:
    rows = [json.loads(line) for line in HARD.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 140
    right, wrong, missed = dict.fromkeys(Risk, 0), dict.fromkeys(Risk, 0), dict.fromkeys(Risk, 0)
    for row in rows:
        labels = {Risk(name) for name in row["risk"]}
        found = set(risks(normalise(row["text"]).text))
        for risk in Risk:
            right[risk] += risk in labels & found
            wrong[risk] += risk in found - labels
            missed[risk] += risk in labels - found
    for risk in Risk:
        share = 2 * right[risk] / (2 * right[risk] + wrong[risk] + missed[risk])
        assert share >= 0.75, (risk, right[risk], wrong[risk], missed[risk])


def test_what_is_no_risk_is_seldom_called_one() -> None:
    plain = [row for row in map(json.loads, HARD.read_text(encoding="utf-8").splitlines()) if not row["risk"]]
    called = [row["text"] for row in plain if risks(normalise(row["text"]).text)]
    assert len(plain) >= 40
    assert len(called) <= 7, called
