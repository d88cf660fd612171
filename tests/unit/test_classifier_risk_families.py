"""Risks (预案 二) by family of expression: each sign with the company that makes it one, and without."""

from __future__ import annotations

import re
import time

import pytest

from classifiers.facets import HOME, parse_facets
from classifiers.risk import risks
from classifiers.text import normalise


def found(text: str, complaint: bool = True) -> set[str]:
    return {risk.value for risk in risks(normalise(text).text, complaint)}


@pytest.mark.parametrize(
    "text",
    [
        "电梯咣当一声往下一沉，我腿都软了",
        "轿厢停在半空，按铃没人应",
        "插座滋啦滋啦响，墙面都熏黑了",
        "开关一碰手就发麻",
        "消防门用链子锁着，真出事往哪跑",
        "消火栓拧开没有水",
        "承重墙裂得能塞进硬币",
        "楼后的挡土墙歪了",
        "窨井没盖子，天黑了谁看得见",
        "阳台护栏一晃一晃的",
        "外墙保温层整块脱落",
        "燃气管接头松了，一屋子臭味",
        "道闸杆落下来砸了我的头",
        "救护车到了门口保安不让进",
        "孩子在大堂滑倒，磕破了下巴",
        "奶奶在楼梯上踩空了",
        "差点砸到推车的人",
        "甲醛超标，孩子一直咳",
        "保安上来就推了我一把",
        "活着没什么意思，我站在天台上",
    ],
)
def test_danger_needs_a_thing_and_what_it_does(text: str) -> None:
    assert found(text) == {"safety"}


@pytest.mark.parametrize(
    "text",
    [
        "电梯里的广告换一换",
        "插座少装了两个",
        "消防门的颜色和样板间不一样",
        "楼板隔声太差",
        "外墙渗水，墙皮发霉",
        "孩子上学要备案号",
        "道闸识别不了我的车牌",
        "甲醛检测报告能给一份吗",
        "保安换了三个，没有一个认得我",
    ],
)
def test_a_thing_alone_is_no_danger(text: str) -> None:
    assert found(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "看到你们打出跳楼价我才来的",
        "漏电保护器正常，就是热水来得慢",
        "我现在心情跟着了火一样",
        "吓得我以为要爆炸，原来是隔壁放炮",
        "新闻里那个小区塌了，想看看检测报告",
        "热水器打不着火，洗澡洗一半",
        "物业组织的火灾演练我参加了",
    ],
)
def test_an_idiom_or_a_fear_is_no_danger(text: str) -> None:
    assert found(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "材料我已经递到住建局了",
        "不处理我就找消防大队",
        "做不到我们打给安监",
        "致某市质监站：我家的梁裂缝越来越宽，请到现场",
        "让房管局的人来问你们",
        "请求主管部门责令公示账目",
        "市场监管部门已介入",
        "我委托了代理人，以后他跟你们谈",
        "咱们法庭上聊",
        "已经做了笔录",
    ],
)
def test_a_step_with_an_authority_or_a_court_is_legal(text: str) -> None:
    assert "legal" in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "住建局的文件里写了标准",
        "住建局网站上查不到备案号",
        "城管的人路过",
        "我儿子是律师，平时忙",
        "律师朋友买房有没有优惠",
        "法院拍卖的那套和我们一个户型吗",
        "你们给我发律师函，我莫名其妙",
        "销售冲我喊：“你去起诉啊”",
        "合同里写争议提交仲裁，这条什么意思",
        "想问一下报警电话是多少",
    ],
)
def test_a_mention_an_enquiry_or_the_sellers_word_is_not_legal(text: str) -> None:
    assert "legal" not in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "发到某音让全网看看",
        "要不小红书见",
        "我认识电视台的，周五来拍",
        "本地号已经联系我了",
        "业主群五百人等着看你们怎么回复",
        "明天带大家去售楼处喝茶",
        "我们一天一天坐在你们售楼处",
        "录像我剪好了，传上去就行",
        "打了条幅，周六挂",
        "印了一批传单，开盘那天发",
        "去你们直播间问个明白",
    ],
)
def test_going_public_is_reputation(text: str) -> None:
    assert "reputation" in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "抖音上看到你们的广告才来的",
        "你们的宣传单写着赠送车位",
        "路口挂着大红横幅欢迎回家",
        "我在售楼处等了两个小时",
        "照片发给管家了，没回",
        "群里通知周三停水",
        "我自己在电视台上班，只能周末验房",
        "刷短视频刷到的",
    ],
)
def test_the_sellers_publicity_and_plain_media_are_not(text: str) -> None:
    assert found(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "不玩了，首付退给我",
        "这房子谁爱要谁要",
        "再不修我就挂中介",
        "要求解除购房合同",
        "合同签不下来，诚意金打回来",
        "按原价买回去吧",
        "亲戚本来要来下定，我让他们别来了",
        "同事问我，我照实说的，别买",
        "做不到就退房",
        "我要退防，首复款退给我",
    ],
)
def test_leaving_the_deal_or_warning_others_off_is_churn(text: str) -> None:
    assert "churn" in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "退差价五千元",
        "装修押金全额退给我",
        "按合同我有权退房，但我选双倍返还",
        "多收的服务费退回来",
        "我不主张退房",
        "定金没有人要退，房子还是要的",
        "要求撤销律师函，合同继续履行",
        "网签要撤销重签",
    ],
)
def test_other_money_and_rights_not_used_are_no_churn(text: str) -> None:
    assert "churn" not in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "我没有退房的打算，也不会去告谁",
        "我不是来闹的，也没想找媒体",
        "以前闹过要退房那是气话",
        "隔壁小区因为漏水打官司打了三年",
        "隔壁王姐说她要退房",
        "我本来想投诉到12345",
        "别拿律师函吓我们",
    ],
)
def test_what_is_denied_over_or_somebody_elses_is_no_risk(text: str) -> None:
    assert found(text) & {"legal", "reputation", "churn"} == set()


def test_else_is_no_negation() -> None:
    # `要不` opens a threat; only `不` before the word denies it.
    assert "reputation" in found("要不抖音见")
    assert "legal" in found("要不起诉吧")
    assert found("我不起诉") == set()


@pytest.mark.parametrize(
    ("text", "risk"), [("去派出锁报案", "legal"), ("走发律程序", "legal"), ("开关露电", "safety"), ("找人爆光", "reputation")]
)
def test_words_that_speech_recognition_mistakes_are_known(text: str, risk: str) -> None:
    assert risk in found(text)


def test_a_sign_and_its_company_in_different_sentences_do_not_meet() -> None:
    assert found("电梯很好。货架往下一沉。") == set()
    assert found("电梯往下一沉") == {"safety"}


def test_a_demand_for_money_may_stand_a_sentence_away_from_the_deposit() -> None:
    assert found("意向金都交了。那我们算什么。退钱。") == {"churn"}
    assert found("交了会所的钱。那我们算什么。退钱。") == set()


def test_the_own_quotation_counts_and_the_sellers_does_not() -> None:
    assert "churn" in found("我说“我要退房”，他挂了")
    assert "churn" not in found("他说“嫌贵你退房”")


def test_each_company_begins_with_a_plain_character() -> None:
    # Otherwise the search must try every place of every window, and the time for a text doubles.
    path = HOME / "risk.txt"
    facets = parse_facets(path.read_text(encoding="utf-8").splitlines(), path.name)
    parts = [(facet.code, term) for facet in facets if facet.code.endswith(("_with", "_without")) for term in facet.terms]
    assert parts
    for code, term in parts:
        assert re.match(r"\w", term), (code, term)
        assert re.compile(term).search("") is None, (code, term)


def test_every_sign_of_the_file_is_known_and_the_other_way_round() -> None:
    from classifiers.risk import _RISK_OF

    path = HOME / "risk.txt"
    codes = {facet.code for facet in parse_facets(path.read_text(encoding="utf-8").splitlines(), path.name)}
    words = {code for code in codes if not code.endswith(("_with", "_without"))}
    assert words - {"harmless"} == set(_RISK_OF)
    assert {code.removesuffix("_without").removesuffix("_with") for code in codes - words} <= words


@pytest.mark.parametrize(
    "piece", ["电梯", "孩子电梯插座大家网上", "没有律师", "“律师", "退钱", "定金", "甲醛", "找住建局", "不想要打算准备律师", "我", "。"]
)
def test_no_text_takes_long(piece: str) -> None:
    text = (piece * 20_000)[:20_000]
    risks(text)
    start = time.process_time()
    risks(text)
    assert time.process_time() - start < 1
