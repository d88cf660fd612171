"""Risks (预案 二): found where they are meant, and not where they are denied."""

from __future__ import annotations

import pytest

from classifiers.risk import risks
from classifiers.text import normalise
from models.verdict import Risk


def found(text: str, complaint: bool = True) -> set[str]:
    return {risk.value for risk in risks(normalise(text).text, complaint)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("再不处理我就起诉", {"legal"}),
        ("律师函已经寄出", {"legal"}),
        ("我已经打了12345，编号在手上", {"legal"}),
        ("明天我去住建局投诉你们", {"legal"}),
        ("向房管局反映了两次", {"legal"}),
        ("电梯困人，我妈吓得心脏病都犯了", {"safety"}),
        ("開關一碰就漏電", {"safety"}),
        ("窗扇松了，下面就是孩子玩的地方，掉下来要出人命", {"safety"}),
        ("我真的撑不住了，想从楼上跳下去", {"safety"}),
        ("业主们要去拉横幅，电视台的记者也约好了", {"reputation"}),
        ("不解决就发抖音曝光", {"reputation"}),
        ("我要求退房，首付全部退回", {"churn"}),
        ("定金五万什么时候退给我", {"churn"}),
        ("我见人就说，再也不买你们家的房子", {"churn"}),
        ("不给退房就法院见，顺便找媒体", {"legal", "reputation", "churn"}),
        ("水龙头有点松，请派人来看看", set()),
    ],
)
def test_says_what_may_come_of_it(text: str, expected: set[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "我没有起诉的打算，只想把话说清楚",
        "没想过找律师",
        "我不想退房，把墙修好就行",
        "也不是要退房，就是要个说法",
        "我们没打算找媒体",
        "不会去法院的，大家好商量",
        "暂时没有报警",
        "还没有打12345",
    ],
)
def test_what_is_denied_is_no_risk(text: str) -> None:
    assert found(text) == set()


@pytest.mark.parametrize("text", ["你们不给退定金", "拒绝退房", "认筹金一直不肯退", "销售不让退房"])
def test_a_refusal_by_the_seller_is_no_denial(text: str) -> None:
    assert "churn" in found(text)


@pytest.mark.parametrize("text", ["请打我电话13812345678", "合同编号12315008", "面积110平米", "住建局的文件里写了标准", "退差价五千元"])
def test_numbers_and_names_alone_mean_nothing(text: str) -> None:
    assert found(text) == set()


def test_what_is_no_complaint_can_only_be_dangerous() -> None:
    assert found("想咨询一下起诉中介要什么材料，顺便问退定金", complaint=False) == set()
    assert found("楼下小店起火了，你们快来人", complaint=False) == {"safety"}


def test_risks_come_in_the_order_of_the_list_and_once() -> None:
    both = risks("要退房,要退房,起诉,起诉,漏电,曝光")
    assert both == (Risk.SAFETY, Risk.LEGAL, Risk.REPUTATION, Risk.CHURN)
