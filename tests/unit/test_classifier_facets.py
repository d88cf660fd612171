"""The lexicon: its file, and one pass that finds the longest terms."""

from __future__ import annotations

import pytest

from classifiers.facets import FacetIndex, parse_facets, shipped_facets


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
    assert small.single("漏") == ("defect",)


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
    assert len(terms) >= 2253
    assert all(term == term.lower().strip() for term in terms)
    assert len(shipped_facets().codes) >= 40
