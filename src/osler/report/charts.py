"""Small SVG charts: axes, lines with bands, points with whiskers, bars and boxes; colours come from the page's style
sheet.

Every picture has a title and a description for those who cannot see it, dashes beside colours, and no number that is
not given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from osler.report.markup import Child, Html, join, tag
from osler.report.style import PICTURE
from osler.report.words import is_number, number, short

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Figure:
    """A picture with its words.

    Attributes:
        name: file name without its ending; letters, digits and hyphens.
        title: what it shows. description: the same for those who cannot see it. caption: how to read it.
        body: the SVG's inside. width, height: of its view box. wide: whether it takes a whole line.
    """

    name: str
    title: str
    description: str
    caption: Child
    body: Html
    width: int = 480
    height: int = 360
    wide: bool = False

    def svg(self, *, alone: bool = False) -> Html:
        """The picture for a page, or with name space and style as a file of its own."""
        ids = f"{self.name}-title {self.name}-text"
        inner = join([
            tag("title", self.title, id=f"{self.name}-title"), tag("desc", self.description, id=f"{self.name}-text"),
            Html(f"<style>{PICTURE}</style>") if alone else None, self.body,
        ])  # fmt: skip
        made = tag("svg", inner, viewBox=f"0 0 {self.width} {self.height}", role="img", aria_labelledby=ids)
        return Html(made.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)) if alone else made

    def html(self) -> Html:
        """The picture with its caption."""
        words = tag("figcaption", tag("strong", self.title, "."), " ", self.caption)
        return tag("figure", self.svg(), words, class_="wide" if self.wide else None)


@dataclass(frozen=True)
class Axes:
    """A frame whose inside stands for x from `x0` to `x1` and y from `y0` to `y1` (data units)."""

    x0: float
    x1: float
    y0: float
    y1: float
    left: float = 56
    right: float = 464
    top: float = 12
    bottom: float = 310

    def x(self, value: float) -> float:
        """Where an x lies in the picture."""
        inside = min(max(value, self.x0), self.x1)
        return round(self.left + (inside - self.x0) / ((self.x1 - self.x0) or 1.0) * (self.right - self.left), 1)

    def y(self, value: float) -> float:
        """Where a y lies in the picture."""
        inside = min(max(value, self.y0), self.y1)
        return round(self.bottom - (inside - self.y0) / ((self.y1 - self.y0) or 1.0) * (self.bottom - self.top), 1)

    def path(self, points: Points) -> str:
        """A line through points with finite coordinates."""
        seen = [(self.x(a), self.y(b)) for a, b in points if is_number(a) and is_number(b)]
        return "M" + "L".join(f"{a:g} {b:g}" for a, b in seen) if seen else ""

    def draw(self, x_label: str, y_label: str, *, percent: bool = False) -> Html:
        """Grid, ticks and labels."""
        parts: list[Child] = []
        across, up = ticks(self.x0, self.x1), ticks(self.y0, self.y1)
        for value, text in zip(across, tick_texts(across, percent)):
            at = self.x(value)
            parts += [line(at, self.top, at, self.bottom, "grid"), words(at, self.bottom + 16, text, "soft mid")]
        for value, text in zip(up, tick_texts(up, percent)):
            at = self.y(value)
            parts += [line(self.left, at, self.right, at, "grid"), words(self.left - 7, at + 4, text, "soft end")]
        middle = (self.top + self.bottom) / 2
        parts.append(words((self.left + self.right) / 2, self.bottom + 36, x_label, "mid"))
        parts.append(tag("text", y_label, transform=f"translate(14 {middle:g}) rotate(-90)", class_="mid"))
        return join(parts)

    def line(self, points: Points, series: int = 1, *, name: str = "") -> Html:
        """A line in the colour and dash of a series."""
        k = (series - 1) % 5 + 1
        return tag("path", tag("title", name) if name else None, d=self.path(points), class_=f"line s{k} d{k}")

    def band(self, low: Points, high: Points, series: int = 1) -> Html:
        """The space between two lines, in the colour of a series."""
        upper = self.path(high)
        lower = self.path(list(reversed(low)))
        return tag("path", d=f"{upper}L{lower[1:]}Z" if upper and lower else "", class_=f"band f{(series - 1) % 5 + 1}")


def left_of(low: float, high: float) -> float:
    """Where the frame begins so that the ticks of an upright axis from low to high do not meet its label."""
    longest = max(len(text) for text in tick_texts(ticks(low, high)))
    return max(56.0, 30.0 + 7 * longest)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    """A straight line."""
    return tag("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=class_)


def words(x: float, y: float, text: Child, class_: str = "") -> Html:
    """A text; its start, middle or end lies at x."""
    return tag("text", text, x=f"{x:g}", y=f"{y:g}", class_=class_ or None)


def box(x: float, y: float, width: float, height: float, class_: str) -> Html:
    """A rectangle."""
    return tag("rect", x=f"{x:g}", y=f"{y:g}", width=f"{max(width, 0):g}", height=f"{max(height, 0):g}", class_=class_)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, at most `most` + 1."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    size = 10 ** math.floor(math.log10(raw))
    step = next(s * size for s in (1, 2, 2.5, 5, 10) if s * size >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_texts(values: Sequence[float], percent: bool = False) -> list[str]:
    """Ticks as text, all with the decimals that their step needs."""
    scale = 100 if percent else 1
    step = scale * (values[1] - values[0]) if len(values) > 1 else 1.0
    decimals = next((k for k in range(12) if abs(round(step, k) - step) < 1e-9 * step), 12)
    return [number(scale * v, decimals) + ("%" if percent else "") for v in values]


def legend(names: Sequence[str], x: float, y: float, series: Sequence[int] = ()) -> Html:
    """One line per name: a stroke in its colour and dash, and the name; `series` numbers them, else 1, 2, 3 ..."""
    parts: list[Child] = []
    for i, (name, place) in enumerate(zip(names, series or range(1, len(names) + 1))):
        k, at = (place - 1) % 5 + 1, y + 17 * i
        parts += [
            tag("path", d=f"M{x:g} {at - 4:g}h26", class_=f"line s{k} d{k}"),
            tag("text", tag("title", name), short(name, 24), x=f"{x + 32:g}", y=f"{at:g}", class_="small"),
        ]
    return join(parts)


@dataclass(frozen=True)
class Estimate:
    """One line of a forest plot: label, what stands beside it, value and limits (None: nothing to draw)."""

    label: str
    beside: str
    value: float | None
    low: float | None
    high: float | None
    heading: bool = False


def forest(
    rows: Sequence[Estimate],
    x_label: str,
    *,
    reference: float | None = None,
    decimals: int = 2,
    start: float | None = None,
) -> tuple[Html, int]:
    """Points with intervals under one another, labels left and figures right; the inside of a picture 720 wide and its
    height.

    Args:
        reference: x of a dotted line. start: bars from here instead of points.
    """
    seen = [v for r in rows for v in (r.value, r.low, r.high) if is_number(v)]
    seen += [v for v in (reference, start) if is_number(v)]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    room = (high - low) * 0.05 or 0.5
    bottom = 30 + 24 * len(rows)
    axes = Axes(low if start == low else low - room, high + room, 0, 1, 262, 552, 10, bottom)
    parts: list[Child] = []
    across = ticks(axes.x0, axes.x1, 5)
    for value, text in zip(across, tick_texts(across)):
        at = axes.x(value)
        parts += [line(at, 14, at, bottom, "grid"), words(at, bottom + 16, text, "soft mid")]
    if reference is not None:
        parts.append(line(axes.x(reference), 14, axes.x(reference), bottom, "ideal"))
    for i, row in enumerate(rows):
        parts.append(_estimate(row, axes, 32 + 24 * i, decimals, start))
    parts.append(words((axes.left + axes.right) / 2, bottom + 36, x_label, "mid"))
    return join(parts), bottom + 48


def _estimate(row: Estimate, axes: Axes, y: float, decimals: int, start: float | None) -> Html:
    class_ = "strong" if row.heading else ""
    parts: list[Child] = [
        tag(
            "text",
            tag("title", row.label),
            short(row.label, 27),
            x="4" if row.heading else "14",
            y=f"{y:g}",
            class_=class_,
        )
    ]
    parts.append(words(250, y, row.beside, "soft small end"))
    if is_number(row.value):
        at = axes.x(row.value)  # type: ignore[arg-type]
        if start is not None:
            left, right = sorted((axes.x(start), at))
            parts.append(box(left, y - 11, right - left, 14, "f1"))
        if is_number(row.low) and is_number(row.high):
            class_ = "over" if start is not None else "whisker"
            parts.append(line(axes.x(row.low), y - 4, axes.x(row.high), y - 4, class_))  # type: ignore[arg-type]
        if start is None:
            parts.append(tag("circle", cx=f"{at:g}", cy=f"{y - 4:g}", r="4", class_="f1"))
        figures = f"{number(row.value, decimals)} ({number(row.low, decimals)} to {number(row.high, decimals)})"
        parts.append(words(564, y, figures, "small"))
    return join(parts)
