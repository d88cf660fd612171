"""Transcripts of every format are read into the same turns, whatever bytes come nothing but `Unreadable` is raised, and roles are found.

The golden files stand in `tests/transcripts/`: `NN-name.<any>` beside `NN-name.expected.json`, which holds what `as_json` must give, or
`{"unreadable": code}`. All texts in them are invented.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.transcripts import as_json, parse, read_transcript, split_turns
from connectors.transcripts.decoding import LARGEST
from connectors.transcripts.formats import FORMATS
from connectors.transcripts.roles import settle
from connectors.transcripts.units import MILLISECONDS, TICKS, instant, phone, seconds
from models.complaint import Speaker, Turn
from models.errors import Unreadable
from models.submission import Channel, Submission

FOLDER = Path(__file__).parent.parent / "transcripts"
SAMPLES = sorted(path for path in FOLDER.iterdir() if not path.name.endswith((".expected.json", ".got")))


def read_as_expected(raw: bytes) -> dict[str, Any]:
    """What the golden files hold of these bytes."""
    try:
        return as_json(read_transcript(raw))
    except Unreadable as error:
        assert re.search("[\u4e00-\u9fff]", error.zh)
        assert re.search("[a-z]{3}", error.en)
        return {"unreadable": error.code}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_every_format_is_read_as_expected(path: Path) -> None:
    got = read_as_expected(path.read_bytes())
    beside = path.with_name(f"{path.stem}.expected.json")
    if not beside.exists() or json.loads(beside.read_text(encoding="utf-8")) != got:
        left = path.with_name(f"{path.stem}.got")
        left.write_text(json.dumps(got, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        pytest.fail(f"differs from {beside.name}: see {left.name}")


def test_there_is_a_golden_file_for_every_format() -> None:
    read = {json.loads(path.read_text(encoding="utf-8")).get("format") for path in FOLDER.glob("*.expected.json")}
    assert {row.name for row in FORMATS} <= read


def test_every_recognised_file_has_one_name_in_the_table() -> None:
    assert len({row.name for row in FORMATS}) == len(FORMATS)


# What nobody foresaw.

PARTS = ["客服：", "客户:", "A：", "[00:01] ", "00:00:01,000 --> ", "\n", "\n\n", "WEBVTT", "角色,内容", "漏水", "您好", '"', "\t"]

VENDOR_KEYS = st.sampled_from(
    [
        "text",
        "segments",
        "start",
        "end",
        "speaker",
        "results",
        "result",
        "utterances",
        "alternatives",
        "channels",
        "words",
        "transcript",
        "transcripts",
        "items",
        "audio_segments",
        "channel_labels",
        "speaker_labels",
        "sentences",
        "sentence_info",
        "spk",
        "Response",
        "Data",
        "Status",
        "Result",
        "ResultDetail",
        "TaskId",
        "StatusCode",
        "status_code",
        "task_id",
        "BizDuration",
        "Sentences",
        "content",
        "orderInfo",
        "orderResult",
        "lattice",
        "lattice2",
        "json_1best",
        "st",
        "rt",
        "ws",
        "cw",
        "w",
        "rl",
        "label",
        "rl_track",
        "data",
        "ok",
        "err_no",
        "status",
        "create_time",
        "analysis_info",
        "role",
        "additions",
        "resp",
        "code",
        "recognizedPhrases",
        "nBest",
        "offset",
        "duration",
        "offsetInTicks",
        "phrases",
        "combinedPhrases",
        "name",
        "done",
        "response",
        "vcon",
        "uuid",
        "parties",
        "dialog",
        "analysis",
        "type",
        "body",
        "tel",
        "originator",
        "metadata",
        "paragraphs",
        "transcription",
        "offsets",
        "turns",
        "call",
        "phones",
        "output",
        "task_status",
        "properties",
        "channel_id",
        "channelTag",
        "speakerTag",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["wtf_transcription", "transcript", "text", "recording", "PT1S", "1.5s", "0", "FINISHED", "2026-01-05", "{}"])
)
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(VENDOR_KEYS, inner, max_size=6), max_leaves=40)
CALM = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def assert_sane(raw: bytes) -> None:
    """Either a transcript that can be stored and shown, or `Unreadable`."""
    shown = read_as_expected(raw)
    if "unreadable" not in shown:
        assert list(shown) == ["format", "turns", "customer_text", "call", "defects"]
        json.dumps(shown, ensure_ascii=False, allow_nan=False).encode()
        assert "\x00" not in str(shown)
        for turn in shown["turns"]:
            assert list(turn) == ["role", "speaker", "start", "end", "text"]
            assert turn["text"].strip()
            assert turn["start"] is None or turn["start"] >= 0


@CALM
@given(st.binary(max_size=400))
@example(b"")
@example(b"\xff\xfe")
@example(b"[1")
@example(b"\xef\xbb\xbf{}")
@example(b"1" * 5000)
@example(b"[" + b"1" * 5000 + b"]")
def test_no_bytes_raise_anything_but_unreadable(raw: bytes) -> None:
    assert_sane(raw)


@CALM
@given(DOCUMENTS)
@example({"segments": [{"text": "a", "start": float("inf")}]})
@example({"name": "x", "done": True})
@example({"vcon": "0.0.1", "dialog": [{"type": "text", "body": "好", "start": "0001-01-01", "parties": [9]}]})
def test_no_json_raises_anything_but_unreadable(doc: Any) -> None:
    assert_sane(json.dumps(doc).encode())


@CALM
@given(st.data())
def test_a_damaged_file_of_a_known_format_raises_nothing_else(data: st.DataObject) -> None:
    """Any value anywhere in a good file may be replaced by anything."""
    path = data.draw(st.sampled_from([path for path in SAMPLES if path.suffix == ".json" and not path.name.startswith("84")]))
    doc = json.loads(path.read_bytes())
    place = doc
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(LEAVES | DOCUMENTS)
        break
    assert_sane(json.dumps(doc).encode())


@CALM
@given(st.lists(st.sampled_from(PARTS)))
def test_no_text_raises_anything_but_unreadable(parts: list[str]) -> None:
    assert_sane("".join(parts).encode())
    split_turns("".join(parts))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(b"[" * 100_000, "too_deep", id="deep-list"),
        pytest.param(b'{"a":' * 100_000, "too_deep", id="deep-object"),
        pytest.param(b" " * (LARGEST + 1), "too_large", id="too-large"),
    ],
)
def test_limits(raw: bytes, code: str) -> None:
    assert read_as_expected(raw) == {"unreadable": code}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "客服" + " " * 2_000_000 + "：",
        " " * 2_000_000 + "x",
        "您" * 2_000_000,
        "客服：您好\n" * 200_000,
        "WEBVTT\n\n" + "00:01.000 --> 00:02.000\n<v " + " " * 1_000_000,
        "[" + "00:01 " * 300_000,
        "角色,内容\n" + "客户,漏\n" * 300_000,
        json.dumps([{"text": "我家漏水", "start": 1.0}] * 60_000),
    ],
    ids=["blanks-in-a-name", "blanks", "one-character", "many-turns", "voice", "times", "rows", "segments"],
)
def test_no_text_is_slow(text: str) -> None:
    assert_sane(text.encode())


# What a submission becomes.


def submission(raw: bytes) -> Submission:
    """These bytes as the drop folder hands them in."""
    return Submission(Channel.PHONE, raw, "application/octet-stream", "call.bin", datetime(2026, 1, 5, tzinfo=UTC))


def test_a_transcript_is_parsed_into_what_the_customer_said_and_the_whole_conversation() -> None:
    parsed = parse(submission((FOLDER / "46-vcon-recording-with-wtf.json").read_bytes()))
    assert parsed.title == ""
    assert parsed.said == "我家飘窗下雨就渗水，地板都泡起来了。\n免贵姓顾，五栋二单元一零零三。"
    assert parsed.text.splitlines()[0] == "客服：您好，栖霞里客服中心，请问有什么可以帮您？"
    assert parsed.text.splitlines()[1] == "客户：我家飘窗下雨就渗水，地板都泡起来了。"
    assert parsed.hints.phone == "13900001234"
    assert parsed.details["format"] == "vcon"
    assert parsed.details["roles"] == {"decided_by": "words", "certainty": 0.99}
    json.dumps(parsed.details, allow_nan=False)


@pytest.mark.parametrize(
    ("name", "defect"),
    [
        ("04-aliyun-isi-nobody-spoke.json", "no_speech"),
        ("05-aliyun-isi-failed.json", "recognition_failed"),
        ("11-iflytek-v2-failed.json", "recognition_failed"),
        ("15-tencent-failed.json", "recognition_failed"),
        ("40-google-operation-failed.json", "recognition_failed"),
        ("49-vcon-not-transcribed.json", "not_transcribed"),
        ("75-empty.txt", "no_speech"),
        ("77-agent-only.txt", "no_speech"),
    ],
)
def test_a_call_without_words_is_a_complaint_to_be_called_back(name: str, defect: str) -> None:
    parsed = parse(submission((FOLDER / name).read_bytes()))
    assert parsed.said == ""
    assert defect in parsed.defects


def test_the_laid_out_conversation_can_be_split_again() -> None:
    parsed = parse(submission((FOLDER / "25-whisper.json").read_bytes()))
    assert [(turn.role, turn.text) for turn in split_turns(parsed.text)] == [(turn.role, turn.text) for turn in parsed.turns]


def test_our_own_output_is_read_again() -> None:
    first = as_json(read_transcript((FOLDER / "21-funasr-speakers.json").read_bytes()))
    again = as_json(read_transcript(json.dumps(first).encode()))
    assert again["customer_text"] == first["customer_text"]
    assert [turn["start"] for turn in again["turns"]] == [turn["start"] for turn in first["turns"]]


A, C, U = Speaker.AGENT, Speaker.CUSTOMER, Speaker.UNKNOWN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("客服：您好\n客户：门坏了", [(A, "您好"), (C, "门坏了")]),
        ("坐席: 您好\n业主: 门坏了", [(A, "您好"), (C, "门坏了")]),
        ("A：您好，很高兴为您服务\nB：我家门坏了", [(A, "您好，很高兴为您服务"), (C, "我家门坏了")]),
        ("[00:01] 客服: 您好\n[00:03] 客户: 门坏了\n窗也坏了", [(A, "您好"), (C, "门坏了\n窗也坏了")]),
        ("00:01-00:03 客服：您好\n00:04-00:09 客户：门坏了", [(A, "您好"), (C, "门坏了")]),
        ("客服 00:01：您好\n客户 00:04：门坏了", [(A, "您好"), (C, "门坏了")]),
        ("客服 00:00:01\n您好\n客户 00:00:04\n门坏了", [(A, "您好"), (C, "门坏了")]),
        ("【客服】您好\n【客户】门坏了", [(A, "您好"), (C, "门坏了")]),
        ("客服\t您好\n客户\t门坏了", [(A, "您好"), (C, "门坏了")]),
        ("客服01：您好\n客户(王女士)：门坏了", [(A, "您好"), (C, "门坏了")]),
        ("客户经理：您好\n客户：门坏了", [(A, "您好"), (C, "门坏了")]),
        ("Agent 1: hello\nCaller: my door is broken", [(A, "hello"), (C, "my door is broken")]),
        ("说话人1：您好请讲\n说话人2：我家门坏了没人修", [(A, "您好请讲"), (C, "我家门坏了没人修")]),
        ("客服：您好 客户：门坏了。客服：好的", [(A, "您好"), (C, "门坏了。"), (A, "好的")]),
        (
            "赵经理：您好请讲\n田萍：我家门坏了\n赵经理：给您登记\n田萍：快点",
            [(A, "您好请讲"), (C, "我家门坏了"), (A, "给您登记"), (C, "快点")],
        ),
        # A customer's own text, whatever stands before the colons in it.
        ("我家门坏了，没人修。", [(C, "我家门坏了，没人修。")]),
        ("客服说：等着。\n等了三周。\n业主：田某", [(C, "客服说：等着。\n等了三周。\n业主：田某")]),
        ("诉求：退款\n地址：东湖路\n电话：139", [(C, "诉求：退款\n地址：东湖路\n电话：139")]),
        ("物业：找开发商\n销售：找物业\n谁管？", [(C, "物业：找开发商\n销售：找物业\n谁管？")]),
        ("我打了客服：没人接", [(C, "我打了客服：没人接")]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_a_text_is_split_into_turns(text: str, expected: list[tuple[Speaker, str]]) -> None:
    assert [(turn.role, turn.text) for turn in split_turns(text)] == expected


@pytest.mark.parametrize(
    ("value", "per_second", "expected"),
    [
        (2365, MILLISECONDS, 2.365),
        ("2365", MILLISECONDS, 2.365),
        (26000000.0, TICKS, 2.6),
        ("4.100s", 1.0, 4.1),
        ("4.100s", MILLISECONDS, 4.1),
        ("4.1", 1.0, 4.1),
        ("PT2.6S", TICKS, 2.6),
        ("PT1H2M3S", 1.0, 3723.0),
        ("0:02.600", 1.0, 2.6),
        ("01:02:03,500", 1.0, 3723.5),
        ("1分20秒", 1.0, 80.0),
        (True, 1.0, None),
        (-1, 1.0, None),
        (float("nan"), 1.0, None),
        (10**400, 1.0, None),
        ("P", 1.0, None),
        ("", 1.0, None),
        ("soon", 1.0, None),
        (None, 1.0, None),
    ],
)
def test_times_become_seconds(value: object, per_second: float, expected: float | None) -> None:
    assert seconds(value, per_second) == expected


def test_instants_and_telephone_numbers() -> None:
    assert instant("2026/1/5 09:30") is None or instant("2026/01/05 09:30") == datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
    assert instant("2026年01月05日 09:30:00") == datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
    assert instant("0001-01-01") is None
    assert [phone(text) for text in ("+8613900001234", "tel:+86-139-0000-1234", "025-8888 0000", "anonymous", "sip:a@b", "")] == [
        "13900001234",
        "13900001234",
        "02588880000",
        None,
        None,
        None,
    ]


# Who is who, where nobody says so. Each dialogue's turns alternate; the first letter says who begins, a customer (C) or an agent (A).

DIALOGUES = [
    "A|您好，这里是云栖苑客服中心，请讲|你好，我家厨房吊柜掉下来了，差点砸到孩子|您先别着急，请问您是几栋几单元|九栋一单元三零四|好的，给您登记报修，今天会有师傅联系您",
    "A|您好，工号二零七为您服务|我要投诉你们的置业顾问，骗我说有地铁口|请问您贵姓|免贵姓白|白女士，我这边帮您转给案场经理核实",
    "C|喂，你们公司还管不管，电梯关了我两回人了|女士您好，请问是哪个小区|清溪里七号楼|非常抱歉给您带来不便，我马上帮您反馈",
    "A|您好|合同里写的首付三成，签的时候变成四成，凭什么|您的认购书是哪天签的|八月初八|嗯，这边先记录一下",
    "A|感谢致电澜湾府，请讲|团购费三万你们说抵八万，我邻居没交也一样的价|您的诉求是退这笔费用对吗|对，退给我|好的，三个工作日内回复您",
    "C|你好，我想问一下我的房产证到底什么时候能办|您好先生，您是哪一期的业主|二期，都拖了两年了|这边帮您查询一下，请稍等|我等不了了，今天给我个说法",
    "A|喂您好，售后维修|我屋顶漏雨，打了五次电话没人来|您的电话是本机吗|是|已经给您派单了",
    "A|您好，请问有什么可以帮您|样板间的地板跟我家装的不是一个牌子|您方便提供一下房号吗|十二栋二零一|您放心，我们会跟工程部核实",
    "C|我找你们领导，叫你们领导给我接电话|先生您请说，我可以帮您记录|记录有什么用，记了三回了|实在抱歉，我帮您升级处理",
    "A|您好请讲|嗯，那个，我是想退那个定金|请问您是什么原因呢|我老公单位裁员了，贷不了款|您的情况我反馈给销售部，稍后联系您",
    "A|您好，物业服务中心|楼上装修凌晨还在砸墙，我家老人心脏不好|您是哪一栋的|三栋|好的阿姨，我马上安排人去看",
    "A|您好，很高兴为您服务|你们交房的时候说精装，我一看墙纸全起皮了|请问验房单上有写吗|写了，你们人说一周修，一个月了|给您催一下",
    "C|喂|您好，请讲|我家入户门锁不上，小区又进了贼，你们什么态度，没人理|您的地址方便说一下吗|望江台六幢",
    "A|您好，请问怎么称呼您|我姓温，我买的是云栖苑的车位|温先生，您请讲|车位跟图上画的差一米，车都开不进去|我帮您登记，会有工程师联系您",
    "A|先生您好，您反映的问题我们已经受理|受理受理，你们就会说受理|请您再给我们一点时间|我给了半年了，再不解决我找媒体|我会跟进的，您保持电话畅通",
    "C|你们那个按揭专员让我跑了四趟银行|很抱歉女士，请问专员的姓名您知道吗|姓詹，男的|好的，我这边记录下来",
    "A|您好，栖霞里营销中心|我就想问，凭什么车位必须绑着买|您是准备购买哪个户型呢|一百二那个，我定金都交了|这个我帮您咨询一下销售主管",
    "A|您好请问您需要什么帮助|我爸在你们售楼处门口滑倒了，地上全是水，也没个牌子|老人家现在怎么样，您在医院吗|在骨科，你们得出医药费|您别着急，我立即上报领导",
    "A|您好您好，听得到吗|听得到，我家暖气不热，十五度，孩子都冻感冒了|您家放过气吗|放了，没用|给您预约师傅上门",
    "C|我要举报你们销售收茶水费|您好，请问您有凭证吗|我有录音，五万块|麻烦您提供一下对方姓名，我们会核实",
    "A|喂你好，是顾女士吗，我是客服中心的小陶|对，我是|您前天反馈的漏水我们回访一下|还漏着呢，你们就来抹了点胶|好的，我再帮您催一下工程部",
    "A|Thank you for calling, how can I help you?|My apartment ceiling is leaking and nobody came|May I have your name please?|"
    "My name is Ellen, unit 1203|I will register it right away",
    "A|您好，有什么能帮到您|补充协议里说天气原因延期你们不赔，我不签|您是对哪一条有疑问呢|第九条，什么叫等原因|您的意见我们转给法务，尽快答复您",
    "C|哎，我跟你说，我家那个阳台玻璃自己炸了|阿姨您人没事吧|人没事，满地都是渣子，你们赶紧来人|好的阿姨，您是几号楼|四号楼顶楼",
    "A|您好，收费这边|你们物业费一平涨到四块八，谁同意的，我们没签字|您指的是今年一月份的调整吗|对啊，我不交|您的意见我会反馈",
    "A|您好，请问是业主本人吗|我是他女儿，我爸耳朵不好|好的，请问您要反映什么|收房缴的装修押金，两年了不退|给您登记退款申请",
    "C|喂，客服吗，我那个网签撤销了没有|您好，您的姓名和身份证后四位方便报一下吗|卞立，零零二六|好的卞先生，请稍等，我查询一下|都五个月了，影响我买别的房",
    "A|您好请讲，这边是售后|我家次卧墙上一道大缝，手指头都能塞进去|您是什么时候发现的呢|就上个礼拜|我们安排工程师跟您联系上门查看",
    "A|您好，请问您的订单是哪个项目|枫林渡，我退认筹金，说好十五天，我等了五十天|请问收据号码您有吗|零零七三|这边帮您提交财务",
    "C|你工号多少，我要投诉你|先生，我的工号是一零八八，请问是什么问题|我昨天打进来你就挂我电话|非常抱歉，可能是线路问题，您请讲",
    "A|您好，请问您具体是哪里不满意|那个看房的小伙子，我问三句他答一句，一直玩手机|请问是几号去的呢|礼拜天上午|谢谢您的反馈，我们会处理",
    "A|早上好，客服中心为您服务|我家楼道灯坏了两个月，老人摔了一跤|您住哪一栋|B座|帮您通知工程部今天来修",
]


def spoken(dialogue: str) -> tuple[list[str], list[Speaker]]:
    """The texts of a dialogue and who says each."""
    first, *texts = dialogue.split("|")
    order = (A, C) if first == "A" else (C, A)
    return texts, [order[place % 2] for place in range(len(texts))]


@pytest.mark.parametrize("names", [("0", "1"), ("1", "0")])
@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_of_two_voices_the_agent_and_the_customer_are_found(dialogue: str, names: tuple[str, str]) -> None:
    """Whatever number the recogniser gave to whom."""
    texts, roles = spoken(dialogue)
    turns = [Turn(U, text, names[place % 2]) for place, text in enumerate(texts)]
    settled = settle(turns)
    assert [turn.role for turn in settled.turns] == roles
    assert settled.decided_by == "words"
    assert settled.certainty > 0.6


def test_without_voices_hardly_a_turn_is_given_to_the_wrong_party_and_no_customer_is_lost() -> None:
    wrong: list[str] = []
    told = every = 0
    for dialogue in DIALOGUES:
        texts, roles = spoken(dialogue)
        # Cut in two where there is a comma, as Whisper cuts by breath, so that the turns do not alternate.
        cut = [(part, role) for text, role in zip(texts, roles, strict=True) for part in text.split("，", 1)]
        settled = settle([Turn(U, text) for text, _ in cut])
        for turn, (text, role) in zip(settled.turns, cut, strict=True):
            every += 1
            told += turn.role is not U
            if turn.role not in (role, U):
                wrong.append(f"{role}: {text}")
    assert told / every > 0.7
    assert len(wrong) / every < 0.1, wrong
    assert sum(entry.startswith("customer") for entry in wrong) / every < 0.04, wrong


@pytest.mark.parametrize(
    ("turns", "roles"),
    [
        # One voice is the customer's, unless it clearly is an agent's.
        ([("1", "物业费多收了一年")], [C]),
        ([("1", "嗯"), ("1", "就是那个事")], [C, C]),
        ([("1", "您好，很高兴为您服务，请问有什么可以帮您"), ("1", "您好，听得到吗，感谢您的来电")], [A, A]),
        # One name for both of them: the turns are judged one by one.
        ([("1", "您好，请问有什么可以帮您"), ("1", "我家漏水，你们没人来"), ("1", "给您登记，稍后联系您")], [A, C, A]),
        # Two voices alike stay unknown.
        ([("0", "嗯"), ("1", "好的")], [U, U]),
        # A third voice beside the two.
        ([("0", "您好，请问有什么可以帮您"), ("1", "我家漏水，你们没人来"), ("2", "嗯"), ("1", "我老公也在")], [A, C, U, C]),
        ([("0", "您好，请问有什么可以帮您"), ("1", "我家漏水，你们没人来"), ("2", "我们家厨房也漏，赔钱")], [A, C, C]),
    ],
)
def test_other_numbers_of_voices(turns: list[tuple[str, str]], roles: list[Speaker]) -> None:
    assert [turn.role for turn in settle([Turn(U, text, speaker) for speaker, text in turns]).turns] == roles


def test_a_call_in_one_piece_is_told_apart_by_its_sentences() -> None:
    text = "您好，请问有什么可以帮您？我家顶楼漏雨，你们报修了也没人来。请问您贵姓？姓童。好的，给您登记，稍后联系您。"
    shown = as_json(read_transcript(json.dumps({"text": text}).encode()))
    assert shown["customer_text"] == "我家顶楼漏雨，你们报修了也没人来。\n姓童。"
    assert "".join(turn["text"] for turn in shown["turns"]) == text


def test_a_stated_role_is_never_overruled_and_leaves_the_other_to_the_other() -> None:
    stated = [Turn(C, "您好，请问有什么可以帮您", "业主"), Turn(U, "我家漏水", "0")]
    assert [turn.role for turn in settle(stated).turns] == [C, A]


def test_a_hint_decides_where_the_words_do_not_and_yields_where_they_do() -> None:
    bare = [Turn(U, "在", "0"), Turn(U, "说吧", "1")]
    assert [turn.role for turn in settle(bare, {"0": C, "1": A}).turns] == [C, A]
    clear = [Turn(U, "您好，很高兴为您服务，请问有什么可以帮您", "0"), Turn(U, "我家漏水，你们没人来，我要投诉", "1")]
    assert [turn.role for turn in settle(clear, {"0": C, "1": A}).turns] == [A, C]
