"""A small HTTP server across the process border that acts as a tracker by its public documentation, and can fail in every way.

It speaks as much of Redmine, Zammad and Jira as adapters use. `python tests/scripted_tracker.py KIND` prints its port; `POST /script` tells
it how to answer the next requests, `GET /seen` says what it was asked.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "key-for-tests"


class Tracker:
    """Tickets of one kind of tracker. `script`: how the next requests that match are answered."""

    def __init__(self) -> None:
        self.tickets: dict[str, dict[str, Any]] = {}
        self.seen: list[dict[str, Any]] = []
        self.script: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self.ids = 0

    def next_id(self) -> int:
        self.ids += 1
        return self.ids

    def now(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        raise NotImplementedError


class Redmine(Tracker):
    """https://www.redmine.org/projects/redmine/wiki/Rest_api"""

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        if headers.get("x-redmine-api-key") != KEY:
            return 401, None
        if path == "/uploads.json":
            return 201, {"upload": {"token": f"{self.next_id()}.{len(body)}"}}
        told = json.loads(body) if body else {}
        if path == "/users/current.json":
            return 200, {"user": {"login": "jiesu"}}
        if path == "/projects/tousu.json":
            return 200, {"project": {"name": "投诉"}}
        if path == "/issue_statuses.json":
            return 200, {"issue_statuses": [{"id": 1, "name": "新建"}, {"id": 2, "name": "进行中"}, {"id": 3, "name": "已解决"}]}
        if path == "/enumerations/issue_priorities.json":
            return 200, {"issue_priorities": [{"id": 2, "name": "普通"}, {"id": 4, "name": "紧急"}]}
        if path == "/issues.json" and method == "POST":
            id_ = self.next_id()
            issue = {**told["issue"], "id": id_, "created_on": self.now(), "updated_on": self.now(), "journals": [], "files": []}
            self.tickets[str(id_)] = {**issue, "status": {"id": 1, "name": "新建"}}
            return 201, {"issue": {"id": id_}}
        if path == "/issues.json":
            found = list(self.tickets.values())
            if wanted := query.get("subject", "").removeprefix("~"):
                found = [one for one in found if wanted in one["subject"]]
            if since := query.get("updated_on", "").removeprefix(">="):
                found = [one for one in found if one["updated_on"] >= since]
            start = int(query.get("offset", "0"))
            return 200, {"issues": found[start : start + 100]}
        if not (named := re.fullmatch(r"/issues/(\d+)\.json", path)) or named[1] not in self.tickets:
            return 404, None
        ticket = self.tickets[named[1]]
        if method == "GET":
            return 200, {"issue": ticket}
        change = told["issue"]
        ticket["updated_on"] = self.now()
        details = []
        if status := change.get("status_id"):
            names = {1: "新建", 2: "进行中", 3: "已解决"}
            details = [{"property": "attr", "name": "status_id", "old_value": str(ticket["status"]["id"]), "new_value": str(status)}]
            ticket["status"] = {"id": status, "name": names[status]}
        ticket["files"] += change.get("uploads", [])
        journal = {"id": self.next_id(), "user": {"name": "王测试"}, "notes": change.get("notes", ""), "created_on": self.now()}
        ticket["journals"].append({**journal, "private_notes": bool(change.get("private_notes")), "details": details})
        return 204, None


class Zammad(Tracker):
    """https://docs.zammad.org/en/latest/api/ticket/index.html and …/articles.html"""

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        if headers.get("authorization") != f"Token token={KEY}":
            return 401, {"error": "Invalid token!", "error_human": "Invalid token!"}
        told = json.loads(body) if body else {}
        if path == "/api/v1/users/me":
            return 200, {"id": 3}
        if path == "/api/v1/tickets" and method == "POST":
            if lacking := {"title", "group", "customer", "article"} - set(told):
                return 422, {"error": f"Missing required value for field '{sorted(lacking)[0]}'!"}
            id_ = self.next_id()
            article = told.pop("article")
            self.tickets[str(id_)] = {**told, "id": id_, "state": "new", "updated_at": self.now(), "articles": []}
            self._article(str(id_), article, "jiesu")
            return 201, {key: value for key, value in self.tickets[str(id_)].items() if key != "articles"}
        if path == "/api/v1/tickets/search":
            assert query["expand"] == "true"
            found = list(self.tickets.values())
            if title := re.fullmatch(r'title:"(.*)"', query["query"]):
                # A full-text search is a loose one.
                found = [one for one in found if title[1][:11] in one["title"]]
            else:
                assert re.fullmatch(r"updated_at:\[now-\d+m TO \*\]", query["query"]), query
            return 200, found if query.get("page", "1") == "1" else []
        if path == "/api/v1/ticket_articles" and method == "POST":
            id_ = str(told.pop("ticket_id"))
            self.tickets[id_]["updated_at"] = self.now()
            return 201, self._article(id_, told, headers.get("x-who", "jiesu"))
        if named := re.fullmatch(r"/api/v1/ticket_articles/by_ticket/(\d+)", path):
            return 200, self.tickets[named[1]]["articles"]
        if (named := re.fullmatch(r"/api/v1/tickets/(\d+)", path)) and named[1] in self.tickets:
            self.tickets[named[1]] |= told | {"updated_at": self.now()}
            return 200, self.tickets[named[1]]
        return 404, {"error": "No such thing"}

    def _article(self, id_: str, told: dict[str, Any], who: str) -> dict[str, Any]:
        article = {**told, "id": self.next_id(), "ticket_id": int(id_), "from": who, "created_at": self.now()}
        self.tickets[id_]["articles"].append(article)
        return article


class Jira(Tracker):
    """https://docs.atlassian.com/software/jira/docs/api/REST/9.12.0/"""

    def now(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        if headers.get("authorization") != f"Bearer {KEY}":
            return 401, None
        if path.endswith("/attachments"):
            if headers.get("x-atlassian-token") != "no-check":
                return 403, {"message": "XSRF check failed"}
            name = re.search(rb'filename="([^"]*)"', body)
            assert name is not None
            key = path.split("/")[-2]
            self.tickets[key]["files"].append(name[1].decode())
            return 200, [{"filename": name[1].decode()}]
        told = json.loads(body) if body else {}
        if path.startswith("/rest/api/2/project/"):
            return (200, {"key": "TS"}) if path.endswith("/TS") else (404, {"errorMessages": ["No project could be found."]})
        if path == "/rest/api/2/issue" and method == "POST":
            fields = told["fields"]
            if any(" " in label for label in fields["labels"]):
                return 400, {"errorMessages": [], "errors": {"labels": "The label contains spaces which is invalid."}}
            key = f"TS-{self.next_id()}"
            status = {"name": "To Do"}
            self.tickets[key] = {"fields": {**fields, "status": status, "updated": self.now(), "comment": {"comments": []}}, "key": key}
            self.tickets[key]["files"] = []
            return 201, {"id": "1", "key": key}
        if path == "/rest/api/2/search":
            found = list(self.tickets.values())
            if label := re.fullmatch(r'labels = "([^"]*)"', query["jql"]):
                found = [one for one in found if label[1] in one["fields"]["labels"]]
            else:
                assert re.fullmatch(r"labels = jiesu AND updated >= -\d+m ORDER BY updated DESC", query["jql"]), query
            return 200, {"issues": found[int(query.get("startAt", "0")) :]}
        if not (named := re.match(r"/rest/api/2/issue/([^/]+)", path)) or named[1] not in self.tickets:
            return 404, {"errorMessages": ["Issue Does Not Exist"], "errors": {}}
        fields = self.tickets[named[1]]["fields"]
        if path.endswith("/comment"):
            comment = {"id": str(self.next_id()), "body": told["body"], "created": self.now(), "author": {"displayName": "王测试"}}
            fields["comment"]["comments"].append(comment)
            fields["updated"] = self.now()
            return 201, comment
        return 200, self.tickets[named[1]]


class Rt(Tracker):
    """https://docs.bestpractical.com/rt/5.0.3/RT/REST2.html, as the real one answered."""

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        who = {f"token {KEY}": "接诉", "token staff": "王测试"}.get(headers.get("authorization", ""))
        if who is None:
            return 401, {"message": "Unauthorized"}
        path = path.removeprefix("/REST/2.0")
        told = json.loads(body) if body else {}
        if path == "/queue/tousu":
            return 200, {"Name": "tousu", "id": 3, "TicketCustomFields": [{"name": "jiesu"}]}
        if path.startswith("/queue/"):
            return 403, {"message": "Forbidden"}
        if path == "/ticket" and method == "POST":
            id_ = str(self.next_id())
            self.tickets[id_] = {"id": id_, "Subject": told["Subject"], "Status": "new", "told": told, "transactions": []}
            self._transact(id_, who, "Create", told)
            return 201, {"id": id_, "type": "ticket"}
        if path == "/tickets":
            found = list(self.tickets.values())
            if words := re.fullmatch(r"Subject LIKE '(.*)'", query["query"]):
                found = [one for one in found if words[1] in one["Subject"]]
            elif key := re.fullmatch(r"CF\.\{jiesu\} = '(.*)'", query["query"]):
                found = [one for one in found if one["told"].get("CustomFields", {}).get("jiesu") == key[1]]
            else:
                assert re.fullmatch(r"LastUpdated > '-\d+ minutes'", query["query"]), query
            return 200, {"items": [{k: v for k, v in one.items() if k not in ("told", "transactions")} for one in found]}
        every = [one for ticket in self.tickets.values() for one in ticket["transactions"]]
        if named := re.fullmatch(r"/transaction/(\d+)/attachments", path):
            (one,) = [one for one in every if one["id"] == named[1]]
            files = [
                {"id": f"{named[1]}9", "ContentType": f["FileType"], "Filename": f["FileName"]} for f in one["told"].get("Attachments", ())
            ]
            return 200, {"items": [{"id": f"{named[1]}0", "ContentType": one["told"].get("ContentType", ""), "Filename": ""}, *files]}
        if named := re.fullmatch(r"/attachment/(\d+)0", path):
            (one,) = [one for one in every if one["id"] == named[1]]
            return 200, {"Content": base64.b64encode(one["told"].get("Content", "").encode()).decode()}
        named = re.fullmatch(r"/ticket/(\d+)(/\w+)?", path)
        if named is None or named[1] not in self.tickets:
            return 404, {"message": "Not Found"}
        ticket = self.tickets[named[1]]
        if named[2] == "/history":
            return 200, {"items": [{k: v for k, v in one.items() if k != "told"} for one in ticket["transactions"]]}
        if method == "GET":
            return 200, ticket
        said: list[str] = []
        if named[2] in ("/comment", "/correspond"):
            if any(not file["FileName"].isascii() for file in told.get("Attachments", ())):
                return 500, None
            self._transact(named[1], who, named[2][1:].capitalize(), told)
            said.append("Comments added")
            if named[2] == "/correspond" and ticket["Status"] == "new":
                self._status(named[1], "The RT System itself", "open")
        if status := told.get("Status"):
            if status not in ("new", "open", "stalled", "resolved", "rejected"):
                return 201, [*said, f"Status '{status}' isn't a valid status for this ticket."]
            self._status(named[1], who, status)
        return 201, said

    def _status(self, id_: str, who: str, status: str) -> None:
        before, self.tickets[id_]["Status"] = self.tickets[id_]["Status"], status
        self._transact(id_, who, "Status", {}, Field="Status", OldValue=before, NewValue=status)

    def _transact(self, id_: str, who: str, kind: str, told: dict[str, Any], **more: str) -> None:
        now = self.now()
        self.tickets[id_]["LastUpdated"] = now
        data = str(told.get("Subject", "")) + "\n" if kind in ("Comment", "Correspond") else ""
        one = {"id": str(self.next_id()), "Type": kind, "Created": now, "Creator": {"RealName": who}, "Data": data, "told": told, **more}
        self.tickets[id_]["transactions"].append(one)


class Handler(BaseHTTPRequestHandler):
    """Answers by the script, else by the tracker."""

    tracker: Tracker
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._any()

    do_POST = do_PUT = do_PATCH = do_GET

    def _any(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        tracker = self.tracker
        if parts.path == "/script":
            tracker.script += json.loads(body)
            return self._say(200, {})
        if parts.path == "/state":
            # A transition, which adapters do not make and staff does.
            told = json.loads(body)
            tracker.tickets[told["id"]]["fields"] |= {"status": {"name": told["status"]}, "updated": tracker.now()}
            return self._say(200, {})
        if parts.path == "/seen":
            return self._say(200, {"seen": tracker.seen, "tickets": tracker.tickets})
        with tracker.lock:
            tracker.seen.append(
                {"method": self.command, "path": parts.path, "query": query, "body": body.decode("utf-8", "replace")[:20_000]}
            )
            wanted = f"{self.command} {parts.path}"
            rule = next((one for one in tracker.script if re.search(one["on"], wanted)), None)
            if rule is not None:
                rule["times"] = rule.get("times", 1) - 1
                if not rule["times"]:
                    tracker.script.remove(rule)
            if rule is None or rule.get("after"):
                status, told = tracker.answer(self.command, parts.path, query, body, {k.lower(): v for k, v in self.headers.items()})
        if rule is None:
            return self._say(status, told)
        if rule.get("hang"):
            time.sleep(rule["hang"])
        if rule.get("drop"):
            # What was asked was done, and nobody hears of it.
            self.close_connection = True
            return None
        return self._say(rule.get("status", 200), rule.get("json"), rule.get("headers", {}), rule.get("text"))

    def _say(self, status: int, told: Any, headers: dict[str, str] | None = None, text: str | None = None) -> None:
        body = text.encode() if text is not None else b"" if told is None else json.dumps(told).encode()
        self.send_response(status)
        for name, value in {"content-type": "text/html" if text else "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Scripted:
    """Such a server in a process of its own. A context manager."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __enter__(self) -> Scripted:
        self.process = subprocess.Popen([sys.executable, str(Path(__file__)), self.kind], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def ask(self, method: str, path: str, told: object = None, **headers: str) -> Any:
        data = None if told is None else json.dumps(told).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers, method=method), timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def then(self, on: str, **how: Any) -> None:
        """How the next request that matches is answered. `after`: it is done all the same."""
        self.ask("POST", "/script", [{"on": on, **how}])

    @property
    def seen(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/seen")["seen"])

    @property
    def tickets(self) -> dict[str, dict[str, Any]]:
        return dict(self.ask("GET", "/seen")["tickets"])


def main() -> None:
    Handler.tracker = {"redmine": Redmine, "zammad": Zammad, "jira": Jira, "rt": Rt}[sys.argv[1]]()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
