"""Labelled files of other hands: what is understood, and how what is not is named."""

from __future__ import annotations

import codecs
import json
from typing import Any

import pytest

from classifiers.labelled import BadLabelled, Labelled, read
from models.verdict import ComplaintClass, Risk

GOOD: dict[str, Any] = {"text": "墙裂了", "primary": "product_quality"}


def lines(*rows: Any) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def test_everything_that_may_be_labelled_is_read() -> None:
    row = {
        **GOOD,
        "subject": "裂缝",
        "channel": "电话",
        "secondary": ["服务态度", "price"],
        "risk": ["legal"],
        "customer": {"name": "林树", "phone": 13800004321},
    }
    ((found,), unused) = read(lines({**row, "note": "x", "id": "1", "scenario": "s"}), "a.jsonl")
    assert found == Labelled(
        where="a.jsonl:1",
        text="墙裂了",
        title="裂缝",
        channel="phone",
        primary=ComplaintClass.PRODUCT_QUALITY,
        secondary=(ComplaintClass.SERVICE_ATTITUDE, ComplaintClass.PRICE),
        risk=(Risk.LEGAL,),
        customer={"name": "林树", "phone": "13800004321", "email": "", "estate": "", "unit": ""},
    )
    assert unused == ("note",)


def test_what_is_not_labelled_is_not_none() -> None:
    (without, empty), _ = read(lines(GOOD, {**GOOD, "secondary": [], "risk": "", "customer.name": ""}), "a.jsonl")
    assert (without.secondary, without.risk, without.customer) == (None, None, None)
    assert (empty.secondary, empty.risk, empty.customer) == ((), (), {"name": ""})


def test_the_first_class_and_other_are_no_further_classes() -> None:
    ((found,), _) = read(lines({**GOOD, "secondary": "product_quality；合同问题、other"}), "a.jsonl")
    assert found.secondary == (ComplaintClass.CONTRACT,)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("parted", [",", "\t", ";"])
def test_csv_is_read_as_spreadsheets_save_it(encoding: str, parted: str) -> None:
    table = f'正文{parted}类别{parted}次要类别{parted}备注\r\n"墙裂了，\n他说""不管"""{parted}产品质量{parted}"price;contract"{parted}x\r\n'
    table += f"{parted}{parted}{parted}\r\n太贵{parted}价格问题\r\n"
    (one, two), unused = read(table.encode(encoding), "a.csv")
    assert one.text == '墙裂了，\n他说"不管"'
    assert one.secondary == (ComplaintClass.PRICE, ComplaintClass.CONTRACT)
    assert (one.where, two.where) == ("a.csv:2", "a.csv:5")
    assert (two.primary, two.secondary) == (ComplaintClass.PRICE, None)
    assert unused == ("备注",)


def test_a_name_that_tells_nothing_is_seen_through() -> None:
    assert read(lines(GOOD), "-")[0][0].text == "墙裂了"
    assert read("text,primary\n墙裂了,other\n".encode(), "-")[0][0].primary is ComplaintClass.OTHER


def test_other_line_ends_of_unicode_part_no_lines() -> None:
    ((found,), _) = read(json.dumps({**GOOD, "text": "墙\u2028裂"}, ensure_ascii=False).encode() + b"\r\n", "a.jsonl")
    assert found.text == "墙\u2028裂"


def test_a_corpus_file_is_a_labelled_file() -> None:
    (found, bare), _ = read(lines({**GOOD, "register": "letter"}, {**GOOD, "register": "poem"}), "a.jsonl")
    assert (found.channel, bare.channel) == ("email", None)


def test_texts_without_classes_will_do_where_none_are_wanted() -> None:
    ((found,), _) = read(lines({"text": "墙裂了"}), "a.jsonl", labels=False)
    assert found.primary is None


@pytest.mark.parametrize(
    ("row", "zh", "en"),
    [
        ({"text": "x"}, "primary：缺少类别", "primary: is lacking"),
        (
            {**GOOD, "primary": "质量"},
            "primary：“质量”不行，应为 产品质量 product_quality",
            "primary: '质量' will not do: one of product_quality",
        ),
        ({**GOOD, "primary": 3}, "primary：“3”不是文字", "primary: '3' is no text"),
        ({**GOOD, "text": " "}, "text：缺少正文", "text: is lacking"),
        ({**GOOD, "text": None}, "text：缺少正文", "text: is lacking"),
        ({**GOOD, "text": ["x"]}, 'text：“["x"]”不是文字', "text: '[\"x\"]' is no text"),
        ({**GOOD, "channel": "fax"}, "channel：“fax”不行", "channel: 'fax' will not do"),
        ({**GOOD, "secondary": ["坏"]}, "secondary：“坏”不行", "secondary: '坏' will not do"),
        ({**GOOD, "secondary": 5}, "secondary：“5”不行，应为列表", "secondary: '5' will not do: must be a list"),
        ({**GOOD, "risk": "fire"}, "risk：“fire”不行，应为 safety、legal", "risk: 'fire' will not do: one of safety, legal"),
        ({**GOOD, "customer": "x"}, "customer：“x”不行", "customer: 'x' will not do"),
        ({**GOOD, "customer.name": ["x"]}, "customer.name：", "customer.name: "),
        ({**GOOD, "primary": "\x1b[31m" + "坏" * 99}, "“�[31m" + "坏" * 25 + "…”", "'�[31m" + "坏" * 25 + "…'"),
        ([], "不是 JSON 对象", "is no JSON object"),
    ],
)
def test_a_bad_line_is_named_by_file_line_key_and_value(row: Any, zh: str, en: str) -> None:
    with pytest.raises(BadLabelled) as error:
        read(lines(GOOD, row), "a.jsonl")
    assert error.value.zh.startswith("a.jsonl:2：")
    assert zh in error.value.zh
    assert error.value.en.startswith("a.jsonl:2: ")
    assert en in error.value.en


@pytest.mark.parametrize(
    ("data", "name", "zh"),
    [
        (b"", "a.csv", "a.csv：文件是空的"),
        (b"\xef\xbb\xbf\n \n", "a.jsonl", "a.jsonl：文件是空的"),
        (b"text,primary\n", "a.csv", "a.csv：只有列名"),
        ("漏水,price\n".encode(), "a.csv", "a.csv:1：text：首行“漏水、price”里没有这一列"),
        (b"text,primary,text\nx,price,\n", "a.csv", "a.csv:1：text：这一列出现了两次"),
        ('text,primary\nx,price\n"漏水,price\n下一行,price\n'.encode(), "a.csv", "a.csv:3：引号没有成对"),
        ("text,primary\n漏水,都坏了,price\n".encode(), "a.csv", "a.csv:2：这一行有 3 格，列名只有 2 个"),
        (b'[{"text": "x"}]', "a.json", "a.json:1：这是一个 JSON 数组"),
        (b"[" * 100_000, "a.jsonl", "a.jsonl:1：这是一个 JSON 数组"),
        (b'{"a":' * 100_000, "a.jsonl", "a.jsonl:1：“"),
        (b"PK\x03\x04....", "a.xlsx", "a.xlsx：这是 Excel 文件"),
        (b"text\n\xff\xff\xff", "a.csv", "a.csv:2：既不是完好的 UTF-8，也不是 GB18030"),
        # Read as GB18030 the damaged file would be other words, and all figures would be wrong.
        ("text,primary\n墙面开裂漏水三个月没人修,price\n".encode() + "墙面".encode()[:5] + b",price\n", "a.csv", "a.csv:3：既不是完好的"),
        (codecs.BOM_UTF16_LE + b"x", "a.csv", "a.csv:1：既不是完好的"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(data: bytes, name: str, zh: str) -> None:
    with pytest.raises(BadLabelled) as error:
        read(data, name)
    assert error.value.zh.startswith(zh)
    assert error.value.en.startswith(name)


def test_all_bad_lines_are_told_at_once_up_to_ten() -> None:
    with pytest.raises(BadLabelled) as error:
        read(lines(*[{"text": "x"}] * 14), "a.jsonl")
    assert error.value.zh.count("缺少类别") == error.value.en.count("is lacking") == 10
    assert error.value.zh.endswith("另有 4 处")
    assert error.value.en.endswith("and 4 more")
