"""Whose phone or address it is that stands in a complaint: the customer's, or somebody's of whom he speaks. Every sentence is invented."""

from __future__ import annotations

import pytest

from classifiers.base import Query
from classifiers.fields import FieldFinder

FINDER = FieldFinder()
PHONE, ADDRESS = "13800004321", "lin@mail.example"

# Where the number stands is #.
HIS_PHONE = r"""
你们尽快联系#
他们一直不处理 联系电话#
他们一直不处理联系电话#
麻烦你们的人打#
请贵司致电#
希望你们打电话#
请你们经理给我回电#
物业一直没人管，联系方式：#
客服请拨打#找我
物业不管 #
销售骂人 #
你们赶紧派人来 打#
叫你们经理打#
让物业的人联系我 #
让你们领导打这个电话#
麻烦客服回电#
能不能让管家打#
你们打#就行
请售楼处务必拨打我的手机#
请客服来电#告知结果
找你们三回了没人理我电话#
他打我电话#骚扰
销售不回消息，我手机号#，请回电
销售经理一直躲着我 手机号码：#
客服态度差，本人电话#
物业师傅没来 我的号码是#
我爸不会上网，请你们联系他#
望贵公司速与我联系，手机#
客户：你们查好了打#给我
客户：嗯，让他们打幺三八零零零零四三二幺找我
客户：物业催了三次都没来，你打#找我就行
請貴司致電#
麻煩你們的人打#
他們一直不處理 聯絡電話#
希望物業儘快聯繫#
叫你們經理打電話給我，#
#，这是我的号码，你们物业来人前打一下
投诉你们客服\n联系电话：#
随时联系#，你们别拖
请回电#，找林女士，你们物业别推来推去
王经理 #，微信同号
工钱还没结。马师傅 #
"""
OTHERS_PHONE = """
打销售手机#没人接
销售经理王强电话#态度恶劣
你们客服电话#打不通
我打了你们的#三次
他的手机是#
物业说让我打#
物业经理 # 骂人
我打他电话 # 不接
你们热线 # 没人接
客服让我联系#，打了没用
销售小王 电话#，天天骚扰
销售王先生联系电话#
物业管家联系方式：#
请核实销售王强的电话#
请你们查一下销售手机#
麻烦你们管管这个业务员#
他用#给我发短信
中介的号码是#
来电显示#，自称你们的销售
短信上写着请拨打#，打过去没人理
你们公告写着请联系#
销售叫我打#退定金
我打#没人接
我打过#，说不归他们管
我昨天打了#三遍
按物业说的我又打了#
保安队长手机#一直关机
置业顾问张敏：#
被投诉人电话#
对方电话 #
她的号码#
客户：他给的是物业电话#，根本打不通
客户：你们那个热线#永远占线
打銷售手機#沒人接
銷售經理王強電話#態度惡劣
他的手機是#
物業說讓我打#
你們客服電話#打不通
联系你们经理#，他把我骂了
维修师傅电话#不接
销售让我加微信#
我打电话给王强#
"""
HIS_ADDRESS = """
我的邮箱#
我的邮箱是#，销售从来不回
发到 #
请回复到 #
请你们回复到 #
请贵司回复至 #
结果发到 # 即可
麻烦客服把合同发到 #
希望物业把处理结果发到 #
请物业写信到 #
他们一直不处理 邮箱：#
物业没人管，邮箱 #
销售骂人，请答复到 #
投诉结果请发至 #
投诉人邮箱：#
有答复请发邮箱 #
能不能发一份电子版给我 发这个邮箱 #
麻烦你们尽快发邮件到 #
让你们经理回复 #
发票请寄到 #
请开发商书面答复，本人邮箱：#
你们把明细发到 #
请抄送 #
客户：你们回复到我邮箱 #
请公司发邮件给我：#
可以直接发到 #
麻煩客服把合約發到 #
請貴司回覆至 #
請物業寫信到 #
我的郵箱#
"""
OTHERS_ADDRESS = """
销售 # 骂人
我给 # 写过三次信
我发到 # 没人回
我把材料发到 # 了
我已经发到 # 两次
他让我发到 #
物业说让我回复到 #
客服叫我写信到 #，石沉大海
公告上写着请发到 #
销售说发到 # 就行
你们客服邮箱 # 退信
你们的邮箱 # 没人看
他的邮箱是 #
物业经理邮箱：#
销售王强 邮箱 # 态度恶劣
我写信给 # 没用
发到 # 没人回
找过 # 没用
举报 # 收钱
那个中介用 # 发的合同
开发商的邮箱 # 一直不回
我多次回复到 # 都没有回
请查销售的邮箱 #
对方邮箱 #
投诉 # 这个人
合同是从 # 发来的
被投诉人邮箱：#
客户：他给我的是 #，不是公司的
銷售 # 罵人
我給 # 寫過三次信
他讓我發到 #
物業經理郵箱：#
你们发到 # 了吗
"""


def _lines(table: str) -> list[str]:
    return [line.replace("\\n", "\n") for line in table.strip().splitlines()]


def _found(sentence: str, value: str) -> dict[str, str]:
    return FINDER.find(Query(sentence.replace("#", value))).found()


@pytest.mark.parametrize("sentence", _lines(HIS_PHONE))
def test_a_phone_at_which_he_wants_to_be_rung_is_his(sentence: str) -> None:
    assert _found(sentence, PHONE).get("phone") == PHONE


@pytest.mark.parametrize("sentence", _lines(OTHERS_PHONE))
def test_a_phone_that_somebody_else_has_is_not_his(sentence: str) -> None:
    assert "phone" not in _found(sentence, PHONE)


@pytest.mark.parametrize("sentence", _lines(HIS_ADDRESS))
def test_an_address_at_which_he_wants_an_answer_is_his(sentence: str) -> None:
    assert _found(sentence, ADDRESS).get("email") == ADDRESS


@pytest.mark.parametrize("sentence", _lines(OTHERS_ADDRESS))
def test_an_address_that_somebody_else_has_is_not_his(sentence: str) -> None:
    assert "email" not in _found(sentence, ADDRESS)


def test_a_land_line_is_judged_in_the_same_way() -> None:
    assert FINDER.find(Query("请贵司致电0755-28000012")).phone == "075528000012"
    assert FINDER.find(Query("物业叫我打0755-28000012")).phone is None
