"""The corpus repeats neither its texts nor its turns of phrase, and no class outweighs the others; and the check would see it."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from classifiers import corpus
from classifiers.base import Query
from classifiers.corpus import Example
from classifiers.corpus_check import Limits, check, main, pairs, phrases, report
from models.complaint import Customer
from models.verdict import ComplaintClass

LEAK = "去年入住以后主卧天花板一直漏水，物业前后来看过三次，每次都说等雨季过了再修。"


def example(name: str, text: str, *, story: str = "", register: str = "mail", primary: str = "product_quality") -> Example:
    return Example(name, register, Query(text), ComplaintClass(primary), (), (), story or name, Customer())


def test_the_shipped_corpus_keeps_to_the_limits() -> None:
    begun = time.process_time()
    found = check(corpus.shipped_corpus())
    assert not found.over(Limits()), "\n".join(report(found, Limits()))
    # Fast enough to be run after each text that is added; a second on the machine this was written on.
    assert time.process_time() - begun < 20


def test_a_text_told_twice_is_found_whatever_its_punctuation() -> None:
    twice = LEAK.replace("，", " ").replace("。", "！")
    (pair,) = pairs([example("b", twice), example("a", LEAK), example("c", "销售承诺送车位，签约以后不认账了。")], 0.5)
    assert (pair.first, pair.second, pair.alike) == ("a", "b", 1.0)


def test_looking_up_only_the_rarest_grams_misses_no_pair() -> None:
    dice = random.Random(1)
    texts = ["".join(dice.choices("漏水修房", k=dice.randint(0, 60))) for _ in range(60)]
    texts += [text[: len(text) // 2] + "另外一半" * 4 for text in texts[:30]]
    examples = [example(f"t{number:02}", text) for number, text in enumerate(texts)]

    def grams(text: str) -> set[str]:
        return {text[start : start + 5] for start in range(max(1, len(text) - 4))}

    for alike in (0.2, 0.5, 0.9):
        wanted = {
            (one.id, two.id)
            for place, one in enumerate(examples)
            for two in examples[place + 1 :]
            if len(grams(one.query.said) & grams(two.query.said)) / len(grams(one.query.said) | grams(two.query.said)) >= alike
        }
        assert {(pair.first, pair.second) for pair in pairs(examples, alike)} == wanted


def test_a_phrase_counts_by_stories_and_the_longest_is_told() -> None:
    said = "给全体业主一个满意的交代"
    told = [example(f"t{number}", f"第{number}件事，{said}。", story=f"s{number}") for number in range(3)]
    told += [example("t9", f"又一次，{said}！", story="s1")]
    (phrase,) = phrases(told, 3)
    assert (phrase.text, phrase.stories, phrase.example) == (said, 3, "t0")
    assert phrases(told, 4) == []
    # Dates and numbers look alike without being copied.
    assert phrases([example(str(n), "2023年10月15日13800000000", story=str(n)) for n in range(5)], 2) == []


def test_a_class_that_is_rare_in_a_register_is_told() -> None:
    many = [example(f"m{n}", str(n), primary="price" if n else "other") for n in range(60)]
    few = [example("c", "x", register="chat")]
    found = check(many + few)
    assert {register for register, _, _ in found.unbalanced} == {"mail"}
    assert ("mail", ComplaintClass.PRICE, 59 / 60) in found.unbalanced
    assert found.over(Limits())


def written(path: Path, *texts: str) -> Path:
    rows: list[dict[str, Any]] = [
        {"id": f"t-{number}", "register": "mail", "text": text, "primary": "other", "scenario": f"s-{number}"}
        for number, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_command_tells_what_is_over_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path / "good.jsonl", LEAK, "销售承诺送车位，签约以后不认账了。"))]) == 0
    assert "近似重复 near-duplicates (≥ 0.15): 0" in capsys.readouterr().out
    assert main([str(written(tmp_path / "bad.jsonl", LEAK, f"您好。{LEAK}"))]) == 1
    heard = capsys.readouterr()
    assert "t-0  t-1" in heard.out
    assert "超出上限" in heard.err
    assert "over the limits" in heard.err


@pytest.mark.parametrize(
    ("content", "sentences"),
    [
        (None, ("读不了（No such file", "cannot be read (No such file")),
        (b"\xd6\xd0", ("不是 UTF-8", "is not UTF-8")),
        (b"{", ("请改正这一行：some.jsonl:1", "mend this line: some.jsonl:1")),
        (b"\n", ("没有文本", "there are no texts")),
    ],
)
def test_a_file_that_cannot_be_checked_is_told(
    tmp_path: Path, content: bytes | None, sentences: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert main([str(path)]) == 2
    said = capsys.readouterr().err
    assert all(sentence in said for sentence in sentences)
