"""What every classifier must satisfy, as one call; a new classifier is done when `check_classifier` says nothing."""

from __future__ import annotations

from collections.abc import Sequence

from classifiers.base import Classifier, Query
from models.verdict import ComplaintClass, Decision, Verdict

# Codes that `Verdict.decision_code` may hold, with the decision that each belongs to.
DECISION_CODES = {"sure": Decision.AUTO, "unsure": Decision.REVIEW, "nothing_to_go_by": Decision.REVIEW}

# Texts of every register, and texts that are none.
SAMPLES: tuple[Query, ...] = (
    Query("阳台一下雨就渗水，报修三回了没人来，我要求把防水重新做。", "阳台渗水", "", "email"),
    Query("在吗\n说好的98折签合同没了\n把差的两万补给我", "", "", "chat"),
    Query("我叫温竹青，去年该交的房到现在没交，违约金一分没见。", "", "客服：您好。\n客户：我叫温竹青，去年该交的房到现在没交。", "phone"),
    Query("那個銷售翻白眼，還罵人，請你們給我道歉！！！"),
    Query("请问你们周末几点开门"),
)

HOSTILE: tuple[Query, ...] = (
    Query(""),
    Query("", "", "", None),
    Query(" \n\t\r\n\u3000"),
    Query("😀👨‍👩‍👧‍👦🏠💧" * 50),
    Query("\x00\x01\x02\x7f\x80\x9f"),
    Query("\ud800\udfff漏水\udc00", "\ud83d", "\udfff"),
    Query("漏\u200b水\u202e\u2066倒\ufeff灌"),
    Query("鿕" * 80_000),
    Query("漏水" * 500_000),
    Query("a" * 1_000_000),
    Query("1-" * 500_000, "1" * 10_000, "幺三八" * 100_000),
    Query("@a." * 100_000, "", "姓王" * 100_000),
    Query("我叫" * 50_000, "", "\n" * 300_000),
    Query("<phone>\ue000\ue001\U000f0000<money>"),
    Query("ﬀ㎡½㍿ İß" * 1000),
)


def check_classifier(classifier: Classifier, samples: Sequence[Query] = SAMPLES) -> None:
    """Raises `AssertionError` with a sentence for the first thing that `classifier` does not satisfy.

    Order kept; all five probabilities, adding up to 1; primary and candidates the likeliest; codes from the closed list; reasons' spans
    inside the text; the same answer twice, and alone as in a batch; nothing raised for any string, up to a million characters.
    """
    _require(bool(classifier.version), "a classifier must have a version")
    _require(classifier.classify([]) == [], "no queries must give no verdicts")
    queries = [*samples, *HOSTILE]
    together = classifier.classify(queries)
    _require(len(together) == len(queries), "there must be one verdict for each query")
    for query, verdict in zip(queries, together, strict=True):
        check_verdict(query, verdict, classifier.version)
    _require(classifier.classify(queries) == together, "the same queries must give the same verdicts")
    alone = [classifier.classify([query])[0] for query in queries]
    _require(alone == together, "a query must be answered alone as in a batch")
    _require(classifier.classify(queries[::-1]) == together[::-1], "verdicts must come in the order of the queries")


def check_verdict(query: Query, verdict: Verdict, version: str) -> None:
    """Raises `AssertionError` when `verdict` cannot be a right answer to `query`, whatever its class."""
    chances = verdict.probabilities
    _require(set(chances) == set(ComplaintClass), "all five classes must have a probability")
    _require(abs(sum(chances.values()) - 1) < 1e-9, "probabilities must add up to 1")
    _require(all(0 <= chance <= 1 for chance in chances.values()), "a probability must lie between 0 and 1")
    _require(verdict.candidates[0] is verdict.primary, "the first candidate must be the primary class")
    _require(verdict.candidates[1] is not verdict.primary, "the second candidate must be another class")
    ranked = sorted(chances.values(), reverse=True)
    _require(chances[verdict.primary] == ranked[0], "the primary class must be the likeliest")
    _require(chances[verdict.candidates[1]] == ranked[1], "the candidates must be the two likeliest classes")
    _require(verdict.primary not in verdict.secondary, "the primary class must not be secondary too")
    _require(len(set(verdict.secondary)) == len(verdict.secondary), "a secondary class must be named once")
    _require(len(set(verdict.risk)) == len(verdict.risk), "a risk must be named once")
    _require(DECISION_CODES.get(verdict.decision_code) is verdict.decision, "the decision must fit its code")
    _require(verdict.trained_model == version, "a verdict must name the trained model")
    for reason in verdict.reasons:
        _require(bool(reason.term), "a reason must name its word")
        for start, end in reason.spans:
            _require(0 <= start < end <= len(query.said), "a reason's span must lie inside the text")
    sizes = [abs(reason.weight) for reason in verdict.reasons]
    _require(sizes == sorted(sizes, reverse=True), "the strongest reason must come first")


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)
