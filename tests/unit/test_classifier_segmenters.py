"""Two engines, the same words: jieba is the reference, our loop over its dictionary and rjieba must cut as it does."""

from __future__ import annotations

import math
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from classifiers import corpus, segmenters, train
from classifiers import text as cut
from classifiers.facets import shipped_facets
from classifiers.reading import Reader
from classifiers.segmenters import JiebaSegmenter, RjiebaSegmenter, user_words
from classifiers.trained_model import load


@cache
def jieba() -> JiebaSegmenter:
    return JiebaSegmenter(user_words())


@cache
def rjieba() -> RjiebaSegmenter:
    return RjiebaSegmenter(*segmenters.read_dictionary(segmenters.HOME / "words.txt"))


ANY_TEXT = st.text(alphabet=st.characters(), max_size=120) | st.text(
    alphabet="中国人民漏水物业管理ab1-.%+ ，\n鿕鿖㐀豈𠀀\ue000", max_size=200
)


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT)
@example("漏水\r\n，\r\n")
@example("\r\n")
def test_our_loop_cuts_as_jieba_does(written: str) -> None:
    assert list(jieba().cut(written)) == list(jieba().reference(written))


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT)
@example("a㐀b漏水")
@example("漏水𠀀物业")
@example("管管管A")
def test_rjieba_cuts_a_masked_text_as_jieba_does(written: str) -> None:
    masked, _ = cut.mask(cut.normalise(written).text)
    cut_by_rjieba, wanted = list(rjieba().cut(masked)), list(jieba().reference(masked))
    if cut_by_rjieba != wanted:
        # Two ways that are equally likely (管|管管 and 管管|管): which is taken hangs on the last digit of a sum.
        assert "".join(cut_by_rjieba) == "".join(wanted)
        assert likelihood(cut_by_rjieba) == pytest.approx(likelihood(wanted), rel=1e-12)


def likelihood(words: list[str]) -> float:
    """The logarithm of how likely the words are together, but for a number that hangs on how many they are."""
    return sum(math.log(jieba().frequency(word) or 1) for word in words) - 1000 * len(words)


def test_both_cut_the_corpus_as_jieba_does() -> None:
    for text in corpus.shipped_corpus()[::7]:
        masked, _ = cut.mask(cut.normalise(text.query.said).text)
        wanted = list(jieba().reference(masked))
        assert list(jieba().cut(masked)) == wanted
        assert list(rjieba().cut(masked)) == wanted


def test_both_count_words_alike() -> None:
    words = {word for text in corpus.shipped_corpus()[::40] for word in jieba().cut(text.query.said)} | set(user_words()[::20])
    different = {word: (rjieba().frequency(word), jieba().frequency(word)) for word in words if word.isalnum()}
    # One more or less is rounding, and decides nothing: what is asked is whether a word is common.
    assert {word: pair for word, pair in different.items() if abs(pair[0] - pair[1]) > 1} == {}
    assert rjieba().frequency("从没有过的一个词") == jieba().frequency("从没有过的一个词") == 0


def test_the_written_dictionary_is_that_of_the_lexicon() -> None:
    written = (segmenters.HOME / "words.txt").read_text(encoding="utf-8")
    assert written == segmenters.dictionary(), "run: python -m classifiers.segmenters"


@pytest.mark.parametrize("run", ["龘" * 5_000, "𠀀" * 5_000, "漏水" * 2_000, "a" * 5_000])
def test_long_runs_are_cut_alike(run: str) -> None:
    assert list(rjieba().cut(run)) == list(jieba().cut(run))


def test_without_rjieba_the_answers_are_the_same() -> None:
    queries = [example.query for example in corpus.shipped_corpus()[::90]]
    trained = train.build(corpus.shipped_corpus()[::20])
    fast = load(trained.data, trained.card)
    slow = load(trained.data, trained.card, reader=Reader(jieba(), shipped_facets()))
    assert slow.classify(queries) == fast.classify(queries)


def test_rjieba_is_what_is_used() -> None:
    assert isinstance(segmenters.shipped_segmenter(), RjiebaSegmenter)
