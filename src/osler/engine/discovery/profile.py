"""The verb `profile`: everything that a panel of runs, rules and alerts say of a molecule, line by line.

OUT/
  admet.json    every line of every molecule
  admet.csv     the same as a table
  admet.html    one page with drawn molecules and pictures, no network
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import registry
from osler.engine import files
from osler.engine.discovery.endpoints import GROUPS
from osler.engine.discovery.molecules import Query
from osler.engine.discovery.panel import Answer, Member
from osler.engine.discovery.plain import NUMBERS, numbers, verdicts
from osler.engine.discovery.reference import Reference
from osler.engine.tables import defused
from osler.errors import OptionError

#: What writes the page, by name: engine and report do not import one another.
WRITERS = {"page": "osler.report.profile:page"}


@dataclass(frozen=True)
class Profile:
    """What is said of one molecule.

    Attributes:
        query: the molecule. plain: numbers that need no model. verdicts: rules and alerts. lines: one per run and
            label.
    """

    query: Query
    plain: list[dict[str, Any]]
    verdicts: list[dict[str, Any]]
    lines: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {
            "place": self.query.place,
            "name": self.query.name,
            "smiles": self.query.smiles,
            "numbers": self.plain,
            "verdicts": self.verdicts,
            "lines": self.lines,
        }


def profile(queries: Sequence[Query], members: Sequence[Member], reference: Reference) -> list[Profile]:
    """A profile of each molecule.

    Args:
        members: runs, each asked once for all molecules. reference: what approved drugs get.

    Returns:
        Lines have: run, group, endpoint, label, kind ("number" or "probability"), unit, value, low, high, in_domain,
        percentile, wanted ("high", "low" or ""), in_training, out_of_fold, n, certificate.
    """
    plain = numbers([q.mol for q in queries])
    lines: list[list[dict[str, Any]]] = [[] for _ in queries]
    for member in members:
        answers, inside, known = member.answer(queries)
        for answer in answers:
            for i, line in enumerate(_lines(member, answer, inside, known, reference)):
                lines[i].append(line)
    order = {name: k for k, name in enumerate(GROUPS)}
    return [
        Profile(
            query,
            _numbers(plain[i], reference),
            verdicts(query.mol),
            sorted(lines[i], key=lambda line: order[line["group"]]),
        )
        for i, query in enumerate(queries)
    ]


def _numbers(values: np.ndarray, reference: Reference) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "what": what,
            "unit": unit,
            "value": _number(values[k]),
            "percentile": reference.percentile("", name, values[k]),
        }
        for k, (name, (what, unit)) in enumerate(NUMBERS.items())
    ]


def _lines(
    member: Member, answer: Answer, inside: np.ndarray, known: np.ndarray, reference: Reference
) -> list[dict[str, Any]]:
    endpoint, predictor = member.endpoint, member.run.predictor
    is_number, several = predictor.task == "regression", predictor.task in ("multilabel", "multiclass")
    title = endpoint.title if endpoint else member.name
    same = {
        "run": member.name,
        "group": endpoint.group if endpoint else "other",
        "endpoint": f"{title}: {answer.label}" if several else title,
        "label": answer.label,
        "kind": "number" if is_number else "probability",
        "unit": endpoint.unit if endpoint else "",
        "wanted": endpoint.better if endpoint else "",
        "n": member.n,
        "certificate": member.run.certificate["verdict"],
    }
    fair = np.where(
        np.isnan(answer.out_of_fold), answer.value, answer.out_of_fold
    )  # as the reference's own are counted
    return [
        {
            **same,
            "value": _number(answer.value[i]),
            "low": _number(answer.low[i]),
            "high": _number(answer.high[i]),
            "in_domain": bool(inside[i]),
            "percentile": reference.percentile(member.name, answer.label, fair[i]),
            "in_training": bool(known[i]),
            "out_of_fold": _number(answer.out_of_fold[i]),
        }
        for i in range(len(answer.value))
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def write(
    profiles: Sequence[Profile], out: str | Path, reference: Reference, refused: Sequence[tuple[int, str, str]] = ()
) -> Path:
    """Write admet.json, admet.csv and admet.html.

    Args:
        refused: (place, name, reason) of what could not be read.

    Raises:
        OptionError: `out` holds something else.
    """
    out = Path(out)
    if out.exists() and not (out.is_dir() and ((out / "admet.json").is_file() or not any(out.iterdir()))):
        raise OptionError(
            f"out must be a new folder or an earlier profile, '{out.name}' holds something else: name another"
        )
    text = {
        "format": "osler.admet/1",
        "reference": {"what": reference.what, "n": reference.n},
        "molecules": [p.to_json() for p in profiles],
        "not_read": [{"place": p, "name": n, "reason": r} for p, n, r in refused],
    }
    rows = [
        {"place": p.query.place, "name": p.query.name, "smiles": p.query.smiles, **line}
        for p in profiles
        for line in p.lines
    ]
    made = registry.load(WRITERS, "writers", "page")(text)
    with files.alone(out):
        work = out.with_name(f".{out.name}.partial")
        files.recover(out, work)
        work.mkdir(mode=0o700, exist_ok=True)
        with files.whole_folder(out, work):
            files.write_json(work / "admet.json", text)
            files.write_atomic(
                work / "admet.csv", defused(pl.DataFrame(rows, infer_schema_length=None)).write_csv().encode()
            )
            files.write_atomic(work / "admet.html", made.encode())
    return out
