"""Late fusion: one model per group of columns, and a weighted sum of what they say that copes with any of them being silent.

Every member is learnt from the rows that have its columns. What members say of rows that they did not see is put together
on the scale of evidence (log odds of a class; a number itself): members of the same columns are averaged, and a constant plus
a weight of 0 or more per group of columns is found by the task's own loss, with a pull towards the group that answers best
by itself. There is one such sum for every pattern of columns that are
there, each learnt from all rows that have at least those, so that a row without a scan is answered by the other members as
if they were all there is. Stacking is that of Wolpert 1992 and van der Laan, Polley and Hubbard 2007.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import ClassVar

import numpy as np

from osler import models, tasks
from osler.blocks import Block
from osler.errors import OptionError
from osler.models.base import TABLE, Batches, Encoded, Params, groups_of, inputs_of
from osler.models.ensemble import Ensemble, EnsembleOptions
from osler.models.labels import sigmoid, softmax
from osler.tasks.base import Prediction, Target

#: Most groups of columns that can be missing by themselves.
MOST = 6
#: Members for a group of columns where none are named: for the table by task kind (a straight and, where there is one, a bent
#: line; the first is what each column by itself gets), for the others by layout (scans: see `for_scans`).
FOR_TABLE = {
    "binary": ("logistic", "spline"), "multiclass": ("logistic",), "multilabel": ("logistic",), "regression": ("linear", "spline"),
}  # fmt: skip
FOR_LAYOUT = {"dense": "boosting", "graph": "network", "sequence": "network"}
#: A pattern of columns that fewer training rows have is answered by the largest one inside it that as many have.
FEW = 10
#: Log odds further out than this count as this.
FAR = 6.0


@dataclass(frozen=True)
class FusionOptions(EnsembleOptions):
    """Options of `fusion`.

    Attributes:
        members: specifications with `inputs` of one column or `table`, such as `logistic:inputs=table+pls:inputs=mri`; by default
            one for all plain columns and one for each scan, molecule or series.
        folds: inner folds behind the weights.
        repeats: how often the inner folds are drawn anew; 0 chooses by the number of rows.
        prior: rows' worth of pull towards the group of columns that answers best by itself.
    """

    prior: float = 20.0


class Fusion(Ensemble):
    """One model per group of columns, stacked; any group may be missing in any row."""

    name: ClassVar[str] = "fusion"
    accepts: ClassVar[frozenset[str]] = frozenset({"dense", "grid", "graph", "sequence"})
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    Options: ClassVar[type] = FusionOptions

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn every member on inner folds for the weights, then on all rows that have its columns.

        Raises:
            OptionError: more than `MOST` groups of columns can be missing.
            ColumnError: a member's input is not there.
        """
        data = batches.all()
        members = self.options.members or default_members(data.blocks, data.target.kind)
        seeds = rng.integers(0, 2**63, len(members))
        plan = self._plan(data, rng)
        rows = np.concatenate([test for _, test in plan])
        seen = [inputs_of(models.get(m).confined_to or tuple(data.blocks), data.blocks) for m in members]
        columns = list(dict.fromkeys(seen))
        group = np.array([columns.index(c) for c in seen])
        present = np.column_stack([there(data.blocks, names) for names in columns])
        parts, said = {}, []
        for i, (member, seed) in enumerate(zip(members, seeds)):
            parts[str(i)], answer = self._answers(member, data, plan, present[:, group[i]], seed)
            said.append(evidence(answer, data.target.kind))
        grouped = np.stack([np.mean([said[i] for i in np.flatnonzero(group == g)], axis=0) for g in range(len(columns))], axis=1)
        stack = _Stack.learn(grouped, present[rows], data.target, rows, self.options.prior)
        full = stack.weights[-1][group] / np.bincount(group)[group]
        meta = {
            "members": list(members), "group": group.tolist(), "columns": [list(c) for c in columns], "kind": data.target.kind,
            "weights": (full / max(full.sum(), 1e-12)).tolist(), "recalibration": [0.0, 1.0],
        }  # fmt: skip
        nested = Params.nest(parts, meta)
        return Params(nested.meta, nested.arrays | {f"stack/{k}": v for k, v in stack.arrays().items()})

    def layouts(self, kind: str) -> tuple[str, ...]:
        """What any of its members wants; without named ones what any default member may want."""
        members = self.options.members or tuple(dict.fromkeys([*FOR_TABLE[kind], *FOR_LAYOUT.values(), for_scans(2), for_scans(3)]))
        return tuple(dict.fromkeys(layout for member in members for layout in models.get(member).layouts(kind)))

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """The sum for the pattern of columns that each row has."""
        n = len(next(iter(blocks.values())))
        stack = _Stack.from_params(params)
        present = np.column_stack([there(blocks, names) for names in params.meta["columns"]])
        said, group = np.zeros((n, *stack.centre.shape)), params.meta["group"]
        for i, (member, g) in enumerate(zip(params.meta["members"], group)):
            rows = np.flatnonzero(present[:, g])
            if len(rows):
                part = {name: block.take(rows) for name, block in blocks.items()}
                own = evidence(models.get(member).predict(params.part(str(i)), part), params.meta["kind"])
                said[rows, g] += own / group.count(g)
        return stack.answer(said, present, params.meta["kind"])

    def predict_members(
        self, params: Params, blocks: dict[str, Block], used_only: bool = False
    ) -> dict[str, Prediction]:
        """Every member's own answer, by its specification."""
        found = enumerate(params.meta["members"])
        return {member: models.get(member).predict(params.part(str(i)), blocks) for i, member in found}

    def _answers(
        self, member: str, data: Encoded, plan: Sequence[tuple[np.ndarray, np.ndarray]], present: np.ndarray, seed: int
    ) -> tuple[Params, Prediction]:
        """A member learnt from the rows that have its columns, and its answers for the plan's test rows (NaN for the others)."""
        if not present.any():
            return models.get(member).fit(models.get(member).confined(data), np.random.default_rng(seed)), _silent(data, plan)
        held = np.flatnonzero(present)
        at = np.cumsum(present) - 1
        inner = [(at[train[present[train]]], at[test[present[test]]]) for train, test in plan]
        params, answer = self._unseen(member, data.take(held), inner, seed)
        asked = present[np.concatenate([test for _, test in plan])]
        value = np.full((len(asked), answer.value.shape[1]), np.nan)
        value[asked] = answer.value
        return params, Prediction(value)


def _silent(data: Encoded, plan: Sequence[tuple[np.ndarray, np.ndarray]]) -> Prediction:
    width = 1 if data.target.kind == "regression" else max(len(data.target.classes), 2)
    return Prediction(np.full((sum(len(test) for _, test in plan), width), np.nan))


def for_scans(dims: int) -> str:
    """The usual model of a column of scans: convolutions for pictures where torch is installed, otherwise a map over voxels."""
    return "cnn" if dims == 2 and find_spec("torch") is not None else "pls"


def default_members(blocks: dict[str, Block], kind: str) -> tuple[str, ...]:
    """Specifications for each group of columns."""
    found = []
    for group, columns in groups_of(blocks).items():
        names = FOR_TABLE[kind] if group == TABLE else (_usual(blocks[columns[0]]),)
        found += [f"{name}:inputs={group}" for name in names]
    return tuple(found)


def _usual(block: Block) -> str:
    return for_scans(block.values.ndim - 2) if block.layout == "grid" else FOR_LAYOUT[block.layout]


def there(blocks: dict[str, Block], columns: Sequence[str]) -> np.ndarray:
    """(n,) whether a row has a value in any of these columns."""
    n = len(next(iter(blocks.values())))
    known = [blocks[c].present for c in columns if c in blocks]
    return np.any(known, axis=0) if known else np.zeros(n, dtype=bool)


def evidence(answer: Prediction, kind: str) -> np.ndarray:
    """(n, c) an answer on the scale on which answers are added: log odds of the class (binary), log probabilities around their
    mean (multiclass), log odds of each label, or the number.
    """
    value = answer.value
    if kind == "regression":
        return value
    least = float(np.exp(-FAR))
    p = np.clip(value[:, 1:] if kind == "binary" else value, least, 1 - least)
    if kind == "multiclass":
        return np.log(p) - np.log(p).mean(axis=1, keepdims=True)
    return np.log(p / (1 - p))


def _answer_of(sums: np.ndarray, kind: str) -> Prediction:
    """The inverse of `evidence`."""
    if kind == "binary":
        return Prediction(np.column_stack([1 - sigmoid(sums[:, 0]), sigmoid(sums[:, 0])]))
    if kind == "multiclass":
        return Prediction(softmax(sums))
    return Prediction(sums if kind == "regression" else sigmoid(sums))


@dataclass(frozen=True)
class _Stack:
    """Weights per pattern of groups of columns that are there.

    Attributes:
        patterns: (s, m) bool, the last with every group. weights: (s, m) 0 or more, 0 where a group is absent. constants: (s, c).
        centre: (m, c) mean evidence of each group, at which it adds nothing.
    """

    patterns: np.ndarray
    weights: np.ndarray
    constants: np.ndarray
    centre: np.ndarray

    @classmethod
    def learn(cls, said: np.ndarray, present: np.ndarray, target: Target, rows: np.ndarray, prior: float) -> _Stack:
        """From what the groups said of r rows.

        Args:
            said: (r, m, c) evidence. present: (r, m) which of it is there.
            target: n training values. rows: (r,) positions in it.
            prior: see `FusionOptions`.
        """
        m = present.shape[1]
        if m > MOST:
            raise OptionError(
                f"at most {MOST} groups of columns of a fusion may be missing by themselves, these are {m}: name fewer members"
            )
        known = np.where(present[:, :, None], said, np.nan)
        count = np.maximum(present.sum(axis=0), 1)[:, None]
        centre = np.nansum(known, axis=0) / count
        spread = np.sqrt(np.nansum((known - centre) ** 2, axis=0) / count).mean(axis=1)
        moved = np.where(present[:, :, None], said - centre, 0.0)
        patterns, weights, constants, counts = [], [], [], []
        for pattern in map(np.array, product((False, True), repeat=m)):
            seen = present[:, pattern].all(axis=1)
            counts.append(int(seen.sum()))
            patterns.append(pattern)
            if pattern.any() and len(np.unique(rows[seen])) < FEW:
                nearest = max(_inside(pattern, patterns[:-1]), key=lambda i: (counts[i] >= FEW, patterns[i].sum(), counts[i]))
                weights.append(weights[nearest])
                constants.append(constants[nearest])
                continue
            w, b = _weigh(moved[seen][:, pattern], target.take(rows[seen]), len(seen) / len(target), prior, spread[pattern])
            full = np.zeros(len(pattern))
            full[pattern] = w
            weights.append(full)
            constants.append(b)
        return cls(np.array(patterns), np.array(weights), np.array(constants), centre)

    def answer(self, said: np.ndarray, present: np.ndarray, kind: str) -> Prediction:
        """For (n, m, c) evidence of n rows, of which (n, m) are present."""
        at = (present[:, None, :] == self.patterns[None]).all(axis=2)
        row = np.where(at.any(axis=1), at.argmax(axis=1), 0)
        moved = np.where(present[:, :, None], said - self.centre, 0.0)
        return _answer_of(self.constants[row] + np.einsum("nm,nmc->nc", self.weights[row], moved), kind)

    def arrays(self) -> dict[str, np.ndarray]:
        """All attributes, by name."""
        return {"patterns": self.patterns, "weights": self.weights, "constants": self.constants, "centre": self.centre}

    @classmethod
    def from_params(cls, params: Params) -> _Stack:
        """The inverse of `arrays`."""
        return cls(**{k: params.arrays[f"stack/{k}"] for k in ("patterns", "weights", "constants", "centre")})


def _inside(pattern: np.ndarray, others: list[np.ndarray]) -> list[int]:
    """Positions of the patterns whose members are all in this one."""
    return [i for i, other in enumerate(others) if not (other & ~pattern).any()]


def _weigh(
    moved: np.ndarray, target: Target, repeats: float, prior: float, spread: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (m,) and constants (c,) with the least loss of evidence (r, m, c), every row `repeats` times among the r.

    They are pulled towards 1 for the group that answers best by itself and 0 for the others: these must show that they add to it.
    """
    from scipy.optimize import minimize

    task = tasks.get(target.kind)
    c, m = moved.shape[2], moved.shape[1]
    first = _answer_of(np.zeros((1, c)), target.kind) if not len(target) else task.predict_baseline(task.baseline(target), 1)
    start = evidence(first, target.kind)[0]
    if not m or not len(target):
        return np.zeros(m), start
    case = np.ones(len(target)) if target.weight is None else target.weight

    def loss(z: np.ndarray) -> float:
        sums = z[m:] + np.einsum("m,rmc->rc", z[:m], moved)
        return float(case @ task.loss(target, _answer_of(sums, target.kind))) / repeats

    unit = max(loss(np.append(np.zeros(m), start)) / len(target), 1e-9) if target.kind == "regression" else 1.0
    alone = np.eye(m)[np.argmin([loss(np.append(one, start)) for one in np.eye(m)])]

    def objective(z: np.ndarray) -> float:
        return loss(z) / unit + 0.125 * prior * float(np.sum(spread**2 * (z[:m] - alone) ** 2))

    begin = np.append(alone, start)
    bounds = [(0.0, 3.0)] * m + [(None, None)] * c
    found = minimize(objective, begin, method="L-BFGS-B", bounds=bounds, options={"maxfun": 400 * (m + c + 1)})
    return found.x[:m], found.x[m:]
