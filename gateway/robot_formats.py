"""The makers' own forms of a robot's message: what is posted, how it is signed, and how long it may be.

Sources: WeCom, developer.work.weixin.qq.com/document/path/91770 (群机器人配置说明); DingTalk, open.dingtalk.com 自定义机器人接入 and
自定义机器人安全设置; Feishu, open.feishu.cn 自定义机器人使用指南.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from gateway.notice_words import Message
from models.notice import RobotKind


@dataclass(frozen=True, slots=True)
class Posting:
    """What is posted, and where."""

    url: str
    body: bytes


# ---- What may stand in a message -------------------------------------------------------------------------------------------------------

# How many bytes of text a message may have. WeCom: `markdown.content` has 4096 at most; DingTalk: 20,000; Feishu: a whole body of 20 kB,
# in which each line costs some more. A little is left for what is signed and wrapped around.
MOST_BYTES: Mapping[RobotKind, int] = {RobotKind.WECOM: 4096, RobotKind.DINGTALK: 18_000, RobotKind.FEISHU: 12_000}

# In markdown these make links, mentions, colours and pictures. Whatever comes from outside is shown in the wide form, which makes nothing.
_WIDE = str.maketrans({c: chr(ord(c) + 0xFEE0) for c in "<>[]()*_`#~|\\!@&"})


def harmless(text: str) -> str:
    """Text that markdown and mentions do nothing to."""
    return text.translate(_WIDE)


# ---- Bodies ----------------------------------------------------------------------------------------------------------------------------


def wecom(url: str, message: Message) -> Posting:
    """A markdown message."""
    lines = [f"### {harmless(message.heading)}"] if message.heading else []
    for n, item in enumerate(message.items):
        # What follows a quotation would be part of it.
        lines += ["", f"**{harmless(item.title)}**"] if n else [f"**{harmless(item.title)}**"]
        lines += [f'> {harmless(label)}<font color="comment">{harmless(value)}</font>' for label, value in item.facts]
        lines.append(f"> [{harmless(item.link_words)}]({item.link})")
    if message.rest:
        lines.append(f"\n{harmless(message.rest)} [{harmless(message.rest_words)}]({message.rest_link})")
    return Posting(url, _json({"msgtype": "markdown", "markdown": {"content": "\n".join(lines)}}))


def dingtalk(url: str, message: Message, secret: str, now: datetime) -> Posting:
    """A markdown message; signed in the address where the robot has a secret."""
    parts = [f"### {harmless(message.heading)}"] if message.heading else []
    for item in message.items:
        rows = [f"**{harmless(item.title)}**", *(f"- {harmless(label)}{harmless(value)}" for label, value in item.facts)]
        parts.append("\n".join([*rows, f"- [{harmless(item.link_words)}]({item.link})"]))
    if message.rest:
        parts.append(f"{harmless(message.rest)} [{harmless(message.rest_words)}]({message.rest_link})")
    told = {"title": harmless(message.preview), "text": "\n\n".join(parts)}
    return Posting(dingtalk_signed(url, secret, now), _json({"msgtype": "markdown", "markdown": told}))


def dingtalk_signed(url: str, secret: str, now: datetime) -> str:
    """The address with time and signature: base64 of HMAC-SHA256 under the secret over `milliseconds\\nsecret`, in the query."""
    if not secret:
        return url
    stamp = str(int(now.timestamp() * 1000))
    signed = base64.b64encode(hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()).decode()
    return f"{url}{'&' if '?' in url else '?'}timestamp={stamp}&sign={quote_plus(signed)}"


def feishu(url: str, message: Message, secret: str, now: datetime, language: str) -> Posting:
    """A rich text (`post`); signed in the body where the robot has a secret."""
    rows: list[list[dict[str, str]]] = []
    for item in message.items:
        if message.heading:
            rows.append([{"tag": "text", "text": f"■ {harmless(item.title)}"}])
        rows += [[{"tag": "text", "text": f"{harmless(label)}{harmless(value)}"}] for label, value in item.facts]
        rows.append([{"tag": "a", "text": item.link_words, "href": item.link}])
    if message.rest:
        rest = {"tag": "text", "text": f"{harmless(message.rest)} "}
        rows.append([rest, {"tag": "a", "text": message.rest_words, "href": message.rest_link}])
    title = harmless(message.heading or message.preview)
    post = {"zh_cn" if language == "zh" else "en_us": {"title": title, "content": rows}}
    return Posting(url, _json(feishu_signed(secret, now) | {"msg_type": "post", "content": {"post": post}}))


def feishu_signed(secret: str, now: datetime) -> dict[str, str]:
    """Time and signature: base64 of HMAC-SHA256 over nothing, under the key `seconds\\nsecret`. Unlike DingTalk's."""
    if not secret:
        return {}
    stamp = str(int(now.timestamp()))
    signed = hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return {"timestamp": stamp, "sign": base64.b64encode(signed).decode()}


def length(kind: RobotKind, message: Message, language: str, now: datetime) -> int:
    """How many bytes of text a message would have there; 0 for those that know no limit."""
    if kind is RobotKind.WECOM:
        return len(json.loads(wecom("", message).body)["markdown"]["content"].encode())
    if kind is RobotKind.DINGTALK:
        return len(dingtalk("", message, "", now).body)
    return len(feishu("", message, "", now, language).body) if kind is RobotKind.FEISHU else 0


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
