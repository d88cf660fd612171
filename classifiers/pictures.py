"""Pictures of how right a classifier is: what its probabilities are worth, what it confuses, and what routing alone costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from classifiers.abstain import TOLERATED
from classifiers.drawing import FAINT, GRID, INK, PAPER, Sheet
from classifiers.evaluate import ENGLISH, Bin, Figures, Point, interval
from classifiers.measured import Measured, thinned
from classifiers.scores import CLASSES

_BLUE, _PALE, _RED, _GREEN = "#2166ac", "#c6d9ec", "#b2182b", "#1b7837"

# Of one chart, its labels included.
_WIDE, _HIGH = 420, 520
_SIDE = 300
_LEFT, _TOP = 80, 74
_EDGE, _HEAD = 20, 70

# So many texts routed alone are the fewest whose error is drawn.
_ENOUGH = 20
_NOBODY = "#f4f6f8"


def of_measured(found: Measured, files: Sequence[str]) -> str:
    """Three charts of one measurement, side by side, as SVG."""
    made = found.figures
    about = (
        f"准确率 {made.accuracy:.1%}，校准误差 {made.ece:.3f}，自动分派 {made.auto_share:.1%}。 "
        f"Accuracy {made.accuracy:.1%}, calibration error {made.ece:.3f}, routed alone {made.auto_share:.1%}."
    )
    sheet = Sheet(3 * _WIDE + 2 * _EDGE, _HEAD + _HIGH, "分类的可靠程度 How reliable the classifier is", about)
    _heading(
        sheet, "分类的可靠程度", "How reliable the classifier is", f"{_names(files)} · {made.texts} 条 texts · 模型 model {found.model}"
    )
    _reliability(sheet, _EDGE, _HEAD, found.bins, made, "概率可信吗", "Is the stated probability right?")
    _confusion(sheet, _EDGE + _WIDE, _HEAD, made)
    _coverage(sheet, _EDGE + 2 * _WIDE, _HEAD, found.curve, made)
    return sheet.svg()


def of_registers(parts: Mapping[str, tuple[str, Sequence[Bin], Figures]], model: str) -> str:
    """A reliability chart for each part, two in a row, as SVG. `parts`: English name to Chinese name, bins and figures."""
    rows = -(-len(parts) // 2)
    errors = "; ".join(f"{zh} {en} {made.ece:.3f}" for en, (zh, _, made) in parts.items())
    sheet = Sheet(
        2 * _WIDE + 2 * _EDGE, _HEAD + rows * _HIGH, "未见过的文体上概率是否可信 Reliability on registers never seen", f"ECE: {errors}"
    )
    _heading(sheet, "没有学过的文体上，概率可信吗", "Reliability on registers that were left out of training", f"模型 model {model}")
    for place, (en, (zh, bins, made)) in enumerate(parts.items()):
        _reliability(sheet, _EDGE + place % 2 * _WIDE, _HEAD + place // 2 * _HIGH, bins, made, zh, en)
    return sheet.svg()


def _heading(sheet: Sheet, zh: str, en: str, below: str) -> None:
    sheet.text(_EDGE, 32, f"{zh}　{en}", size=18, bold=True)
    sheet.text(_EDGE, 54, below, size=12, colour=FAINT)


def _title(sheet: Sheet, x: float, y: float, zh: str, en: str, note: str) -> None:
    sheet.text(x + _LEFT, y + 22, zh, size=15, bold=True)
    sheet.text(x + _LEFT, y + 40, en, size=11, colour=FAINT)
    sheet.text(x + _LEFT, y + 58, note, size=11)


def _axes(sheet: Sheet, left: float, top: float, horizontal: tuple[str, str], upright: tuple[str, str], height: float, most: float) -> None:
    """A frame with a grid: shares of 0 to 1 to the right, of 0 to `most` upwards, with their names."""
    for step in range(6):
        x, y = left + _SIDE * step / 5, top + height * (1 - step / 5)
        sheet.line(x, top, x, top + height, colour=GRID)
        sheet.line(left, y, left + _SIDE, y, colour=GRID)
        sheet.text(x, top + height + 16, f"{step / 5:.0%}", size=11, colour=FAINT, anchor="middle")
        sheet.text(left - 8, y + 4, f"{most * step / 5:.0%}", size=11, colour=FAINT, anchor="end")
    sheet.line(left, top + height, left + _SIDE, top + height, colour=FAINT)
    sheet.line(left, top, left, top + height, colour=FAINT)
    sheet.text(left - 56, top + height / 2, upright[0], size=12, anchor="middle", turned=True)
    sheet.text(left - 42, top + height / 2, upright[1], size=10, colour=FAINT, anchor="middle", turned=True)
    sheet.text(left + _SIDE / 2, top + height + 34, horizontal[0], size=12, anchor="middle")
    sheet.text(left + _SIDE / 2, top + height + 48, horizontal[1], size=10, colour=FAINT, anchor="middle")


def _reliability(sheet: Sheet, x: float, y: float, bins: Sequence[Bin], made: Figures, zh: str, en: str) -> None:
    _title(sheet, x, y, zh, en, f"{made.texts} 条 texts · 校准误差 calibration error {made.ece:.3f}")
    left, top = x + _LEFT, y + _TOP
    _axes(sheet, left, top, ("所报概率", "stated probability"), ("实际正确的比例", "share that is right"), _SIDE, 1.0)
    sheet.line(left, top + _SIDE, left + _SIDE, top, colour=FAINT, dashes="5 4")
    places = [(left + _SIDE * one.stated, top + _SIDE * (1 - one.right)) for one in bins]
    for (at, height), one in zip(places, bins, strict=True):
        low, high = interval(round(one.right * one.texts), one.texts)
        sheet.line(at, top + _SIDE * (1 - low), at, top + _SIDE * (1 - high), colour=_PALE, width=5)
        hint = f"{one.texts} 条 texts: 所报 stated {one.stated:.1%}, 正确 right {one.right:.1%} (95% {low:.1%}–{high:.1%})"
        sheet.dot(at, height, 5, fill=_BLUE, hint=hint)
    sheet.path(places, colour=_BLUE, width=1.5)
    # How many texts each point stands for.
    below, height = top + _SIDE + 62, 50
    most = max((one.texts for one in bins), default=1)
    for one in bins:
        # Where the bin lies, not where its mean does, so that bars never overlap.
        at = left + _SIDE * min(int(one.stated * 10), 9) / 10
        tall = max(1.0, (height - 14) * one.texts / most)
        sheet.box(at + 2, below + height - tall, _SIDE / 10 - 4, tall, fill=_PALE)
        sheet.text(at + _SIDE / 20, below + height - tall - 3, str(one.texts), size=9, colour=INK, anchor="middle")
    sheet.line(left, below + height, left + _SIDE, below + height, colour=FAINT)
    sheet.text(left - 8, below + height - 18, "条数", size=11, anchor="end")
    sheet.text(left - 8, below + height - 5, "texts", size=10, colour=FAINT, anchor="end")


def _confusion(sheet: Sheet, x: float, y: float, made: Figures) -> None:
    _title(
        sheet,
        x,
        y,
        "哪些类别混淆",
        "Which classes are confused?",
        f"准确率 accuracy {made.accuracy:.1%} · 宏平均 macro-F1 {made.macro_f1:.3f}",
    )
    left, top, side = x + _LEFT + 34, y + _TOP + 44, 53
    for place, name in enumerate(CLASSES):
        sheet.text(left + side * (place + 0.5), top - 30, name.zh, size=12, anchor="middle")
        for line, word in enumerate(ENGLISH[name].split()):
            sheet.text(left + side * (place + 0.5), top - 17 + 11 * line, word, size=10, colour=FAINT, anchor="middle")
        sheet.text(left - 8, top + side * (place + 0.5), name.zh, size=12, anchor="end")
        sheet.text(left - 8, top + side * (place + 0.5) + 13, ENGLISH[name], size=10, colour=FAINT, anchor="end")
    for row, counts in enumerate(made.confusion):
        total = sum(counts)
        for column, count in enumerate(counts):
            share = count / total if total else 0.0
            hint = f"{CLASSES[row].zh} → {CLASSES[column].zh}: {count} ({share:.0%})"
            sheet.box(left + side * column + 1, top + side * row + 1, side - 2, side - 2, fill=_shade(share, row == column), hint=hint)
            ink = PAPER if share > 0.75 else INK
            middle = left + side * (column + 0.5)
            sheet.text(middle, top + side * (row + 0.5) + 1, str(count), size=14, colour=ink, anchor="middle", bold=row == column)
            if count:
                sheet.text(middle, top + side * (row + 0.5) + 15, f"{share:.0%}", size=10, colour=ink, anchor="middle")
    foot = top + side * len(CLASSES)
    sheet.text(left + side * 2.5, foot + 22, "行：标注的类别　列：分类的结果", size=12, anchor="middle")
    sheet.text(
        left + side * 2.5, foot + 38, "rows: the label · columns: the answer · %: of the row", size=10, colour=FAINT, anchor="middle"
    )


def _coverage(sheet: Sheet, x: float, y: float, curve: Sequence[Point], made: Figures) -> None:
    alone, wrong = made.auto
    low, high = interval(wrong, alone)
    told = f"{alone} 条自动分派，{wrong} 条有误 {alone} routed alone, {wrong} wrong"
    _title(sheet, x, y, "自动分派的代价", "What does routing alone cost?", told)
    left, top = x + _LEFT, y + _TOP
    # The first few texts say little and may be all wrong: the curve begins where there are enough, and the scale is made for what follows.
    settled = [point for point in curve if point.share * made.texts >= _ENOUGH] or list(curve)
    # Steps of the scale are whole percents.
    most = min(1.0, -(-max(2 * TOLERATED, *(point.error for point in settled), wrong / alone if alone else 0.0) * 20 // 1) / 20)
    _axes(sheet, left, top, ("自动分派的比例", "share routed alone"), ("其中错误的比例", "error among these"), _SIDE, most)

    def at(share: float, error: float) -> tuple[float, float]:
        # Of an interval the upper end may lie beyond the scale.
        return left + _SIDE * share, top + _SIDE * (1 - min(error, most) / most)

    _, line = at(0, TOLERATED)
    sheet.line(left, line, left + _SIDE, line, colour=_RED, dashes="6 4", width=1.5)
    sheet.path([at(point.share, point.error) for point in thinned(settled)], colour=_BLUE)
    if alone:
        share, error = made.auto_share, wrong / alone
        sheet.line(*at(share, low), *at(share, high), colour=_GREEN, width=2)
        sheet.dot(*at(share, error), 6, fill=_GREEN, hint=f"{told} (95% {low:.1%}–{high:.1%})")
    legend = top + _SIDE + 72
    entries = (
        (_BLUE, f"按概率从高到低逐条放行（满 {_ENOUGH} 条起）", f"if ever less likely answers were let through (from {_ENOUGH} on)"),
        (_RED, f"预设的容许错误率 {TOLERATED:.0%}", f"the error put up with by default, {TOLERATED:.0%}"),
        (_GREEN, "现用门槛（竖线：95% 区间）", "the thresholds in use (upright: 95% interval)"),
    )
    for place, (colour, zh, en) in enumerate(entries):
        height = legend + 26 * place
        if colour == _GREEN:
            sheet.dot(left + 12, height - 4, 5, fill=colour)
        else:
            sheet.line(left, height - 4, left + 24, height - 4, colour=colour, width=2, dashes="6 4" if colour == _RED else "")
        sheet.text(left + 32, height - 2, zh, size=11)
        sheet.text(left + 32, height + 10, en, size=10, colour=FAINT)


def _names(files: Sequence[str], most: int = 60) -> str:
    names = "、".join(files)
    return names if len(names) <= most else names[: most - 1] + "…"


def _shade(share: float, right: bool) -> str:
    """From white to blue where the answer is right, to red where it is wrong."""
    if not share:
        return _NOBODY
    full = (33, 102, 172) if right else (178, 24, 43)
    return "#" + "".join(f"{round(255 + (one - 255) * min(1.0, share)):02x}" for one in full)
