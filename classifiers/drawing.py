"""A sheet to draw on, written out as SVG: the few shapes that charts are made of, every text escaped, well-formed whatever is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

_FONTS = "'Noto Sans CJK SC','Source Han Sans SC','PingFang SC','Microsoft YaHei','WenQuanYi Zen Hei','Droid Sans Fallback',sans-serif"

Anchor = Literal["start", "middle", "end"]

INK, FAINT, GRID, PAPER = "#1f2933", "#5f6c7b", "#e3e8ee", "#ffffff"


class Sheet:
    """A white sheet of this size in pixels; x grows to the right, y downwards. `about`: what a reader hears who cannot see it."""

    def __init__(self, width: float, height: float, title: str, about: str) -> None:
        self._width, self._height, self._title, self._about = width, height, title, about
        self._shapes: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, *, colour: str = INK, width: float = 1, dashes: str = "") -> None:
        """A straight line; `dashes` as SVG has them, e.g. `4 3`."""
        dashed = f" stroke-dasharray={quoteattr(dashes)}" if dashes else ""
        ends = f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"'
        self._shapes.append(f'<line {ends} stroke="{colour}" stroke-width="{_n(width)}"{dashed}/>')

    def path(self, points: Sequence[tuple[float, float]], *, colour: str = INK, width: float = 2) -> None:
        """A line through all points."""
        places = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._shapes.append(
            f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{_n(width)}" stroke-linejoin="round"/>'
        )

    def box(self, x: float, y: float, width: float, height: float, *, fill: str, hint: str = "") -> None:
        """A filled rectangle. `hint` is shown to whoever points at it."""
        self._shapes.append(f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" fill="{fill}">{_hint(hint)}</rect>')

    def dot(self, x: float, y: float, radius: float, *, fill: str, hint: str = "") -> None:
        """A filled circle with a white rim, so that it can be told from a line that it stands on."""
        rim = f'fill="{fill}" stroke="{PAPER}" stroke-width="1.5"'
        self._shapes.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" {rim}>{_hint(hint)}</circle>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12,
        colour: str = INK,
        anchor: Anchor = "start",
        bold: bool = False,
        turned: bool = False,
    ) -> None:
        """A line of text whose foot is at y; `turned` reads upwards."""
        weight = ' font-weight="600"' if bold else ""
        turn = f' transform="rotate(-90 {_n(x)} {_n(y)})"' if turned else ""
        place = f'x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{colour}" text-anchor="{anchor}"'
        self._shapes.append(f"<text {place}{weight}{turn}>{_plain(words)}</text>")

    def svg(self) -> str:
        """The sheet as an SVG file."""
        size = f'width="{_n(self._width)}" height="{_n(self._height)}" viewBox="0 0 {_n(self._width)} {_n(self._height)}"'
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{_FONTS}">',
                f"<title>{_plain(self._title)}</title>",
                f"<desc>{_plain(self._about)}</desc>",
                f'<rect width="100%" height="100%" fill="{PAPER}"/>',
                *self._shapes,
                "</svg>\n",
            )
        )


def _hint(words: str) -> str:
    return f"<title>{_plain(words)}</title>" if words else ""


def _plain(words: str) -> str:
    """Text that XML can hold: escaped, and without control characters and lone surrogates, which no XML file may have."""
    return escape("".join(char if _allowed(char) else "\ufffd" for char in words))


def _allowed(char: str) -> bool:
    code = ord(char)
    return code in (0x9, 0xA, 0xD) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code >= 0x10000


def _n(value: float) -> str:
    """A number as short as it may be, the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")
