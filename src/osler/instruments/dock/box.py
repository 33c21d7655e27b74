"""The box in which poses are looked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from osler.errors import InputError, OptionError

#: Least side of a box around a ligand or residues, Å: a drug of usual size can turn in it.
LEAST_SIDE = 18.0
#: Longest side, Å: beyond it Vina's grid would be too coarse.
LONGEST_SIDE = 150.0


@dataclass(frozen=True)
class Box:
    """A box along the axes.

    Attributes:
        center: Å.
        size: sides, Å.
        source: where it comes from, in words.
    """

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    source: str

    def holds(self, xyz: np.ndarray) -> np.ndarray:
        """(n,) bool: which of the positions (n, 3) lie in it."""
        return (np.abs(xyz - np.asarray(self.center)) <= np.asarray(self.size) / 2).all(axis=1)


def around(xyz: np.ndarray, padding: float, source: str, least: float = LEAST_SIDE) -> Box:
    """The box around positions (n, 3) with `padding` Å on every side, no side shorter than `least`.

    Raises:
        OptionError: a side is longer than `LONGEST_SIDE`.
    """
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    return _box((low + high) / 2, np.maximum(high - low + 2 * padding, least), source)


def explicit(center: str, size: str) -> Box:
    """From texts such as "15.2,53.9,16.9" and "20,20,20" (or "20" for a cube).

    Raises:
        OptionError: they are no numbers, or a side is out of range.
    """
    sides = _numbers("size", size)
    return _box(
        _numbers("center", center),
        sides if len(sides) == 3 else np.repeat(sides, 3),
        "center and size as given",
    )


def residues(names: tuple[str, ...], atoms: pl.DataFrame, padding: float) -> Box:
    """The box around residues named "CHAIN:NUMBER", of the protein or a ligand or ion of the structure.

    Args:
        names: residues; one text may hold several with commas.
        atoms: the structure as it was read, an atom table of `osler.adapters.gemmi`.
        padding: Å on every side.

    Raises:
        OptionError: a residue is not in the structure.
    """
    wanted = [n.strip() for text in names for n in text.split(",") if n.strip()]
    keyed = atoms.with_columns(
        key=pl.concat_str("chain", pl.lit(":"), pl.col("number").cast(pl.String), "insertion")
    )
    held = set(keyed["key"])
    for name in wanted:
        if (name if ":" in name else f":{name}") not in held:
            spans = keyed.group_by("chain", maintain_order=True).agg(
                pl.col("number").min().alias("low"), pl.col("number").max().alias("high")
            )
            known = ", ".join(f"{c or 'no letter'} {a}-{b}" for c, a, b in spans.iter_rows())
            raise OptionError(
                f"option 'residues' must name residues of the receptor, it has no '{name}'; chains and numbers: {known}"
            )
    keys = [n if ":" in n else f":{n}" for n in wanted]
    xyz = keyed.filter(pl.col("key").is_in(keys)).select("x", "y", "z").to_numpy()
    return around(xyz, padding, f"residues {', '.join(wanted)}")


def check(box: Box, receptor: np.ndarray) -> None:
    """Refuse a box that holds no atom of the receptor (positions (n, 3)).

    Raises:
        InputError: it lies outside.
    """
    if not box.holds(receptor).any():
        low, high = receptor.min(axis=0), receptor.max(axis=0)
        spans = ", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high, strict=True))
        raise InputError(
            f"the box must hold atoms of the receptor, none is in it; the receptor spans {spans} "
            f"Å: correct the center or take both from one structure"
        )


def _numbers(name: str, text: str) -> np.ndarray:
    try:
        found = np.array([float(v) for v in text.replace(" ", "").split(",")])
    except ValueError:
        found = np.array([])
    if len(found) not in ((3,) if name == "center" else (1, 3)) or not np.isfinite(found).all():
        raise OptionError(
            f"option '{name}' must be three numbers in Å such as '15.2,53.9,16.9', was '{text[:40]}'"
        )
    return found


def _box(center: np.ndarray, size: np.ndarray, source: str) -> Box:
    if not ((size >= 5) & (size <= LONGEST_SIDE)).all():
        raise OptionError(
            f"sides of the box must be 5 to {LONGEST_SIDE:g} Å, were {', '.join(f'{s:.1f}' for s in size)}"
        )
    return Box(tuple(round(float(v), 3) for v in center), tuple(round(float(v), 3) for v in size), source)
