"""The report: files of other hands are read, and bad ones named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from classifiers import report
from classifiers.corpus import BadCorpus
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
