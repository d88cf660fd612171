"""The training store: what corrections leave to learn from, de-identified, and what people make of doubtful labels."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classifiers import label_quality
from classifiers.base import Progress, Query
from classifiers.deidentify import Deidentifier
from classifiers.label_quality import Item, Suspect
from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.store import examples, labels
from gateway.store.complaints import ComplaintRow, MessageRow
from gateway.store.engine import Store
from gateway.store.examples import ExampleRow
from models.correction import Correction
from models.errors import BadSetting, Refused, TryLater
from models.verdict import ComplaintClass

# So many of the newest examples are looked through for suspicious labels while somebody waits for the page.
MOST_LOOKED_THROUGH = 5_000
_SEARCH_SECONDS = 600.0
# So many complaints that several people have judged are looked at.
_MOST_JUDGED = 10_000
_ACTIONS = ("keep", "ignore", "relabel")


class Examples:
    """The training store for the API, the console and the commands. Threads may share it. Answers are plain values."""

    def __init__(self, store: Store, clock: Clock, deidentifier: Deidentifier, log: OperatorLog) -> None:
        self._store, self._clock, self._log = store, clock, log
        self.deidentifier = deidentifier
        self._lock = threading.Lock()
        self._found: tuple[object, list[tuple[ExampleRow, Suspect]]] | None = None

    def copy_of(self, complaint: ComplaintRow, messages: Sequence[MessageRow], correction: Correction) -> ExampleRow | None:
        """What a correction leaves to learn from: what the customer said, without whose it is. None where he said nothing."""
        said = "\n".join(message.said for message in messages if message.said)
        if not said.strip() and not complaint.title.strip():
            return None
        names = [complaint.customer.name, *(message.hints.name for message in messages)]
        title, text = self.deidentifier.mask(
            complaint.title, said, context="\n".join(message.text for message in messages), names=[name for name in names if name]
        )
        return ExampleRow(
            id=0,
            origin=examples.CORRECTION,
            key=complaint.number,
            number=complaint.number,
            source=correction.source.value,
            channel=complaint.channel.value,
            title=title,
            text=text,
            primary=correction.should_be,
            # What the model thought besides, nobody has looked at.
            secondary=(),
            by=correction.by,
            added_at=correction.at,
            golden=False,
            looked_at=None,
        )

    def forget(self, number: str) -> int:
        """Removes what was copied of a complaint; how many examples that were. Nothing there is no error: it is forgotten."""
        number = number.strip()
        with self._store.write() as conn:
            gone = examples.forget(conn, number)
        self._log.write("ExamplesForgotten", number, examples=gone)
        return gone

    def counts(self) -> dict[str, Any]:
        """How many examples there are: in all, usable for training, by class, by origin, golden, ignored, kept."""
        with self._store.read() as conn:
            found = examples.counts(conn)
        told: dict[str, Any] = {"total": 0, "usable": 0, "golden": 0, "kept": 0, "ignored": 0}
        told["by_class"] = {name.value: 0 for name in ComplaintClass}
        told["by_origin"] = {examples.CORRECTION: 0, examples.IMPORTED: 0}
        for row in found:
            many = row["count"]
            told["total"] += many
            told["golden"] += many if row["golden"] else 0
            if row["looked_at"]:
                told[row["looked_at"]] += many
            if not row["golden"] and row["looked_at"] != examples.IGNORED:
                told["usable"] += many
                told["by_class"][row["primary"]] += many
            told["by_origin"][row["origin"]] += many
        return told

    def suspicious(self, limit: int = 50, *, most: int = MOST_LOOKED_THROUGH, progress: Progress | None = None) -> list[dict[str, Any]]:
        """Labels that are likely wrong, the worst first; those that a person has looked at are not shown again.

        most:     of the newest examples are looked through. What was found is kept until the examples change.
        progress: told how far it is; the search is then done in this process and not in one of its own.

        Raises `TryLater` when the search does not come to an end.
        """
        with self._store.read() as conn:
            rows = examples.usable(conn)[-most:]
        state = (most, [(row.id, row.primary, row.added_at, row.looked_at) for row in rows])
        with self._lock:
            if self._found is None or self._found[0] != state:
                suspects = _searched(rows, progress) if len(rows) >= label_quality.LEAST_ITEMS else []
                self._found = state, [(rows[one.place], one) for one in suspects]
            found = self._found[1]
        return [
            example_json(row) | {"likely": one.likely.value, "probability": round(one.probability, 4), "stated": round(one.stated, 4)}
            for row, one in found
            if row.looked_at is None
        ][:limit]

    def settle(self, id: int, action: str, primary: ComplaintClass | None = None, by: str = "") -> dict[str, Any]:
        """What a person says of a label: it is right (`keep`), the text is not to be learned from (`ignore`), or it should be `primary`.

        Returns the example as it stands now. Raises `Refused` for what makes no sense, for nobody, and for an example that is not there.
        """
        by = by.strip()
        if not by or len(by) > 80:
            raise Refused("bad_by", "by：请写明是谁判定的（1–80 字）", "by: say who decides (1 to 80 characters)")
        if action not in _ACTIONS:
            known = "、".join(_ACTIONS)
            raise Refused("bad_action", f"action：应为 {known} 之一", f"action: one of {', '.join(_ACTIONS)}")
        if (primary is None) == (action == "relabel"):
            raise Refused("bad_primary", "primary：改判时给出类别，其他情形不给", "primary: the class when relabelling, and only then")
        with self._store.write() as conn:
            row = examples.load(conn, id)
            if row is None:
                raise Refused("no_such_example", f"没有编号为 {id} 的样本", f"there is no example {id}")
            label = primary or row.primary
            examples.settle(
                conn,
                id,
                looked_at=examples.IGNORED if action == "ignore" else examples.KEPT,
                primary=label,
                secondary=[one for one in row.secondary if one is not label],
                # Who set the label stays known where it stands.
                by=by if label is not row.primary else row.by,
            )
            settled = examples.load(conn, id)
        self._log.write("ExampleSettled", row.number, example=id, action=action, was=row.primary.value, primary=label.value)
        return example_json(settled or row)

    def disagreements(self) -> list[dict[str, Any]]:
        """Complaints on which people's last words differ, the newest first, for a lead to decide."""
        return [
            {
                "number": one.number,
                "title": one.title,
                "class": one.klass.value if one.klass else None,
                "said": [{"by": said.by, "class": said.klass.value, "at": said.at.isoformat(timespec="seconds")} for said in one.said],
            }
            for one in self._judged()
            if len({said.klass for said in one.said}) > 1
        ]

    def agreement(self) -> dict[str, Any]:
        """Krippendorff's alpha over the complaints that several people judged, of each class too; `alpha` is null where there are none."""
        judged = self._judged()
        units = [[said.klass.value for said in one.said] for one in judged]
        people = {said.by for one in judged for said in one.said}
        by_class = label_quality.alpha_by_class(units, [name.value for name in ComplaintClass])
        return {
            "alpha": _rounded(label_quality.alpha(units)),
            "by_class": {name: _rounded(value) for name, value in by_class.items()},
            "complaints": len(units),
            "people": len(people),
            "differ": sum(len(set(values)) > 1 for values in units),
        }

    def _judged(self) -> list[labels.Judged]:
        with self._store.read() as conn:
            return labels.by_several(conn, _MOST_JUDGED)


def example_json(row: ExampleRow) -> dict[str, Any]:
    """An example as API, console and commands show it."""
    return {
        "id": row.id,
        "origin": row.origin,
        "number": row.number,
        "source": row.source,
        "channel": row.channel,
        "title": row.title,
        "text": row.text,
        "primary": row.primary.value,
        "secondary": [one.value for one in row.secondary],
        "by": row.by,
        "added_at": row.added_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "golden": row.golden,
        "looked_at": row.looked_at,
    }


def query_of(row: ExampleRow) -> Query:
    """The question that an example puts. Its text is what the customer said, so nothing is to be cut out of it any more."""
    return Query(said=row.text, title=row.title, channel=row.channel)


def class_named(name: str, key: str) -> ComplaintClass:
    """The class of this name, Chinese or code. Raises `BadSetting` that names `key`."""
    for one in ComplaintClass:
        if name.strip() in (one.zh, one.value):
            return one
    known = "、".join(f"{one.zh} {one.value}" for one in ComplaintClass)
    raise BadSetting(key, f"“{name[:40]}” 不行，应为 {known} 之一", f"'{name[:40]}' will not do: one of {', '.join(ComplaintClass)}")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _searched(rows: Sequence[ExampleRow], progress: Progress | None) -> list[Suspect]:
    if progress is not None:
        return label_quality.suspects([Item(query_of(row), row.primary) for row in rows], progress=progress)
    # In a process of its own: the gateway does without scikit-learn, and goes on answering.
    asked = "".join(
        json.dumps({"title": row.title, "text": row.text, "channel": row.channel, "primary": row.primary.value}) + "\n" for row in rows
    )
    program = [sys.executable, "-m", "classifiers.label_quality"]
    try:
        done = subprocess.run(  # noqa: S603
            program, input=asked.encode(), capture_output=True, timeout=_SEARCH_SECONDS, check=True, cwd=Path(__file__).parents[1]
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise TryLater(
            "search_failed", "可疑标注没能查完，请稍后再试", "the search for suspicious labels did not end; try later"
        ) from error
    return [Suspect(one["place"], ComplaintClass(one["likely"]), one["probability"], one["stated"]) for one in json.loads(done.stdout)]
