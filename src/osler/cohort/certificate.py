"""The certificate: what was looked for, what was found, and which rows every fitted thing saw.

`certificate.json`:

    format           osler.certificate/1
    verdict          clean, or violated if any check is
    unit             the unit of independence ("row" if none was declared)
    checks           [{name, verdict, n, detail}]; verdict is clean, violated, unknown or not applicable
    fitted_states    [{name, split_key, rows_sha256, n}]
    splits           [{key, by, train, test}]: how the parts were told apart and how many rows they have
    split_table      keyed hash of `splits.parquet`
    tells            why near duplicates could not be looked for, "" if they were
    seal             HMAC-SHA-256 of all the above with the run's key: an edited certificate does not verify
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osler.cohort.cohort import Cohort
from osler.cohort.duplicates import Pairs, near_duplicates
from osler.cohort.proof_checks import Check, FittedState, cohort_checks, table_checks
from osler.cohort.record import rows_hash, split_table, splits_of, table_hash
from osler.cohort.split import Split

FORMAT = "osler.certificate/1"


@dataclass(frozen=True)
class Certificate:
    """The proof of one run.

    Attributes:
        unit: the unit of independence: names of the unit columns, or "row".
        checks: everything that was looked for.
        fitted_states: every fitted thing and the rows it saw.
        splits: key, how the parts were told apart, and their sizes, for each split.
        split_table: keyed hash of the split table.
        tells: why near duplicates could not be looked for, "" if they were.
        key: the run's key, for the seal; not written out.
    """

    unit: str
    checks: tuple[Check, ...]
    fitted_states: tuple[FittedState, ...] = ()
    splits: tuple[dict[str, Any], ...] = ()
    split_table: str = ""
    tells: str = ""
    key: bytes = field(default=b"", repr=False)

    @property
    def verdict(self) -> str:
        """`violated` if any check is, otherwise `clean`."""
        return "violated" if any(c.verdict == "violated" for c in self.checks) else "clean"

    def check(self, name: str) -> Check:
        """One check by name.

        Raises:
            KeyError: the certificate has no such check.
        """
        return {c.name: c for c in self.checks}[name]

    def to_json(self) -> dict[str, Any]:
        """What `certificate.json` holds."""
        body = {
            "format": FORMAT,
            "verdict": self.verdict,
            "unit": self.unit,
            "checks": [c.to_json() for c in self.checks],
            "fitted_states": [s.to_json() for s in self.fitted_states],
            "splits": list(self.splits),
            "split_table": self.split_table,
            "tells": self.tells,
        }
        return {**body, "seal": seal(body, self.key)}


def seal(body: dict[str, Any], key: bytes) -> str:
    """HMAC-SHA-256 (64 hex digits) of a certificate's JSON without its own seal."""
    text = json.dumps({k: v for k, v in body.items() if k != "seal"}, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def certify(
    cohort: Cohort,
    splits: Sequence[Split],
    states: Sequence[FittedState],
    key: bytes,
    *,
    pairs: Pairs | None = None,
    pretraining: str = "none",
) -> Certificate:
    """Look for everything that would make a result unbelievable.

    Args:
        cohort: the n used rows with their roles, ledger and lineage.
        splits: every split, as positions in this cohort.
        states: everything that was fitted.
        key: the run's key.
        pairs: near duplicates, if they were looked for already (`osler.cohort.duplicates.near_duplicates`).
        pretraining: overlap with what a pre-trained part saw, see `osler.cohort.proof_checks.cohort_checks`.
    """
    pairs = near_duplicates(cohort) if pairs is None else pairs
    table = split_table(cohort, splits, key, pairs=pairs)
    checks = [*table_checks(table, splits, states, key, pairs.reason), *cohort_checks(cohort, pretraining)]
    return Certificate(
        " + ".join(c.name for c in cohort.role("unit")) or "row",
        tuple(checks),
        tuple(states),
        tuple({"key": s.key, "by": s.by, "train": len(s.train), "test": len(s.test)} for s in splits),
        table_hash(table, key),
        pairs.reason,
        key,
    )


def verify(run_folder: str | Path, source: Cohort | None = None) -> Certificate:
    """Recompute a run's certificate from its artefacts, and from the table itself where it is given.

    Args:
        run_folder: holds `study.json`, `certificate.json`, `splits.parquet` and what else the run wrote.
        source: the cohort that the run was made from, prepared in the same way.

    Returns:
        A new certificate; its verdict is `violated` if anything leaked or anything was changed since.

    Raises:
        ReadError: `run-missing`: one of the three files is absent or does not read.
    """
    from osler.cohort.verification import recompute

    return recompute(Path(run_folder), source)


def overlap_with_run(run_folder: str | Path, cohort: Cohort) -> list[Check]:
    """Whether a new table (an external validation) shares units or rows with the rows a run learnt from.

    Args:
        run_folder: a finished run.
        cohort: the new table with the same column names; its unit columns are compared where it has them.

    Raises:
        ReadError: `run-missing`.
    """
    from osler.cohort.verification import overlap

    return overlap(Path(run_folder), cohort)


__all__ = [
    "Certificate", "Check", "FittedState", "certify", "overlap_with_run", "rows_hash", "seal", "split_table",
    "splits_of", "verify",
]  # fmt: skip
