"""Labelled texts: the shipped corpus and files like it, loaded and checked (`corpus/README.md` says what each key means)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from classifiers.base import Query
from models.complaint import Customer
from models.verdict import ComplaintClass, Risk

HOME = Path(__file__).parent / "corpus"
GOLDEN = Path(__file__).parent / "golden"

# Which channel a register is read as; a public letter comes as a mail.
REGISTERS: Mapping[str, str] = {"letter": "email", "mail": "email", "chat": "chat", "phone": "phone"}

_KEYS = frozenset({"id", "register", "title", "text", "primary", "secondary", "risk", "scenario", "customer"})
_CUSTOMER_KEYS = frozenset({"name", "phone", "email", "estate", "unit"})
_SLUG = re.compile(r"\S{1,120}")
_TURN = re.compile(r"^\s*(客服|坐席|座席|话务员|客户|业主|用户|来电人)\s*\d{0,2}\s*[：:]\s*(.*)$")
_CUSTOMER_SPEAKERS = frozenset({"客户", "业主", "用户", "来电人"})


Member = TypeVar("Member", bound=StrEnum)


class BadCorpus(ValueError):
    """A line of a labelled file is wrong; the message names file, line and key."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text."""

    id: str
    register: str
    query: Query
    primary: ComplaintClass
    secondary: tuple[ComplaintClass, ...]
    risk: tuple[Risk, ...]
    scenario: str
    customer: Customer


def customer_turns(text: str) -> str:
    """What the customer says in a transcript whose lines begin with `客服：` or `客户：`; the whole text if no line does."""
    said: list[str] = []
    speaking = marked = False
    for line in text.splitlines():
        turn = _TURN.match(line)
        if turn:
            marked = True
            speaking = turn[1] in _CUSTOMER_SPEAKERS
            line = turn[2]
        if speaking:
            said.append(line)
    return "\n".join(said) if marked else text


def parse_example(line: str, where: str) -> Example:
    """One line of a labelled file. Raises `BadCorpus` that begins with `where` and names the key."""
    try:
        record = json.loads(line)
    except ValueError as error:
        raise BadCorpus(f"{where}: not JSON: {error}") from error
    if not isinstance(record, dict):
        raise BadCorpus(f"{where}: not a JSON object")
    if unknown := sorted(set(record) - _KEYS):
        raise BadCorpus(f"{where}: {unknown[0]}: unknown key")
    for key in ("id", "register", "text", "primary", "scenario"):
        if not isinstance(record.get(key), str) or not record[key].strip():
            raise BadCorpus(f"{where}: {key}: must be a text that is not empty")
    if record["register"] not in REGISTERS:
        raise BadCorpus(f"{where}: register: must be one of {', '.join(REGISTERS)}")
    if not _SLUG.fullmatch(record["scenario"]):
        raise BadCorpus(f"{where}: scenario: must be a slug without blanks")
    title = record.get("title", "")
    if not isinstance(title, str):
        raise BadCorpus(f"{where}: title: must be a text")
    primary = _members(ComplaintClass, [record["primary"]], where, "primary")[0]
    secondary = _members(ComplaintClass, record.get("secondary", []), where, "secondary")
    if primary in secondary or ComplaintClass.OTHER in secondary:
        raise BadCorpus(f"{where}: secondary: holds neither the primary class nor other")
    customer = record.get("customer", {})
    if not isinstance(customer, dict) or not set(customer) <= _CUSTOMER_KEYS:
        raise BadCorpus(f"{where}: customer: may hold {', '.join(sorted(_CUSTOMER_KEYS))}")
    if not all(isinstance(value, str) and value for value in customer.values()):
        raise BadCorpus(f"{where}: customer: values must be texts that are not empty")
    text = record["text"]
    said = customer_turns(text) if record["register"] == "phone" else text
    return Example(
        id=record["id"],
        register=record["register"],
        query=Query(said, title, text, REGISTERS[record["register"]]),
        primary=primary,
        secondary=secondary,
        risk=_members(Risk, record.get("risk", []), where, "risk"),
        scenario=record["scenario"],
        customer=Customer(**customer),
    )


def _members(kind: type[Member], values: object, where: str, key: str) -> tuple[Member, ...]:
    allowed = [member.value for member in kind]
    if not isinstance(values, list) or not all(value in allowed for value in values):
        raise BadCorpus(f"{where}: {key}: must be out of {', '.join(allowed)}")
    return tuple(kind(value) for value in dict.fromkeys(values))


def load(paths: Iterable[Path]) -> list[Example]:
    """The examples of the files, sorted by id. Raises `BadCorpus` for the first bad line, or for an id that stands twice."""
    examples: dict[str, Example] = {}
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            where = f"{path.name}:{number}"
            example = parse_example(line, where)
            if example.id in examples:
                raise BadCorpus(f"{where}: id: {example.id} stands twice")
            examples[example.id] = example
    return [examples[key] for key in sorted(examples)]


def shipped_corpus() -> list[Example]:
    """The composed texts that ship with jiesu, sorted by id."""
    return load(sorted(HOME.glob("*.jsonl")))


def golden() -> list[Example]:
    """The golden set that ships: composed texts that no model is ever trained on, by which the gate compares; sorted by id."""
    return load(sorted(GOLDEN.glob("*.jsonl")))


def fingerprint(examples: Sequence[Example]) -> str:
    """SHA-256 over all that training sees of the examples, whatever their order."""
    digest = hashlib.sha256()
    for example in sorted(examples, key=lambda one: one.id):
        parts = (
            example.id,
            example.register,
            example.query.title,
            example.query.said,
            example.primary,
            ",".join(example.secondary),
            example.scenario,
        )
        digest.update(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()
