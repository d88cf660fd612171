"""The makers' forms: signatures as their own examples make them, lengths, what an answer means, and which notices are whose."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit
from zoneinfo import ZoneInfo

import pytest
from factories import MORNING
from hypothesis import given
from hypothesis import strategies as st

from gateway import plan, robot_answers, robot_formats
from gateway.notice_words import KINDS, NoticeWords, by_importance, notice_json
from models.delivery import Outcome, OutcomeCode
from models.notice import MAKERS_LIMIT, USUAL_RATE, Notice, NoticeKind, Quiet, Robot, RobotKind, TellCode

SHANGHAI = ZoneInfo("Asia/Shanghai")
WORDS = NoticeWords(plan.parse(plan.shipped_text()).departments, SHANGHAI, "https://jiesu.example")
FACTS: dict[NoticeKind, dict[str, Any]] = {
    NoticeKind.DUE_SOON: {"term": "reply", "due": "2026-11-23T03:00:00.000Z", "priority": "high", "round": 1},
    NoticeKind.OVERDUE: {"term": "resolve", "due": "2026-11-22T03:00:00.000Z", "priority": "normal", "round": 1},
    NoticeKind.RISK: {"risk": ["legal", "churn"], "priority": "high", "reply_due": "2026-11-23T03:00:00.000Z"},
    NoticeKind.GROUP: {"homes": 4, "count": 6, "hours": 72.0, "numbers": ["TS-1", "TS-2", "TS-3", "TS-4", "TS-5"]},
    NoticeKind.ENDPOINT_FAILING: {"since": "2026-11-23T00:00:00.000Z", "code": "timeout", "status": None, "failures": 5, "waiting": 7},
    NoticeKind.ENDPOINT_DISABLED: {"gone": True, "waiting": 7},
    NoticeKind.ENDPOINT_BACK: {},
    NoticeKind.PARKED: {"count": 3, "step": "deliver", "where": "tracker", "code": "attempts_exhausted"},
    NoticeKind.UNEXPLAINED: {"count": 2, "lost": 1, "numbers": ["TS-1"]},
    NoticeKind.MAILBOX_FAILING: {"failures": 3, "since": None, "code": "not_let_in"},
    NoticeKind.MAILBOX_BACK: {},
}


def notice(kind: NoticeKind, n: int = 1, **more: Any) -> Notice:
    of_one = kind in (NoticeKind.DUE_SOON, NoticeKind.OVERDUE, NoticeKind.RISK)
    number = f"TS-20261123-{n:04d}" if of_one else ""
    about: dict[str, Any] = {"klass": "contract", "departments": ("legal", "lead_group"), "estate": "云栖里"} if kind.of_a_complaint else {}
    return Notice(
        **{"key": f"{kind}{n}", "kind": kind, "at": MORNING, "subject": "tracker", "number": number, "id": n, "facts": FACTS[kind]}
        | about
        | more
    )


# ---- Signatures ------------------------------------------------------------------------------------------------------------------------


def test_dingtalk_is_signed_as_its_own_example_does() -> None:
    secret, stamp = "this is secret", str(round(MORNING.timestamp() * 1000))
    # The example of 自定义机器人安全设置, in its own words.
    string_to_sign = f"{stamp}\n{secret}"
    hmac_code = hmac.new(secret.encode("utf-8"), string_to_sign.encode("utf-8"), digestmod=hashlib.sha256).digest()
    sign = quote_plus(base64.b64encode(hmac_code))
    url = "https://oapi.dingtalk.com/robot/send?access_token=XXXXXX"
    assert robot_formats.dingtalk_signed(url, secret, MORNING) == f"{url}&timestamp={stamp}&sign={sign}"
    assert robot_formats.dingtalk_signed(url, "", MORNING) == url
    assert parse_qs(urlsplit(robot_formats.dingtalk_signed(url, secret, MORNING)).query)["sign"] == [base64.b64encode(hmac_code).decode()]


def test_feishu_is_signed_as_its_own_example_does() -> None:
    secret, timestamp = "demo", 1599360473
    # The example of 自定义机器人使用指南: time and secret are the key, and nothing is the text.
    string_to_sign = f"{timestamp}\n{secret}"
    sign = base64.b64encode(hmac.new(string_to_sign.encode("utf-8"), digestmod=hashlib.sha256).digest()).decode("utf-8")
    assert robot_formats.feishu_signed(secret, datetime.fromtimestamp(timestamp, UTC)) == {"timestamp": str(timestamp), "sign": sign}
    assert robot_formats.feishu_signed("", MORNING) == {}


# ---- Words and lengths -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_kind_has_words_a_place_and_json(kind: NoticeKind, language: str) -> None:
    item = WORDS.item(notice(kind), language, MORNING)
    assert item.title
    assert item.link.startswith("https://jiesu.example/console")
    assert all(value for _, value in item.facts)
    told = item.title + "".join(label + value for label, value in item.facts)
    if language == "en":
        # Names of departments have an English form; what is left is the estate.
        assert not [c for c in told.replace("云栖里", "") if "\u4e00" <= c <= "\u9fff"], told
    assert json.dumps(notice_json(notice(kind), item.link))
    assert set(KINDS) == set(NoticeKind) == set(FACTS)
    assert len(by_importance([notice(one) for one in NoticeKind])) == len(NoticeKind)


@given(
    counts=st.lists(st.sampled_from(list(NoticeKind)), min_size=1, max_size=60),
    estate=st.text(max_size=300),
    language=st.sampled_from(["zh", "en"]),
    kind=st.sampled_from([RobotKind.WECOM, RobotKind.DINGTALK, RobotKind.FEISHU]),
)
def test_whatever_waits_makes_one_message_that_the_maker_takes(
    counts: list[NoticeKind], estate: str, language: str, kind: RobotKind
) -> None:
    told = [notice(one, n, **({"estate": estate} if one.of_a_complaint else {})) for n, one in enumerate(counts)]
    most = robot_formats.MOST_BYTES[kind]

    def fits(message: Any) -> bool:
        return robot_formats.length(kind, message, language, MORNING) <= most

    message = WORDS.compose(told, language, MORNING, 8, fits)
    assert fits(message)
    assert len(message.items) >= 1
    counted = sum(int(n) for n in re.findall(r" (\d+)(?=[、。,.])", message.rest.split("：" if language == "zh" else ": ", 1)[-1]))
    assert len(message.items) + (counted if message.rest else 0) == len(told)
    assert "接诉" in message.preview
    bodies = {
        RobotKind.WECOM: lambda: robot_formats.wecom("", message),
        RobotKind.DINGTALK: lambda: robot_formats.dingtalk("", message, "SEC", MORNING),
        RobotKind.FEISHU: lambda: robot_formats.feishu("", message, "s", MORNING, language),
    }
    body = bodies[kind]().body
    assert "接诉" in body.decode()
    assert len(body) <= 20_000


@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_nothing_from_outside_makes_markdown_or_hides(text: str) -> None:
    shown = robot_formats.harmless(NoticeWords.name(text))
    assert not set(shown) & set("<>[]()*_`#~|\\!@&\n\r\u202e\u2066\x00")
    assert len(shown) <= 30


# ---- Answers ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "answer", "code", "hold"),
    [
        ("wecom", 200, {"errcode": 0, "errmsg": "ok"}, "accepted", 0),
        ("dingtalk", 200, {"errcode": 0, "errmsg": "ok"}, "accepted", 0),
        ("feishu", 200, {"code": 0, "msg": "success", "StatusCode": 0}, "accepted", 0),
        ("feishu", 200, {"StatusCode": 0, "StatusMessage": "success"}, "accepted", 0),
        ("webhook", 204, "", "accepted", 0),
        ("dingtalk", 200, {"errcode": 410100, "errmsg": "发送速度太快而限流"}, "throttled", 600),
        ("dingtalk", 200, {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": "1"}, "throttled", 600),
        ("dingtalk", 200, {"errcode": 310000, "errmsg": "keywords not in content"}, "refused", 0),
        ("wecom", 200, {"errcode": 45009, "errmsg": "api freq out of limit"}, "throttled", 60),
        ("wecom", 200, {"errcode": 999999, "errmsg": "something new"}, "refused", 0),
        ("feishu", 200, {"code": 11232, "msg": "frequency limited psm[x]"}, "throttled", 60),
        ("feishu", 200, {"code": 9499, "msg": "too many request"}, "throttled", 60),
        ("feishu", 400, {"code": 9499, "msg": "Bad Request"}, "refused", 0),
        ("wecom", 200, "", "strange", 0),
        ("wecom", 200, "[]", "strange", 0),
        ("wecom", 200, {"errcode": "0"}, "strange", 0),
        ("wecom", 200, {"errcode": False}, "strange", 0),
        ("wecom", 302, "", "redirected", 0),
        ("wecom", 404, "", "client_error", 0),
        ("wecom", 410, "", "client_error", 0),
        ("wecom", 500, {"errcode": 0}, "server_error", 0),
        ("wecom", 503, "", "throttled", 60),
        ("webhook", 400, "no", "client_error", 0),
    ],
)
def test_what_an_answer_means(kind: str, status: int, answer: Any, code: str, hold: int) -> None:
    by_status = {200: "accepted", 204: "accepted", 302: "redirected", 404: "client_error", 400: "client_error", 410: "gone"}
    http = OutcomeCode(by_status.get(status, "throttled" if status == 503 else "server_error"))
    spelt = answer if isinstance(answer, str) else json.dumps(answer)
    found = robot_answers.read(RobotKind(kind), Outcome(http, status, 0.1, spelt), ["k" * 20])
    assert (found.code, found.hold) == (TellCode(code), timedelta(seconds=hold))
    assert bool(found.zh) == bool(found.en) == (code != "accepted")


@pytest.mark.parametrize("code", [one for one in OutcomeCode if one is not OutcomeCode.ACCEPTED])
def test_every_way_of_not_arriving_has_words(code: OutcomeCode) -> None:
    found = robot_answers.read(RobotKind.WECOM, Outcome(code, None, 0.1, "TimeoutError"), [])
    assert found.code is not TellCode.ACCEPTED
    assert found.zh
    assert found.en


def test_no_key_is_kept_of_what_the_other_side_says() -> None:
    url, secret = "https://open.feishu.cn/open-apis/bot/v2/hook/0a1b2c3d-4e5f-6789", "SECabc"
    keys = robot_answers.keys_of(url, secret)
    said = f'{{"code": 19001, "msg": "no hook {url} with {secret}"}}'
    found = robot_answers.read(RobotKind.FEISHU, Outcome(OutcomeCode.ACCEPTED, 200, 0.1, said), keys)
    assert "0a1b2c3d" not in found.said
    assert secret not in found.said
    assert robot_answers.shown(url) == "https://open.feishu.cn/…"
    assert robot_answers.shown("https://u:p@x.example?key=abc") == "https://x.example/…"
    keys = robot_answers.keys_of("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0a1b", "")
    assert "0a1b" in keys


# ---- Whose -----------------------------------------------------------------------------------------------------------------------------


def test_filters() -> None:
    risk, parked = notice(NoticeKind.RISK), notice(NoticeKind.PARKED)
    assert Robot("r", RobotKind.WECOM).takes(risk)
    assert Robot("r", RobotKind.WECOM).takes(parked)
    assert Robot("r", RobotKind.WECOM, departments=("lead_group",)).takes(risk)
    assert not Robot("r", RobotKind.WECOM, departments=("sales",)).takes(risk)
    # A department's group is no place for the system's troubles, unless they are asked for by name.
    assert not Robot("r", RobotKind.WECOM, departments=("lead_group",)).takes(parked)
    assert Robot("r", RobotKind.WECOM, departments=("lead_group",), named=frozenset({NoticeKind.PARKED})).takes(parked)
    assert not Robot("r", RobotKind.WECOM, kinds=frozenset({NoticeKind.GROUP})).takes(risk)
    assert not Robot("r", RobotKind.WECOM, risks=("safety",)).takes(risk)
    assert not Robot("r", RobotKind.WECOM, classes=("price",)).takes(risk)
    assert not Robot("r", RobotKind.WECOM, estates=("星河湾",)).takes(risk)


@pytest.mark.parametrize(
    ("begins", "ends", "at", "over"),
    [
        (22 * 60, 7 * 60, "2026-11-23T23:00", "2026-11-24T07:00"),
        (22 * 60, 7 * 60, "2026-11-24T06:59", "2026-11-24T07:00"),
        (22 * 60, 7 * 60, "2026-11-24T07:00", None),
        (22 * 60, 7 * 60, "2026-11-24T21:59", None),
        (12 * 60, 13 * 60 + 30, "2026-11-24T12:00", "2026-11-24T13:30"),
        (12 * 60, 13 * 60 + 30, "2026-11-24T11:59", None),
        (22 * 60, 0, "2026-11-24T23:00", "2026-11-25T00:00"),
    ],
)
def test_quiet_hours(begins: int, ends: int, at: str, over: str | None) -> None:
    local = datetime.fromisoformat(at).replace(tzinfo=SHANGHAI)
    expected = datetime.fromisoformat(over).replace(tzinfo=SHANGHAI) if over else None
    assert Quiet(begins, ends).over_at(local) == expected


def test_what_is_usual_is_below_what_the_makers_take() -> None:
    for kind, usual in USUAL_RATE.items():
        limit = MAKERS_LIMIT[kind]
        assert limit is None or usual < limit
    # Feishu also counts by the second.
    assert Robot("r", RobotKind.FEISHU, per_minute=100).interval > timedelta(seconds=1 / 5)
