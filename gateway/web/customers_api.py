"""The chat by plain HTTP, for mini-programs and other front ends: a complaint in, further lines, and where it stands (docs/chat.md).

What is answered here is what a customer may see. His token opens his own complaints and nothing else; a program's opens those of all chats.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from connectors.base import TalkNow, Visitor
from connectors.chat_lines import MEDIA_TYPE, conversation_key, conversation_of
from connectors.chat_room import Counts, entry_json, iso, network_of, standing_json
from gateway.bootstrap import App, identity_secret
from gateway.dialogue_words import CONSENT_VERSION
from gateway.web.api import body_schema, caller_of, json_of, needs, token_of
from models.staff import Caller, Scope
from models.submission import Channel, Receipt, Submission

_WHO = {"name": 80, "phone": 40, "email": 254, "estate": 80, "unit": 80}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_KEY = 128
_NOT_FOUND = "没有这个编号，或令牌不对 / there is no such number, or the token is wrong"


@dataclass(frozen=True, slots=True)
class Opened:
    """A complaint that somebody may speak of: its talk, which of its complaints it is, and whether the customer himself asks."""

    talk: str
    topic: str
    himself: bool


def router(app: App) -> APIRouter:
    """The routes for customers' front ends."""
    routes = APIRouter(prefix="/api/v1/complaints")
    secret = identity_secret(app.settings).encode()
    chat = app.settings.chat
    lines = Counts(60)

    async def opened(number: str, request: Request, scope: Scope) -> Opened:
        """Whose complaint it is. Raises 401 without a token, 403 without the scope, 404 for any number that the token does not open."""
        token = token_of(request)
        caller = await caller_of(app, request)
        if caller is None and not _TOKEN.fullmatch(token):
            raise HTTPException(401, "需要令牌 / a token is needed: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"})
        if caller is not None and scope not in caller.scopes:
            raise HTTPException(403, f"这个令牌没有 {scope} 权限 / this token lacks the scope {scope}")
        plain = number.isascii() and number.isprintable()
        found = await anyio.to_thread.run_sync(app.talks.find, number) if plain else None
        if found is None or (caller is None and not hmac.compare_digest(found[0], conversation_key(token))):
            raise HTTPException(404, _NOT_FOUND)
        return Opened(*found, himself=caller is None)

    def checked_text(body: Mapping[str, Any]) -> str:
        text = str(body["text"])
        if not text.strip() or len(text) > chat.max_line_chars:
            most = chat.max_line_chars
            raise HTTPException(422, f"text：应为 1–{most} 字 / text: must be of 1 to {most} characters")
        return text

    async def written(where: Opened, key: str, text: str, envelope: Mapping[str, object]) -> tuple[Receipt, TalkNow, Submission]:
        """A line taken in and answered. Raises 422 where the key was used for another text."""
        raw = json.dumps({"id": key, "text": text}, separators=(",", ":")).encode()
        conversation = conversation_of(where.talk, where.topic)
        offered = Submission(
            Channel.CHAT, raw, MEDIA_TYPE, f"{where.talk}:{key}", app.clock.now(), conversation, {"door": "api", **envelope}
        )
        receipt = await anyio.to_thread.run_sync(app.accept, offered)
        if receipt.duplicate and await anyio.to_thread.run_sync(app.desk.original, receipt.number, receipt.submission_id) != (
            MEDIA_TYPE,
            raw,
        ):
            raise HTTPException(422, "这个键已用于另一段文字 / this key was used for another text")
        moved = await anyio.to_thread.run_sync(app.talks.advance, [conversation])
        return receipt, moved[where.talk], offered

    @routes.post(
        "",
        status_code=201,
        summary="提交一件投诉，得到编号和顾客令牌。 Takes a complaint in; gives its number and the customer's token.",
        openapi_extra=body_schema(
            ("text",),
            text={"type": "string", "maxLength": chat.max_line_chars},
            **{key: {"type": "string", "maxLength": most} for key, most in _WHO.items()},
            language={"type": "string", "enum": ["zh", "en"]},
            consent={
                "type": "string",
                "description": "顾客已同意的个人信息说明版本。 The wording on personal data that the customer has agreed to.",
                "maxLength": 40,
            },
        ),
    )
    async def complain(request: Request, caller: Caller = Depends(needs(app, Scope.COMPLAINTS_WRITE))) -> Response:  # noqa: B008 - as the framework has it
        body = await json_of(request, dict.fromkeys(("text", *_WHO, "language", "consent"), str), ("text",))
        text = checked_text(body)
        for name, most in _WHO.items():
            if len(body.get(name, "")) > most:
                raise HTTPException(422, f"{name}：最多 {most} 字 / {name}: {most} characters at most")
        if body.get("language", "zh") not in ("zh", "en") or len(body.get("consent", "")) > 40:
            raise HTTPException(422, "language：应为 zh 或 en；consent：最多 40 字 / language: zh or en; consent: 40 characters at most")
        key = request.headers.get("idempotency-key")
        if key is not None and not (0 < len(key) <= _MOST_KEY and key.isascii() and key.isprintable()):
            raise HTTPException(
                422, f"Idempotency-Key：1–{_MOST_KEY} 个可见 ASCII 字符 / Idempotency-Key: 1 to {_MOST_KEY} printable ASCII characters"
            )
        # The token follows from the key, so that whoever asks again gets the same and the store need not know it.
        made = hmac.new(secret, f"{caller.name}\n{key}".encode(), hashlib.sha256).digest() if key else secrets.token_bytes(32)
        token = base64.urlsafe_b64encode(made).decode().rstrip("=")
        talk = conversation_key(token)
        consent = body.get("consent") or None
        await anyio.to_thread.run_sync(lambda: app.talks.begin(talk, Visitor(body.get("language", "zh")), consent=consent))
        who = {name: body[name] for name in _WHO if body.get(name)}
        receipt, now, offered = await written(Opened(talk, "", True), "api", text, {"customer": who} if who else {})
        told = {"number": receipt.number, "token": token, "received_at": iso(offered.received_at), "duplicate": receipt.duplicate}
        return JSONResponse(told | _question(now), 201)

    @routes.post(
        "/{number}/messages",
        status_code=201,
        summary="补充一件投诉（顾客令牌，或 complaints:write）。 Adds to a complaint (the customer's token, or complaints:write).",
        openapi_extra=body_schema(
            ("text",),
            text={"type": "string", "maxLength": chat.max_line_chars},
            id={"type": "string", "pattern": _ID.pattern, "description": "同一 id 只算一条。 The same id is one message."},
        ),
    )
    async def add(number: str, request: Request) -> Response:
        where = await opened(number, request, Scope.COMPLAINTS_WRITE)
        body = await json_of(request, {"text": str, "id": str}, ("text",))
        text = checked_text(body)
        key = body.get("id") or secrets.token_hex(16)
        if not _ID.fullmatch(key):
            raise HTTPException(422, "id：1–64 个字母、数字、- 或 _ / id: 1 to 64 letters, digits, - or _")
        address = network_of(request.client.host if request.client else "")
        too_many = not lines.allows(f"talk {where.talk}", chat.max_lines_per_minute)
        if too_many or (where.himself and not lines.allows(address, chat.max_lines_per_minute_of_address)):
            raise HTTPException(429, "发送太快了，请稍等片刻 / too fast; please wait a moment", {"Retry-After": "20"})
        place = await anyio.to_thread.run_sync(app.talks.place, where.talk)
        asked = {"asked": place.asked} if place.asked and place.topic == where.topic else {}
        receipt, now, offered = await written(where, key, text, asked)
        told = {"number": receipt.number, "id": key, "received_at": iso(offered.received_at), "duplicate": receipt.duplicate}
        return JSONResponse(told | _question(now), 201)

    @routes.get(
        "/{number}/status",
        summary="一件投诉办到哪一步，以及对顾客的答复（顾客令牌，或 complaints:read）。"
        " Where a complaint stands and what its customer was answered (the customer's token, or complaints:read).",
    )
    async def status(number: str, request: Request) -> dict[str, Any]:
        where = await opened(number, request, Scope.COMPLAINTS_READ)
        now = await anyio.to_thread.run_sync(app.talks.whole, where.talk)
        standing = next((one for one in now.standings if one.number == number), None)
        if standing is None:
            raise HTTPException(404, _NOT_FOUND)
        mine = [entry for entry in now.entries if entry.topic == where.topic]
        answers = [int(entry.id[1:]) for entry in mine if entry.kind == "answer"]
        if where.himself and answers:
            await anyio.to_thread.run_sync(app.talks.shown, where.talk, max(answers))
        told = standing_json(standing) | {"conversation": [{"kind": entry.kind} | entry_json(entry) for entry in mine]}
        return told | _question(now) | {"agent": now.agent, "consent_version": CONSENT_VERSION}

    return routes


def _question(now: TalkNow) -> dict[str, Any]:
    """The question that stands open, with its quick replies; the last that was said of it."""
    asked = next((entry for entry in reversed(now.entries) if entry.asks and entry.asks == now.asked), None)
    if asked is None:
        return {"question": None}
    return {"question": {"asks": asked.asks, "zh": asked.zh, "en": asked.en, "replies": [list(reply) for reply in asked.replies]}}
