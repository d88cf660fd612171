"""Request Tracker 5 by its REST 2 API: tickets, comments, transactions. https://docs.bestpractical.com/rt/5.0.3/RT/REST2.html"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

from gateway.trackers import words
from gateway.trackers.base import Case, Change, File, Found, History, Line, Trouble, Updated, cannot, in_order, moment
from models.delivery import EventType

_REST = "/REST/2.0"
_PAGE, _MOST_PAGES = 100, 200
# How far the clocks of the two may be apart: a search can only say how long ago, because RT reads times in its account's zone.
_CLOCKS = timedelta(minutes=15)
# An answer and the status that was set with it are two transactions, so far apart at most; so long the last answer waits for its status.
_TOGETHER, _SETTLED = timedelta(seconds=3), timedelta(seconds=10)
_RT_ITSELF = "The RT System itself"
# Files of one comment, in bytes. Each is a third larger on its way.
_TOGETHER_BYTES = 8_000_000
_REFUSALS = re.compile(r"isn't a valid|not permitted|Permission denied|Could not|couldn't|Invalid|No permission", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RtOptions:
    """Where tickets are made. `key_field`: the name of a custom field for our key; empty: found by the number in the subject."""

    url: str
    api_key: str
    queue: str
    key_field: str
    priorities: Mapping[str, str]
    reopened_status: str


class Rt:
    """The adapter of one RT. `now`: by our clock."""

    def __init__(self, options: RtOptions, now: Callable[[], datetime]) -> None:
        self._options, self._now = options, now
        self._checked = not options.key_field

    def headers(self) -> Mapping[str, str]:
        """The token of the account that writes."""
        return {"Authorization": f"token {self._options.api_key}"}

    def check(self, line: Line) -> str:
        """Whether token, queue and custom field are right."""
        queue = line.json("GET", f"{_REST}/queue/{quote(self._options.queue, safe='')}")
        fields = [one.get("name", "") for one in queue.get("TicketCustomFields", ())]
        wanted = self._options.key_field
        if wanted and wanted not in fields:
            there = ", ".join(fields) or "—"
            told = f"key_field：队列没有自定义字段 “{wanted}”，已有 {there}"
            raise cannot(f"{told} / key_field: the queue has no custom field '{wanted}'; there are {there}")
        self._checked = True
        return in_order(f"{queue['Name']} (id {queue['id']})", reopens=bool(self._options.reopened_status))

    # ---- Writing ---------------------------------------------------------------------------------------------------------------------

    def find(self, line: Line, case: Case) -> Found | None:
        """By the custom field, else by the number in the subject and the key in what the ticket was made with."""
        if not self._checked:
            # A field that is not there is passed over without a word, both when a ticket is made and when it is looked for.
            self.check(line)
        field = self._options.key_field
        wanted = f"CF.{{{_quoted(field)}}} = '{_quoted(case.key)}'" if field else f"Subject LIKE '[{_quoted(case.number)}]'"
        query = {"query": wanted, "fields": "Subject", "orderby": "id"}
        for ticket in line.json("GET", f"{_REST}/tickets", query=query)["items"]:
            if field or self._is_of(line, ticket, case):
                return self._found(ticket["id"])
        return None

    def _is_of(self, line: Line, ticket: Any, case: Case) -> bool:
        if not str(ticket.get("Subject", "")).startswith(f"[{case.number}]"):
            return False
        made = [one for one in self._transactions(line, str(ticket["id"])) if one["Type"] == "Create"]
        return any(words.key_line(case) in self._text(line, one["id"]).splitlines() for one in made)

    def create(self, line: Line, case: Case) -> Found:
        """Makes the ticket. Nobody is its requestor: RT would write to him."""
        ticket: dict[str, Any] = {
            "Queue": self._options.queue,
            "Subject": words.subject(case),
            "Content": words.whole(case, words.description(case)),
            "ContentType": "text/plain",
        }
        if priority := self._options.priorities.get(case.priority):
            ticket["Priority"] = int(priority) if priority.isdigit() else priority
        if self._options.key_field:
            ticket["CustomFields"] = {self._options.key_field: case.key}
        return self._found(line.json("POST", f"{_REST}/ticket", body=ticket)["id"])

    def said(self, line: Line, remote_id: str) -> Sequence[str]:
        """The subjects of comments, which hold our marks, and what the ticket was made with."""
        found: list[str] = []
        for transaction in self._transactions(line, remote_id):
            if transaction["Type"] == "Create":
                found.append(self._text(line, transaction["id"]))
            elif transaction["Type"] == "Comment":
                found.append(str(transaction.get("Data", "")))
        return found

    def note(self, line: Line, remote_id: str, case: Case, text: str) -> str:
        """A comment, which nobody outside is mailed; priority and status follow the event."""
        said: list[Any] = []
        if case.type in (EventType.REROUTED, EventType.REOPENED) and (priority := self._options.priorities.get(case.priority)):
            change = {"Priority": int(priority) if priority.isdigit() else priority}
            said += line.json("PUT", f"{_REST}/ticket/{quote(remote_id, safe='')}", body=change) or []
        status = self._options.reopened_status if case.type is EventType.REOPENED else ""
        said += self._comment(line, remote_id, text, (), status)
        # It says 200 and in words that it did not.
        refused = [str(one) for one in said if _REFUSALS.search(str(one))]
        return f"工单未能更改：{refused[0]} / the ticket could not be changed" if refused else ""

    def attach(self, line: Line, remote_id: str, case: Case, files: Sequence[File]) -> Mapping[str, str]:
        """Comments with files, several together as long as they are not too large; what is refused together is tried alone."""
        refused: dict[str, str] = {}
        for some in _together(files):
            try:
                self._attach(line, remote_id, case, some)
            except Trouble as trouble:
                if trouble.passing:
                    raise
                if len(some) == 1:
                    refused[some[0].id] = trouble.outcome.answer
                    continue
                for one in some:
                    refused |= self.attach(line, remote_id, case, [one])
        return refused

    def _attach(self, line: Line, remote_id: str, case: Case, files: Sequence[File]) -> None:
        marks = " ".join(one.mark for one in files)
        text = f"{words.files_note([one.filename for one in files], {})}\n{words.mark(f'files {marks}', case.round)}"
        self._comment(line, remote_id, text, files)

    def _comment(self, line: Line, remote_id: str, text: str, files: Sequence[File], status: str = "") -> list[Any]:
        body, _, mark = text.rpartition("\n")
        # The subject of a comment stands in the history, where the text does not: so a mark is found without reading all texts.
        comment: dict[str, Any] = {"Subject": mark, "Content": f"{body}\n\n{mark}", "ContentType": "text/plain"}
        if files:
            comment["Attachments"] = [
                {"FileName": _word(one.filename), "FileType": one.mime_type, "FileContent": base64.b64encode(one.content).decode()}
                for one in files
            ]
        if status:
            comment["Status"] = status
        said = line.json("POST", f"{_REST}/ticket/{quote(remote_id, safe='')}/comment", body=comment)
        return said if isinstance(said, list) else []

    # ---- Reading ---------------------------------------------------------------------------------------------------------------------

    def updated(self, line: Line, since: str) -> Updated:
        """Tickets that changed, of any queue: people move tickets. The newest first, so that none slips from page to page unseen."""
        mark = moment(since)
        minutes = math.ceil((self._now() - mark + _CLOCKS) / timedelta(minutes=1))
        query = {
            # RT takes the number of "1455 minutes ago" for a time of the day.
            "query": f"LastUpdated > '-{max(minutes, 1)} minutes'",
            "fields": "LastUpdated",
            "orderby": "LastUpdated",
            "order": "DESC",
            "per_page": str(_PAGE),
        }
        ids: list[str] = []
        newest = mark
        for page in range(1, _MOST_PAGES + 1):
            items = line.json("GET", f"{_REST}/tickets", query=query | {"page": str(page)})["items"]
            for ticket in items:
                at = moment(ticket["LastUpdated"])
                newest = max(newest, at)
                if at >= mark - _SETTLED - _TOGETHER:
                    ids.append(str(ticket["id"]))
            if len(items) < _PAGE:
                break
        return Updated(list(dict.fromkeys(ids)), newest.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def history(self, line: Line, remote_id: str, told: Any) -> History:
        """The transactions of a ticket; an answer and the status that was set with it are one change."""
        changes: list[Change] = []
        first = ""
        for one in self._transactions(line, remote_id):
            kind, field = one["Type"], one.get("Field", "")
            by = one.get("Creator", {})
            change = Change(
                id=f"transaction:{one['id']}",
                at=moment(one["Created"]),
                by=by.get("RealName") or by.get("Name") or str(by.get("id", "")),
                sequence=int(one["id"]),
            )
            if kind == "Status" or (kind == "Set" and field == "Status"):
                first = first or str(one.get("OldValue", ""))
                changes.append(replace(change, status=str(one.get("NewValue", ""))))
            elif kind in ("Correspond", "Comment"):
                own = words.own(str(one.get("Data", "")).strip())
                text = "" if own else self._text(line, one["id"])
                changes.append(replace(change, text=text, public=kind == "Correspond", own_round=own[1] if own else None))
        if not first:
            first = str(line.json("GET", f"{_REST}/ticket/{quote(remote_id, safe='')}").get("Status", ""))
        if min((one.own_round for one in changes if one.own_round is not None), default=1) > 1:
            # Of which round it was before that mark stands in what it was made with.
            changes = [*self._begun(line, remote_id), *changes]
        return History(_joined(changes, self._now()), first)

    def _begun(self, line: Line, remote_id: str) -> list[Change]:
        for one in self._transactions(line, remote_id):
            if one["Type"] == "Create" and (own := words.own(self._text(line, one["id"]))):
                return [Change("", moment(one["Created"]), own_round=own[1])]
        return []

    def _transactions(self, line: Line, remote_id: str) -> list[Any]:
        found: list[Any] = []
        query = {"fields": "Type,Creator,Created,Field,OldValue,NewValue,Data", "fields[Creator]": "Name,RealName", "per_page": str(_PAGE)}
        for page in range(1, _MOST_PAGES + 1):
            items = line.json("GET", f"{_REST}/ticket/{quote(remote_id, safe='')}/history", query=query | {"page": str(page)})["items"]
            found += items
            if len(items) < _PAGE:
                break
        return sorted(found, key=lambda one: int(one["id"]))

    def _text(self, line: Line, transaction_id: Any) -> str:
        """What was written with a transaction: its first part that is text and no file."""
        listed = line.json("GET", f"{_REST}/transaction/{transaction_id}/attachments", query={"fields": "ContentType,Filename"})
        parts = {one.get("ContentType", ""): one["id"] for one in reversed(listed["items"]) if not one.get("Filename")}
        for kind in ("text/plain", "text/html"):
            if kind in parts:
                content = line.json("GET", f"{_REST}/attachment/{parts[kind]}").get("Content") or ""
                text = base64.b64decode(content).decode("utf-8", "replace")
                return _plain(text) if kind == "text/html" else text
        return ""

    def _found(self, ticket_id: Any) -> Found:
        return Found(str(ticket_id), f"{self._options.url.rstrip('/')}/Ticket/Display.html?id={ticket_id}")


def _joined(changes: Sequence[Change], now: datetime) -> list[Change]:
    """Statuses that were set with an answer go with it, under the answer's id; an answer that may still get one waits for the next look."""
    found: list[Change] = []
    for one in changes:
        last = found[-1] if found else None
        # RT opens a ticket by itself when it is answered.
        theirs = last is not None and (last.text or last.own_round is not None) and one.by in (last.by, _RT_ITSELF)
        if last is not None and theirs and one.status and one.at - last.at <= _TOGETHER:
            found[-1] = replace(last, status=one.status, sequence=one.sequence)
        else:
            found.append(one)
    if found and found[-1].text and found[-1].own_round is None and not found[-1].status and now - found[-1].at < _SETTLED:
        found.pop()
    return found


def _together(files: Sequence[File]) -> list[list[File]]:
    found: list[list[File]] = []
    size = 0
    for one in files:
        if not found or size + len(one.content) > _TOGETHER_BYTES:
            found.append([])
            size = 0
        found[-1].append(one)
        size += len(one.content)
    return found


def _quoted(text: str) -> str:
    """Text within quotes of TicketSQL."""
    return re.sub(r"([\\'{}])", r"\\\1", text)


def _word(filename: str) -> str:
    """A file's name as RT takes it: with other letters than ASCII it answers 500, but decodes an encoded word (RFC 2047)."""
    if filename.isascii():
        return filename
    return f"=?UTF-8?B?{base64.b64encode(filename.encode('utf-8', 'replace')).decode()}?="


class _Text(HTMLParser):
    """The text of what somebody wrote in RT's editor."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def handle_data(self, data: str) -> None:
        """Text as it is."""
        self.pieces.append(data)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Lines end where they are shown to."""
        if tag in ("br", "p", "div", "li", "tr"):
            self.pieces.append("\n")


def _plain(html: str) -> str:
    reader = _Text()
    reader.feed(html)
    reader.close()
    return re.sub(r"\n{3,}", "\n\n", "".join(reader.pieces)).strip()
