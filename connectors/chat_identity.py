"""Who a site says that its logged-in user is, signed by it (docs/chat.md: identity)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime

from models.errors import Refused

# What may be told of a user; anything else is passed over.
_KEYS = ("id", "name", "phone", "email", "estate", "unit")
_MOST_CHARS, _MOST_VALUE = 4096, 200


def signed(secret: str, claims: dict[str, object]) -> str:
    """Claims as a site signs them: `base64url(JSON) . hex(HMAC-SHA256)` (RFC 2104, RFC 4648 5)."""
    said = base64.urlsafe_b64encode(json.dumps(claims, ensure_ascii=False).encode()).decode().rstrip("=")
    return f"{said}.{hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()}"


def verified(secret: str, told: str, now: datetime) -> dict[str, str]:
    """The claims of a site about its user. Raises `Refused` where signature, time or form are wrong: then nobody is known."""
    said, _, signature = told.rpartition(".")
    wrong = Refused(
        "bad_identity", "网站提供的身份签名不对，按未登录处理", "the site's signature of who you are is wrong; you are not known"
    )
    if not said or len(told) > _MOST_CHARS or not told.isascii():
        raise wrong
    if not hmac.compare_digest(hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest(), signature.lower()):
        raise wrong
    try:
        claims = json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
        until = float(claims["exp"])
        known = {key: str(claims[key])[:_MOST_VALUE] for key in _KEYS if claims.get(key)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise wrong from None
    if "id" not in known:
        raise wrong
    # Not-a-number is never in time.
    if not now.timestamp() < until:
        raise Refused(
            "identity_expired", "网站提供的身份已过期，请刷新页面", "the site's word on who you are has expired; load the page anew"
        )
    return known
