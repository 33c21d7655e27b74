"""Where an answer lies among the answers for approved drugs: quantiles per run and label, kept beside the runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osler import catalogue
from osler.engine import files
from osler.engine.discovery.molecules import Query, asked
from osler.engine.discovery.panel import Member
from osler.engine.discovery.plain import NUMBERS, numbers
from osler.errors import ReadError

FORMAT = "osler.reference/1"
#: File beside the runs of a panel.
FILE = "reference.json"
#: Quantiles that are kept of each label.
_POINTS = 201
#: Data set, column that says approved, column of SMILES.
APPROVED = ("clintox", "FDA_APPROVED", "smiles")


@dataclass(frozen=True)
class Reference:
    """Answers for reference molecules.

    Attributes:
        what: the molecules in words. n: how many. quantiles: (run, label) → ascending values; run "" holds numbers
            that need no model.
    """

    what: str
    n: int
    quantiles: Mapping[tuple[str, str], np.ndarray]

    def percentile(self, run: str, label: str, value: float) -> float | None:
        """Share of reference molecules with a smaller answer, in percent, equal ones counting half; None where
        nothing is known.
        """
        held = self.quantiles.get((run, label))
        if held is None or not len(held) or not np.isfinite(value):
            return None
        return float(
            100 * (np.searchsorted(held, value, "left") + np.searchsorted(held, value, "right")) / (2 * len(held))
        )


def molecules(path: str = "") -> tuple[list[Query], str]:
    """Reference molecules and what they are: of a file, or the approved drugs of the catalogue; none where neither is
    at hand.

    Raises:
        ReadError: the named file holds no molecules.
    """
    if path:
        return asked(path)[0], f"the molecules of {Path(path).name}"
    data, approved, smiles = APPROVED
    if catalogue.locate(catalogue.entry(data)) is None:
        return [], ""
    table = catalogue.table(data)
    found: dict[str, Query] = {}
    for text, yes in table.select(smiles, approved).iter_rows():
        if text and str(yes) == "1":
            try:
                query = asked(text)[0][0]
            except ReadError:  # nine of its lines are no molecules
                continue
            found.setdefault(query.smiles, query)
    return list(found.values()), "approved drugs (ClinTox)"


def of_panel(folder: str | Path, members: Sequence[Member], path: str = "") -> Reference:
    """The reference of a panel: read from beside its runs where it was made of the same runs and molecules, else made
    and kept there.

    Molecules that a run has in its own table count with their cross-validated answers, so that it is not asked what
    it has learnt.
    """
    place, mark = Path(folder) / FILE, _mark(members, path)
    held = _held(place, mark)
    if held is not None:
        return held
    queries, what = molecules(path)
    if not queries:
        return Reference("", 0, {})
    made: dict[tuple[str, str], np.ndarray] = {}
    values = numbers([q.mol for q in queries])
    for k, name in enumerate(NUMBERS):
        made["", name] = _quantiles(values[:, k])
    for member in members:
        answers, _, _ = member.answer(queries)
        for answer in answers:
            made[member.name, answer.label] = _quantiles(
                np.where(np.isnan(answer.out_of_fold), answer.value, answer.out_of_fold)
            )
    text: dict[str, Any] = {
        "format": FORMAT,
        "mark": mark,
        "what": what,
        "n": len(queries),
        "quantiles": [[run, label, [float(f"{v:.6g}") for v in q]] for (run, label), q in made.items()],
    }
    if (Path(folder) / "study.json").is_file():  # one run alone: its folder is not ours to write to
        return Reference(what, len(queries), made)
    files.write_json(place, text)
    return _held(place, mark) or Reference(what, len(queries), made)


def _quantiles(values: np.ndarray) -> np.ndarray:
    there = values[np.isfinite(values)]
    return np.quantile(there, np.linspace(0, 1, _POINTS)) if len(there) else there


def _mark(members: Sequence[Member], path: str) -> str:
    """A hash of the runs and of the file of reference molecules, so that neither is worked through again unless it
    changed.
    """
    seals = sorted((m.name, str(m.run.certificate.get("seal", ""))) for m in members)
    source = (
        hashlib.sha256(Path(path).read_bytes()).hexdigest()
        if Path(path).is_file()
        else catalogue.entry(APPROVED[0]).sha256
    )
    return hashlib.sha256(json.dumps([FORMAT, seals, source]).encode()).hexdigest()


def _held(place: Path, mark: str) -> Reference | None:
    if not place.is_file():
        return None
    try:
        text = json.loads(place.read_text(encoding="utf-8"))
        if text["mark"] != mark:
            return None
        found = {(str(run), str(label)): np.array(q, dtype=np.float64) for run, label, q in text["quantiles"]}
        return Reference(str(text["what"]), int(text["n"]), found)
    except (ValueError, KeyError, TypeError):
        return None
