"""Redmine 5 by its REST API: issues, notes (journals), uploads. https://www.redmine.org/projects/redmine/wiki/Rest_api"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from gateway.trackers import words
from gateway.trackers.base import Case, Change, File, Found, History, Line, Trouble, Updated, cannot, in_order, moment, stamp
from models.delivery import EventType

# What is changed while a listing is read may stand in it too late; so much is read twice, and known by its ids.
_OVERLAP = timedelta(seconds=120)
_PAGE, _MOST_PAGES = 100, 200


@dataclass(frozen=True, slots=True)
class RedmineOptions:
    """Where issues are made. Names or ids, as people know them; empty for Redmine's own default.

    states:    those that the settings give a meaning to.
    key_field: the id of a custom field for our key; 0 for none, then issues are found by the number in their subject.
    markup:    see `words.block`.
    """

    url: str
    api_key: str
    project: str
    tracker: str
    key_field: int
    priorities: Mapping[str, str]
    reopened_status: str
    markup: str
    states: Sequence[str] = ()


@dataclass(slots=True)
class _Names:
    """Ids by name (in small letters) and names by id of one kind of thing."""

    ids: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


class Redmine:
    """The adapter of one Redmine."""

    def __init__(self, options: RedmineOptions) -> None:
        self._options = options
        self._known: dict[str, _Names] = {}
        self._lock = threading.Lock()

    def headers(self) -> Mapping[str, str]:
        """The key of the account that writes."""
        return {"X-Redmine-API-Key": self._options.api_key}

    def check(self, line: Line) -> str:
        """Whether key, project and names are right."""
        options = self._options
        user = line.json("GET", "/users/current.json")["user"]["login"]
        project = line.json("GET", f"/projects/{quote(options.project, safe='')}.json")["project"]["name"]
        for name in options.priorities.values():
            self._id(line, "issue_priorities", name, "priority_map")
        for name in options.states:
            # One that is not there would never come, and nobody would miss it.
            self._id(line, "issue_statuses", name, "status_map")
        for kind, name, key in (("trackers", options.tracker, "tracker"), ("issue_statuses", options.reopened_status, "reopened_status")):
            if name:
                self._id(line, kind, name, key)
        if options.key_field and self._search(line, f"cf_{options.key_field}", "jiesu-test-no-such-value"):
            raise cannot("key_field：没有这个自定义字段，或没有勾选“用于过滤” / no such custom field, or it is not used as a filter")
        return in_order(f"{user} → {project}", reopens=bool(options.reopened_status))

    # ---- Writing ---------------------------------------------------------------------------------------------------------------------

    def find(self, line: Line, case: Case) -> Found | None:
        """By the custom field, else by the number in the subject and the key in the description."""
        if field_id := self._options.key_field:
            issues = self._search(line, f"cf_{field_id}", case.key)
            if mine := [one for one in issues if _value(one, field_id) == case.key]:
                return self._found(mine[0]["id"])
            if not issues:
                return None
            # A filter that it does not know finds everything.
        wanted = words.key_line(case)
        for issue in self._search(line, "subject", f"~{case.number}"):
            if issue["subject"].startswith(f"[{case.number}]") and wanted in (issue.get("description") or "").splitlines():
                return self._found(issue["id"])
        return None

    def _search(self, line: Line, name: str, value: str) -> Any:
        query = {"project_id": self._options.project, "status_id": "*", "sort": "id:asc", "limit": str(_PAGE), name: value}
        return line.json("GET", "/issues.json", query=query)["issues"]

    def create(self, line: Line, case: Case) -> Found:
        """Makes the issue."""
        options = self._options
        text = words.whole(case, words.block(words.description(case), self._options.markup))
        issue: dict[str, Any] = {"project_id": options.project, "subject": words.subject(case), "description": text}
        if options.tracker:
            issue["tracker_id"] = self._id(line, "trackers", options.tracker, "tracker")
        if priority := options.priorities.get(case.priority):
            issue["priority_id"] = self._id(line, "issue_priorities", priority, "priority_map")
        if options.key_field:
            issue["custom_fields"] = [{"id": options.key_field, "value": case.key}]
        return self._found(line.json("POST", "/issues.json", body={"issue": issue})["issue"]["id"])

    def said(self, line: Line, remote_id: str) -> Sequence[str]:
        """Description and notes."""
        issue = self._issue(line, remote_id)
        return [issue.get("description") or "", *(journal.get("notes") or "" for journal in issue.get("journals", ()))]

    def note(self, line: Line, remote_id: str, case: Case, text: str) -> str:
        """A public note; priority and status follow the event."""
        body, _, mark = text.rpartition("\n")
        issue: dict[str, Any] = {"notes": f"{words.block(body, self._options.markup)}\n\n{mark}"}
        if case.type in (EventType.REROUTED, EventType.REOPENED) and (priority := self._options.priorities.get(case.priority)):
            issue["priority_id"] = self._id(line, "issue_priorities", priority, "priority_map")
        if case.type is EventType.REOPENED and self._options.reopened_status:
            issue["status_id"] = self._id(line, "issue_statuses", self._options.reopened_status, "reopened_status")
        line.json("PUT", f"/issues/{quote(remote_id, safe='')}.json", body={"issue": issue})
        # What the workflow does not allow is left out without a word.
        if "status_id" in issue and self._issue(line, remote_id)["status"]["id"] != issue["status_id"]:
            return f"状态未能改为 {self._options.reopened_status}，请检查工作流 / the status was not set; see to the workflow"
        return ""

    def attach(self, line: Line, remote_id: str, case: Case, files: Sequence[File]) -> Mapping[str, str]:
        """Uploads each, then one note with all that were taken."""
        uploads: list[dict[str, str]] = []
        taken: list[File] = []
        refused: dict[str, str] = {}
        for one in files:
            try:
                told = line.send(
                    "POST",
                    "/uploads.json",
                    query={"filename": one.filename},
                    content=one.content,
                    content_type="application/octet-stream",
                )
            except Trouble as trouble:
                if trouble.passing:
                    raise
                refused[one.id] = trouble.outcome.answer
                continue
            uploads.append({"token": told["upload"]["token"], "filename": one.filename, "content_type": one.mime_type})
            taken.append(one)
        if taken:
            marks = " ".join(one.mark for one in taken)
            block = words.block(words.files_note([one.filename for one in taken], {}), self._options.markup)
            notes = f"{block}\n\n{words.mark(f'files {marks}', case.round)}"
            line.json("PUT", f"/issues/{quote(remote_id, safe='')}.json", body={"issue": {"notes": notes, "uploads": uploads}})
        return refused

    # ---- Reading ---------------------------------------------------------------------------------------------------------------------

    def updated(self, line: Line, since: str) -> Updated:
        """Issues that changed, of other projects too: people move issues. The newest first, so that none slips from page to page unseen."""
        mark = moment(since)
        query = {"status_id": "*", "sort": "updated_on:desc", "limit": str(_PAGE), "updated_on": f">={stamp(mark - _OVERLAP)}"}
        ids: list[str] = []
        newest = mark
        for page in range(_MOST_PAGES):
            told = line.json("GET", "/issues.json", query=query | {"offset": str(page * _PAGE)})
            for issue in told["issues"]:
                ids.append(str(issue["id"]))
                newest = max(newest, moment(issue["updated_on"]))
            if len(told["issues"]) < _PAGE:
                break
        return Updated(list(dict.fromkeys(ids)), stamp(newest))

    def history(self, line: Line, remote_id: str, told: Any) -> History:
        """The journals of an issue."""
        issue = self._issue(line, remote_id)
        made = words.own(issue.get("description") or "")
        changes = [Change("", moment(issue["created_on"]), own_round=made[1])] if made else []
        first = ""
        for journal in issue.get("journals", ()):
            status = ""
            for detail in journal.get("details", ()):
                if detail.get("property") == "attr" and detail.get("name") == "status_id":
                    status = self._name(line, "issue_statuses", str(detail.get("new_value")))
                    first = first or self._name(line, "issue_statuses", str(detail.get("old_value")))
            text = journal.get("notes") or ""
            own = words.own(text)
            changes.append(
                Change(
                    id=f"journal:{journal['id']}",
                    at=moment(journal["created_on"]),
                    by=journal.get("user", {}).get("name", ""),
                    status=status,
                    text=text,
                    public=not journal.get("private_notes", False),
                    sequence=int(journal["id"]),
                    own_round=own[1] if own else None,
                )
            )
        return History(changes, first or issue["status"]["name"])

    # ---- What it is made of ----------------------------------------------------------------------------------------------------------

    def _issue(self, line: Line, remote_id: str) -> Any:
        return line.json("GET", f"/issues/{quote(remote_id, safe='')}.json", query={"include": "journals"})["issue"]

    def _found(self, issue_id: int) -> Found:
        return Found(str(issue_id), f"{self._options.url.rstrip('/')}/issues/{issue_id}")

    def _names(self, line: Line, kind: str, *, anew: bool = False) -> _Names:
        with self._lock:
            known = self._known.get(kind)
        if known is None or anew:
            known = _Names()
            path = "/enumerations/issue_priorities.json" if kind == "issue_priorities" else f"/{kind}.json"
            for one in line.json("GET", path)[kind]:
                known.ids[one["name"].casefold()] = one["id"]
                known.names[str(one["id"])] = one["name"]
            with self._lock:
                self._known[kind] = known
        return known

    def _id(self, line: Line, kind: str, name: str, key: str) -> int:
        """The id of a thing that the settings name. Raises `Trouble` where there is none."""
        for anew in (False, True):
            known = self._names(line, kind, anew=anew)
            if name in known.names:
                return int(name)
            if name.casefold() in known.ids:
                return known.ids[name.casefold()]
        there = ", ".join(known.names.values())
        raise cannot(f"{key}：没有 “{name}”，已有 {there} / {key}: there is no '{name}'; there are {there}")

    def _name(self, line: Line, kind: str, spelt: str) -> str:
        known = self._names(line, kind)
        if spelt not in known.names:
            known = self._names(line, kind, anew=True)
        return known.names.get(spelt, spelt)


def _value(issue: Any, field_id: int) -> str:
    return next((str(one.get("value")) for one in issue.get("custom_fields", ()) if one["id"] == field_id), "")
