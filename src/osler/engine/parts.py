"""Why, within one cell: what the atoms and bonds of a molecule add to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from osler.blocks import Block
from osler.cohort.cohort import Cohort
from osler.engine.batches import encode
from osler.engine.explain import SEED, answer_on, explained_outputs, family_of
from osler.engine.predictor import Predictor
from osler.engine.validate import typed
from osler.errors import ColumnError, OptionError, nearest
from osler.explanation.parts import PartValues, cut_graphs, masking_values, shared_values, tree_contributions
from osler.explanation.scales import Scale, scale_of
from osler.modalities.molecule import coded, embedded

#: Ways that a person may ask for; "auto" takes the first that fits of gradients, shapley and masking.
WAYS = ("auto", "shapley", "gradients", "masking")


@dataclass(frozen=True)
class Explained:
    """What the atoms and bonds of one molecule add to its prediction.

    Attributes:
        row: the row's number. column: the molecule's column.
        smiles: the standardised molecule; atoms stand in the order of this text.
        atoms: (v,) names of the atoms. bonds: (e, 2) places of the ends of each bond in `atoms`, from 0.
        found: v values of atoms, then e of bonds.
        scale: of the prediction. output: class or label, where there are several.
    """

    row: int
    column: str
    smiles: str
    atoms: tuple[str, ...]
    bonds: np.ndarray
    found: PartValues
    scale: Scale
    output: str

    @property
    def of_atoms(self) -> np.ndarray:
        """(v,) values of the atoms."""
        return self.found.values[: len(self.atoms)]

    @property
    def of_bonds(self) -> np.ndarray:
        """(e,) values of the bonds."""
        return self.found.values[len(self.atoms) :]

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        f = self.found
        return {
            "column": self.column, "smiles": self.smiles, "atoms": list(self.atoms), "bonds": self.bonds.tolist(),
            "values": self.of_atoms.tolist(), "bond_values": self.of_bonds.tolist(), "base": f.base, "rest": f.rest,
            "prediction": f.prediction, "gap": f.gap, "adds_up": bool(f.adds_up), "error": f.error, "way": f.way,
            "scale": self.scale.name, **({"output": self.output} if self.output else {}),
        }  # fmt: skip


def molecule_columns(predictor: Predictor) -> list[str]:
    """The input columns that hold molecules."""
    return [name for name, entry in predictor.states.items() if entry["modality"] == "molecule"]


def column_of_molecules(predictor: Predictor, column: str = "") -> str:
    """The input column of molecules that is meant; "" means the first.

    Raises:
        ColumnError: there is no such column.
    """
    known = molecule_columns(predictor)
    if not known or column not in ("", *known):
        raise ColumnError(f"column must be one of molecules, was '{column}': the predictor has {', '.join(known) or 'none'}")
    return column or known[0]


def molecules_of(predictor: Predictor, cohort: Cohort, column: str) -> list[Any | None]:
    """The molecules of a column as the predictor reads them; None where there is none."""
    from osler.adapters.rdkit import features
    from osler.adapters.rdkit.standardise import Policy

    state = predictor.states[column]["state"]
    policy = Policy.of(state)
    texts = cohort.table[column].to_list() if column in cohort.table.columns else [None] * len(cohort)
    return [None if text is None else features.read(text.strip(), policy, state["notation"])[0] for text in texts]


def explain_parts(
    predictor: Predictor, cohort: Cohort, column: str = "", way: str = "auto", scale: str = "auto", output: str = ""
) -> list[Explained | None]:
    """For every row of a cohort in the predictor's terms what the atoms and bonds of its molecule add; None where there
    is no molecule.

    Args:
        column: of molecules; "" takes the first.
        way: one of `WAYS`. scale, output: as in `osler.engine.explain.explain`.

    Raises:
        ColumnError: no such column of molecules. OptionError: a way that is none, or that the model has not.
    """
    if way not in WAYS:
        raise OptionError(f"way must be {', '.join(WAYS[:-1])} or {WAYS[-1]}, was '{way}': {nearest(way, WAYS)}")
    column = column_of_molecules(predictor, column)
    if not len(cohort):
        return []
    found: list[Explained | None] = [None] * len(cohort)
    with typed("explaining"):
        blocks = encode(cohort, predictor.states)
        values = cohort.table[column] if column in cohort.table.columns else [None] * len(cohort)
        for at, code in explained_outputs(predictor, blocks, output):
            on = scale_of(predictor.task, scale, code, predictor.horizon, family_of(predictor))
            name = predictor.classes[code] if predictor.task in ("multiclass", "multilabel") else ""
            for i in at:
                one = {k: b.take(np.array([i])) for k, b in blocks.items()}
                apart = Apart.of(values[int(i)], predictor.states[column]) if one[column].present[0] else None
                if apart is not None:
                    values_of = _values(predictor, one, column, apart, way, on)
                    found[i] = apart.explained(int(cohort.rows[i]), column, values_of, on, name)
    return found


def part_frame(
    predictor: Predictor, cohort: Cohort, way: str, scale: str, output: str, whole: bool
) -> pl.DataFrame:
    """Atoms and bonds of every molecule as columns, see `osler.engine.explain.explain`; null where there is none.

    Args:
        whole: with `why_base`, `why_prediction` and the like, which nothing else tells; for a single input `why:COLUMN`.
    """
    data: dict[str, pl.Series] = {}
    names = molecule_columns(predictor)
    for column in names:
        found = explain_parts(predictor, cohort, column, way, scale, output)
        texts = {
            "smiles": [e and e.smiles for e in found],
            "atoms": [e and " ".join(f"{i}:{v:.6g}" for i, v in enumerate(e.of_atoms, 1)) for e in found],
            "bonds": [e and " ".join(f"{i + 1}-{j + 1}:{v:.6g}" for (i, j), v in zip(e.bonds, e.of_bonds)) for e in found],
            "way": [e and e.found.way for e in found],
        }  # fmt: skip
        numbers = {"rest": [e and e.found.rest for e in found], "gap": [e and e.found.gap for e in found]}
        if whole and len(predictor.states) == 1:
            data[f"why:{column}"] = pl.Series([e and e.found.prediction - e.found.base for e in found], dtype=pl.Float64)
        if whole and column == names[0]:
            data |= _whole(found)
        data |= {f"why_{k}:{column}": pl.Series(v, dtype=pl.String) for k, v in texts.items()}
        data |= {f"why_{k}:{column}": pl.Series(v, dtype=pl.Float64) for k, v in numbers.items()}
    return pl.DataFrame(data)


def _whole(found: Sequence[Explained | None]) -> dict[str, pl.Series]:
    """Base, prediction, scale and whether all adds up, of every row."""
    return {
        "why_base": pl.Series([e and e.found.base for e in found], dtype=pl.Float64),
        "why_prediction": pl.Series([e and e.found.prediction for e in found], dtype=pl.Float64),
        "why_scale": pl.Series([e and e.scale.name for e in found], dtype=pl.String),
        **({"why_output": pl.Series([e and e.output for e in found], dtype=pl.String)} if any(e and e.output for e in found) else {}),
        "why_error": pl.Series([e and e.found.error for e in found], dtype=pl.Float64),
        "why_adds_up": pl.Series([e and bool(e.found.adds_up) for e in found], dtype=pl.Boolean),
    }  # fmt: skip


def parts_of_rows(predictor: Predictor, cohort: Cohort, whole: bool) -> list[dict[str, Any]]:
    """`{"parts": {column: Explained.to_json}}` per row, {} where no column holds molecules.

    Args:
        whole: with the base, the prediction and the like, as `osler.engine.explain.explain_rows` gives them.
    """
    names = molecule_columns(predictor)
    if not names:
        return [{} for _ in range(len(cohort))]
    found = {name: explain_parts(predictor, cohort, name) for name in names}
    out: list[dict[str, Any]] = []
    for i in range(len(cohort)):
        parts = {name: one[i].to_json() for name, one in found.items() if one[i] is not None}
        row: dict[str, Any] = {"parts": parts}
        if whole and parts:
            first = next(iter(parts.values()))
            row |= {k: first[k] for k in ("base", "scale", "prediction", "adds_up", "error", "output") if k in first}
            alone = len(predictor.states) == 1
            row["attributions"] = {names[0]: first["prediction"] - first["base"]} if alone else {}
        out.append(row)
    return out


@dataclass(frozen=True)
class Apart:
    """One molecule that can be asked for without some of its atoms and bonds.

    Attributes:
        mol: as the predictor reads it. entry: the column's entry of the predictor's states.
        smiles: of the molecule. order: (v,) the molecule's atom at each place of the text.
        ends: the atoms of each bond.
    """

    mol: Any
    entry: dict[str, Any]
    smiles: str
    order: tuple[int, ...]
    ends: tuple[tuple[int, int], ...]

    @staticmethod
    def of(text: str | None, entry: dict[str, Any]) -> Apart | None:
        """A cell taken apart; None where it is no molecule."""
        from osler.adapters.rdkit import features, parts
        from osler.adapters.rdkit.standardise import Policy

        state = entry["state"]
        mol = None if text is None else features.read(text.strip(), Policy.of(state), state["notation"])[0]
        return None if mol is None else Apart(mol, entry, *parts.spelled(mol), parts.ends(mol))

    def __len__(self) -> int:
        return len(self.order) + len(self.ends)

    def without(self, block: Block, masks: np.ndarray) -> Block:
        """(k rows) of the column without what (k, v + e) masks leave out, like the block of one row that is given."""
        views = {layout: self.without(view, masks) for layout, view in block.views.items()}
        if block.layout == "graph":
            arrays = cut_graphs(block.arrays, masks)
        elif block.layout == "sequence":
            arrays = coded(self.texts(masks), self.entry["state"])
        else:
            arrays = {"values": self._numbers(masks)}
        return replace(block, arrays=arrays, present=np.ones(len(masks), dtype=bool), views=views)

    def _numbers(self, masks: np.ndarray) -> np.ndarray:
        """(k, p) the dense features without what the masks leave out."""
        from osler.adapters.rdkit import parts

        state = self.entry["state"]
        numbers = parts.numbers_without(self.mol, state["features"], masks)
        return np.hstack([numbers, embedded(self.texts(masks), state)]) if state.get("encoder") else numbers

    def texts(self, masks: np.ndarray) -> list[str]:
        """k SMILES without what the masks leave out; the column's own text where nothing is."""
        from osler.adapters.rdkit import parts

        left_out = masks[:, : len(self.order)].any(axis=1)
        found = iter(parts.texts_without(self.mol, masks[left_out]))
        return [next(found) if some else self.smiles for some in left_out]

    def explained(self, row: int, column: str, found: PartValues, scale: Scale, output: str) -> Explained:
        """The values with atoms in the order of the text."""
        from osler.adapters.rdkit import parts

        place = np.argsort(np.array(self.order, dtype=np.int64))
        v = len(self.order)
        values = np.concatenate([found.values[:v][list(self.order)], found.values[v:]])
        bonds = np.sort(place[np.array(self.ends, dtype=np.int64).reshape(-1, 2)], axis=1)
        by_place = np.lexsort((bonds[:, 1], bonds[:, 0]))
        values[v:] = values[v:][by_place]
        names = parts.names(self.mol, self.order)
        return Explained(
            row, column, self.smiles, names, bonds[by_place], replace(found, values=values), scale, output
        )


def _values(
    predictor: Predictor, row: dict[str, Block], column: str, apart: Apart, way: str, scale: Scale
) -> PartValues:
    """The values of the parts, by the way that was asked for or the first that fits."""
    _, params = predictor.models[predictor.chosen]
    answer, family = answer_on(predictor, scale), family_of(predictor)
    if way in ("auto", "gradients"):
        found = _gradients(family, params, row, column, scale)
        if found is not None:
            return found
    if way in ("auto", "shapley") and family == "boosting" and scale.name in ("log-odds", "mean"):
        shared = tree_contributions(params, {k: b.seen_as(("dense",)) for k, b in row.items()}, column, scale.output)
        if shared is not None:
            contribution, others, base = shared
            whole = row[column].seen_as(("dense",))
            without = apart.without(whole, np.eye(len(apart), dtype=bool)).values
            values, rest = shared_values(contribution, whole.values[0], without, whole.kinds)
            return PartValues(values, base, rest + others, float(answer(row)[0]), 0.0, "shapley")
    if way not in ("auto", "masking"):
        raise OptionError(f"way must be one that the model {family} has, was '{way}': take auto or masking")

    seen = _seen(params, row[column], column)

    def worth(masks: np.ndarray) -> np.ndarray:
        every = {name: block.take(np.zeros(len(masks), dtype=np.int64)) for name, block in row.items() if name != column}
        return answer(every | {column: apart.without(seen, masks)})

    return masking_values(worth, len(apart), np.random.default_rng(SEED))


def _seen(params: Any, block: Block, column: str) -> Block:
    """The one view of a column that a network looks at, where it is one; otherwise the whole block."""
    branches = params.meta.get("branches", [])
    layouts = {b["layout"] for b in branches if column in b["columns"]} if isinstance(branches, list) else set()
    return block.seen_as(tuple(layouts)) if layouts in ({"graph"}, {"sequence"}) else block


def _gradients(family: str, params: Any, row: dict[str, Block], column: str, scale: Scale) -> PartValues | None:
    """The values by integrated gradients; None where the model is no network over graphs."""
    if family not in ("network", "dmpnn") or "branches" not in params.meta:
        return None
    from osler.explanation.gradients import gradient_values, has_gradients

    if not has_gradients(params, column):
        return None
    seen = {k: b.seen_as(("graph", "grid", "sequence") if family == "network" else ("graph",)) for k, b in row.items()}
    return gradient_values(params, seen, column, scale)
