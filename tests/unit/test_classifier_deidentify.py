"""Whose a text is goes, what it complains of stays."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import corpus, trained_model
from classifiers.base import Query
from classifiers.deidentify import NOBODY, Deidentifier
from classifiers.text import LONGEST

HIDE = Deidentifier()


def masked(text: str, **more: object) -> str:
    return HIDE.mask("", text, **more)[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("请打 13912345678", "请打 13000000000"),
        ("请打 139-1234-5678 找我", "请打 130-0000-0000 找我"),
        ("+86 139 1234 5678", "+86 130 0000 0000"),
        ("１３９１２３４５６７８", "13000000000"),
        ("电话幺三九幺二三四五六七八", "电话一三零零零零零零零零零"),
        ("电话一三九零零一二三四五六。", "电话一三零零零零零零零零零。"),
        ("座机 010-62345678", "座机 000-00000000"),
        ("电话62345678", "电话11111111"),
        ("邮箱 Lin.Shu@mail.example.com", "邮箱 x@example.com"),
        ("身份证110101199003077715", "身份证111111111111111111"),
        ("身份证 11010119900307771X", "身份证 11111111111111111X"),
        ("护照号：E12345678", "护照号：X11111111"),
        ("卡号6222021234567890123", "卡号1111111111111111111"),
        ("卡 6222 0212 3456 7890", "卡 1111 1111 1111 1111"),
        ("车牌京A12345 被划", "车牌京X11111 被划"),
        ("粤B·D12345 停在门口", "粤X·X11111 停在门口"),
        ("加我微信 lin_shu88", "加我微信 xxx_xxx11"),
        ("vx: LinShu-2020", "vx: XxxXxx-1111"),
        ("QQ号 123456789", "QQ号 111111111"),
        ("微信同号13912345678", "微信同号13000000000"),
        ("我是6栋2单元1503的业主，漏水", "我是6栋2单元1111的业主，漏水"),
    ],
)
def test_what_is_known_by_its_form(text: str, hidden: str) -> None:
    assert masked(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "2026年3月1日交房，面积98.5平，总价213万，首付三成",
        "合同第12条第3款，违约金万分之五",
        "打了12315和400-820-8820都没人管",
        "晚上8点半，3号楼电梯停了2小时",
        "卫生间漏水三个月没人修",
        "",
    ],
)
def test_what_a_complaint_needs_stays(text: str) -> None:
    assert masked(text) == text


def test_the_name_goes_wherever_it_stands() -> None:
    title, text = HIDE.mask("林树的投诉", "我叫林树，联系林先生即可。物业说林树没有交费。")
    assert (title, text) == (f"{NOBODY}的投诉", f"我叫{NOBODY}，联系{NOBODY}先生即可。物业说{NOBODY}没有交费。")


def test_a_name_that_only_the_envelope_or_the_agent_says() -> None:
    assert masked("漏水了。林树 上", names=["林树"]) == f"漏水了。{NOBODY} 上"
    call = "客服：请问怎么称呼？\n客户：林树。\n客户：漏水了，林树我等着。"
    assert "林树" not in masked("漏水了，林树我等着。", context=call)
    assert masked("Grace来过，Graceful", names=["Grace"]) == f"{NOBODY}来过，Graceful"


def test_a_surname_alone_is_only_taken_where_it_is_one() -> None:
    assert masked("我姓林，树林里的林女士", names=["林"]) == f"我姓{NOBODY}，树林里的{NOBODY}女士"


def test_control_characters_and_line_ends_are_made_one() -> None:
    assert masked(" 漏水\r\n三个月\r没修\x00\x0b\ufffe ") == "漏水\n三个月\n没修"


def test_an_endless_text_is_kept_as_far_as_it_is_read() -> None:
    long = "漏水" * LONGEST + "13912345678"
    kept = masked(long)
    assert len(kept) == LONGEST
    assert kept.endswith("13000000000")
    assert masked(kept) == kept


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("139一三幺零2016京A微信qq@.:号我叫姓林树先生 -\n")), max_size=80))
def test_it_never_raises_and_doing_it_twice_changes_nothing(text: str) -> None:
    once = HIDE.mask(text[:20], text)
    assert HIDE.mask(*once) == once


def test_what_is_labelled_in_the_corpus_is_gone_and_the_verdict_stays() -> None:
    """Over texts of every register: no phone or mail address is left, and the classifier answers as before."""
    classifier = trained_model.load_shipped()
    chosen = random.Random(7).sample(corpus.shipped_corpus(), 600)
    hidden = [HIDE.mask(one.query.title, one.query.said, names=[one.customer.name or ""]) for one in chosen]
    for one, (title, text) in zip(chosen, hidden, strict=True):
        for value in (one.customer.phone, one.customer.email):
            assert value is None or value not in f"{title}\n{text}" or set(value) <= set("013"), one.id
    before = classifier.classify([Query(one.query.said, one.query.title, "", one.query.channel) for one in chosen])
    after = classifier.classify([Query(text, title, "", one.query.channel) for one, (title, text) in zip(chosen, hidden, strict=True)])
    moved = [max(abs(a.probabilities[k] - b.probabilities[k]) for k in a.probabilities) for a, b in zip(before, after, strict=True)]
    changed = sum(a.primary is not b.primary for a, b in zip(before, after, strict=True))
    assert changed <= 4
    assert sum(moved) / len(moved) < 0.005
    assert sorted(moved)[int(0.97 * len(moved))] < 0.05
