"""A folder of pictures, volumes and DICOM as a table, joined with labels by whatever names the scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import osler
from osler.adapters.imaging import nifti
from osler.errors import ColumnError, ReadError
from tests.adapters.imaging.files import UID, dicom, series, straight

RNG = np.random.default_rng(2)


def pictures(root: Path, names: list[str]) -> Path:
    """A folder of small pictures."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 255, (8, 8)).astype(np.uint8)).save(root / name)
    return root


def labels(path: Path, /, **columns: list) -> Path:
    """A table of labels."""
    pl.DataFrame(columns).write_csv(path)
    return path


def clinic(root: Path) -> Path:
    """Two patients: each a CT series and two films; and a tilted series, a localizer's file, a report and a note."""
    volume = RNG.integers(0, 99, (4, 6, 6)).astype(np.int16)
    for i in (1, 2):
        known = {"PatientID": f"p{i}", "SeriesInstanceUID": f"{UID}.{i}", "Manufacturer": f"M{i}", "InstitutionName": f"H{i}",
                 "StudyDate": f"2020010{i}", "BodyPartExamined": "CHEST", "PatientName": "Never^Told"}  # fmt: skip
        (root / f"p{i}").mkdir(parents=True)
        series(root / f"p{i}" / "ct", volume, straight(4), **known)
        for k in range(2):
            film = dicom(volume[k], **{**known, "Modality": "CR", "SeriesInstanceUID": f"{UID}.{i}.5", "InstanceNumber": k})
            film.save_as(root / f"p{i}" / f"film{k}.dcm", enforce_file_format=True)
    tilted = straight(4) + np.arange(4)[:, None] * [0, 1, 0]
    series(root / "p2" / "tilted", volume, tilted, PatientID="p2", SeriesInstanceUID=f"{UID}.77")
    (root / "p1" / "note.txt").write_text("nothing", encoding="utf-8")
    (root / "p1" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return root


def test_series_and_films_become_rows_with_roles(tmp_path: Path):
    cohort = osler.read(clinic(tmp_path / "clinic"))
    assert cohort.table.select("file", "image", "volume", "patient").rows() == [
        ("p1/film0.dcm", "p1/film0.dcm", None, "p1"), ("p1/film1.dcm", "p1/film1.dcm", None, "p1"), ("p1/ct", None, "p1/ct", "p1"),
        ("p2/film0.dcm", "p2/film0.dcm", None, "p2"), ("p2/film1.dcm", "p2/film1.dcm", None, "p2"), ("p2/ct", None, "p2/ct", "p2"),
    ]  # fmt: skip
    roles = {c.name: (c.modality, c.role) for c in cohort.columns}
    assert roles["image"] == ("image", "input")
    assert roles["volume"] == ("volume", "input")
    assert (roles["patient"][1], roles["institution"][1], roles["study_date"][1]) == ("unit", "site", "time")
    assert (roles["manufacturer"][1], roles["file"][1], roles["series"][1]) == ("ignore", "id", "id")
    reasons = " ".join(cohort.refusals["reason"].to_list())
    assert "series-tilt" in reasons
    assert "Never" not in str(cohort.table.rows())
    assert cohort.lineage[0].rows_before == len(cohort) + cohort.refusals["row"].n_unique()
    detail = cohort.lineage[0].detail
    assert (detail["pictures"], detail["volumes"]) == (4, 2)


def test_several_series_of_one_folder_are_named(tmp_path: Path):
    volume = RNG.integers(0, 99, (4, 6, 6)).astype(np.int16)
    for i in (1, 2):
        series(tmp_path / "all", volume + i, straight(4), SeriesInstanceUID=f"{UID}.{i}")
        for path in list((tmp_path / "all").glob("*.dcm")):
            path.rename(path.with_suffix(f".{i}"))
    cohort = osler.read(tmp_path)
    assert sorted(cohort.table["volume"].to_list()) == [f"all#{UID}.1", f"all#{UID}.2"]
    from osler.adapters.imaging import scan

    found = [scan.read(r, cohort.root).values.mean() for r in sorted(cohort.table["volume"].to_list())]
    assert found[1] - found[0] == pytest.approx(1.0, abs=1e-4)


NAMES = [f"{c}/{i:02d}.png" for c in "ab" for i in range(12)]


@pytest.mark.parametrize(
    ("key", "values", "kind"),
    [
        ("path", NAMES, "path"),
        ("image", [f"./{n}".replace("/", "\\") for n in NAMES], "path"),
        ("where", [f"scans/{n}" for n in NAMES], "path from the folder above"),
    ],
)
def test_labels_are_joined_by_path(tmp_path: Path, key: str, values: list[str], kind: str):
    root = pictures(tmp_path / "scans", NAMES)
    table = labels(tmp_path / "labels.csv", **{key: values, "y": [i % 2 for i in range(24)], "patient": [f"p{i // 2}" for i in range(24)]})
    cohort = osler.read(root, labels=table, target="y", unit="patient")
    assert cohort.table["y"].cast(pl.Int64).to_list() == [i % 2 for i in range(24)]
    assert cohort.table["image"].to_list() == NAMES
    detail = cohort.lineage[-1].detail
    assert (detail["key"], detail["matched_by"], detail["matched"], detail["rows_without_label"]) == (key, kind, 24, 0)


def test_labels_by_names_of_files_with_and_without_ends(tmp_path: Path):
    root = pictures(tmp_path / "scans", [f"{'ab'[i % 2]}/s{i}.png" for i in range(24)])
    for ends, kind in ((".png", "file name"), ("", "file name without its end")):
        table = labels(tmp_path / "l.csv", scan=[f"s{i}{ends}" for i in range(20)], y=[i % 2 for i in range(20)])
        cohort = osler.read(root, labels=table, target="y")
        detail = cohort.lineage[-1].detail
        assert (detail["matched_by"], detail["matched"], detail["rows_without_label"]) == (kind, 20, 4)
        assert cohort.table["y"].null_count() == 4
    with pytest.raises(ColumnError, match="none does"):
        osler.read(root, labels=labels(tmp_path / "x.csv", scan=["q", "r"], y=[0, 1]))
    with pytest.raises(ColumnError, match="repeats"):
        osler.read(root, labels=labels(tmp_path / "x.csv", scan=["s1", "s1", "s2"], y=[0, 1, 0]))


def test_labels_by_patient_and_volumes_by_name(tmp_path: Path):
    cohort = osler.read(clinic(tmp_path / "clinic"), labels=labels(tmp_path / "l.csv", person=["p1", "p2"], y=[0, 1]), target="y")
    assert (cohort.lineage[-1].detail["matched_by"], cohort.lineage[-1].detail["matched"]) == ("patient", 6)
    for i in range(4):
        (tmp_path / "v").mkdir(exist_ok=True)
        nifti.write(tmp_path / "v" / f"case_{i}.nii.gz", RNG.normal(size=(4, 5, 6)).astype(np.float32), np.eye(4))
    table = labels(tmp_path / "m.csv", ID=[f"case_{i}" for i in range(4)], age=[50, 60, 70, 80])
    cohort = osler.read(tmp_path / "v", labels=table)
    assert cohort.table.select("volume", "age").rows() == [(f"case_{i}.nii.gz", 50 + 10 * i) for i in range(4)]


def test_a_folder_without_scans_is_refused(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "note.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(ReadError, match="it holds none") as caught:
        osler.read(tmp_path / "empty")
    assert caught.value.code == "image-format"
