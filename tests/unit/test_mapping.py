"""Mappings: how templates are filled, what stands at a pointer, and what is said of a mapping that is wrong."""

from __future__ import annotations

import copy
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trackers import mapping, words
from gateway.trackers.base import File
from gateway.trackers.mapped import multipart
from models.errors import BadSetting

SHIPPED = resources.files("gateway.trackers").joinpath("mappings")
GOOD = tomllib.loads(SHIPPED.joinpath("redmine.toml").read_text("utf-8"))


@given(st.text())
def test_no_text_leaves_the_place_that_it_is_put_in(text: str) -> None:
    body = mapping.fill({"a": {"b": "x {matter} y"}, "c": ["{matter}"], "n": "{round}"}, {"matter": text, "round": 2})
    spelt = json.loads(json.dumps(body))
    assert spelt == {"a": {"b": f"x {text} y"}, "c": [text], "n": 2}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_text_leaves_its_part_of_a_path(text: str) -> None:
    path = mapping.fill_text("/a/{id}/b", {"id": text}, encoded=True)
    assert path.count("/") == 3
    assert not set(path) & set("?#\r\n ")
    assert unquote(path.split("/")[2]) == text


def test_a_key_whose_value_is_not_known_is_left_out() -> None:
    assert mapping.fill({"a": "{mapped_priority}", "b": "x{customer_name}"}, {}) == {"b": "x"}


def test_placeholders_in_a_customers_text_are_text() -> None:
    assert mapping.fill("{matter}", {"matter": "{api_key}", "api_key": "s"}) == "{api_key}"
    assert mapping.fill("x{matter}", {"matter": "{api_key}", "api_key": "s"}) == "x{api_key}"


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", {"a": [{"b/c": 1}, {"m~n": 2}]}),
        ("/a/0/b~1c", 1),
        ("/a/1/m~0n", 2),
        ("/a/2", None),
        ("/a/x", None),
        ("/x/y", None),
        ("/a/-1", None),
    ],
)
def test_what_stands_at_a_pointer(pointer: str, found: Any) -> None:
    assert mapping.at({"a": [{"b/c": 1}, {"m~n": 2}]}, pointer) == found


@pytest.mark.parametrize("name", ["redmine", "zammad", "jira"])
def test_those_that_ship_can_be_read(name: str, tmp_path: Path) -> None:
    found = mapping.load(tmp_path, name, "k")
    assert found.statuses
    if name != "redmine":
        # Nobody is to think that they were tried.
        assert "NOT RUN AGAINST THE REAL THING" in SHIPPED.joinpath(f"{name}.toml").read_text("utf-8")


def _without(section: str, key: str = "") -> dict[str, Any]:
    told = copy.deepcopy(GOOD)
    del (told[section] if key else told)[key or section]
    return told


def _with(section: str, key: str, value: Any) -> dict[str, Any]:
    told = copy.deepcopy(GOOD)
    told.setdefault(section, {})[key] = value
    return told


@pytest.mark.parametrize(
    ("told", "key"),
    [
        (_without("find"), "[find]"),
        (_without("create", "id"), "[create.id]"),
        (_without("find", "compare"), "[find.compare]"),
        (_without("statuses"), "[statuses]"),
        (_with("find", "compare", {"/subject": "always"}), "[find.compare]"),
        (_with("find", "compare", {}), "[find.compare]"),
        (_with("find", "path", "issues.json"), "[find.path]"),
        (_with("find", "path", "https://elsewhere.example/x"), "[find.path]"),
        (_with("find", "query", {"q": "{matter}"}), "[find.query]"),
        (_with("note", "path", "/x/{subject}"), "[note.path]"),
        (_with("note", "method", "DELETE"), "[note.method]"),
        (_with("note", "body", {"a": ["{api_key}"]}), "[note.body]"),
        (_with("note", "body", {"a": "{nothing}"}), "[note.body]"),
        (_with("note", "body", {"a": "{file_base64}"}), "[note.body]"),
        (_with("headers", "X", "{matter}"), "[headers]"),
        (_with("updated", "paging", {"parameter": "page"}), "[updated.paging]"),
        (_with("updated", "at", "updated_on"), "[updated.at]"),
        (_with("statuses", "Done", "done"), "[statuses.Done]"),
        (_with("nonsense", "x", 1), "[nonsense]"),
        (_with("note", "bodi", {}), "[note.bodi]"),
        # What is compared stands in nothing that is written: every try would make another ticket.
        (_with("create", "body", {"subject": "{summary}", "description": "{text}"}), "[find.compare./subject]"),
        (_with("find", "compare", {"/labels": "jiesu:{key}"}), "[find.compare./labels]"),
        (
            _with(
                "create",
                "body",
                {"subject": "{summary}", "article": {"subject": "[{number}]"}, "fields": [{"value": "x"}], "text": "{text}"},
            )
            | {"find": {**GOOD["find"], "compare": {"/fields/0/value": "{key}"}}},
            "[find.compare./fields/0/value]",
        ),
        (_with("find", "compare", {"/subject": "({number})"}), "[find.compare./subject]"),
        (_with("create", "body", {"subject": "{subject}", "description": "{matter}"}), "[create.body]"),
        (_with("create", "body", None), "[create.body]"),
        (_with("note", "body", {"notes": "{summary}"}), "[note.body]"),
        (_with("note", "path", "/issues.json"), "[note.path]"),
        (_with("said", "path", "/issues.json"), "[said.path]"),
        (_with("headers", "X-A", "a\nB: c"), "[headers.X-A]"),
        (_with("check", "headers", {"X-A": "a\x7f"}), "[check.headers.X-A]"),
        (_with("check", "headers", {"X-A": "a\x00"}), "[check.headers.X-A]"),
        (_with("headers", "X A", "a"), "[headers.'X A']"),
        (_with("headers", "X\nA", "a"), "[headers.'X\\nA']"),
        (_with("file", "how", "ftp") | {"file": {"path": "/x", "how": "ftp"}}, "[file.how]"),
    ],
)
def test_a_mapping_that_is_wrong_is_refused_with_the_place(told: dict[str, Any], key: str) -> None:
    with pytest.raises(BadSetting) as wrong:
        mapping.read(told, "mine.toml")
    assert wrong.value.key == f"mine.toml {key}"
    assert wrong.value.zh
    assert wrong.value.en


@pytest.mark.parametrize(
    ("compare", "body"),
    [
        # The key in a field or a list of its own, the number wherever it is written, the key in the text alone.
        ({"/labels": "{key}"}, {"labels": ["jiesu", "{key}"], "description": "{text}"}),
        ({"/title": "{number}"}, {"title": "投诉 {number}", "description": "{text}"}),
        ({"/title": "[{number}]", "/x": "{values.group}"}, {"title": "{subject}", "group": "{values.group}", "description": "{text}"}),
        ({"/description": "jiesu-key {key}"}, {"description": "{text}"}),
        # Read under a name that something else is written under.
        ({"/custom_fields/0/value": "{key}"}, {"cf_12": "{key}", "project": {"value": "abc"}, "description": "{text}"}),
        (
            {"/custom_fields/0/value": "{key}"},
            {"custom_fields": [{"id": 12, "value": "{key}"}], "project": {"value": "abc"}, "description": "{text}"},
        ),
    ],
)
def test_whatever_create_writes_may_be_compared(compare: dict[str, str], body: dict[str, Any]) -> None:
    told = _with("create", "body", body)
    told["find"]["compare"] = compare
    assert mapping.read(told, "mine.toml").requests["find"].more["compare"] == compare


def test_the_ticket_may_be_named_in_the_body() -> None:
    told = _with("note", "body", {"ticket": "{id}", "notes": "{note}"})
    told["note"]["path"] = "/notes.json"
    assert mapping.read(told, "mine.toml")


def test_a_file_of_ones_own_goes_before_one_that_ships(tmp_path: Path) -> None:
    (tmp_path / "jira").write_text("title = [", "utf-8")
    with pytest.raises(BadSetting):
        mapping.load(tmp_path, "jira", "k")
    with pytest.raises(BadSetting) as wrong:
        mapping.load(tmp_path, "nobody.toml", "endpoint.x.mapping")
    assert wrong.value.key == "endpoint.x.mapping"


# ---- Marks and blocks


@given(st.text(), st.sampled_from(["evt_1_tickets", "files 0123456789ab 00ff00ff00ff"]), st.integers(1, 9))
def test_a_mark_is_known_again_and_no_words_before_it_are(text: str, told: str, round_: int) -> None:
    assert words.own(f"{text}\n{words.mark(told, round_)}") == (told, round_)
    assert words.own(f"{words.mark(told, round_)}\n{text}x") is None
    assert words.own(f"> {words.mark(told, round_)}") is None


@given(st.text(alphabet="`<>/pre {}noformat\n~\u200bPRE"))
def test_nothing_that_is_written_leaves_a_block(text: str) -> None:
    textile = words.block(text, "textile")
    assert textile.lower().count("</pre") == 1
    assert textile.endswith("\n</pre>")
    markdown = words.block(text, "markdown")
    fence = markdown.splitlines()[0]
    assert fence not in markdown.removeprefix(fence).removesuffix(fence)
    assert words.block(text, "jira").count("{noformat") == 2


def test_the_name_of_a_file_cannot_end_its_quotes() -> None:
    content, kind = multipart("file", File("0" * 32, 'a"b\r\nX: y\\.jpg', "image/jpeg", b"--x"))
    head = content.partition(b"\r\n\r\n")[0].decode()
    assert [line.partition(":")[0] for line in head.split("\r\n")[1:]] == ["Content-Disposition", "Content-Type"]
    assert head.count('"') == 4
    assert kind.rpartition("=")[2] in head.splitlines()[0]
