"""What `osler measure` and `osler quality` print."""

from __future__ import annotations

import polars as pl
import pytest

from osler.cli.show_regions import _shown, show_quality, show_regions
from osler.cohort import Cohort, Column
from osler.instruments.base import Findings


def findings(columns: dict[str, list], units: dict[str, str] | None = None, **facts) -> Findings:
    frame = pl.DataFrame(columns)
    modality = {"mask": "mask", "image": "image"}
    return Findings(Cohort(frame, tuple(Column(n, modality.get(n, "number"), unit=(units or {}).get(n, "")) for n in columns)), facts)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (True, "yes"), (False, "no"), (0.123456789, "0.12346"), (123456.7, "123457"), (3, "3"), ("stable disease", "stable disease")],
)
def test_cells_are_short(value, text):
    assert _shown(value) == text


def test_regions_stand_side_by_side_with_units_codes_and_notes(capsys):
    columns = {"mask": ["secret.nii"] * 2, "region": [1, 2], "volume_mm3": [10.5, None], "variance": [2.0, 3.0], "notes": [None, "too small"]}
    show_regions(findings(columns, {"volume_mm3": "mm³", "variance": "[image]²"}, regions=2))
    said = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line.strip()}
    assert lines["feature"] == ["feature", "unit", "IBSI", "region", "1", "region", "2"]
    assert lines["volume_mm3"] == ["volume_mm3", "mm³", "RNU0", "10.5", "-"]
    assert lines["variance"] == ["variance", "[image]²", "ECT3", "2", "3"]
    assert "region 2: too small" in said
    assert "regions: 2" in said
    assert "secret" not in said


def test_scans_are_named_by_number_and_every_finding_is_said(capsys):
    said = ["", "noisy: much", None, "", "", "cut: a side"]
    columns = {"image": ["secret.nii"] * 6, "quality_findings": said, "notes": [None, None, "gone", None, None, None], "slices": [1] * 6}
    show_quality(findings(columns))
    out = capsys.readouterr().out
    assert "scan 1: nothing found" in out
    assert "scan 2: noisy: much" in out
    assert "scan 3: gone" in out
    assert "scan 6: cut: a side" in out
    assert "scan 5" in out
    assert "secret" not in out
    assert "IBSI" not in out


def test_a_note_of_a_late_scan_is_said_once(capsys):
    show_quality(findings({"image": ["a"] * 5, "quality_findings": [""] * 4 + [None], "notes": [None] * 4 + ["gone"], "slices": [1] * 5}))
    assert capsys.readouterr().out.count("gone") == 1
