"""`osler deid`: DICOM files without the people in them."""

from __future__ import annotations

import inspect
from pathlib import Path

import typer

from osler.cli.options import flags_from
from osler.instruments.deid import DeidOptions, deidentify
from osler.instruments.deid.folder import OUTCOMES

_KEYWORD = inspect.Parameter.KEYWORD_ONLY
#: Outcomes after which a person must look, in which case the exit code is 1.
_WANTING = ("held", "conflict", "leftover", "refused")


def _deid(folder: Path, out: Path, options: DeidOptions) -> int:
    """De-identify a folder of DICOM files by the Basic Application Level Confidentiality Profile (PS3.15 Annex E).

    Example: osler deid scans --out scans-deid

    Example: osler deid scans --out scans-deid --keep dates --keep descriptors --deface --key study.key
    """
    found = deidentify(folder, out, options)
    for outcome in (name for name in OUTCOMES if found.outcomes[name]):
        print(f"{found.outcomes[outcome]:>8} {outcome}: {OUTCOMES[outcome]}")
    print(f"written: {out}; the key is {found.key}: whoever has it can link files to patients, keep it apart")
    return 1 if any(found.outcomes[name] for name in _WANTING) else 0


deid = flags_from(
    DeidOptions,
    _deid,
    [
        inspect.Parameter(
            "folder", _KEYWORD, annotation=Path, default=typer.Argument(..., help="folder of DICOM files")
        ),
        inspect.Parameter(
            "out", _KEYWORD, annotation=Path, default=typer.Option(..., "--out", help="folder to write; resumed")
        ),
    ],
)
deid.__name__ = "deid"
