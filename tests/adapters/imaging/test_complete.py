"""Scans that end too early are found by their size and their end; what is whole is not read, and nothing that can be read is refused."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import RLELossless

import osler
from osler.adapters.imaging import complete, dicom_read, nifti, scan
from osler.cohort.lineage import without_files
from osler.errors import InputError, MissingExtraError, ReadError
from tests.adapters.imaging.files import UID, dicom, series, straight, unpacked

RNG = np.random.default_rng(5)
VOLUME = RNG.integers(0, 4000, (6, 40, 40)).astype(np.int16)


def written(folder: Path) -> list[Path]:
    """One whole file of every kind."""
    grey = Image.fromarray(RNG.integers(0, 255, (40, 50)).astype(np.uint8))
    for name in ("a.png", "a.jpg", "a.tif", "a.bmp", "a.gif", "a.webp", "a.pgm"):
        grey.save(folder / name)
    nifti.write(folder / "b.nii", VOLUME.astype(np.float32), np.eye(4))
    nifti.write(folder / "c.nii.gz", VOLUME.astype(np.float32), np.eye(4))
    dicom(VOLUME[0]).save_as(folder / "d.dcm", enforce_file_format=True)
    dicom(VOLUME).save_as(folder / "frames.dcm", enforce_file_format=True)
    packed = dicom(VOLUME)
    packed.compress(RLELossless)
    packed.save_as(folder / "rle.dcm", enforce_file_format=True)
    long = dicom(VOLUME[0], ICCProfile=b"x" * 40_000)  # the head that is read first ends before the pixels
    long.save_as(folder / "long.dcm", enforce_file_format=True)
    return sorted(folder.iterdir())


def test_whole_files_pass_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = [path for path in written(tmp_path) if path.suffix not in (".bmp", ".gif", ".webp", ".pgm")]
    monkeypatch.setattr(scan, "read_at", lambda *_: pytest.fail("pixels were read"))
    for path in files:
        kind = scan.kind_of(path)
        complete.check(path, kind, head=dicom_read.attributes(path) if kind == "dicom" else None)
    assert len(files) == 9


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_what_reading_refuses_is_refused_here(tmp_path: Path, share: float):
    for path in written(tmp_path):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        try:
            scan.read(path.name, tmp_path)
        except InputError:
            with pytest.raises(InputError):
                scan.header(path.name, tmp_path)
        else:
            scan.header(path.name, tmp_path)  # a few bytes less do not hurt every format


def test_longer_files_and_members_of_gzip_are_whole(tmp_path: Path):
    nifti.write(tmp_path / "a.nii", VOLUME.astype(np.float32), np.eye(4))
    data = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "longer.nii.gz").write_bytes(gzip.compress(data + b"\0" * 64))
    (tmp_path / "members.nii.gz").write_bytes(gzip.compress(data[:5000]) + gzip.compress(data[5000:]))
    for name in ("longer.nii.gz", "members.nii.gz"):
        assert scan.header(name, tmp_path).shape == (1, 6, 40, 40)


def test_a_folder_names_the_file_that_ends_too_early_and_keeps_the_others(tmp_path: Path):
    for i in (1, 2):
        series(tmp_path / f"ct{i}", VOLUME, straight(6), SeriesInstanceUID=f"{UID}.{i}")
    cut = sorted((tmp_path / "ct2").iterdir())[3]
    cut.write_bytes(cut.read_bytes()[:-10])
    dicom(VOLUME[0]).save_as(tmp_path / "film.dcm", enforce_file_format=True)
    (tmp_path / "film.dcm").write_bytes((tmp_path / "film.dcm").read_bytes()[:-10])
    for name in ("whole.nii.gz", "short.nii.gz"):
        nifti.write(tmp_path / name, VOLUME.astype(np.float32), np.eye(4))
    (tmp_path / "short.nii.gz").write_bytes((tmp_path / "short.nii.gz").read_bytes()[:-500])
    (tmp_path / "empty.nii").write_bytes(b"")
    cohort = osler.read(tmp_path)
    assert cohort.table["volume"].to_list() == ["whole.nii.gz", "ct1"]
    told = " | ".join(cohort.refusals["reason"].to_list())
    for part in (f"(image-truncated): file ct2/{cut.name}, 6 files", "(image-truncated): file film.dcm", "(read-truncated): file short.nii.gz",
                 "has no bytes (image-empty): file empty.nii"):  # fmt: skip
        assert part in told
    kept = " | ".join(without_files(cohort.refusals)["reason"].to_list())
    assert "image-truncated" in kept and "short" not in kept and cut.name not in kept


def test_one_scan_alone_is_a_table_of_one_row(tmp_path: Path):
    written(tmp_path)
    for name, column in (("c.nii.gz", "volume"), ("a.png", "image"), ("d.dcm", "image"), ("frames.dcm", "volume")):
        cohort = osler.read(tmp_path / name)
        assert cohort.table.select("file", column).rows() == [(name, name)]
        assert cohort.root == tmp_path.resolve()
    for name in ("0.nii.gz", "0.dcm", "0.png"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ReadError, match="must be a picture or a scan, it is empty") as refused:
            osler.read(tmp_path / name)
        assert refused.value.code == "image-empty"
    (tmp_path / "c.nii.gz").write_bytes((tmp_path / "c.nii.gz").read_bytes()[:2000])
    with pytest.raises(ReadError, match="ends too early"):
        osler.read(tmp_path / "c.nii.gz")


def test_a_folder_that_needs_a_library_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    nifti.write(tmp_path / "a.nii.gz", VOLUME.astype(np.float32), np.eye(4))
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingExtraError, match=r"osler\[imaging\]"):
        osler.read(tmp_path)
    Image.fromarray(RNG.integers(0, 255, (40, 50)).astype(np.uint8)).save(tmp_path / "b.png")
    cohort = osler.read(tmp_path)  # what can be read is
    assert cohort.table["image"].to_list() == ["b.png"]
    assert "(extra-missing): file a.nii.gz" in cohort.refusals["reason"][0]


def test_real_files_that_can_be_read_are_whole(tmp_path: Path):
    root = unpacked("dicom_robustness.zip", tmp_path)
    wrong = []
    for name in sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()):
        if _can(scan.read, name, root) and not _can(scan.header, name, root):
            wrong.append(name)
    assert wrong == []


def _can(read: Callable[[str, Path], object], name: str, root: Path) -> bool:
    try:
        return read(name, root) is not None
    except InputError:
        return False
