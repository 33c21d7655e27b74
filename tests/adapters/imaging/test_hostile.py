"""Damaged, lying and hostile files: refused with a code, without a crash, and without memory that a header merely claims."""

from __future__ import annotations

import contextlib
import gzip
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osler.adapters.imaging import nifti, scan
from osler.errors import CODES, InputError, OslerError
from tests.adapters.imaging.files import dicom, item, straight, unpacked


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with bytes changed, a part cut out or cut off, or a length made huge."""
    held, kind = bytearray(data), int(rng.integers(4))
    if kind == 0:
        for _ in range(6):
            held[int(rng.integers(len(held)))] = int(rng.integers(256))
    elif kind == 1:
        held = held[: int(rng.integers(len(held)))]
    elif kind == 2:
        at = int(rng.integers(min(len(held), 1500)))
        held = held[:at] + held[at + int(rng.integers(1, 60)) :]
    else:
        at = int(rng.integers(min(len(held), 1500)))
        held[at : at + 4] = b"\xff\xff\xff\x7f"
    return bytes(held)


def seeds(folder: Path) -> dict[str, bytes]:
    """Small files of every kind."""
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 999, (4, 8, 9)).astype(np.int16)
    groups = [item(PlanePositionSequence=[item(ImagePositionPatient=p.tolist())]) for p in straight(4)]
    shared = item(PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])], PixelMeasuresSequence=[item(PixelSpacing=[1, 1])])
    enhanced = dicom(volume, PerFrameFunctionalGroupsSequence=groups, SharedFunctionalGroupsSequence=[shared])
    enhanced.save_as(folder / "a.dcm", enforce_file_format=True)
    nifti.write(folder / "a.nii", volume, np.eye(4))
    nifti.write(folder / "a.nii.gz", volume, np.eye(4))
    Image.fromarray(volume[0].astype(np.uint8)).save(folder / "a.png")
    Image.fromarray(volume[0].astype(np.uint8)).save(folder / "a.tif")
    np.savez_compressed(folder / "a.npz", x=volume)
    np.save(folder / "a.npy", volume)
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 9 8 4\nencoding: raw\nspacings: 1 1 2\n\n"
    (folder / "a.nrrd").write_bytes(head.encode() + volume.tobytes())
    head = "NDims = 3\nDimSize = 9 8 4\nElementType = MET_SHORT\nElementSpacing = 1 1 2\nElementDataFile = LOCAL\n"
    (folder / "a.mha").write_bytes(head.encode() + volume.tobytes())
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_of_every_kind_are_read_or_refused(tmp_path: Path):
    rng, refused = np.random.default_rng(1), 0
    for name, data in seeds(tmp_path).items():
        for _ in range(120):
            (tmp_path / name).write_bytes(damaged(data, rng))
            try:
                found = scan.read(name, tmp_path)
            except OslerError as error:
                assert isinstance(error, InputError), (name, error)
                assert error.code in CODES
                refused += 1
                continue
            assert found.values.dtype == np.float32
            assert found.values.ndim in (3, 4)
    assert refused > 300


@pytest.mark.filterwarnings("ignore")
def test_no_header_reserves_more_than_the_file_holds(tmp_path: Path):
    one = dicom(np.zeros((64, 64), np.uint16))
    one.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    data = (tmp_path / "a.dcm").read_bytes()
    peaks = []
    tracemalloc.start()
    for at in range(132, 700, 2):
        (tmp_path / "x.dcm").write_bytes(data[:at] + b"\xff\xff\xff\x7f" + data[at + 4 :])
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with contextlib.suppress(InputError):
            scan.read("x.dcm", tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    assert max(peaks) < 2 * len(data) + (64 << 20)


def test_a_packed_bomb_is_refused(tmp_path: Path):
    nifti.write(tmp_path / "a.nii", np.zeros((4, 4, 4), np.int16), np.eye(4))
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes() + b"\0" * (60 << 20), 9))
    with pytest.raises(InputError) as caught:
        scan.read("b.nii.gz", tmp_path)
    assert caught.value.code == "limit-ratio"
    size = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + size + struct.pack(">I", zlib.crc32(size))
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    chunk += struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(InputError) as caught:
        scan.read("bomb.png", tmp_path)
    assert caught.value.code.startswith("limit-")


def test_hostile_references_never_leave_the_folder(tmp_path: Path):
    (tmp_path / "in").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "secret.png")
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    ups = ["../secret.png", "a/../../secret.png", "..\\secret.png", "link.png", "./../secret.png#0", "//secret.png", "\0", "a\0b", "~/secret.png",
           str(tmp_path / "secret.png"), "#", "#0", "..", "../", "%2e%2e/secret.png", "file:///etc/passwd", "http://x/y.png", "x" * 5000]  # fmt: skip
    for reference in ups:
        with pytest.raises(InputError) as caught:
            scan.read(reference, tmp_path / "in")
        assert caught.value.code in ("read-outside", "read-missing", "image-pixels"), reference


def test_a_decoder_that_dies_is_started_again(tmp_path: Path):
    """The second process is killed between two files; the next file is decoded by a new one, and a stalled one is not waited for."""
    from osler.adapters.imaging import decoder

    root = unpacked("dicom_robustness.zip", tmp_path)
    name = "dicom2nifti/generic/compressed_jpeg/001/IM-0001-0001-0001.dcm"
    first = scan.read(name, root).values
    processes = decoder._DECODERS.running
    for process in processes:
        process.kill()
        process.wait()
    assert np.array_equal(scan.read(name, root).values, first)
    assert {p.pid for p in decoder._DECODERS.running}.isdisjoint({p.pid for p in processes})
    data = bytearray((root / name).read_bytes())
    at = data.rfind(b"\xff\xda")
    data[at + 20 : at + 4000] = bytes(3980)
    (root / "x.dcm").write_bytes(data)
    try:
        assert scan.read("x.dcm", root).values.shape == first.shape
    except InputError as error:
        assert error.code == "image-truncated"
        assert "x.dcm" in error.message


def test_a_packed_series_is_the_same_from_one_process_and_from_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The JPEG 2000 series of body CT, unpacked file by file and by three processes at once; a damaged file in it is named either way."""
    from osler.adapters.imaging import decoder

    folder = next((unpacked("ct_body_totalseg_examples.zip", tmp_path)).rglob("CT.*")).parent
    monkeypatch.setattr(decoder, "_cores", lambda: 1)
    alone = scan.read(str(folder), None)
    monkeypatch.setattr(decoder, "_cores", lambda: 3)
    decoder._DECODERS.end()
    together = scan.read(str(folder), None)
    assert len(decoder._DECODERS.running) == 3
    assert np.array_equal(alone.values, together.values)
    assert np.array_equal(alone.affine, together.affine)
    victim = sorted(folder.iterdir())[7]
    victim.write_bytes(victim.read_bytes()[:-9000])
    for cores in (1, 3):
        monkeypatch.setattr(decoder, "_cores", lambda n=cores: n)
        with pytest.raises(InputError, match=victim.name):
            scan.read(str(folder), None)
