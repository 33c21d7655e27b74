"""Pictures, stacks, NRRD and MetaImage; what DICOM headers ask to be done to pixels; headers that lie."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from osler.adapters.imaging import dicom_tags, scan
from osler.errors import InputError, LimitError
from tests.adapters.imaging.files import DATA, dicom, item, unpacked

RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (7, 9)).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (7, 9, 3)).astype(np.uint8)


def code_of(reference: str, root: Path, dims: int | None = None) -> str:
    """The code of a refusal."""
    with pytest.raises(InputError) as caught:
        scan.read(reference, root, dims)
    return caught.value.code


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_pictures_keep_their_numbers(tmp_path: Path, name: str):
    Image.fromarray(GREY).save(tmp_path / name)
    Image.fromarray(COLOUR).save(tmp_path / f"c{name}")
    assert np.array_equal(scan.read(name, tmp_path).values, GREY[None].astype(np.float32))
    assert np.array_equal(scan.read(f"c{name}", tmp_path).values, np.moveaxis(COLOUR, -1, 0).astype(np.float32))
    assert scan.header(f"c{name}", tmp_path).shape == (3, 7, 9)
    assert np.isnan(scan.read(name, tmp_path).spacing).all()


def test_sixteen_bits_palettes_transparency_and_turned_cameras(tmp_path: Path):
    deep = RNG.integers(0, 65536, (5, 6)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(scan.read("deep.png", tmp_path).values[0], deep)
    tifffile.imwrite(tmp_path / "deep.tif", RNG.integers(0, 65536, (5, 6, 3)).astype(np.uint16), photometric="rgb")
    assert scan.read("deep.tif", tmp_path).values.max() > 255
    Image.fromarray(COLOUR).quantize(16).save(tmp_path / "p.png")
    assert scan.read("p.png", tmp_path).values.shape == (3, 7, 9)
    Image.fromarray(np.dstack([COLOUR, GREY])).save(tmp_path / "rgba.png")
    assert np.array_equal(scan.read("rgba.png", tmp_path).values, np.moveaxis(COLOUR, -1, 0))
    marks = Image.Exif()
    marks[0x0112] = 6  # turned a quarter
    Image.fromarray(GREY).save(tmp_path / "t.png", exif=marks)
    tifffile.imwrite(tmp_path / "t.tif", GREY, extratags=[(274, "H", 1, 6, True)])
    for name in ("t.tif", "t.png"):
        found = scan.read(name, tmp_path)
        assert np.array_equal(found.values[0], np.rot90(GREY, -1))
        assert scan.header(name, tmp_path).shape == (1, 9, 7)


def test_pages_are_named(tmp_path: Path):
    tifffile.imwrite(tmp_path / "s.tif", np.stack([GREY, 255 - GREY]), photometric="minisblack")
    assert np.array_equal(scan.read("s.tif#1", tmp_path).values[0], 255 - GREY)
    assert code_of("s.tif", tmp_path) == code_of("s.tif#2", tmp_path) == code_of("s.tif#x", tmp_path) == "image-frame"


def test_stacks(tmp_path: Path):
    stack = RNG.integers(0, 256, (4, 6, 5)).astype(np.uint8)
    np.save(tmp_path / "s.npy", stack)
    np.savez_compressed(tmp_path / "s.npz", images=stack, labels=np.arange(4))
    idx = b"\0\0\x08\x03" + struct.pack(">3I", 4, 6, 5) + stack.tobytes()
    (tmp_path / "s-ubyte.gz").write_bytes(gzip.compress(idx))
    for reference in ("s.npy#2", "s.npz#images/2", "s-ubyte.gz#2"):
        assert np.array_equal(scan.read(reference, tmp_path, dims=2).values[0], stack[2]), reference
    assert code_of("s.npz#2", tmp_path) == code_of("s.npy#4", tmp_path) == "image-frame"
    np.save(tmp_path / "o.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    assert code_of("o.npy", tmp_path) == "image-format"
    (tmp_path / "short.npy").write_bytes((tmp_path / "s.npy").read_bytes()[:-1])
    assert code_of("short.npy#0", tmp_path) == "image-truncated"


def test_mnist_is_read_by_number():
    if not (DATA / "mnist").is_dir():
        pytest.skip("needs the imaging data: set OSLER_DATA_MIRROR")
    found = scan.read("mnist/t10k-images-idx3-ubyte.gz#0", DATA, dims=2)
    assert found.values.shape == (1, 28, 28)
    assert (found.values.sum(), found.values.max()) == (18454.0, 255.0)  # the first test digit, a seven


NRRD = """NRRD0004
type: short
dimension: 3
space: {space}
sizes: 4 3 2
space directions: (0.5,0,0) (0,0.75,0) (0,0,{z})
kinds: domain domain domain
endian: little
encoding: {encoding}
space origin: (1,2,3)

"""


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior"])
def test_nrrd(tmp_path: Path, encoding: str, space: str):
    values = np.arange(24, dtype="<i2").reshape(2, 3, 4)
    data = values.tobytes() if encoding == "raw" else gzip.compress(values.tobytes())
    (tmp_path / "a.nrrd").write_bytes(NRRD.format(space=space, encoding=encoding, z=2.0).encode() + data)
    found = scan.read("a.nrrd", tmp_path, dims=3)
    assert np.array_equal(found.values[0], values)
    assert found.spacing.tolist() == [2.0, 0.75, 0.5]
    sign = 1 if space.startswith("left") else -1
    assert np.allclose(found.affine[:3, 3], [sign, 2 * sign, 3])
    assert np.allclose(np.diag(found.affine), [0.5 * sign, 0.75 * sign, 2.0, 1.0])


def test_left_handed_axes_are_turned_with_their_slices(tmp_path: Path):
    values = np.arange(24, dtype="<i2").reshape(2, 3, 4)
    text = NRRD.format(space="left-posterior-superior", encoding="raw", z=-2.0)
    (tmp_path / "a.nrrd").write_bytes(text.encode() + values.tobytes())
    found = scan.read("a.nrrd", tmp_path)
    assert np.array_equal(found.values[0], values[::-1])
    assert np.allclose(found.affine[:3, 3], [1, 2, 1])
    assert np.linalg.det(found.affine[:3, :3]) > 0


def test_meta_images_in_one_file_and_in_two(tmp_path: Path):
    values = np.arange(24, dtype="<f4").reshape(2, 3, 4)
    head = "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_FLOAT\nElementSpacing = 0.5 0.75 2\n"
    head += "Offset = 1 2 3\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    packed = head + "CompressedData = True\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(packed.encode() + zlib.compress(values.tobytes()))
    (tmp_path / "b.mhd").write_text(head + "ElementDataFile = b.raw\n", encoding="ascii")
    (tmp_path / "b.raw").write_bytes(values.tobytes())
    for name in ("a.mha", "b.mhd"):
        found = scan.read(name, tmp_path, dims=3)
        assert np.array_equal(found.values[0], values)
        assert (found.spacing.tolist(), found.affine[:3, 3].tolist()) == ([2.0, 0.75, 0.5], [1.0, 2.0, 3.0])
    (tmp_path / "c.mhd").write_text(head + "ElementDataFile = ../b.raw\n", encoding="ascii")
    assert code_of("c.mhd", tmp_path) == "read-outside"


def test_tumour_scans_and_their_labels_share_a_grid(tmp_path: Path):
    root = unpacked("radiomics_tumour_nrrd.zip", tmp_path)
    for name in ("brain1", "brain2", "breast1"):
        image, label = (scan.read(f"{name}_{kind}.nrrd", root, dims=3) for kind in ("image", "label"))
        assert image.values.shape == label.values.shape
        assert np.allclose(image.affine, label.affine, atol=1e-3)
        assert set(np.unique(label.values)) <= {0.0, 1.0}


def test_monochrome1_window_and_unused_bits(tmp_path: Path):
    stored = np.array([[0, 100], [4095, 0xF001]], dtype=np.uint16)  # the last holds an overlay in its upper bits
    one = dicom(stored, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11, RescaleSlope=2, RescaleIntercept=10,
                WindowCenter=100.5, WindowWidth=201, Modality="CR")  # fmt: skip
    one.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    found = scan.read("a.dcm", tmp_path, dims=2)
    assert found.values[0].tolist() == [[4095 * 2 + 10, 3995 * 2 + 10], [10, 4094 * 2 + 10]]
    assert found.facts["window"] == (8210.0 - 200.0, 8210.0)
    assert "MONOCHROME1 turned" in found.facts["applied"]


def test_modality_table(tmp_path: Path):
    table = item(LUTDescriptor=[3, 0, 16], ModalityLUTType="US", LUTData=np.array([5, 50, 500], dtype=np.uint16).tobytes())
    one = dicom(np.array([[0, 1], [2, 1]], dtype=np.uint16), ModalityLUTSequence=[table], Modality="OT")
    one.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert scan.read("a.dcm", tmp_path).values[0].tolist() == [[5, 50], [500, 50]]


def test_uptake_is_decayed_dose_per_weight(tmp_path: Path):
    """SUVbw = activity · weight / (dose · 2^(−t / T½)): one half-life after injection, half of 370 MBq is left."""
    tracer = item(RadionuclideTotalDose=3.7e8, RadionuclideHalfLife=3600.0, RadiopharmaceuticalStartTime="100000")
    known = {
        "Modality": "PT", "Units": "BQML", "DecayCorrection": "START", "CorrectedImage": ["ATTN", "DECY"], "PatientWeight": 74.0,
        "SeriesTime": "110000", "RescaleSlope": 10.0, "RescaleIntercept": 0.0, "RadiopharmaceuticalInformationSequence": [tracer],
    }  # fmt: skip
    dicom(np.array([[0, 250]], dtype=np.uint16), **known).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    found = scan.read("a.dcm", tmp_path)
    assert np.allclose(found.values[0], [[0.0, 2500.0 * 74_000 / 1.85e8]])
    assert found.facts["unit"] == "SUVbw"
    dicom(np.array([[0, 250]], dtype=np.uint16), **{**known, "PatientWeight": None}).save_as(tmp_path / "b.dcm", enforce_file_format=True)
    assert scan.read("b.dcm", tmp_path).values[0].tolist() == [[0.0, 2500.0]]


def test_the_walk_finds_what_pydicom_finds(tmp_path: Path):
    nested = item(ReferencedSOPInstanceUID="1.2", PurposeOfReferenceCodeSequence=[item(CodeValue="1")])
    one = dicom(np.zeros((4, 4), np.int16), PixelSpacing=[0.5, 0.25], SourceImageSequence=[nested, nested], Manufacturer="M\u00fcller")
    one["SourceImageSequence"].is_undefined_length = True
    one.SpecificCharacterSet = "ISO_IR 100"
    one.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    data = (tmp_path / "a.dcm").read_bytes()
    found = dicom_tags.walk(data)
    assert (found["PixelSpacing"], found["Rows"], found["Manufacturer"]) == ((0.5, 0.25), 4, "M\u00fcller")
    assert found["pixels_at"] == len(data) - 32
    for end in range(len(data)):
        walked = dicom_tags.walk(data[:end])
        assert walked is None or isinstance(walked, dict)


def test_headers_that_lie_reserve_nothing(tmp_path: Path):
    huge = dicom(np.zeros((4, 4), np.uint16), NumberOfFrames=100_000)
    huge.Rows = huge.Columns = 60_000
    huge.save_as(tmp_path / "huge.dcm", enforce_file_format=True)
    with pytest.raises(LimitError):
        scan.read("huge.dcm", tmp_path)
    liar = dicom(np.zeros((4, 4), np.uint16))
    liar.Rows = 9000
    liar.save_as(tmp_path / "liar.dcm", enforce_file_format=True)
    assert code_of("liar.dcm", tmp_path) == "image-truncated"
    (tmp_path / "a.nrrd").write_bytes(NRRD.format(space="lps", encoding="raw", z=1).replace("4 3 2", "9999 9999 9999").encode())
    with pytest.raises(LimitError):
        scan.read("a.nrrd", tmp_path)


def test_a_deflated_bomb_is_refused(tmp_path: Path):
    shell = dicom(np.zeros((4, 4), np.uint16), dicom_tags.DEFLATED)
    shell.save_as(tmp_path / "deflated.dcm", enforce_file_format=True)
    assert scan.read("deflated.dcm", tmp_path).values.shape == (1, 4, 4)
    head = (tmp_path / "deflated.dcm").read_bytes()
    start = dicom_tags.meta(head)[1]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(b"\0" * (200 << 20)) + packer.flush()
    (tmp_path / "bomb.dcm").write_bytes(head[:start] + bomb)
    assert code_of("bomb.dcm", tmp_path) == "limit-ratio"


def test_references_do_not_leave_the_folder(tmp_path: Path):
    (tmp_path / "in").mkdir()
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY).save(tmp_path / "in" / "b#1.png")
    assert code_of("../a.png", tmp_path / "in") == "read-outside"
    assert code_of(str(tmp_path / "a.png"), tmp_path / "in") == "read-outside"
    assert code_of("none.png", tmp_path) == code_of("", tmp_path) == code_of("\0", tmp_path) == "read-missing"
    assert scan.read("b#1.png", tmp_path / "in").dims == 2
    assert code_of("a.png", tmp_path, dims=3) == "image-dims"
    (tmp_path / "t.txt").write_text("no picture", encoding="ascii")
    (tmp_path / "e.png").write_bytes(b"")
    assert (code_of("t.txt", tmp_path), code_of("e.png", tmp_path)) == ("image-format", "image-empty")
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("x.txt", "1")
    assert code_of("z.npz#x/0", tmp_path) == "image-frame"
