"""How many molecules are left after every stage of a screen, drawn as bars on a scale of powers of ten."""

from __future__ import annotations

import math
from collections.abc import Sequence

from osler.report.charts import Figure, box, line, words
from osler.report.markup import Child, join
from osler.report.words import count, short

_LEFT, _RIGHT, _STEP = 190.0, 560.0, 30.0


def draw(stages: Sequence[tuple[str, int]]) -> str:
    """An SVG file of [(stage, molecules)], one bar each, its length the logarithm of the number."""
    return str(figure(stages).svg(alone=True))


def figure(stages: Sequence[tuple[str, int]]) -> Figure:
    """The picture of [(stage, molecules)]."""
    most = max([10, *(n for _, n in stages)])
    decades = math.ceil(math.log10(most))
    bottom = 14 + _STEP * len(stages)
    parts: list[Child] = []
    for power in range(decades + 1):
        at = _LEFT + (_RIGHT - _LEFT) * power / decades
        parts += [line(at, 8, at, bottom, "grid"), words(at, bottom + 16, count(10**power), "soft mid")]
    before = None
    for i, (name, n) in enumerate(stages):
        y = 14 + _STEP * i
        width = (_RIGHT - _LEFT) * math.log10(n) / decades if n > 0 else 0.0
        told = count(n) if not before else f"{count(n)} ({100 * n / before:.1f} %)"
        parts += [
            words(_LEFT - 8, y + 15, short(name, 28), "end"), box(_LEFT, y, max(width, 1.5), 20, "f1 band"),
            words(_LEFT + 8, y + 15, told),
        ]  # fmt: skip
        before = n
    parts.append(words((_LEFT + _RIGHT) / 2, bottom + 36, "molecules (each step of the grid is ten times as many)", "mid"))
    told = "; ".join(f"{name}: {count(n)}" for name, n in stages)
    return Figure("funnel", "What is left after every stage", told, "Each stage in its order, with the share of the one before.",
                  join(parts), 640, int(bottom + 48))  # fmt: skip
