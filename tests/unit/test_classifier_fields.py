"""Who and what (预案 4.1), over all registers; every text is invented for this test."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.base import Query
from classifiers.fields import FieldFinder

FINDER = FieldFinder()


def found(said: str, title: str = "", context: str = "", channel: str | None = None) -> dict[str, str]:
    return FINDER.find(Query(said, title, context, channel)).found()


@pytest.mark.parametrize(
    ("said", "phone"),
    [
        ("电话13800004321", "13800004321"),
        ("联系我：138 0000 4321", "13800004321"),
        ("手机138-0000-4321，谢谢", "13800004321"),
        ("１３８００００４３２１", "13800004321"),
        ("我电话幺三八零零零零四三二幺", "13800004321"),
        ("幺三八，零零零零，四三二幺", "13800004321"),
        ("一三八 0000 四三二一", "13800004321"),
        ("+86 13800004321", "13800004321"),
        ("座机0755-28000012白天有人", "075528000012"),
        ("电话：28000012", "28000012"),
        ("我的号是13800004321，不对，是13800004322", "13800004322"),
        ("打销售手机13900001111没人接，我的手机13800004321", "13800004321"),
    ],
)
def test_phones_as_digits(said: str, phone: str) -> None:
    assert found(said).get("phone") == phone


@pytest.mark.parametrize("said", ["合同编号138000043215555", "身份证11010119900307001X", "我打了12345", "收据No.13800", "一共138000块"])
def test_other_numbers_are_no_phones(said: str) -> None:
    assert "phone" not in found(said)


def test_email_as_written() -> None:
    assert found("请回复到 Wen.Zhuqing@example.com 谢谢")["email"] == "Wen.Zhuqing@example.com"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("我叫温竹青，去年买的房。", "温竹青"),
        ("你好，我叫欧阳若雨，我家漏水。", "欧阳若雨"),
        ("我是业主江渡舟，反映一件事", "江渡舟"),
        ("我姓霍，房子的事麻烦看下", "霍"),
        ("联系人：闻一鹿", "闻一鹿"),
        ("请尽快答复。\n\n温竹青\n2025年3月8日", "温竹青"),
        ("请尽快答复。\n温竹青 13800004321", "温竹青"),
        ("墙又裂了\n裴小雁，13800004321", "裴小雁"),
        ("My name is Grace, refund please", "Grace"),
        ("姓名：聂云帆 电话：13800004321", "聂云帆"),
        # Characters beyond the first plane are characters.
        ("我是朱镕𠮷，客厅漏水", "朱镕𠮷"),
        ("姓名：欧阳𬭎", "欧阳𬭎"),
        ("请尽快处理。\n朱镕𠮷", "朱镕𠮷"),
        ("请尽快处理。\n傅玉英", "傅玉英"),
    ],
)
def test_names(said: str, name: str) -> None:
    assert found(said).get("name") == name


@pytest.mark.parametrize("said", ["谢谢", "马上给我解决\n谢谢", "楼上漏水\n何时来修", "我是业主，墙裂了", "高层住户很多\n都没有"])
def test_words_that_look_like_names_are_none(said: str) -> None:
    assert "name" not in found(said)


# Words of complaints that begin like names or stand where names do.
_LAST_WORDS = (
    "失望 漏水 房子 水管 黄色 白色 余款 金额 毛坯 江景 花园 左边 包赔 万科 云栖里 停工 返工 人工 慢慢 常常 毛坯房 江景房 保证金 花洒 "
    "高层 明天 马桶 顾客 温泉 原谅 门窗 水泥 金属 石材 白灰 方案 车位 房款 单价 阳台 成本 安全 车库门 江阳区"
)


@pytest.mark.parametrize("word", _LAST_WORDS.split())
@pytest.mark.parametrize(
    "text",
    ["厨房漏水没人修\n{}", "厨房漏水，没有人来修。\n{}", "厨房漏水，没有人来修。\n\n{}", "厨房漏水没人修，{}", "{}\n厨房漏水没人来修"],
)
def test_a_common_word_where_a_name_could_stand_is_none(word: str, text: str) -> None:
    assert found(text.format(word)).get("name") != word


@pytest.mark.parametrize(
    "name", ["温竹青", "王芳", "李强", "章骏", "王国强", "张文静", "阎守信", "许海潮", "欧阳若雨", "小顾", "丽丽", "张女士", "陈工"]
)
def test_a_surname_with_a_given_name_signs_a_text(name: str) -> None:
    assert found(f"厨房漏水，没有人来修。\n{name}")["name"] == name


def test_a_word_that_people_are_called_by_is_a_name_above_his_telephone_number() -> None:
    assert found("请于月底前打到账上。\n\n田野\n13800004321")["name"] == "田野"
    assert "name" not in found("请于月底前打到账上。\n\n田野")


def test_the_envelopes_name_wins_over_a_guess_and_not_over_one_that_is_stated() -> None:
    def named(said: str, sender: str) -> str | None:
        return FINDER.find(Query(said, sender=sender)).name

    # Whoever asks fills what is missing from the envelope.
    assert named("厨房漏水，没有人来修。\n王芳", "李四") is None
    assert named("厨房漏水，没有人来修。\n王芳", "Li Si") == "王芳"
    assert named("我叫王芳，厨房漏水。", "李四") == "王芳"
    assert named("姓名：王芳\n厨房漏水。", "李四") == "王芳"
    assert named("厨房漏水。\n投诉人：王芳", "李四") == "王芳"
    assert named("我是王芳，厨房漏水。", "李四") == "王芳"


def test_who_hides_names_hides_what_only_may_be_one() -> None:
    assert FINDER.find(Query("请于月底前打到账上。\n\n田野"), guess=True).name == "田野"


@pytest.mark.parametrize(
    ("said", "unit"),
    [
        ("我家3栋2单元1801漏水", "3栋2单元1801"),
        ("8-2-1203的业主", "8-2-1203"),
        ("房号12#1203", "12#1203"),
        ("B座1016，空调不制冷", "B座1016"),
        ("我住三栋二单元幺八零二", "三栋二单元幺八零二"),
        ("住10号楼1503室的", "10号楼1503室"),
        ("2-401，每月多扣一百", "2-401"),
        ("T2 2406 的厨房返味", "T2 2406"),
        ("车位B2-118太窄，我住6栋902", "6栋902"),
        ("楼下1104的吊顶在滴水，我是9-1-1204", "9-1-1204"),
    ],
)
def test_units_as_written(said: str, unit: str) -> None:
    assert found(said).get("unit") == unit


@pytest.mark.parametrize("said", ["2024-12-31交房", "电话138-0000-4321", "价格在100-200元", "买了3套房", "车位B2-118太窄", "一栋楼几百户"])
def test_other_numbers_are_no_units(said: str) -> None:
    assert "unit" not in found(said)


@pytest.mark.parametrize(
    ("said", "estate"),
    [
        ("我是翠澜花园的业主，地库积水", "翠澜花园"),
        ("我在云栖雅苑买了一套房", "云栖雅苑"),
        ("望江公馆3栋2单元1801，外墙渗水", "望江公馆"),
        ("去年购买了星澜湾的房子，没有交", "星澜湾"),
        ("锦棠府售楼处的人骂我", "锦棠府"),
    ],
)
def test_estates(said: str, estate: str) -> None:
    assert found(said).get("estate") == estate


@pytest.mark.parametrize("said", ["我们小区的门禁坏了", "整个小区都停水", "我在城里上班", "群里都说要退", "商品房合同里写了", "我家里漏水"])
def test_what_is_no_estate(said: str) -> None:
    assert "estate" not in found(said)


def test_known_estates_are_found_wherever_they_stand() -> None:
    finder = FieldFinder(["拾野", "拾野二期"])
    assert finder.find(Query("今天去看拾野二期的样板间，太小")).estate == "拾野二期"


def test_a_call_gives_the_home_from_the_agents_turns_and_never_the_agents_name() -> None:
    context = "客服：您好，我是客服温竹青，您是翠澜花园3栋1801的业主吗？\n客户：对，我姓霍，墙裂了。"
    fields = found("对，我姓霍，墙裂了。", "", context, "phone")
    assert fields["name"] == "霍"
    assert fields["estate"] == "翠澜花园"
    assert fields["unit"] == "3栋1801"


def test_a_letter_gives_everything() -> None:
    said = (
        "尊敬的领导：\n本人购买了翠澜花园7号楼2单元903，去年十月收房后主卧一直渗水。\n"
        "此致\n敬礼\n温竹青\n电话：138 0000 4321\nwen@example.com"
    )
    assert found(said) == {
        "name": "温竹青",
        "phone": "13800004321",
        "email": "wen@example.com",
        "estate": "翠澜花园",
        "unit": "7号楼2单元903",
    }


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=120) | st.text(alphabet="我叫姓王李栋单元123-号楼幺三八0苑湾府的业主，。\n @a.", max_size=120))
def test_never_raises_and_values_stand_in_the_text(said: str) -> None:
    fields = found(said)
    for key in ("name", "email", "estate", "unit"):
        if key in fields:
            assert fields[key] in said
    assert fields.get("phone", "0").isdigit()


@pytest.mark.parametrize(
    ("said", "estate", "name"),
    [
        # What somebody bought is no person, though it begins with a surname.
        ("我买的云锦台三栋，墙面开裂", "云锦台", None),
        ("我买的金科城5号楼，漏水", "金科城", None),
        ("业主王建国三栋1单元的房子漏水", None, "王建国"),
    ],
)
def test_an_estate_that_begins_with_a_surname_is_no_name(said: str, estate: str | None, name: str | None) -> None:
    fields = found(said)
    assert (fields.get("estate"), fields.get("name")) == (estate, name)


@pytest.mark.parametrize(
    "said",
    [
        "销售经理 wang@corp.example 态度恶劣，当着孩子的面骂人",
        "我给 tousu@corp.example 写过三次信，没有人回",
        "我联系 wang@corp.example 没人理",
        "那个销售的邮箱是 wang@corp.example，你们查查",
        "举报对象：\nwang@corp.example",
        "他让我回复到 wang@corp.example，回了也没用",
        "找过 wang@corp.example 没用",
        "I wrote to sales@corp.example twice, no answer",
    ],
)
def test_an_address_that_is_merely_named_is_not_the_customers(said: str) -> None:
    assert "email" not in found(said)


@pytest.mark.parametrize(
    "said",
    [
        "我的邮箱是 wen@example.com",
        "销售经理 wang@corp.example 骂人，结果请发到我邮箱：wen@example.com",
        "墙裂了\nwen@example.com",
        "墙裂了\n电话 13800004321 邮箱 wen@example.com",
        "联系邮箱：wen@example.com",
        "请回复我 wen@example.com，谢谢",
        "My email is wen@example.com",
        "The wall leaks. Please reply to me at wen@example.com",
        "对，你们回复到我的邮箱wen@example.com",
    ],
)
def test_an_address_that_he_gives_as_his_own_is(said: str) -> None:
    assert found(said)["email"] == "wen@example.com"


def test_an_address_of_whoever_else_speaks_is_not_the_customers() -> None:
    context = "客服：我的邮箱是 kefu@corp.example，您发给我\n客户：好，墙裂了。"
    assert "email" not in found("好，墙裂了。", "", context, "phone")


@pytest.mark.parametrize(
    "said",
    ["打销售手机13900001111没人接", "物业经理13900001111骂人", "我打他电话13900001111不接", "你们热线075528000012没人接"],
)
def test_a_phone_that_is_said_to_be_somebody_elses_is_not_the_customers(said: str) -> None:
    assert "phone" not in found(said)


@pytest.mark.parametrize("said", ["他打我电话13800004321骚扰", "物业没有回我，13800004321", "我爸不会上网，请联系他13800004321"])
def test_a_phone_of_his_beside_others_is_the_customers(said: str) -> None:
    assert found(said)["phone"] == "13800004321"


def test_who_he_is_is_looked_for_only_in_what_the_customer_wrote_himself() -> None:
    his = Query("我叫温竹青，翠澜花园墙裂了")
    both = Query("我叫温竹青，翠澜花园墙裂了\n我是销售王志强，我的手机13900001111，他家是3栋1801", own=his)
    fields = FINDER.find(both).found()
    assert (fields["name"], fields["unit"]) == ("温竹青", "3栋1801")
    assert "phone" not in fields
