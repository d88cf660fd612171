"""A classifier measured by labelled texts: all figures at once, whole and by channel and file, as a table for people and as JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from classifiers.evaluate import (
    Bin,
    Figures,
    Language,
    Point,
    chances_of,
    columns,
    coverage,
    figures_of,
    headings,
    micro_f1,
    numbers_of,
    reliability,
    said,
)
from classifiers.labelled import CHANNELS, CUSTOMER, Labelled
from models.verdict import ComplaintClass, Verdict

# Where nobody said through which door a text came.
UNKNOWN = "unknown"

# So many points of a curve are kept in JSON.
_MOST_POINTS = 200

_CHANNEL_NAMES: Mapping[str, tuple[str, str]] = {
    "email": ("邮件", "email"),
    "chat": ("对话", "chat"),
    "phone": ("电话", "phone"),
    UNKNOWN: ("渠道不明", "unknown"),
}
_FIELD_NAMES: Mapping[str, tuple[str, str]] = {
    "name": ("姓名", "name"),
    "phone": ("电话", "phone"),
    "email": ("邮箱", "email"),
    "estate": ("楼盘", "estate"),
    "unit": ("房号", "unit"),
}

_GROUP_HEADS: Sequence[tuple[str, str]] = (
    ("渠道", "channel"),
    ("文本", "texts"),
    ("准确率", "accuracy"),
    ("宏平均F1", "macro-F1"),
    ("四类", "four-class"),
    ("前二", "top two"),
    ("自动", "routed alone"),
    ("其中错误", "wrong"),
    ("校准误差", "cal. error"),
)
_FIELD_HEADS: Sequence[tuple[str, str]] = (
    ("顾客信息", "customer"),
    ("文本", "texts"),
    ("写明", "said"),
    ("找到", "found"),
    ("正确", "right"),
    ("精确率", "precision"),
    ("召回率", "recall"),
)


@dataclass(frozen=True, slots=True)
class FieldFigures:
    """One field of the customer: texts labelled for it, texts that say it, texts where something was found, and where that is right."""

    texts: int
    said: int
    found: int
    right: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it. `…_texts` tell how many texts are labelled for a thing; its figure is `None` where none is.

    channels: by channel; `unknown` where it is not given. `files`: by file, in the order given.
    bins, curve: what the probabilities are worth (`evaluate.reliability`, `evaluate.coverage`).
    """

    model: str
    figures: Figures
    channels: Mapping[str, Figures]
    files: Mapping[str, Figures]
    secondary_texts: int
    risk_f1: float | None
    risk_texts: int
    customer: Mapping[str, FieldFigures]
    bins: tuple[Bin, ...]
    curve: tuple[Point, ...]

    def as_json(self) -> dict[str, object]:
        """Everything as JSON values. The error among those routed alone is null where none is."""
        return {
            "trained_model": self.model,
            **_json(self.figures),
            "secondary_texts": self.secondary_texts,
            "risk_f1": None if self.risk_f1 is None else round(self.risk_f1, 4),
            "risk_texts": self.risk_texts,
            "channels": {name: _json(made) for name, made in self.channels.items()},
            "files": {name: _json(made) for name, made in self.files.items()},
            "customer": {
                name: {"texts": one.texts, "said": one.said, "found": one.found, "right": one.right} for name, one in self.customer.items()
            },
            "reliability": [{"stated": round(one.stated, 4), "right": round(one.right, 4), "texts": one.texts} for one in self.bins],
            "coverage": [
                {"share": round(one.share, 4), "error": round(one.error, 4), "least": round(one.least, 4)} for one in thinned(self.curve)
            ],
        }

    def table(self, language: Language = "both") -> str:
        """Everything as plain text, fit for a terminal."""
        parts = [f"{said(('模型', 'model'), language)} {self.model}", self.figures.table(language)]
        labelled = []
        if self.figures.secondary_f1 is not None:
            labelled.append([said(("标注了次要类别", "secondary classes labelled"), language), str(self.secondary_texts)])
        if self.risk_f1 is not None:
            labelled.append([said(("风险F1", "risk micro-F1"), language), f"{self.risk_f1:.3f}"])
            labelled.append([said(("标注了风险", "risk labelled"), language), str(self.risk_texts)])
        if labelled:
            parts.append(columns(labelled))
        groups = [(said(_CHANNEL_NAMES[name], language), made) for name, made in self.channels.items()]
        if len(self.files) > 1:
            groups += list(self.files.items())
        parts.append(columns([*headings(_GROUP_HEADS, language), *(_row(name, made) for name, made in groups)]))
        if self.customer:
            rows = []
            for name, one in self.customer.items():
                counts = map(str, (one.texts, one.said, one.found, one.right))
                rows.append([said(_FIELD_NAMES[name], language), *counts, _share(one.right, one.found), _share(one.right, one.said)])
            parts.append(columns([*headings(_FIELD_HEADS, language), *rows]))
        return "\n\n".join(parts)


def measure(rows: Sequence[tuple[str, Labelled]], verdicts: Sequence[Verdict]) -> Measured:
    """Figures of verdicts on labelled texts, each with the name of its file; every text must have its class, and there must be one."""
    both = list(zip([row for _, row in rows], verdicts, strict=True))
    labels = [_label(row) for row, _ in both]
    by_channel: dict[str, list[int]] = {name: [] for name in (*CHANNELS, UNKNOWN)}
    by_file: dict[str, list[int]] = {}
    for place, (name, row) in enumerate(rows):
        by_channel[row.channel or UNKNOWN].append(place)
        by_file.setdefault(name, []).append(place)

    def part(places: Sequence[int]) -> Figures:
        further = [both[place][0].secondary for place in places]
        known = any(one is not None for one in further)
        return figures_of([verdicts[place] for place in places], [labels[place] for place in places], further if known else None)

    chances, numbers = chances_of(verdicts), numbers_of(labels)
    risks = [(frozenset(row.risk), frozenset(verdict.risk)) for row, verdict in both if row.risk is not None]
    return Measured(
        model=verdicts[0].trained_model,
        figures=part(range(len(rows))),
        channels={name: part(places) for name, places in by_channel.items() if places},
        files={name: part(places) for name, places in by_file.items()},
        secondary_texts=sum(row.secondary is not None for _, row in rows),
        risk_f1=micro_f1(risks) if risks else None,
        risk_texts=len(risks),
        customer=dict(_fields(both)),
        bins=tuple(reliability(chances, numbers)),
        curve=tuple(coverage(chances, numbers)),
    )


def thinned(curve: Sequence[Point], most: int = _MOST_POINTS) -> list[Point]:
    """At most about so many points of a curve, evenly taken, the last always among them."""
    step = max(1, -(-len(curve) // most))
    kept = list(curve[::step])
    return kept if not curve or kept[-1] == curve[-1] else [*kept, curve[-1]]


def _label(row: Labelled) -> ComplaintClass:
    if row.primary is None:
        raise ValueError(f"{row.where}: has no class")
    return row.primary


def _json(made: Figures) -> dict[str, object]:
    alone, wrong = made.auto
    return made.as_json() | {"auto_texts": alone, "auto_wrong": wrong} | ({} if alone else {"auto_error": None})


def _row(name: str, made: Figures) -> list[str]:
    alone, wrong = made.auto
    four = any(one.texts for name, one in made.per_class.items() if name is not ComplaintClass.OTHER)
    cells = [f"{made.accuracy:.3f}", f"{made.macro_f1:.3f}", f"{made.four_class:.3f}" if four else "—", f"{made.top_two:.3f}"]
    return [name, str(made.texts), *cells, f"{alone} ({made.auto_share:.1%})", _share(wrong, alone), f"{made.ece:.3f}"]


def _share(hits: int, total: int) -> str:
    return f"{hits / total:.1%}" if total else "—"


def _fields(both: Sequence[tuple[Labelled, Verdict]]) -> Iterator[tuple[str, FieldFigures]]:
    for field in CUSTOMER:
        pairs = [
            (_plain(row.customer[field]), _plain(getattr(verdict.customer, field) or ""))
            for row, verdict in both
            if row.customer is not None and field in row.customer
        ]
        if pairs:
            right = sum(bool(label) and label == answer for label, answer in pairs)
            yield field, FieldFigures(len(pairs), sum(bool(label) for label, _ in pairs), sum(bool(answer) for _, answer in pairs), right)


def _plain(value: str) -> str:
    """A field as it is compared: width, blanks, strokes and capitals do not matter."""
    return "".join(char for char in unicodedata.normalize("NFKC", value).lower() if not char.isspace() and char not in "-－")
