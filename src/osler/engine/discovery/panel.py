"""A panel: a folder of runs, each of which answers one question about a molecule; made in one command from tables at
hand.

    FOLDER/
      herg/ bbb/ ...     runs of `osler fit`
      reference.json     what each run answers for approved drugs, as quantiles
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import catalogue
from osler.cohort.molecules import HEADERS
from osler.cohort.names import words
from osler.cohort.read import read
from osler.cohort.split import pseudonym
from osler.engine.discovery.endpoints import ENDPOINTS, Endpoint
from osler.engine.discovery.molecules import Query
from osler.engine.fit import fit
from osler.engine.predict import rows_cohort
from osler.engine.prepare import cohort_sha256, table_sha256
from osler.engine.run import Run
from osler.errors import ColumnError, InputError, OptionError, OslerError, nearest

#: Kinds of questions that a panel can answer.
KINDS = ("binary", "multilabel", "multiclass", "regression")
#: Model of a run unless others are asked for: one that 27 labels do not make too slow.
MODEL = ("boosting",)


@dataclass(frozen=True)
class Answer:
    """What a run answers for n molecules under one label.

    Attributes:
        label: the target, or the label or class of several. value: (n,) a number, or a probability.
        low, high: (n,) limits; NaN where the run gives none. out_of_fold: (n,) the cross-validation's answer for
            molecules that are in the run's table; NaN for others.
    """

    label: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    out_of_fold: np.ndarray


@dataclass(frozen=True)
class Member:
    """One run of a panel.

    Attributes:
        name: of its folder. run: the run. column: its column of molecules.
    """

    name: str
    run: Run
    column: str

    @property
    def endpoint(self) -> Endpoint | None:
        """What the run measures, where its name and target are those of a known endpoint."""
        found = ENDPOINTS.get(self.name)
        is_same = found is not None and (found.target == "*" or (found.target,) == tuple(self.run.predictor.target))
        return found if is_same else None

    @property
    def n(self) -> int:
        """Rows that it learnt from."""
        return int(self.run.json("facts.json").get("rows_used", 0))

    def answer(self, queries: Sequence[Query]) -> tuple[list[Answer], np.ndarray, np.ndarray]:
        """Answers by label, (n,) whether each molecule is in domain, and (n,) whether it is in the run's table."""
        predictor = self.run.predictor
        made = predictor.predict(rows_cohort(predictor, [{self.column: q.smiles} for q in queries])).table
        rows = [self._rows_of(q) for q in queries]
        found = []
        for k, (label, column) in enumerate(self._columns()):
            value = made[column].cast(pl.Float64).to_numpy()
            low, high = self._limits(label, value, made)
            held = self._held_out(k)
            out_of_fold = np.array([np.mean([held[r] for r in own if r in held] or [np.nan]) for own in rows])
            found.append(Answer(label, value, low, high, out_of_fold))
        return found, made["in_domain"].to_numpy(), np.array([bool(own) for own in rows])

    def _columns(self) -> list[tuple[str, str]]:
        """(label, prediction column) of everything that is answered."""
        predictor = self.run.predictor
        target = predictor.target[0]
        if predictor.task == "regression":
            return [(target, f"{target}_pred")]
        if predictor.task == "binary":
            return [(target, f"{target}_prob_{predictor.classes[1]}")]
        if predictor.task == "multilabel":
            return [(label, f"{label}_prob_1") for label in predictor.classes]
        return [(f"{target} = {c}", f"{target}_prob_{c}") for c in predictor.classes]

    def _limits(self, label: str, value: np.ndarray, made: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """A number's interval; for a probability the band of its calibration curve, NaN where none was drawn."""
        target = self.run.predictor.target[0]
        if self.run.predictor.task == "regression":
            ends = [made[f"{target}_{e}"] if f"{target}_{e}" in made.columns else None for e in ("low", "high")]
            return tuple(
                np.full(len(value), np.nan) if s is None else s.cast(pl.Float64).fill_null(np.nan).to_numpy()
                for s in ends
            )
        drawn = self.run.json("curves.json").get("parts", {}).get("cv", {})
        whole = (
            drawn.get("calibration")
            or drawn.get("calibration_by_class", {}).get(label.removeprefix(f"{target} = "))
            or {}
        )
        curve = whole.get("curve")
        if not curve or not curve.get("low"):
            return np.full(len(value), np.nan), np.full(len(value), np.nan)
        band = [np.interp(value, curve["predicted"], np.array(curve[e], dtype=np.float64)) for e in ("low", "high")]
        return np.minimum(band[0], value), np.maximum(band[1], value)

    @cached_property
    def _known(self) -> tuple[bytes, dict[str, dict[str, list[int]]]]:
        """The run's key, and sense → pseudonym → rows of its table."""
        table = pl.read_parquet(self.run.folder / "splits.parquet")
        senses: dict[str, dict[str, list[int]]] = {}
        for column in table.columns:
            if column.startswith("same:"):
                held = senses.setdefault(column.rpartition(": ")[2], {})
                for row, name in table.select("row", column).iter_rows():
                    if name is not None:
                        held.setdefault(name, []).append(row)
        return bytes.fromhex(self.run.json("study.json")["key"]), senses

    def _rows_of(self, query: Query) -> set[int]:
        """Rows of the run's table that are this molecule, in any sense of being the same."""
        key, senses = self._known
        return {
            row for sense, text in query.keys.items() for row in senses.get(sense, {}).get(pseudonym(key, text), ())
        }

    def _held_out(self, k: int) -> dict[int, float]:
        """Row → the chosen model's cross-validated answer for the k-th label, the mean over repeats."""
        task = self.run.predictor.task
        name = {"regression": "value", "binary": "probability"}.get(task, f"probability_{k}")
        table = self.run.predictions.filter((pl.col("part") == "cv") & (pl.col("model") == self.run.chosen))
        return dict(table.group_by("row").agg(pl.col(name).mean()).iter_rows())


def open_panel(folder: str | Path) -> tuple[list[Member], dict[str, str]]:
    """The runs of a folder (or the one run that it is), by group and name, and name → reason for those that cannot
    take part.

    Raises:
        InputError: there is no run that answers from molecules alone.
    """
    folder = Path(folder)
    places = (
        [folder]
        if (folder / "study.json").is_file()
        else sorted(p for p in folder.glob("[!.]*") if (p / "study.json").is_file())
    )
    found, left = [], {}
    for place in places:
        try:
            run = Run.load(place)
            found.append(Member(place.resolve().name, run, _molecule_column(run)))
        except OslerError as error:
            left[place.name] = error.message
    if not found:
        why = f" ({next(iter(left.items()))[1]})" if left else ""
        raise InputError(
            f"runs must be a folder with runs of osler fit that read molecules, '{folder.name}' has none{why}: "
            "make them with osler admet train",
            "run-missing",
        )
    order = {name: i for i, name in enumerate(ENDPOINTS)}
    return sorted(found, key=lambda m: (order.get(m.name, len(order)), m.name)), left


def _molecule_column(run: Run) -> str:
    inputs, task = run.predictor.inputs, run.predictor.task
    if len(inputs) != 1 or inputs[0].modality != "molecule":
        raise ColumnError(
            f"a run of a panel must answer from one column of molecules, '{run.folder.name}' reads others",
            "column-kind",
        )
    if task not in KINDS:
        raise OptionError(f"a run of a panel must be of kind {', '.join(KINDS)}, '{run.folder.name}' is of kind {task}")
    return inputs[0].name


# -- making one ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """A run to make: its name, its table, its column of molecules, its targets."""

    name: str
    source: Any
    molecule: str
    targets: tuple[str, ...]


def wanted(texts: Sequence[str]) -> list[Wanted]:
    """What to train: names of endpoints, tables of the catalogue by file name, or FILE:TARGET[+TARGET ...] with a
    column of SMILES.

    No text at all is every known endpoint whose table is at hand.

    Raises:
        InputError: a table or column is not there, or a text is none of these.
    """
    if not texts:
        here = [e for e in ENDPOINTS.values() if catalogue.locate(catalogue.entry(e.dataset))]
        if not here:
            raise InputError(
                "tables for a panel must be at hand, none is: set OSLER_DATA_MIRROR, or name your own",
                "data-absent",
            )
        return [_of_endpoint(e, catalogue.path(e.dataset)) for e in here]
    return [_wanted(text) for text in texts]


def _wanted(text: str) -> Wanted:
    if text in ENDPOINTS:
        return _of_endpoint(ENDPOINTS[text], catalogue.path(ENDPOINTS[text].dataset))
    files = {Path(catalogue.entry(e.dataset).file).name: e for e in ENDPOINTS.values()}
    if Path(text).is_file():
        if Path(text).name in files:
            return _of_endpoint(files[Path(text).name], Path(text))
        raise OptionError(f"the target of '{Path(text).name}' must be named: write {Path(text).name}:TARGET")
    path, _, targets = text.rpartition(":")
    if not path:
        raise OptionError(
            f"a table to train on must be an endpoint, a file or FILE:TARGET, was '{text}': {nearest(text, ENDPOINTS)}"
        )
    columns = [c.name for c in read(path).columns]
    molecule = next((c for c in columns if set(words(c)) & HEADERS), "")
    if not molecule:
        raise ColumnError(f"'{Path(path).name}' must have a column of SMILES, none is called so: rename it to smiles")
    return Wanted(Path(path).name.partition(".")[0], path, molecule, tuple(targets.split("+")))


def _of_endpoint(endpoint: Endpoint, path: Path) -> Wanted:
    table = pl.read_csv(path, infer_schema_length=None)
    source: Any = path
    if "" in table.columns:  # a row index without a name, which a study would refuse
        source = read(table.drop(""), columns={endpoint.molecule: "molecule"})
    return Wanted(endpoint.name, source, endpoint.molecule, tuple(endpoint.targets_of([c for c in table.columns if c])))


def train(
    texts: Sequence[str],
    out: str | Path,
    *,
    workers: int = 0,
    seed: int = 0,
    model: Sequence[str] = MODEL,
    silent: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[Run]:
    """Make the runs of a panel, scaffolds kept apart; a run that is there already for the same table, target and seed
    is kept.

    Args:
        texts: as `wanted` takes them. say: told one line per run.
    """
    tell = say or (lambda _: None)
    made = []
    for one in wanted(texts):
        folder = Path(out) / one.name
        options: Mapping[str, Any] = {
            "target": one.targets,
            "unit": ("scaffold",),
            "input": (one.molecule,),
            "column": (f"{one.molecule}=molecule",),
            "explain": False,
            "seed": seed,
            "model": tuple(model) or MODEL,
        }
        run = _there(folder, one, options)
        if run is None:
            run = fit(one.source, folder, workers=workers, silent=silent, **options)
            tell(f"{one.name}: {_told(run)}")
        else:
            tell(f"{one.name}: kept, {_told(run)}")
        made.append(run)
    return made


def _there(folder: Path, one: Wanted, options: Mapping[str, Any]) -> Run | None:
    try:
        run = Run.load(folder)
    except InputError:
        return None
    study = run.study
    sha = table_sha256(one.source) if isinstance(one.source, (str, Path)) else cohort_sha256(one.source)
    same = study.source_sha256 == sha and study.seed == options["seed"] and set(study.target) == set(one.targets)
    return run if same and tuple(study.model) == options["model"] else None


def _told(run: Run) -> str:
    scores = run.scores["parts"]["cv"][run.chosen]
    name = next((n for n in ("auroc", "mae") if n in scores), "log_loss")
    entry = scores[name]
    return (
        f"{name.upper()} {entry['value']:.3f} ({entry['low']:.3f} to {entry['high']:.3f}), "
        f"{run.json('facts.json')['rows_used']:,} rows, "
        f"certificate {run.certificate['verdict']}"
    )


__all__ = ["Answer", "Member", "Wanted", "open_panel", "train", "wanted"]
