"""The makers of robots in this process: HTTP servers that hold to what WeCom, DingTalk and Feishu document, and answer as they do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

KEY = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"
SECRET = "SEC0123456789abcdef"


class Maker:
    """`with Maker("wecom") as maker:` serves at `maker.url`; everything that a group would show is in `maker.shown`.

    answers: what the next posts are answered instead: (HTTP status, JSON or text). asked: every post, whatever came of it.
    now: by which clock time stamps and limits are judged.
    """

    def __init__(self, kind: str, secret: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.kind, self.secret, self.now = kind, secret, now
        self.shown: list[dict[str, Any]] = []
        self.asked: list[tuple[datetime, str, bytes]] = []
        self.answers: list[tuple[int, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._taken: list[datetime] = []
        self._blocked_until: datetime | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        maker = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with maker._lock:
                    maker.headers.append({name.lower(): value for name, value in self.headers.items()})
                    status, told = maker._take(self.path, body)
                spelt = (told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(spelt)))
                self.end_headers()
                # In two pieces, as a server far away may.
                self.wfile.write(spelt[:5])
                self.wfile.flush()
                self.wfile.write(spelt[5:])

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address, as the maker shows it to whoever sets a robot up."""
        base = f"http://127.0.0.1:{self._server.server_address[1]}"
        return (
            base
            + {
                "wecom": f"/cgi-bin/webhook/send?key={KEY}",
                "dingtalk": f"/robot/send?access_token={KEY}",
                "feishu": f"/open-apis/bot/v2/hook/{KEY}",
                "webhook": f"/notices/{KEY}",
            }[self.kind]
        )

    @property
    def texts(self) -> list[str]:
        """What people read, message by message."""
        return [_text(self.kind, one) for one in self.shown]

    def _take(self, path: str, body: bytes) -> tuple[int, Any]:
        now = self.now()
        self.asked.append((now, path, body))
        if self.answers:
            status, told = self.answers.pop(0)
            if (status, told) != (200, "as usual"):
                return status, told
        told = json.loads(body)
        wrong = getattr(self, f"_{self.kind}")(path, told, body, now)
        if wrong is None:
            self._taken.append(now)
            self.shown.append(told)
        fine = {"code": 0, "msg": "success", "data": {}} if self.kind == "feishu" else {"errcode": 0, "errmsg": "ok"}
        return 200, wrong or fine

    # ---- What each documents -----------------------------------------------------------------------------------------------------------

    def _wecom(self, path: str, told: dict[str, Any], body: bytes, now: datetime) -> dict[str, Any] | None:
        if parse_qs(urlsplit(path).query).get("key") != [KEY]:
            return {"errcode": 93000, "errmsg": f"invalid webhook url, hint: [1], from ip: 1.2.3.4, path {path}"}
        if told.get("msgtype") != "markdown" or not isinstance(told["markdown"]["content"], str):
            return {"errcode": 40008, "errmsg": "invalid message type"}
        if len(told["markdown"]["content"].encode()) > 4096:
            return {"errcode": 40058, "errmsg": "markdown.content exceed max length 4096. invalid Request Parameter"}
        if self._in_the_last(timedelta(minutes=1), now) >= 20:
            return {"errcode": 45009, "errmsg": "api freq out of limit"}
        return None

    def _dingtalk(self, path: str, told: dict[str, Any], body: bytes, now: datetime) -> dict[str, Any] | None:
        query = parse_qs(urlsplit(path).query)
        if query.get("access_token") != [KEY]:
            return {"errcode": 300001, "errmsg": "token is not exist"}
        if self.secret:
            stamp = query.get("timestamp", ["0"])[0]
            spelt = hmac.new(self.secret.encode(), f"{stamp}\n{self.secret}".encode(), hashlib.sha256).digest()
            late = abs(now.timestamp() * 1000 - int(stamp)) > 3_600_000
            if late or query.get("sign") != [base64.b64encode(spelt).decode()]:
                return {"errcode": 310000, "errmsg": "sign not match, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"}
        if self._blocked_until is not None and now < self._blocked_until:
            return {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}
        if self._in_the_last(timedelta(minutes=1), now) >= 20:
            self._blocked_until = now + timedelta(minutes=10)
            return {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}
        if len(body) > 20_000:
            return {"errcode": 460101, "errmsg": "message too long, exceed 20000 bytes"}
        if told.get("msgtype") != "markdown" or not told["markdown"]["title"] or not told["markdown"]["text"]:
            return {"errcode": 40035, "errmsg": "invalid parameter"}
        return None

    def _feishu(self, path: str, told: dict[str, Any], body: bytes, now: datetime) -> dict[str, Any] | None:
        if not path.endswith(f"/{KEY}"):
            return {"code": 19001, "msg": "param invalid: incoming webhook access token invalid", "data": {}}
        if self.secret:
            stamp = told.get("timestamp", "0")
            spelt = hmac.new(f"{stamp}\n{self.secret}".encode(), b"", hashlib.sha256).digest()
            if abs(now.timestamp() - int(stamp)) > 3600 or told.get("sign") != base64.b64encode(spelt).decode():
                return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time", "data": {}}
        if len(body) > 20_480:
            return {"code": 9499, "msg": "Bad Request", "data": {}}
        if self._in_the_last(timedelta(minutes=1), now) >= 100 or self._in_the_last(timedelta(seconds=1), now) >= 5:
            return {"code": 11232, "msg": "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]", "data": {}}
        posts = list(told["content"]["post"].values())
        if told.get("msg_type") != "post" or not all(part["tag"] in ("text", "a") for row in posts[0]["content"] for part in row):
            return {"code": 9499, "msg": "Bad Request", "data": {}}
        return None

    def _webhook(self, path: str, told: dict[str, Any], body: bytes, now: datetime) -> None:
        return None

    def _in_the_last(self, span: timedelta, now: datetime) -> int:
        return sum(1 for at in self._taken if at > now - span)


def _text(kind: str, told: dict[str, Any]) -> str:
    if kind == "wecom":
        return str(told["markdown"]["content"])
    if kind == "dingtalk":
        return f"{told['markdown']['title']}\n{told['markdown']['text']}"
    if kind == "feishu":
        (post,) = told["content"]["post"].values()
        return "\n".join([post["title"], *("".join(part["text"] for part in row) for row in post["content"])])
    return json.dumps(told, ensure_ascii=False)
