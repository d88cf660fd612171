"""What jiesu would make of a thing: the answers behind `jiesu classify` and `jiesu inspect`. Their JSON stays stable."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from classifiers.base import Classifier, Query
from connectors import replies, transcripts
from gateway import ticket
from models.columns import storable
from models.complaint import Speaker
from models.submission import Channel
from models.verdict import Verdict

# So many texts are classified at once; more gain nothing and cost memory.
_BATCH = 256
# What of a verdict is told.
_TOLD = ("primary", "probabilities", "secondary", "decision", "risk", "reasons")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no question; what is wrong with it."""

    line: int
    zh: str
    en: str


def query_of(text: str, *, title: str = "", channel: str | None = None) -> Query:
    """The question that a text puts, with only what the customer said in `said`.

    A phone or chat text with speaker turns is read as such; a mail is read without quoted history and signature.
    """
    # An argument of the command line may hold what UTF-8 cannot say, as a line of JSON may.
    text, title = storable(text), storable(title)
    said = text
    if channel in (Channel.PHONE, Channel.CHAT):
        turns = transcripts.split_turns(text)
        theirs = [turn.text for turn in turns if turn.role is not Speaker.AGENT]
        said = "\n".join(theirs) if theirs else text
    elif channel == Channel.EMAIL:
        said = replies.said_now(text, title)
    return Query(said=said, title=title, context=text, channel=channel)


def read_line(number: int, line: str) -> Query | BadLine:
    """The question on one line of a JSONL file."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return BadLine(number, "不是 JSON", "is not JSON")
    if not isinstance(row, dict):
        return BadLine(number, "应为 JSON 对象", "must be a JSON object")
    text, title, channel = row.get("text"), row.get("title", row.get("subject")) or "", row.get("channel")
    if not isinstance(text, str):
        return BadLine(number, "缺少 text（文字）", "lacks text (a string)")
    if not isinstance(title, str):
        return BadLine(number, "title 应为文字", "title must be a string")
    if channel is not None and channel not in list(Channel):
        known = ", ".join(Channel)
        return BadLine(number, f"channel 应为 {known} 之一", f"channel must be one of {known}")
    return query_of(text, title=title, channel=channel)


def classify_lines(classifier: Classifier, lines: Iterable[str], first: int = 1) -> Iterator[dict[str, Any]]:
    """One answer for each line that is not blank, in order; a bad line is answered with its error. `first` is the first line's number."""
    questions = (read_line(number, line) for number, line in enumerate(lines, first) if line.strip())
    while batch := list(islice(questions, _BATCH)):
        verdicts = iter(classifier.classify([question for question in batch if isinstance(question, Query)]))
        for question in batch:
            if isinstance(question, BadLine):
                yield {"error": {"line": question.line, "zh": question.zh, "en": question.en}}
            else:
                yield answer(next(verdicts))


def answer(verdict: Verdict) -> dict[str, Any]:
    """A verdict as `jiesu classify` writes it."""
    told = ticket.verdict_json(verdict)
    return {key: told[key] for key in _TOLD} | {"customer": verdict.customer.found()}


def as_line(value: Mapping[str, Any]) -> str:
    """One line of JSON, Chinese readable, that can always be written."""
    return storable(json.dumps(value, ensure_ascii=False))
