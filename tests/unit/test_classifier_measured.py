"""A classifier measured by labelled texts, and the pictures of it, on sets small enough to count by hand."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest

from classifiers import pictures
from classifiers.drawing import Sheet
from classifiers.evaluate import interval
from classifiers.labelled import Labelled
from classifiers.measured import Measured, measure, thinned
from models.complaint import Customer
from models.verdict import ComplaintClass, Decision, Risk, Verdict

Q, S, C, P, O = ComplaintClass  # noqa: E741
SVG = "{http://www.w3.org/2000/svg}"


def verdict(
    primary: ComplaintClass, chance: float, *, alone: bool = False, secondary: Sequence[ComplaintClass] = (), **customer: str
) -> Verdict:
    rest = (1 - chance) / 4
    return Verdict(
        primary=primary,
        probabilities={name: chance if name is primary else rest for name in ComplaintClass},
        secondary=tuple(secondary),
        decision=Decision.AUTO if alone else Decision.REVIEW,
        decision_code="sure" if alone else "unsure",
        candidates=(primary, P),
        risk=(Risk.SAFETY,),
        reasons=(),
        customer=Customer(**customer),
        trained_model="m1",
    )


def measured() -> Measured:
    rows = [
        ("a.csv", Labelled("a.csv:2", "x", channel="email", primary=Q, secondary=(S,), risk=(Risk.SAFETY,), customer={"name": "林树"})),
        ("a.csv", Labelled("a.csv:3", "x", channel="phone", primary=S, risk=(), customer={"name": "", "phone": "138 0000 4321"})),
        ("b.csv", Labelled("b.csv:2", "x", primary=C)),
        ("b.csv", Labelled("b.csv:3", "x", channel="email", primary=O)),
    ]
    verdicts = [
        verdict(S, 0.9, alone=True),
        verdict(S, 0.8, alone=True, secondary=[P], name="误认", phone="138-0000-4321"),
        verdict(C, 0.6),
        verdict(O, 0.95),
    ]
    return measure(rows, verdicts)


def test_the_whole_and_its_parts_are_counted() -> None:
    found = measured()
    assert found.model == "m1"
    assert found.figures.texts == 4
    assert found.figures.accuracy == 0.75
    assert found.figures.auto == (2, 1)
    assert {name: made.texts for name, made in found.channels.items()} == {"email": 2, "phone": 1, "unknown": 1}
    assert {name: made.accuracy for name, made in found.files.items()} == {"a.csv": 0.5, "b.csv": 1.0}


def test_what_is_labelled_only_here_and_there_is_measured_only_there() -> None:
    found = measured()
    # The first text alone has its further classes labelled; naming one for the second is no mistake then.
    assert (found.secondary_texts, found.figures.secondary_f1) == (1, 0.0)
    # An answer that is a labelled further class is right in the lenient figure.
    assert found.figures.lenient == 1.0
    assert (found.risk_texts, found.risk_f1) == (2, pytest.approx(2 / 3))
    assert found.channels["unknown"].secondary_f1 is None


def test_fields_are_compared_without_blanks_and_strokes() -> None:
    customer = measured().customer
    name, phone = customer["name"], customer["phone"]
    assert (name.texts, name.said, name.found, name.right) == (2, 1, 1, 0)
    assert (phone.texts, phone.said, phone.found, phone.right) == (1, 1, 1, 1)
    assert set(customer) == {"name", "phone"}


def test_the_curve_leaves_out_what_is_never_routed_alone() -> None:
    assert [(point.share, point.error, point.least) for point in measured().curve] == [
        (0.25, 1.0, 0.9),
        (0.5, 0.5, 0.8),
        (0.75, pytest.approx(1 / 3), 0.6),
    ]
    assert [(one.texts, one.right) for one in measured().bins] == [(1, 1.0), (1, 1.0), (2, 0.5)]


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    curve = measured().curve * 300
    assert len(thinned(curve)) <= 201
    assert thinned(curve)[-1] == curve[-1]
    assert thinned([]) == []


def test_json_has_null_where_there_is_nothing_to_have_a_share_of() -> None:
    told = json.loads(json.dumps(measured().as_json()))
    assert (told["auto_texts"], told["auto_wrong"], told["auto_error"]) == (2, 1, 0.5)
    assert told["channels"]["unknown"]["auto_error"] is None
    assert told["customer"]["phone"] == {"texts": 1, "said": 1, "found": 1, "right": 1}
    assert told["confusion"][0] == [0, 1, 0, 0, 0]
    assert [point["least"] for point in told["coverage"]] == [0.9, 0.8, 0.6]


def test_an_interval_holds_the_share_and_is_honest_about_few() -> None:
    assert interval(0, 0) == (0.0, 1.0)
    low, high = interval(0, 27)
    assert low == pytest.approx(0.0)
    assert high == pytest.approx(0.125, abs=0.001)
    assert interval(45, 50) == (pytest.approx(0.786, abs=0.001), pytest.approx(0.957, abs=0.001))


@pytest.mark.parametrize(
    ("language", "there", "not_there"),
    [
        ("both", ("准确率 accuracy", "产品质量 product quality", "邮件 email", "姓名 name", "b.csv"), ()),
        ("zh", ("准确率", "产品质量", "渠道不明", "姓名"), ("accuracy", "product")),
        ("en", ("accuracy", "product quality", "label \\ answer", "unknown"), ("准确率", "产品")),
    ],
)
def test_the_table_speaks_the_language_asked_for(language: str, there: Sequence[str], not_there: Sequence[str]) -> None:
    table = measured().table(language)  # type: ignore[arg-type]
    assert all(words in table for words in there)
    assert not any(words in table for words in not_there)


def test_columns_stand_below_one_another_although_chinese_is_wide() -> None:
    table = measured().table("both").split("\n\n")[2]

    def wide(line: str) -> int:
        return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)

    # F1 has no English name, so the second heading ends like the others all the same.
    assert len({wide(line) for line in table.splitlines()}) == 1


def test_a_text_without_its_class_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match=r"^a\.csv:7: has no class"):
        measure([("a.csv", Labelled("a.csv:7", "x"))], [verdict(Q, 0.9)])


def test_the_picture_is_well_formed_whatever_the_names_are() -> None:
    svg = pictures.of_measured(measured(), ["<&\"'\x00\ud800\ufffe>.csv"])
    tree = ElementTree.fromstring(svg)  # noqa: S314
    words = ["".join(text.itertext()) for text in tree.iter(f"{SVG}text")]
    assert any("<&\"'���>.csv" in word for word in words)
    assert {"概率可信吗", "哪些类别混淆", "自动分派的代价"} <= set(words)
    assert {"service attitude", "share that is right", "error among these"} <= set(words)
    # A bin for each point, a cell for each pair of classes.
    assert len(list(tree.iter(f"{SVG}rect"))) == 1 + 3 + 25
    assert svg == pictures.of_measured(measured(), ["<&\"'\x00\ud800\ufffe>.csv"])


def test_every_shape_lies_on_the_sheet() -> None:
    found = measured()
    many = measure([("a", Labelled("a:1", "x", primary=Q))] * 99999, [verdict(S, 1.0, alone=True)] * 99999)
    for svg in (
        pictures.of_measured(found, ["a"]),
        pictures.of_measured(many, ["很长的文件名" * 40]),
        pictures.of_registers(
            {"mail": ("邮件", found.bins, found.figures), "chat": ("对话", (), found.figures), "x": ("某", (), found.figures)}, "m"
        ),
    ):
        tree = ElementTree.fromstring(svg)  # noqa: S314
        width, height = float(tree.attrib["width"]), float(tree.attrib["height"])
        for shape in tree.iter():
            for key in ("x", "x1", "x2", "cx"):
                assert 0 <= float(shape.attrib.get(key, 0)) <= width
            for key in ("y", "y1", "y2", "cy"):
                assert 0 <= float(shape.attrib.get(key, 0)) <= height
        assert not re.search("nan|inf", svg)


def test_what_a_sheet_is_told_is_escaped() -> None:
    sheet = Sheet(10, 10, "<t>", "a & b")
    sheet.text(1, 2, "</text><script>", turned=True)
    sheet.dot(1, 2, 3, fill="#000000", hint="a < b")
    tree = ElementTree.fromstring(sheet.svg())  # noqa: S314
    assert [element.tag.removeprefix(SVG) for element in tree] == ["title", "desc", "rect", "text", "circle"]
    assert tree[3].text == "</text><script>"
