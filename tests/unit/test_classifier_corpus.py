"""Labelled files: what is accepted, and how a bad line is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from classifiers import corpus
from models.complaint import Customer
from models.verdict import ComplaintClass, Risk

GOOD: dict[str, Any] = {
    "id": "t-1",
    "register": "mail",
    "title": "渗水",
    "text": "阳台渗水，没人来修。",
    "primary": "product_quality",
    "secondary": ["service_attitude"],
    "risk": ["safety"],
    "scenario": "balcony-leak",
    "customer": {"name": "温竹青"},
}


def written(directory: Path, *records: Any) -> Path:
    path = directory / "some.jsonl"
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def test_a_good_line_becomes_an_example(tmp_path: Path) -> None:
    (example,) = corpus.load([written(tmp_path, GOOD)])
    assert example.primary is ComplaintClass.PRODUCT_QUALITY
    assert example.secondary == (ComplaintClass.SERVICE_ATTITUDE,)
    assert example.risk == (Risk.SAFETY,)
    assert example.customer == Customer(name="温竹青")
    assert example.query.channel == "email"
    assert example.query.said == GOOD["text"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"primary": "quality"}, "some.jsonl:2: primary: must be out of"),
        ({"primary": ""}, "some.jsonl:2: primary: must be a text"),
        ({"text": "  "}, "some.jsonl:2: text: must be a text"),
        ({"secondary": ["product_quality"]}, "some.jsonl:2: secondary: holds neither"),
        ({"secondary": ["other"]}, "some.jsonl:2: secondary: holds neither"),
        ({"secondary": "price"}, "some.jsonl:2: secondary: must be out of"),
        ({"risk": ["fire"]}, "some.jsonl:2: risk: must be out of"),
        ({"register": "fax"}, "some.jsonl:2: register: must be one of"),
        ({"scenario": "two words"}, "some.jsonl:2: scenario: must be a slug"),
        ({"customer": {"age": "3"}}, "some.jsonl:2: customer: may hold"),
        ({"customer": {"name": ""}}, "some.jsonl:2: customer: values"),
        ({"title": None}, "some.jsonl:2: title: must be a text"),
        ({"colour": "red"}, "some.jsonl:2: colour: unknown key"),
        ({"id": "t-1"}, "some.jsonl:2: id: t-1 stands twice"),
    ],
)
def test_a_bad_line_is_named_with_file_line_and_key(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    path = written(tmp_path, GOOD, {**GOOD, "id": "t-2", **change})
    with pytest.raises(corpus.BadCorpus) as error:
        corpus.load([path])
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"id": "t-'])
def test_what_is_no_json_object_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(corpus.BadCorpus, match=r"^some\.jsonl:1: not"):
        corpus.load([path])


def test_of_a_call_only_the_customer_is_classified() -> None:
    text = "客服：您好，您要起诉吗？\n客户：不，就是墙裂了，\n裂得很长。\n客服：好的。\n客户：快点来。"
    assert corpus.customer_turns(text) == "不，就是墙裂了，\n裂得很长。\n快点来。"
    assert corpus.customer_turns("没有人名的一段话") == "没有人名的一段话"


def test_the_fingerprint_does_not_depend_on_order_but_on_every_label(tmp_path: Path) -> None:
    one, two = corpus.load([written(tmp_path, GOOD, {**GOOD, "id": "t-2"})])
    assert corpus.fingerprint([one, two]) == corpus.fingerprint([two, one])
    (changed,) = corpus.load([written(tmp_path, {**GOOD, "primary": "price"})])
    assert corpus.fingerprint([changed]) != corpus.fingerprint([one])


def test_the_shipped_corpus_is_sound() -> None:
    examples = corpus.shipped_corpus()
    assert len(examples) >= 400
    assert {example.primary for example in examples} == set(ComplaintClass)
    assert {example.register for example in examples} == set(corpus.REGISTERS)
