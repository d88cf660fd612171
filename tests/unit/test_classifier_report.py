"""The report: files of other hands are read, and bad ones named."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from classifiers import comparison, corpus, heldout, report, trained_model
from classifiers.corpus import BadCorpus
from classifiers.reading import shipped_reader
from models.verdict import ComplaintClass


def test_a_labelled_file_is_read_as_the_gateway_would(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    rows = (
        {"text": "客服：您好\n客户：墙裂了", "primary": "product_quality", "channel": "phone", "secondary": ["price"]},
        {"text": "墙裂了", "subject": "裂缝", "primary": "other"},
    )
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    queries, labels, secondary = report.labelled(path)
    assert [query.said for query in queries] == ["墙裂了", "墙裂了"]
    assert queries[1].title == "裂缝"
    assert labels == [ComplaintClass.PRODUCT_QUALITY, ComplaintClass.OTHER]
    assert secondary == [[ComplaintClass.PRICE], []]


@pytest.mark.parametrize("line", ['{"text": "墙裂了"}', "[]", '{"primary": "other", "text": 3}'])
def test_a_file_without_labels_is_refused_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(BadCorpus, match=r"^some\.jsonl:1"):
        report.labelled(path)


@pytest.mark.parametrize(
    ("content", "sentences"),
    [
        (None, ("错误：{}：No such file", "error: {}: No such file")),
        (
            '{"text": "墙裂了", "primary": "坏"}',
            ("错误：some.jsonl:1：primary：“坏”不行", "error: some.jsonl:1: primary: '坏' will not do"),
        ),
    ],
)
def test_a_mistake_is_told_before_the_long_part_begins(
    tmp_path: Path, content: str | None, sentences: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert report.command([str(path)]) == 2
    heard = capsys.readouterr()
    assert heard.out == ""
    assert all(sentence.format(path) in heard.err for sentence in sentences)


def test_the_picture_has_a_chart_for_each_register() -> None:
    examples = corpus.shipped_corpus()[::40]
    of = heldout.material(examples, shipped_reader())
    scores = np.random.default_rng(0).normal(size=(len(examples), 5))
    svg = report.reliability_picture(of, heldout.HeldOut(scores, scores), trained_model.load_shipped())
    words = {text.text for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}  # noqa: S314
    assert {"来信", "letter", "邮件", "mail", "对话", "chat", "电话", "phone"} <= words


def test_other_columns_are_compared_on_the_same_folds() -> None:
    of = heldout.material(corpus.shipped_corpus()[::12], shipped_reader())
    stories = heldout.scores(of, heldout.by_story(of))
    strange = heldout.scores(of, heldout.by_register(of), stories)
    lines: list[str] = []
    labels = of.labels[:20]
    comparison.main(of, (stories, strange), [("some", of.readings[:20], stories.primary[:20], labels)], lines.append)
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:] for line in lines if line.startswith("| ")}
    assert {"words", "words and pairs of words", "characters, 1 to 3", "pinyin syllables, 1 to 3"} < set(rows)
    accuracies = {name: float(cells[0].split(" / ")[0]) for name, cells in rows.items() if name != "columns"}
    # Every kind of column knows more than a guess, and the texts that a model was taught are told apart by it.
    assert min(accuracies.values()) > 0.4
    assert float(rows["words"][3].split(" / ")[0]) > 0.8
