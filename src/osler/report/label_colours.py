"""The labels of masks in the viewer: which numbers a mask holds, what they are called, and a colour for each.

Masks have cool colours and answers warm ones, so that both can lie on one scan. Where a mask holds more labels than there are colours
(things one by one), colours come again and again and the legend has one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

#: Red, green and blue of labels in the order of their numbers.
COLOURS = {
    "mask": ((60, 230, 90), (80, 150, 255), (245, 225, 70), (60, 215, 225), (165, 245, 160), (150, 125, 255), (200, 205, 120), (160, 210, 255)),
    "answer": ((235, 90, 215), (255, 140, 50), (255, 80, 85), (255, 180, 190), (190, 95, 255), (205, 120, 70), (255, 60, 150), (240, 190, 120)),
}  # fmt: skip
#: Most labels that are named one by one.
MOST_NAMED = 24


@dataclass(frozen=True)
class Label:
    """One line of the legend: its name, and its colour as 0 to 255."""

    name: str
    colour: tuple[int, int, int]


def labelled(mask: np.ndarray, kind: str, names: Mapping[int, str] | None = None, words: str = "mask") -> tuple[np.ndarray, tuple[Label, ...]]:
    """A mask as codes from 1 (uint8, 0 where nothing is marked), and what each code is called.

    Args:
        mask: whole numbers or bools. kind: "mask" or "answer".
        names: number → name; all of them get a code, whether they are in the mask or not, so that colours stay the same from scan to scan.
        words: what the one label of a mask without names is called.
    """
    there = [int(k) for k in np.unique(mask) if k > 0]
    numbers = sorted({*there, *(names or {})})
    colours = COLOURS[kind]
    if len(numbers) > MOST_NAMED:
        codes = np.zeros(max(there, default=0) + 1, dtype=np.uint8)
        codes[there] = np.arange(len(there)) % len(colours) + 1
        made = tuple(Label(f"{words}: {len(there)} labels" if i == 0 else "", c) for i, c in enumerate(colours))
    else:
        codes = np.zeros(max(there, default=0) + 1, dtype=np.uint8)
        codes[there] = [numbers.index(k) + 1 for k in there]
        plain = not names and len(numbers) < 2
        made = tuple(Label(words if plain else f"{words}: {(names or {}).get(k) or k}", colours[i % len(colours)]) for i, k in enumerate(numbers))
        made = made or (Label(words, colours[0]),)
    return codes[mask.astype(np.int64)], made
