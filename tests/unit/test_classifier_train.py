"""Training: the same texts give the same bytes, other bytes are refused, and the card tells the truth."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from classifiers import corpus, train, trained_model
from classifiers.base import Query
from classifiers.corpus import Example
from classifiers.reading import shipped_reader
from classifiers.stored import BadTrainedModel, digest, pack, parts, unpack
from models.verdict import ComplaintClass

ROOT = Path(__file__).parents[2]

CODE = """
import sys
from classifiers import corpus, train, trained_model
trained = train.build(corpus.shipped_corpus()[::12])
sys.stdout.write(trained.card["sha256"])
"""


@cache
def few() -> tuple[Example, ...]:
    return tuple(corpus.shipped_corpus()[::12])


@cache
def trained() -> trained_model.Trained:
    return train.build(few())


def test_another_process_trains_the_same_bytes_on_one_thread() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    # Here the seed is drawn by lot and there is a thread a core.
    assert done.stdout == trained().card["sha256"]


def test_the_order_of_the_examples_does_not_matter() -> None:
    assert train.build(few()[::-1]).card == trained().card


def test_the_card_tells_what_was_trained() -> None:
    card = json.loads(json.dumps(trained().card))
    assert card["sha256"] == digest(trained().data)
    assert card["version"] == card["sha256"][:12]
    assert card["corpus"] == {"sha256": corpus.fingerprint(few()), "texts": len(few())}
    assert {"jieba", "scikit-learn", "skops"} <= set(card["libraries"])
    assert card["figures"]["all"]["texts"] == len(few())


def test_a_loaded_model_answers_with_reasons_that_point_into_the_text() -> None:
    classifier = trained_model.load(trained().data, trained().card)
    said = "主卧天花板漏水，墙面开裂，要求返工维修"
    (verdict,) = classifier.classify([Query(said)])
    assert verdict.primary is ComplaintClass.PRODUCT_QUALITY
    assert verdict.trained_model == classifier.version == trained().card["version"]
    assert verdict.reasons
    pointed = [said[start:end] for reason in verdict.reasons for start, end in reason.spans]
    assert "漏水" in pointed


def test_spans_point_at_what_the_customer_wrote() -> None:
    classifier = trained_model.load(trained().data, trained().card)
    said = "客廳天花板漏\u200b水"
    (verdict,) = classifier.classify([Query(said)])
    (reason,) = [reason for reason in verdict.reasons if reason.term == "漏水"]
    assert [said[start:end] for start, end in reason.spans] == ["漏\u200b水"]


def test_reasons_add_up_to_the_score() -> None:
    classifier = trained_model.load(trained().data, trained().card)
    queries = [example.query for example in corpus.shipped_corpus()[5::100]]
    for query, verdict in zip(queries, classifier.classify(queries), strict=True):
        if verdict.reasons:
            # The score of the primary class above the mean of all is what its probability says, times the temperature.
            logs = [math.log(chance) for chance in verdict.probabilities.values()]
            score = classifier.bounds.temperature * (math.log(verdict.probabilities[verdict.primary]) - sum(logs) / len(logs))
            assert sum(reason.weight for reason in verdict.reasons) == pytest.approx(score, abs=0.02), query.said


def test_changed_bytes_are_refused() -> None:
    data = bytearray(trained().data)
    data[len(data) // 2] ^= 1
    with pytest.raises(BadTrainedModel, match="hash"):
        trained_model.load(bytes(data), trained().card)


@pytest.mark.parametrize("card", [{}, {"sha256": None}, {"sha256": ""}])
def test_a_card_without_the_hash_is_refused(card: dict[str, object]) -> None:
    with pytest.raises(BadTrainedModel, match="hash"):
        trained_model.load(trained().data, card)


def test_types_that_are_not_trusted_are_refused_even_with_the_right_hash() -> None:
    data = skops.io.dumps({"pipeline": os.system})
    for read in (unpack, parts):
        with pytest.raises(BadTrainedModel, match="not trusted"):
            read(data, digest(data))


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", skops.io.dumps({})[:-30]])
def test_bytes_that_make_no_sense_are_refused(content: bytes) -> None:
    for read in (unpack, parts):
        with pytest.raises(BadTrainedModel):
            read(content, digest(content))


@pytest.mark.parametrize("content", [{}, {"pipeline": 3}, {"pipeline": LinearRegression()}, [1, 2]])
def test_a_model_that_lacks_a_part_is_refused(content: object) -> None:
    data = pack(content)
    with pytest.raises(BadTrainedModel):
        trained_model.load(data, {"sha256": digest(data), "version": "x"})


def test_too_few_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        train.build(few()[:20])


def test_the_shipped_model_is_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "shipped_corpus", lambda: list(few()))
    heard: list[tuple[str, float]] = []
    made = train.build_shipped(lambda what, share: heard.append((what, share)), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shipped.json", "shipped.skops"]
    assert trained_model.read_shipped(tmp_path / "shipped.skops").data == made.data
    assert trained_model.load_shipped(tmp_path / "shipped.skops").version == made.card["version"]
    assert [share for _, share in heard] == sorted(share for _, share in heard)
    assert heard[-1] == ("done", 1.0)


def test_a_model_that_was_not_built_is_missed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        trained_model.load_shipped(tmp_path / "shipped.skops")


def test_a_swapped_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shipped.skops").write_bytes(trained().data)
    (tmp_path / "shipped.json").write_text("[]", encoding="utf-8")
    with pytest.raises(BadTrainedModel, match="card"):
        trained_model.load_shipped(tmp_path / "shipped.skops")


def test_the_gateway_reads_the_file_as_skops_does_but_imports_nothing() -> None:
    data, sha256 = trained().data, trained().card["sha256"]
    own, whole = parts(data, sha256), unpack(data, sha256)
    steps = dict(own["pipeline"].values["steps"])
    for name, estimator in whole["pipeline"].named_steps.items():
        stored = steps[name]
        assert stored.kind == f"{type(estimator).__module__}.{type(estimator).__name__}"
        for key, value in estimator.__getstate__().items():
            if key != "_sklearn_version":
                assert np.array_equal(stored.values[key], value), key
    assert own["threshold"] == whole["threshold"]
    assert own["least"] == whole["least"]


def test_the_scores_are_those_of_the_pipeline() -> None:
    classifier = trained_model.load(trained().data, trained().card)
    pipeline = unpack(trained().data, trained().card["sha256"])["pipeline"]
    readings = shipped_reader().read_all([example.query for example in few()[::5]])
    assert np.allclose(classifier.scores(classifier.rows(readings))[0], pipeline.decision_function(readings), atol=1e-12)


def test_a_batch_answers_as_one_by_one() -> None:
    classifier = trained_model.load(trained().data, trained().card)
    queries = [Query(""), *(example.query for example in few()[::9]), Query(""), Query("好")]
    assert classifier.classify(queries) == [classifier.classify([query])[0] for query in queries]


def test_answering_needs_neither_jieba_nor_scikit_learn() -> None:
    # They take two seconds and 150 MB at every start of the gateway.
    code = "import sys; from classifiers import trained_model, segmenters; segmenters.shipped_segmenter().cut('漏水'); print("
    code += "sorted({'jieba', 'sklearn', 'scipy', 'skops'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def changed(path: tuple[str, ...], value: object) -> tuple[bytes, dict[str, object]]:
    """The trained model with one value changed, and a card that names its hash."""
    content = unpack(trained().data, trained().card["sha256"])
    place = content
    for key in path[:-1]:
        place = place[key] if isinstance(place, dict) else place.named_steps[key] if hasattr(place, "named_steps") else getattr(place, key)
    if isinstance(place, dict):
        place[path[-1]] = value
    else:
        setattr(place, path[-1], value)
    data = pack(content)
    return data, {"sha256": digest(data), "version": "x"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("pipeline", "classes", "intercept_"), np.zeros(3, dtype=np.float32)),
        (("pipeline", "classes", "coef_"), np.zeros((5, 3), dtype=np.float32)),
        (("pipeline", "classes", "intercept_"), np.full(5, np.nan, dtype=np.float32)),
        (("also", "intercept_"), np.array(["a"] * 5)),
        (("pipeline", "features", "idf_"), np.zeros(1, dtype=np.float32)),
        (("pipeline", "features", "idf_"), np.float64(3)),
        (("pipeline", "features", "word_weight"), None),
        (("pipeline", "features", "word_weight"), "2"),
        (("pipeline", "features", "names_"), "一\n一"),
        (("temperature",), 0.0),
        (("temperature",), -1.0),
        (("threshold",), float("nan")),
        (("least",), [0.1]),
        (("secondary",), [float("inf")] * 5),
        (("least",), [10**400] * 5),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_anything_is_answered(path: tuple[str, ...], value: object) -> None:
    with pytest.raises(BadTrainedModel):
        trained_model.load(*changed(path, value))


def test_a_compressed_file_is_refused() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(trained().data)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name in source.namelist():
            made.writestr(name, source.read(name))
    with pytest.raises(BadTrainedModel, match="compressed"):
        parts(target.getvalue(), digest(target.getvalue()))
