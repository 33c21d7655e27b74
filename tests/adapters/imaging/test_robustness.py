"""Every file of the robustness set is read, or refused with the reason that it has; series that cannot be volumes are named."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from osler.adapters.imaging import scan
from osler.errors import InputError
from tests.adapters.imaging.files import pydicom, unpacked

#: File → the code of its refusal; every other file is read.
REFUSED = {
    "dicomParser/encapsulated/multi-frame/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm": "image-codec",  # 12-bit JPEG
    "pydicom-data/emri_small_jpeg_2k_lossless_too_short.dcm": "image-truncated",  # ends inside its first frames
}
#: Files that pydicom itself does not decode or that carry no meta header: nothing to compare with.
ALONE = {"HTJ2K_08_RGB.dcm", "JLSL_RGB_ILV0.dcm", "JLSN_RGB_ILV0.dcm", "liver_deflate.dcm", "IM-0001-9600-0001.dcm"}
#: Folder → code of its refusal as a volume, or the number of slices.
SERIES = {
    "dicom2nifti/failing/gantrytilting/001": "series-tilt",
    "dicom2nifti/failing/slicecount/001": "series-few",
    "dicom2nifti/failing/sliceincrement/001": "series-gap",
    "dicom2nifti/failing/sliceorientation/001": "series-orientation",
    "dicom2nifti/philips_enhanced/fmri/001": "series-duplicates",
    "dicom2nifti/ge/anatomical/001": 4,
    "dicom2nifti/generic/compressed_j2k/001": 4,
    "dicom2nifti/generic/compressed_jpeg/001": 4,
    "dicom2nifti/generic/compressed_jpegls/001": 4,
    "dicom2nifti/generic/compressed_rle/001": 4,
    "dicom2nifti/hitachi/anatomical/001": 4,
    "dicom2nifti/hyperfine/anatomical/001": 8,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set, unpacked."""
    return unpacked("dicom_robustness.zip", tmp_path_factory.mktemp("robustness"))


def reference(path: Path) -> np.ndarray:
    """pydicom's own pixels, rescaled by its own function, as float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path)
        found = pydicom.pixels.apply_rescale(data.pixel_array, data).astype(np.float32)
    if data.get("SamplesPerPixel", 1) == 3:
        return np.moveaxis(found, -1, 0)
    return found[None]


def test_all_files_are_read_or_refused_by_name(root: Path):
    files = sorted(p for p in root.rglob("*") if p.is_file())
    assert len(files) == 69
    compared = 0
    for path in files:
        name, at = path.relative_to(root).as_posix(), time.monotonic()
        try:
            found = scan.read(name, root)
        except InputError as error:
            assert REFUSED.get(name) == error.code, name
            assert path.name in error.message
            continue
        assert name not in REFUSED
        assert time.monotonic() - at < 5
        assert np.isfinite(found.values).all()
        assert scan.header(name, root).shape == found.values.shape
        if path.name not in ALONE and found.dims == 2:
            assert np.allclose(found.values, reference(path), atol=1e-3), name
            compared += 1
    assert compared >= 50


@pytest.mark.parametrize("folder", sorted(SERIES))
def test_series_are_volumes_or_named(root: Path, folder: str):
    known = SERIES[folder]
    if isinstance(known, str):
        with pytest.raises(InputError) as caught:
            scan.read(folder, root)
        assert caught.value.code == known
        return
    found = scan.read(folder, root, dims=3)
    assert found.values.shape[1] == known
    assert np.linalg.det(found.affine[:3, :3]) > 0
    assert np.allclose(np.linalg.norm(found.affine[:3, :3], axis=0)[::-1], found.spacing)


def test_packed_series_hold_the_same_volume(root: Path):
    """One series in four packings without loss."""
    packings = ("compressed_j2k", "compressed_jpeg", "compressed_jpegls", "compressed_rle")
    volumes = [scan.read(f"dicom2nifti/generic/{p}/001", root).values for p in packings]
    for other in volumes[1:]:
        assert np.array_equal(volumes[0], other)


def test_deflated_frames_are_those_of_the_open_file(root: Path):
    """liver_deflate holds the object of liver_nonbyte_aligned at 512 columns; both are masks of the same liver."""
    deflated, plain = (scan.read(f"pydicom-data/liver_{n}.dcm", root).values for n in ("deflate", "nonbyte_aligned"))
    assert set(np.unique(deflated)) == set(np.unique(plain)) == {0.0, 1.0}
    assert np.array_equal(deflated[..., :510, :510], plain)
