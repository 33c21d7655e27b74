"""Real scans and masks as their folders come: hippocampus, nuclei, retinal vessels and tumours in NRRD."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from osler.adapters.imaging import labels
from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.predict import predict

QUICK = {"folds": 2, "boot": 100, "silent": True, "workers": 1, "examples": 0}


def unpacked(mirror: Path, name: str, to: Path, wanted: int | None = None) -> Path:
    """A data set's files below a folder; of each folder in it the first `wanted` by name."""
    archive = mirror / "imaging" / name
    if not archive.is_file():
        pytest.skip(f"{name} is not in OSLER_DATA_MIRROR")
    with zipfile.ZipFile(archive) as held:
        folders: dict[str, list[str]] = {}
        for member in sorted(n for n in held.namelist() if not n.endswith("/")):
            folders.setdefault(member.rpartition("/")[0], []).append(member)
        for members in folders.values():
            held.extractall(to, members[:wanted])
    return to


def test_hippocampus_by_position_alone(mirror, tmp_path):
    """The anterior and posterior hippocampus of 12 crops lie where they usually lie to a Dice of 0.6 to 0.8."""
    folder = unpacked(mirror, "msd_task04_hippocampus_90.zip", tmp_path / "data", 12)
    run = fit(folder, tmp_path / "run", target="mask", column=("mask=mask:names=anterior+posterior",), model=("atlas",), **QUICK)
    scores = run.scores["parts"]["cv"]["atlas"]
    assert 0.6 < scores["dice"]["value"] < 0.8
    assert 1.0 < scores["hd95[anterior]"]["value"] < 6.0
    assert run.certificate["verdict"] == "clean"
    table = predict(run, folder).table
    assert table["in_domain"].mean() > 0.8
    held = np.array([labels.held(m, folder)[1].sum() for m in table["mask"]])
    drawn = (table["mask_volume_anterior"] + table["mask_volume_posterior"]).to_numpy()
    assert 0.7 < np.median(drawn / held) < 1.3


def test_nuclei_by_threshold_and_watershed(mirror, tmp_path):
    folder = unpacked(mirror, "dsb2018_nuclei_140.zip", tmp_path / "data", 12)
    run = fit(folder, tmp_path / "run", target="mask", column=("mask=mask:instances=true",), model=("threshold",), **QUICK)
    scores = run.scores["parts"]["cv"]["threshold"]
    assert scores["f1_50"]["value"] > 0.75
    assert scores["ap"]["value"] < scores["ap_50"]["value"]
    assert run.predictions["things"].sum() == sum(len(labels.held(m, folder)[0]) for m in read(folder).values("mask"))


def test_vessels_and_fields_of_view_are_told_from_pictures(mirror, tmp_path):
    folder = unpacked(mirror, "drive_retina_half.zip", tmp_path / "data", 3)
    cohort = read(folder)
    assert {c.name for c in cohort.columns if c.modality == "mask"} == {"vessel", "fov"}
    assert len(cohort) == 6
    assert cohort.values("vessel").null_count() == 0
    for picture, vessel in cohort.table.select("image", "vessel").rows():
        found = labels.upon(vessel, labels.kept(picture, folder), folder)
        assert 0.03 < (found > 0).mean() < 0.2


def test_tumours_lie_on_their_scans(mirror, tmp_path):
    folder = unpacked(mirror, "radiomics_tumour_nrrd.zip", tmp_path / "data")
    cohort = read(folder)
    assert len(cohort) == 4
    alone = [f"a mask has no scan of its name beside it (mask-scan): file {name}_label.nrrd" for name in ("lung1", "lung2")]
    assert cohort.refusals["reason"].unique().sort().to_list() == alone
    for scan, mask in cohort.table.select("volume", "mask").rows():
        assert labels.upon(mask, labels.kept(scan, folder), folder).any()
