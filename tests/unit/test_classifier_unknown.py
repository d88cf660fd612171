"""The report of frequent words that corpus and lexicon do not know, and the staff's file of terms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from classifiers.facets import FacetIndex, parse_facets
from classifiers.unknown import main, read_texts, table, unknown_words

ROOT = Path(__file__).parents[2]

SMALL = FacetIndex(parse_facets(["[defect] product_quality 缺陷", "漏水 墙面返霜"], "small.txt"))

TEXTS = ["墙面返霜，楼上量子泡泡漏水", "又见量子泡泡，<br>138 0000 1234", "量子泡泡的事，漏水了", "只此一处的犀牛"]


def test_what_stands_in_enough_texts_and_in_no_term_is_listed_with_a_place() -> None:
    found = {one.word: one for one in unknown_words(TEXTS, SMALL)}
    assert "量子" in found
    assert found["量子"].texts == 3
    assert "楼上量子泡泡" in found["量子"].example
    assert not {"漏水", "墙面", "犀牛", "<phone>"} & set(found)


def test_known_words_are_left_out_and_the_least_number_of_texts_is_kept_to() -> None:
    assert "量子" not in {one.word for one in unknown_words(TEXTS, SMALL, known={"量子"})}
    assert "犀牛" in {one.word for one in unknown_words(TEXTS, SMALL, least=1)}


def test_a_rare_word_stands_before_a_common_one_and_the_order_is_fixed() -> None:
    texts = ["我们 断桥铝"] * 4
    words = [one.word for one in unknown_words(texts, SMALL)]
    assert words.index("断桥铝") < words.index("我们")
    assert unknown_words(TEXTS, SMALL, least=1) == unknown_words(TEXTS[::-1][::-1], SMALL, least=1)


def test_nothing_at_all_is_told() -> None:
    assert unknown_words([], SMALL) == []
    assert table([]) == "没有常见的生词。"


def test_of_a_transcript_only_the_customer_is_read(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    lines = [{"text": "客服：请讲\n客户：漏水", "register": "phone"}, {"title": "标题", "text": "正文"}]
    path.write_text("\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    assert read_texts(path) == ["\n漏水", "标题\n正文"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"text": "a"}\n{', "bad.jsonl:2: not JSON"),
        (b"[]", "bad.jsonl:1: must be an object"),
        (b'{"text": 1}', "bad.jsonl:1: must be an object"),
        (b'{"text": "a", "title": 1}', "bad.jsonl:1: must be an object"),
        (b"\xff\xfe", "bad.jsonl: must be UTF-8"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: bytes, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^bad\.jsonl") as error:
        read_texts(path)
    assert str(error.value).startswith(sentence)
    assert main([str(path)]) == 1
    assert capsys.readouterr().err.startswith(sentence)


def test_the_staff_file_makes_its_terms_known_and_what_is_ignored_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": "量子泡泡坏了"}) + "\n" for _ in range(3)), encoding="utf-8")
    assert main([str(texts)]) == 0
    assert "量子" in capsys.readouterr().out
    terms = tmp_path / "terms.txt"
    terms.write_text("[part] product_quality 部位\n量子泡泡\n[weather] - 天气\n下雪\n", encoding="utf-8")
    assert main([str(texts), "--terms", str(terms)]) == 0
    heard = capsys.readouterr()
    assert "量子" not in heard.out
    assert "[weather] is not a facet of the lexicon" in heard.err


def test_the_module_runs_by_itself(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "classifiers.unknown", "--top", "5"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 5
    missing = subprocess.run([sys.executable, "-m", "classifiers.unknown", str(tmp_path / "no")], cwd=ROOT, capture_output=True, text=True)
    assert missing.returncode == 1
    assert "No such file" in missing.stderr
