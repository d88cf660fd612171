"""The lexicon: its file, and one pass that finds the longest terms."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from classifiers import corpus, train, trained_model
from classifiers.base import Query
from classifiers.facets import FacetIndex, load_facets, parse_facets, shipped_facets
from classifiers.reading import shipped_reader
from classifiers.text import normalise


def index(*lines: str) -> FacetIndex:
    return FacetIndex(parse_facets(lines, "small.txt"))


def test_the_longest_term_hides_the_shorter_ones() -> None:
    small = index("[complaint] - 投诉", "投诉", "[none] - 不是", "不是投诉")
    assert [(hit.term, hit.facets) for hit in small.find("我不是投诉，他要投诉")] == [("不是投诉", ("none",)), ("投诉", ("complaint",))]


def test_a_term_may_be_a_sign_of_several_things() -> None:
    small = index("[one] - 一", "车位", "[two] - 二", "车位")
    assert small.find("买车位")[0].facets == ("one", "two")


def test_single_characters_count_only_as_words() -> None:
    small = index("[defect] - 缺陷", "漏 漏水")
    assert [hit.term for hit in small.find("遗漏")] == []
    assert small.single.get("漏", ()) == ("defect",)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (("漏水",), "small.txt:1: terms before the first facet"),
        (("# 说明", "[defect] 缺陷"), "small.txt:2: a facet's head must read"),
        (("[defect - 缺陷",), "small.txt:1: a facet's head must read"),
        (("[one] - 一", "漏", "[one] - 一"), "small.txt:3: facet one stands twice"),
    ],
)
def test_a_bad_file_is_named_with_its_line(lines: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match="small") as error:
        parse_facets(lines, "small.txt")
    assert str(error.value).startswith(sentence)


def test_the_shipped_lexicon_is_normalised_and_large() -> None:
    terms = list(shipped_facets().terms())
    assert len(terms) >= 5300
    assert [term for term in terms if normalise(term).text != term] == []
    assert [term for term in terms if len(term) < 2] == []
    assert 45 <= len(shipped_facets().codes) <= 60
    assert min(len(facet.terms) for facet in shipped_facets().facets) >= 10


def test_few_shipped_terms_stand_in_two_facets_and_none_in_three() -> None:
    owners = Counter(term for facet in shipped_facets().facets for term in facet.terms)
    assert max(owners.values()) == 2
    assert sum(count > 1 for count in owners.values()) <= 20


def test_no_shipped_term_hits_everywhere() -> None:
    examples = corpus.shipped_corpus()
    texts: Counter[str] = Counter()
    for example in examples:
        hits = shipped_facets().find(normalise(f"{example.query.title}\n{example.query.said}").text)
        texts.update({hit.term for hit in hits})
    assert [term for term, count in texts.items() if count > len(examples) / 4] == []


def staff(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_staff_file_adds_terms_to_facets_and_writes_them_as_normalised(tmp_path: Path) -> None:
    path = staff(tmp_path / "terms.txt", "\ufeff# 我们的词", "[defect] x 随便", "量子泡泡 ＡＢ牆", "渦")
    facets = load_facets(path)
    assert facets.codes == shipped_facets().codes
    assert facets.told == ()
    assert [hit.facets for hit in facets.find("量子泡泡和ab墙")] == [("defect",), ("defect",)]
    assert facets.single.get("涡", ()) == ("defect",)
    hints = {facet.code: (facet.hint, facet.zh) for facet in facets.facets}
    assert hints == {facet.code: (facet.hint, facet.zh) for facet in shipped_facets().facets}
    assert shipped_facets().find("量子泡泡") == []


def test_a_new_facet_and_an_empty_term_in_a_staff_file_are_ignored_and_told(tmp_path: Path) -> None:
    facets = load_facets(staff(tmp_path / "terms.txt", "[weather] - 天气", "下雪 冰雹", "[defect] - 缺陷", "\u200b 量子泡泡"))
    assert facets.codes == shipped_facets().codes
    assert facets.told == (
        "terms.txt: [weather] is not a facet of the lexicon; its 2 terms are ignored",
        "terms.txt: [defect] '\\u200b' is no word once it is normalised; it is ignored",
    )
    assert facets.find("冰雹") == shipped_facets().find("冰雹")
    assert facets.find("量子泡泡")[0].facets == ("defect",)


def test_without_a_staff_file_the_lexicon_is_the_shipped_one(tmp_path: Path) -> None:
    assert load_facets() is shipped_facets()
    assert load_facets(tmp_path / "none.txt") is shipped_facets()
    assert shipped_reader(tmp_path / "none.txt").facets is shipped_facets()


def test_a_bad_staff_file_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^terms.txt:2: a facet's head must read"):
        load_facets(staff(tmp_path / "terms.txt", "# x", "[defect]"))
    (tmp_path / "terms.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"^terms.txt: must be UTF-8"):
        load_facets(tmp_path / "terms.txt")


@cache
def trained() -> trained_model.Trained:
    return train.build(corpus.shipped_corpus()[::12])


def test_a_trained_model_weighs_the_terms_that_staff_adds(tmp_path: Path) -> None:
    path = staff(tmp_path / "terms.txt", "[defect] - 缺陷", "量子泡泡", "[weather] - 天气", "下雪")
    before = trained_model.load(trained().data, trained().card)
    after = trained_model.load(trained().data, trained().card, reader=shipped_reader(path))
    query = Query("我家出现量子泡泡", "", "我家出现量子泡泡", "chat")
    plain, helped = before.classify([query])[0], after.classify([query])[0]
    assert helped.probabilities["product_quality"] > plain.probabilities["product_quality"]
    assert "量子泡泡" in {reason.term for reason in helped.reasons}
    other = Query("下雪", "", "下雪", "chat")
    assert before.classify([other]) == after.classify([other])


def test_a_trained_model_passes_over_a_facet_that_it_was_not_taught() -> None:
    facets = FacetIndex((*shipped_facets().facets, *parse_facets(["[weather] - 天气", "下雪"], "small.txt")))
    reader = shipped_reader()
    reader.facets = facets
    query = Query("下雪，漏水", "", "下雪，漏水", "chat")
    known = trained_model.load(trained().data, trained().card).classify([query])
    assert trained_model.load(trained().data, trained().card, reader=reader).classify([query]) == known
