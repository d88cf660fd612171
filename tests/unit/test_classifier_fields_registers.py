"""Who and what over letters, mails, chats and calls: a table of invented texts, and what must never become a field."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from classifiers.base import Query
from classifiers.corpus import REGISTERS, customer_turns
from classifiers.fields import FieldFinder

FINDER = FieldFinder()
TABLE = Path(__file__).parent / "data" / "customer_fields.jsonl"
FIELDS = ("name", "phone", "email", "estate", "unit")


def table() -> list[dict[str, object]]:
    return [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]


def found(register: str, text: str, title: str = "") -> dict[str, str]:
    said = customer_turns(text) if register == "phone" else text
    return FINDER.find(Query(said, title, text, REGISTERS[register])).found()


def without_blanks(value: object) -> str:
    return "".join(str(value).split())


def hits() -> dict[str, tuple[int, int, int]]:
    """For each field: right, labelled, found where none is labelled or another value is."""
    counts = {}
    rows = [(row["customer"], found(str(row["register"]), str(row["text"]), str(row["title"]))) for row in table()]
    for key in FIELDS:
        pairs = [(without_blanks(wanted.get(key, "")), without_blanks(got.get(key, ""))) for wanted, got in rows]  # type: ignore[attr-defined]
        right = sum(1 for wanted, got in pairs if wanted and wanted == got)
        counts[key] = (right, sum(1 for wanted, _ in pairs if wanted), sum(1 for wanted, got in pairs if got and got != wanted))
    return counts


def test_the_table_holds_thirty_texts_of_each_register() -> None:
    registers = [row["register"] for row in table()]
    assert {register: registers.count(register) for register in REGISTERS} == dict.fromkeys(REGISTERS, 30)


@pytest.mark.parametrize(
    ("field", "share", "wrong"), [("name", 0.7, 12), ("phone", 0.95, 1), ("email", 1.0, 0), ("estate", 0.5, 20), ("unit", 0.85, 6)]
)
def test_most_fields_of_the_table_are_found_and_few_are_wrong(field: str, share: float, wrong: int) -> None:
    right, labelled, mistaken = hits()[field]
    assert right / labelled >= share
    assert mistaken <= wrong


@pytest.mark.parametrize(
    ("register", "text", "name"),
    [
        ("phone", "客服：请问您贵姓？\n客户：免贵姓张，弓长张。墙漏水。", "张"),
        ("phone", "客服：甄小姐，晚上好。\n客户：你们老板呢？", "甄小姐"),
        ("phone", "客户：喂，我姓靳，叫靳松雨，门坏了。", "靳松雨"),
        ("phone", "客服：请说一下姓名。\n客户：须敏，必须的须。", "须敏"),
        ("phone", "客户：那个姓游的专员不接电话。我姓郁。", "郁"),
        ("chat", "销售小侯说送物业费 合同里没有\n小顾 18900005727", "小顾"),
        ("chat", "退钱\n退钱\n——夏至", "夏至"),
        ("chat", "6#1104 插座没电\n丽丽", "丽丽"),
        ("chat", "俺姓马 都叫我老马\n墙裂了", "老马"),
        ("mail", "客厅地砖空鼓。\n\n--\nGrace 林\n139-0000-5058", "Grace 林"),
        ("mail", "请于月底前打到账上。\n\n田野\n13700003318", "田野"),
        ("letter", "钱退给我。瞿颖，江苏如皋", "瞿颖"),
        ("letter", "他说“去告啊”。我段志遥活了五十岁，没受过这个气。", "段志遥"),
    ],
)
def test_names_as_each_register_gives_them(register: str, text: str, name: str) -> None:
    assert found(register, text).get("name") == name


@pytest.mark.parametrize(
    "text",
    [
        "有人吗\n都别看 快出来个活人",
        "麻烦了\n帮我查一下",
        "那位姓卞的专员把我拉黑了",
        "经理姓魏 让他出来说话",
        "管家程姐进我家拿了雨伞。",
        "客户关系部：\n请答复。",
        "被投诉人：项目公司",
        "快递小哥天天在楼下喊我全名",
        "多收的退我。\n速回",
        "我没有损失。温岭",
    ],
)
def test_staff_places_and_closing_words_are_no_names(text: str) -> None:
    assert "name" not in found("chat", text)


@pytest.mark.parametrize(
    ("text", "estate"),
    [
        ("去清欢看房 我买的隐秀 差八个平方", "隐秀"),
        ("妹子 我是听涛的老业主", "听涛"),
        ("贵司的《望北》项目学位没了", "望北"),
        ("合肥蜀山区翠澜府的业主，外墙掉砖", "翠澜府"),
        ("本人购入The Bay 云邸一套", "The Bay 云邸"),
        ("滨河一号6-2-1801的业主", "滨河一号"),
        ("我家在河西人家，电梯坏了", "河西人家"),
        ("购买了万禾城的房子", "万禾城"),
    ],
)
def test_estates_by_what_stands_around_them(text: str, estate: str) -> None:
    assert found("mail", text).get("estate") == estate


@pytest.mark.parametrize("text", ["我在杭州买房", "群里一讲，都说退", "公布全部签约时间", "院子里的树死了", "我是开车的，住西院"])
def test_places_and_phrases_are_no_estates(text: str) -> None:
    assert "estate" not in found("mail", text)


def test_the_one_who_takes_the_call_names_the_estate() -> None:
    assert found("phone", "客服：您好，柳岸云庭客服中心。\n客户：灯坏了。").get("estate") == "柳岸云庭"
    assert "estate" not in found("phone", "客服：您好，装修合同部。\n客户：灯坏了。")


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("我住5号楼的 401", "5号楼的 401"),
        ("住东区十四号楼三单元六零二", "东区十四号楼三单元六零二"),
        ("您好，Tower 2 3105 滴水", "Tower 2 3105"),
        ("叠拼18排3号地下室进水", "18排3号"),
        ("我三零零六，来交手续", "三零零六"),
        ("我住三栋二楼", "三栋二楼"),
        ("翠澜湾盛汇街2F-A039空着", "2F-A039"),
        ("姓支\n26-1-702 134-0000-8830", "26-1-702"),
    ],
)
def test_units_of_towers_rows_and_spoken_numbers(text: str, unit: str) -> None:
    assert found("chat", text).get("unit") == unit


@pytest.mark.parametrize("text", ["2号楼门口那个井盖翘了", "电梯卡尾号0071", "这楼三十三层", "2022届毕业"])
def test_places_and_counts_are_no_units(text: str) -> None:
    assert "unit" not in found("chat", text)


@pytest.mark.parametrize(
    "piece", ["3栋", "我姓王，王", "1 ", "幺", "买的", "“", "《a ", "客服：您贵姓\n客户：", "王小明", "丽", "\x00", "一二", "138-"]
)
def test_a_long_text_of_one_thing_takes_no_time(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    begun = time.process_time()
    FINDER.find(Query(text, text[:200], text[::-1], "phone"))
    assert time.process_time() - begun < 0.5


def test_an_answer_that_stutters_takes_no_time() -> None:
    begun = time.process_time()
    FINDER.find(Query("漏水", "", "客服：请问您贵姓\n客户：" + "我姓" * 500 + "的", "phone"))
    assert time.process_time() - begun < 0.5
