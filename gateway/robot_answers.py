"""What a maker's answer to a robot's message means, and what people can do about it.

All three makers answer HTTP 200 to what they refuse, with a code in the body. The codes are those of their pages of errors (open.dingtalk.com
自定义机器人接入; open.feishu.cn 自定义机器人使用指南; developer.work.weixin.qq.com/document/path/90313).
"""
# A row of a table is one line, however long.
# ruff: noqa: E501

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from models.delivery import Outcome, OutcomeCode
from models.notice import RobotKind, TellCode, TellOutcome

_MINUTE = timedelta(minutes=1)

_THROTTLED: Mapping[RobotKind, frozenset[int]] = {
    RobotKind.WECOM: frozenset({45009}),
    RobotKind.DINGTALK: frozenset({130101, 410100}),
    RobotKind.FEISHU: frozenset({11232}),
}
# How long a robot that was too fast is left alone: DingTalk takes nothing for ten minutes, the others look back over one.
_HOLD: Mapping[RobotKind, timedelta] = {
    RobotKind.WECOM: _MINUTE,
    RobotKind.DINGTALK: 10 * _MINUTE,
    RobotKind.FEISHU: _MINUTE,
}
# What people can do about it, by the maker's code.
_MEANINGS: Mapping[tuple[RobotKind, int], tuple[str, str]] = {
    (RobotKind.WECOM, 93000): ("地址中的 key 无效，机器人可能已被移除；请重新复制 Webhook 地址", "the key in the address is not valid: the robot may be gone; copy its address anew"),
    (RobotKind.WECOM, 93008): ("机器人不在群里；请重新添加并复制地址", "the robot is not in the group: add it again and copy its address"),
    (RobotKind.WECOM, 40058): ("内容不符合要求", "the content was not accepted"),
    (RobotKind.WECOM, 45009): ("发送太快（每分钟最多 20 条），稍后自动再发", "too fast (20 a minute at most); sent again later by itself"),
    (RobotKind.DINGTALK, 310000): ("没有通过机器人的安全设置：签名密钥、关键词（请设为“接诉”）或 IP 白名单不符", "the robot's safety settings say no: signing secret, keyword (make it 接诉) or IP list"),
    (RobotKind.DINGTALK, 300001): ("access_token 不存在，机器人可能已被移除；请重新复制 Webhook 地址", "there is no such access_token: the robot may be gone; copy its address anew"),
    (RobotKind.DINGTALK, 400101): ("access_token 不存在，机器人可能已被移除；请重新复制 Webhook 地址", "there is no such access_token: the robot may be gone; copy its address anew"),
    (RobotKind.DINGTALK, 400102): ("机器人已停用；请在群设置中启用", "the robot is switched off: switch it on in the group's settings"),
    (RobotKind.DINGTALK, 130101): ("发送太快（每分钟最多 20 条），十分钟后自动再发", "too fast (20 a minute at most); sent again by itself in ten minutes"),
    (RobotKind.DINGTALK, 410100): ("发送太快（每分钟最多 20 条），十分钟后自动再发", "too fast (20 a minute at most); sent again by itself in ten minutes"),
    (RobotKind.FEISHU, 19001): ("Webhook 地址无效，机器人可能已被移除；请重新复制地址", "the address is not valid: the robot may be gone; copy its address anew"),
    (RobotKind.FEISHU, 19021): ("签名不符或本机时钟相差一小时以上；请核对签名密钥与时间", "the signature is wrong, or this machine's clock is an hour off: see to secret and time"),
    (RobotKind.FEISHU, 19022): ("本机出口 IP 不在白名单中", "the address that this machine goes out by is not on the robot's IP list"),
    (RobotKind.FEISHU, 19024): ("缺少关键词；请把机器人的关键词设为“接诉”", "the keyword is missing: make the robot's keyword 接诉"),
    (RobotKind.FEISHU, 9499): ("内容不符合要求", "the content was not accepted"),
    (RobotKind.FEISHU, 11232): ("发送太快，一分钟后自动再发", "too fast; sent again by itself in a minute"),
}  # fmt: skip
# What a try's end means where the maker itself said nothing.
_BY_HTTP: Mapping[OutcomeCode, tuple[TellCode, str, str]] = {
    OutcomeCode.REDIRECTED: (TellCode.REDIRECTED, "对方要求转到别处，没有跟去；请核对地址", "it points elsewhere, which is not followed; see to the address"),
    OutcomeCode.CLIENT_ERROR: (TellCode.CLIENT_ERROR, "对方拒绝（HTTP {status}）；请核对地址", "refused (HTTP {status}); see to the address"),
    OutcomeCode.GONE: (TellCode.CLIENT_ERROR, "地址已不存在（HTTP 410）；请核对地址", "the address is gone (HTTP 410); see to the address"),
    OutcomeCode.THROTTLED: (TellCode.THROTTLED, "对方要求稍后再发（HTTP {status}）", "it asks for time (HTTP {status})"),
    OutcomeCode.SERVER_ERROR: (TellCode.SERVER_ERROR, "对方出错（HTTP {status}）", "it has a fault of its own (HTTP {status})"),
    OutcomeCode.TIMEOUT: (TellCode.TIMEOUT, "对方没有及时回答", "it did not answer in time"),
    OutcomeCode.AWAY: (TellCode.AWAY, "连接不上；请检查网络和地址", "no connection can be made; see to the network and the address"),
    OutcomeCode.UNREACHABLE: (TellCode.UNREACHABLE, "连接中断或证书有误", "the connection broke, or its certificate is wrong"),
    OutcomeCode.FORBIDDEN_ADDRESS: (TellCode.FORBIDDEN_ADDRESS, "地址在内网，默认不允许；确属所需请写入 allow_private_hosts", "the address is a private one; allow it in allow_private_hosts if it is meant"),
}  # fmt: skip


def read(kind: RobotKind, outcome: Outcome, keys: Sequence[str]) -> TellOutcome:
    """What a try brought, as the maker means it. `keys`: what must never be shown of what it said."""
    found = _maker_said(outcome.answer) if kind in _THROTTLED else None
    said = _masked(found[1] if found else outcome.answer, keys)[:300]
    if outcome.code is not OutcomeCode.ACCEPTED and (found is None or found[0] == 0):
        code, zh, en = _BY_HTTP[outcome.code]
        hold = outcome.retry_after or (_HOLD.get(kind, _MINUTE) if code is TellCode.THROTTLED else timedelta(0))
        status = outcome.status or ""
        return TellOutcome(code, outcome.status, outcome.seconds, None, zh.format(status=status), en.format(status=status), said, hold)
    if kind not in _THROTTLED:
        return TellOutcome(TellCode.ACCEPTED, outcome.status, outcome.seconds)
    if found is None:
        zh, en = "回答的不是机器人应有的内容；请核对地址", "what it answered is not what robots answer; see to the address"
        return TellOutcome(TellCode.STRANGE, outcome.status, outcome.seconds, None, zh, en, said)
    number, words = found
    if number == 0:
        return TellOutcome(TellCode.ACCEPTED, outcome.status, outcome.seconds, 0)
    # Feishu has been seen to say so under another code, too.
    too_fast = number in _THROTTLED[kind] or "frequency limited" in words.lower() or "too many request" in words.lower()
    usual = ("发送太快，稍后自动再发", "too fast; sent again later by itself") if too_fast else ("对方没有接受", "it was not accepted")
    zh, en = usual if too_fast and number not in _THROTTLED[kind] else _MEANINGS.get((kind, number), usual)
    hold = _HOLD[kind] if too_fast else timedelta(0)
    code = TellCode.THROTTLED if too_fast else TellCode.REFUSED
    return TellOutcome(code, outcome.status, outcome.seconds, number, zh, en, said, hold)


def _maker_said(answer: str) -> tuple[int, str] | None:
    """Code and words of an answer; None where it has none."""
    try:
        told = json.loads(answer)
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    if told.get("punish"):
        # DingTalk's front gate, where somebody was much too fast.
        return 130101, f"punish: {told['punish']}"
    for code, words in (("errcode", "errmsg"), ("code", "msg"), ("StatusCode", "StatusMessage")):
        number = told.get(code)
        if isinstance(number, int) and not isinstance(number, bool):
            return number, str(told.get(words, ""))
    return None


def _masked(text: str, keys: Sequence[str]) -> str:
    for key in keys:
        if key:
            text = text.replace(key, "…")
    return " ".join(text.split())


def shown(url: str) -> str:
    """An address without what opens it: the host alone is shown."""
    host = url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]
    return f"{url.partition('://')[0]}://{host}/…" if host else ""


def keys_of(url: str, secret: str) -> list[str]:
    """What must never be shown of an address and its secret: every part of it that may open something."""
    path, _, query = url.partition("://")[2].partition("?")
    host, *parts = path.split("/")
    of_query = [value for pair in query.split("&") if (value := pair.partition("=")[2])]
    # Words of a path open nothing; what is long or has digits may.
    of_path = [part for part in parts if len(part) > 12 or any(c.isdigit() for c in part)]
    return [secret, *of_query, *of_path, host.rpartition("@")[0]]
