"""Proving a finished run again: every check from its artefacts, and whether the artefacts still belong together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.certificate import Certificate, certify, seal
from osler.cohort.cohort import Cohort
from osler.cohort.grouping import texts_of
from osler.cohort.proof_checks import Check, FittedState, table_checks
from osler.cohort.record import content, split_table, splits_of, table_hash
from osler.cohort.split import pseudonym
from osler.errors import ReadError


def recompute(folder: Path, source: Cohort | None) -> Certificate:
    """The work of `osler.cohort.certificate.verify`."""
    study, kept, table = _json(folder, "study.json"), _json(folder, "certificate.json"), _table(folder)
    key, by = _key(study), {s["key"]: s["by"] for s in kept.get("splits", [])}
    states = tuple(FittedState(**s) for s in kept.get("fitted_states", []))
    splits, tells = splits_of(table, by), kept.get("tells", "")
    if source is None:
        new = Certificate(kept.get("unit", "row"), tuple(table_checks(table, splits, states, key, tells)), states)
        done = {c.name for c in new.checks}
        rest = [Check(**c) for c in kept.get("checks", []) if c["name"] not in done]
        rest = [replace(c, detail=f"{c.detail} (as recorded: the table was not at hand)") for c in rest]
    else:
        at = _positions(source, table)
        if at is None:
            same = Check("same table", "violated", 1, "the table at hand does not hold the rows that the run used")
            new, rest = Certificate(kept.get("unit", "row"), (same,), states), []
        else:
            used = source.take(at)
            new = certify(used, splits, states, key, pretraining=_pretraining(kept))
            rest = [_same_table(split_table(used, splits, key), table)]
    agree = [_sealed(kept, key), _split_table(kept, table, key, by), _agreement(kept, new), _predictions(folder, table)]
    agree += [_predictor(folder, kept), _ledger(folder, table)]
    return replace(new, checks=(*new.checks, *rest, *(c for c in agree if c is not None)), key=key)


def overlap(folder: Path, cohort: Cohort) -> list[Check]:
    """The work of `osler.cohort.certificate.overlap_with_run`."""
    key, table = _key(_json(folder, "study.json")), _table(folder)
    checks, n = [], 0
    named = [c.removeprefix("unit:") for c in table.columns if c.startswith("unit:")]
    shared = [name for name in named if name in {c.name for c in cohort.columns}]
    for name in shared:
        known = set(table[f"unit:{name}"].drop_nulls().to_list())
        texts = texts_of(cohort.table[name]).drop_nulls().unique()
        n += sum(pseudonym(key, t) in known for t in texts.to_list())
    if shared:
        detail = f"{n} units of the new table are also in the run's table" if n else "no unit is in both tables"
        checks.append(Check("units shared with the run", "violated" if n else "clean", n, detail))
    else:
        checks.append(
            Check("units shared with the run", "unknown", 0, "the new table has none of the run's unit columns")
        )
    known, coarse = set(table["content"].to_list()), bool(_json(folder, "certificate.json").get("tells", ""))
    m = sum(pseudonym(key, t) in known for t in content(cohort))
    verdict = "clean" if not m else "unknown" if coarse else "violated"
    detail = f"{m} rows of the new table equal a row of the run's table" if m else "no row is in both tables"
    return [*checks, Check("rows shared with the run", verdict, m, detail)]


# -- reading -------------------------------------------------------------------------------------------------


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        data = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReadError(
            f"a run must hold a readable '{name}', '{folder.name}' does not: give the folder that osler fit wrote",
            "run-missing",
        ) from error
    if not isinstance(data, dict):
        raise ReadError(f"'{name}' of a run must be a JSON object, it is not", "run-missing")
    return data


def _table(folder: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(folder / "splits.parquet")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ReadError(
            f"a run must hold a readable 'splits.parquet', '{folder.name}' does not", "run-missing"
        ) from error


def _key(study: dict[str, Any]) -> bytes:
    try:
        return bytes.fromhex(study["key"])
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError("'study.json' of a run must hold the run's key in hex, it does not", "run-missing") from error


def _pretraining(kept: dict[str, Any]) -> str:
    stated = {c["name"]: c["detail"] for c in kept.get("checks", [])}
    return stated.get("pre-training overlap", "unknown")


def _positions(source: Cohort, table: pl.DataFrame) -> np.ndarray | None:
    rows, wanted = source.rows, table["row"].to_numpy()
    order = np.argsort(rows, kind="stable")
    at = np.clip(np.searchsorted(rows[order], wanted), 0, max(len(rows) - 1, 0))
    return order[at] if len(rows) and np.array_equal(rows[order[at]], wanted) else None


# -- do the artefacts belong together? -----------------------------------------------------------------------


def _sealed(kept: dict[str, Any], key: bytes) -> Check:
    ok = kept.get("seal") == seal(kept, key)
    return _belongs(
        "certificate seal",
        ok,
        "certificate.json is as it was written",
        "certificate.json was changed since it was written",
    )


def _split_table(kept: dict[str, Any], table: pl.DataFrame, key: bytes, by: dict[str, str]) -> Check:
    found = {s.key for s in splits_of(table)}
    ok = kept.get("split_table") == table_hash(table, key) and found == set(by)
    return _belongs(
        "split table unchanged",
        ok,
        "splits.parquet is what the certificate was made from",
        "splits.parquet was changed since it was written",
    )


def _agreement(kept: dict[str, Any], new: Certificate) -> Check:
    recorded = {c["name"]: c["verdict"] for c in kept.get("checks", [])}
    differ = [c.name for c in new.checks if recorded.get(c.name) != c.verdict]
    worst = "violated" if "violated" in recorded.values() else "clean"
    ok = not differ and kept.get("verdict") == worst
    named = f" ({', '.join(differ[:4])})" if differ else ""
    return _belongs(
        "recorded verdicts",
        ok,
        "every recomputed check gives its recorded verdict",
        f"recorded and recomputed verdicts differ{named}",
    )


def _same_table(new: pl.DataFrame, old: pl.DataFrame) -> Check:
    shared = [c for c in old.columns if c in new.columns]
    lost = len(set(old.columns) ^ set(new.columns))
    differ = sum(
        int((new[c].cast(pl.String).fill_null("\x00") != old[c].cast(pl.String).fill_null("\x00")).sum())
        for c in shared
    )
    return _belongs("same table", not (differ or lost), "the table at hand is the one that the run used",
                    f"the table at hand differs from the one that the run used in {differ} cells and {lost} columns of the split table")  # fmt: skip


def _predictions(folder: Path, table: pl.DataFrame) -> Check | None:
    """Every out-of-sample prediction must be for a test row of its split."""
    path = folder / "predictions.parquet"
    if not path.is_file():
        return None
    held = pl.read_parquet(path)
    if not {"row", "part"} <= set(held.columns):
        return Check("predictions", "unknown", 0, "predictions.parquet does not say row and part")
    parts = [c for c in ("part", "repeat", "fold") if c in held.columns]
    position = {int(r): i for i, r in enumerate(table["row"].to_list())}
    splits, wrong = splits_of(table), 0
    for values, rows in held.select("row", *parts).unique().group_by(parts):
        named = dict(zip(parts, values))
        mine = [s for s in splits if all(getattr(s, k) == v for k, v in named.items())]
        tested = np.unique(np.concatenate([s.test for s in mine])) if mine else np.empty(0, dtype=np.int64)
        at = np.array([position.get(int(r), -1) for r in rows["row"].to_list()])
        wrong += int((~np.isin(at, tested)).sum())
    return _belongs("predictions", not wrong, "every prediction is for a test row of its split",
                    f"{wrong} predictions are for rows that their split did not test")  # fmt: skip


def _predictor(folder: Path, kept: dict[str, Any]) -> Check | None:
    """The predictor carries the run's certificate and its members have their hashes."""
    import hashlib

    inside = folder / "predictor"
    if not (inside / "predictor.json").is_file():
        return None
    carried = _json(inside, "predictor.json").get("certificate", {})
    ok = bool(carried) and all(kept.get(k) == v for k, v in carried.items())
    if (inside / "manifest.json").is_file():
        members = _json(inside, "manifest.json").get("members", {})
        for name, facts in members.items():
            wanted = facts.get("sha256") if isinstance(facts, dict) else facts
            path = inside / Path(name).name
            ok &= path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == wanted
    return _belongs("predictor", ok, "the predictor carries this certificate and its members are unchanged",
                    "the predictor carries another certificate or was changed")  # fmt: skip


def _ledger(folder: Path, table: pl.DataFrame) -> Check | None:
    """No refused row is used, and no used row twice."""
    rows = table["row"].to_numpy()
    doubled = len(rows) - len(np.unique(rows))
    path = folder / "refusals.csv"
    used = 0
    if path.is_file():
        ledger = pl.read_csv(path, infer_schema=False)
        if {"row", "action"} <= set(ledger.columns):
            refused = ledger.filter(pl.col("action") == "row refused")["row"].cast(pl.Int64, strict=False).drop_nulls()
            used = len(np.intersect1d(refused.to_numpy(), rows))
    return _belongs("ledger", not (doubled or used), "no refused row is used and no row is used twice",
                    f"{used} refused rows are used and {doubled} rows are used twice")  # fmt: skip


def _belongs(name: str, ok: bool, good: str, bad: str) -> Check:
    return Check(name, "clean" if ok else "violated", 0 if ok else 1, good if ok else bad)


__all__ = ["overlap", "recompute"]
