"""Judges what is said to be signed: the receiver's side of Standard Webhooks 1.0.0, for what trackers tell us."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.keyring import secret_bytes
from models.errors import JiesuError

# How far a sender's clock may be off, in seconds.
TOLERANCE = 300
_MOST_ID, _MOST_SIGNATURES = 128, 10


class NotSigned(JiesuError):
    """What came in is not truly signed, or too long ago: nothing in it is believed."""


def who_signed(headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Sequence[str]], now: datetime) -> tuple[str, str]:
    """The name of the endpoint whose secret signed, and the message's id. Raises `NotSigned`.

    secrets: those that hold, by endpoint. All are tried and compared in constant time, so that the answer's time says nothing.
    """
    message_id, stamp, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (0 < len(message_id) <= _MOST_ID and message_id.isascii() and message_id.isprintable()):
        raise NotSigned("bad_id", "缺少有效的 webhook-id", "webhook-id is missing or malformed")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise NotSigned("bad_timestamp", "缺少有效的 webhook-timestamp（秒）", "webhook-timestamp is missing or malformed (seconds)")
    signed = f"{message_id}.{stamp}.".encode() + body
    offered = [
        part.removeprefix("v1,").encode("utf-8", "replace") for part in given.split(" ")[:_MOST_SIGNATURES] if part.startswith("v1,")
    ]
    found = ""
    for name, both in secrets.items():
        for secret in both:
            wanted = base64.b64encode(hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest())
            for signature in offered:
                if hmac.compare_digest(wanted, signature):
                    found = name
    if not found:
        raise NotSigned("bad_signature", "签名不对", "the signature is wrong")
    if abs(int(stamp) - now.timestamp()) > TOLERANCE:
        raise NotSigned("stale", "时间戳相差超过 5 分钟，请检查时钟", "the timestamp is more than five minutes off; see to the clock")
    return found, message_id
