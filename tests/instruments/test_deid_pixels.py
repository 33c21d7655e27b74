"""Text in pixels and faces of heads: shapes drawn here, and real pictures where the imaging data are."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from osler.instruments.deid import DeidOptions, deface, deidentify
from osler.instruments.deid.burned import shows_text, suspicion
from tests.instruments.dicom_people import outputs, person, pydicom, write

IMAGING = Path(os.environ.get("OSLER_DATA_MIRROR", "nowhere")) / "imaging"
SC = "1.2.840.10008.5.1.4.1.1.7"
real = pytest.mark.skipif(not IMAGING.is_dir(), reason="the imaging data are not here (OSLER_DATA_MIRROR)")


def written(picture: np.ndarray, text: str, place: tuple[int, int], size: int = 16) -> np.ndarray:
    """A picture with a line of text of its brightest value."""
    from PIL import Image, ImageDraw, ImageFont

    layer = Image.new("L", (picture.shape[1], picture.shape[0]), 0)
    ImageDraw.Draw(layer).text(place, text, font=ImageFont.load_default(size=size), fill=255)
    share = np.asarray(layer) / 255
    share = share[..., None] if picture.ndim == 3 else share
    return picture * (1 - share) + share * picture.max()


def smooth(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Noise like anatomy: blurred, with bright and dark places."""
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 6) * 4000 + 1000


@pytest.mark.parametrize("size", [12, 16, 24])
@pytest.mark.parametrize("place", [(4, 4), (10, 220)])
def test_a_line_of_text_is_seen(size: int, place: tuple[int, int]):
    picture = smooth((256, 256), size)
    assert shows_text(written(picture, "DOE JANE 1957", place, size))
    assert shows_text(-written(picture, "DOE JANE 1957", place, size))  # dark on bright


def test_anatomy_noise_markers_and_flat_pictures_are_no_text():
    assert not any(shows_text(smooth((256, 256), seed), borders_only=False) for seed in range(6))
    assert not shows_text(written(smooth((256, 256)), "L", (10, 10), 24))
    assert not shows_text(np.zeros((64, 64))) and not shows_text(np.ones((8, 8)))


def test_text_in_the_middle_counts_only_where_the_whole_is_looked_at():
    picture = written(smooth((300, 300)), "WILHELMINA", (90, 140))
    assert not shows_text(picture) and shows_text(picture, borders_only=False)


def test_colour_pictures():
    picture = np.repeat(smooth((256, 256))[..., None], 3, axis=2)
    assert shows_text(written(picture, "KWIATKOWSKI", (5, 5))) and not shows_text(picture)


@real
def test_real_radiographs_ct_and_fundus_pictures():
    from PIL import Image

    pictures = []
    with zipfile.ZipFile(IMAGING / "drive_retina_half.zip") as archive:
        pictures += [
            np.array(Image.open(io.BytesIO(archive.read(n)))) for n in archive.namelist() if n.endswith(".jpg")
        ][:8]
    with zipfile.ZipFile(IMAGING / "cxr_pneumonia_kermany_224.zip") as archive:
        names = [n for n in archive.namelist() if n.endswith((".jpg", ".jpeg"))]
        pictures += [np.array(Image.open(io.BytesIO(archive.read(n))).convert("L")) for n in names[::80]]
    clean = [shows_text(p, borders_only=False) for p in pictures]
    found = [shows_text(written(p.astype(float), "DOE JANE 1957", (6, 4), 16)) for p in pictures]
    assert not any(clean)
    assert np.mean(found) >= 0.85


@pytest.mark.parametrize(
    ("sop_class", "shown", "kind"),
    [
        ("1.2.3", {"BurnedInAnnotation": "YES"}, "declared"),
        ("1.2.3", {"Modality": "US"}, "possible"),
        (SC, {"Modality": "CT"}, "possible"),
        ("1.2.840.10008.5.1.4.1.1.7.4", {}, "possible"),
        ("1.2.840.10008.5.1.4.1.1.104.1", {}, "possible"),
        ("1.2.840.10008.5.1.4.1.1.6.1", {}, "possible"),
        ("1.2.3", {"Modality": "CT", "PhotometricInterpretation": "RGB"}, "possible"),
        ("1.2.3", {"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "possible"),
        ("1.2.3", {"Modality": "CT", "ConversionType": "WSD"}, "possible"),
        (
            "1.2.3",
            {"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY"], "PhotometricInterpretation": "MONOCHROME2"},
            "",
        ),
        ("1.2.840.10008.5.1.4.1.1.66.4", {"Modality": "SEG"}, ""),
    ],
)
def test_which_kinds_are_suspected(sop_class: str, shown: dict[str, Any], kind: str):
    assert suspicion(sop_class, shown) == kind


def capture(instance: str, picture: np.ndarray, **more: Any) -> Any:
    """A secondary capture of a picture."""
    pixels = np.clip(picture - picture.min(), 0, 65535).astype("<u2")
    return person(instance, SOPClassUID=SC, ConversionType="WSD", Modality="OT", Rows=pixels.shape[0], Columns=pixels.shape[1],
                  PixelData=pixels.tobytes(), **more)  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "held"), [("test", {"2", "3", "5"}), ("strict", {"1", "2", "3", "5"}), ("off", {"3"})]
)
def test_pictures_with_text_are_held_apart(tmp_path: Path, mode: str, held: set[str]):
    plain = smooth((128, 256))
    torn = capture("5", plain)
    torn.PixelData = torn.PixelData[:100]
    text = written(plain, "KWIATKOWSKI W.", (5, 5))
    write(tmp_path / "in", capture("1", plain), capture("2", text), capture("3", plain, BurnedInAnnotation="YES"),
          capture("4", plain, BurnedInAnnotation="NO"), torn, person("6"))  # fmt: skip
    done = deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(burned_in=mode))
    assert {str(pydicom.dcmread(p).InstanceNumber) for p in outputs(done.held)} == held
    assert done.outcomes == {"held": len(held), "written": 6 - len(held)}
    assert all(pydicom.dcmread(p).PatientIdentityRemoved == "YES" for p in outputs(done.held))


def test_encapsulated_documents_cannot_be_looked_into_and_are_held(tmp_path: Path):
    source = person(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", EncapsulatedDocument=b"%PDF")
    del source.PixelData
    write(tmp_path / "in", source)
    assert deidentify(tmp_path / "in", tmp_path / "out", DeidOptions()).outcomes == {"held": 1}


def test_an_overlay_with_text_goes_even_if_graphics_are_kept(tmp_path: Path):
    bits = written(np.eye(128, 256), "KWIATKOWSKI", (110, 20)) > 0.5
    source = person()
    for tag, vr, value in (
        (0x60000010, "US", 128),
        (0x60000011, "US", 256),
        (0x60003000, "OW", np.packbits(bits, bitorder="little").tobytes()),
    ):
        source.add_new(tag, vr, value)
    write(tmp_path / "in", source)
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(keep=("graphics",)))
    assert not [t for t in pydicom.dcmread(outputs(tmp_path / "out")[0]).keys() if t.group == 0x6000]  # noqa: SIM118


def made_head() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A head of ellipsoids in 4 × 2 × 2 mm voxels, front at low y: volume, brain, nose."""
    z, y, x = np.meshgrid(np.arange(40) * 4.0, np.arange(110) * 2.0, np.arange(90) * 2.0, indexing="ij")

    def ball(cz: float, cy: float, cx: float, rz: float, ry: float, rx: float) -> np.ndarray:
        return ((z - cz) / rz) ** 2 + ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1

    head = ball(80, 120, 90, 76, 90, 72) | ball(40, 100, 90, 40, 80, 55)
    skull = ball(95, 120, 90, 54, 78, 62)
    brain = ball(95, 120, 90, 46, 70, 54)
    nose = ball(40, 22, 90, 16, 18, 10)
    noise = np.random.default_rng(5).normal(0, 4, z.shape)
    volume = np.where(brain, 100, np.where(skull, 12, np.where(head | nose, 230, 0))) + noise
    return np.clip(volume, 0, None).astype(np.float32), brain, nose


def test_the_nose_goes_and_the_brain_stays():
    volume, brain, nose = made_head()
    found = deface.find_face(volume, (4, 2, 2), (1, -1), (0, 1))
    assert found.verdict == "removed" and not (found.face & brain).any()
    assert (found.face & nose).sum() / nose.sum() > 0.99


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 1, 0), (2, 0, 1)])
def test_any_orientation_of_slices_gives_the_same_face(axes: tuple[int, int, int]):
    volume, brain, _ = made_head()
    spacing = np.array((4.0, 2.0, 2.0))[list(axes)]
    found = deface.find_face(volume.transpose(axes), tuple(spacing), (axes.index(1), -1), (axes.index(0), 1))
    assert found.verdict == "removed" and not (found.face & brain.transpose(axes)).any()


def test_what_is_no_head_is_unsure():
    rng = np.random.default_rng(2)
    for volume in (np.zeros((20, 64, 64), np.float32), rng.normal(size=(20, 64, 64)).astype(np.float32)):
        found = deface.find_face(volume, (4, 2, 2), (1, -1), (0, 1))
        assert found.verdict == "unsure" and not found.face.any()


@pytest.mark.parametrize(
    ("shown", "is_one"),
    [
        ({"Modality": "MR", "BodyPartExamined": "BRAIN"}, True), ({"Modality": "CT", "StudyDescription": "CCT Kopf nativ"}, True),
        ({"Modality": "MR", "SeriesDescription": "t1 neuro"}, True), ({"Modality": "CT", "BodyPartExamined": "CHEST"}, False),
        ({"Modality": "US", "BodyPartExamined": "HEAD"}, False), ({}, False),
    ],
)  # fmt: skip
def test_which_series_are_heads(shown: dict[str, Any], is_one: bool):
    assert deface.is_head(shown) is is_one


def head_files(volume: np.ndarray) -> list[Any]:
    """A volume as axial MR slices; rows run from front to back, slices from below to above."""
    return [
        person(str(k + 1), SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR", BodyPartExamined="HEAD", Rows=110, Columns=90,
               ImagePositionPatient=[0, 0, 4 * k], ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[2, 2],
               PixelData=plane.astype("<u2").tobytes())
        for k, plane in enumerate(volume)
    ]  # fmt: skip


def test_a_series_of_a_head_loses_its_face_in_the_files(tmp_path: Path):
    volume, brain, nose = made_head()
    write(tmp_path / "in", *head_files(volume), person("99", SeriesInstanceUID="1.2.3.9"))
    done = deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(deface=True))
    assert done.outcomes == {"written": 41}
    made = sorted(
        (d for d in map(pydicom.dcmread, outputs(tmp_path / "out")) if d.Modality == "MR"),
        key=lambda d: d.InstanceNumber,
    )
    after = np.stack([d.pixel_array for d in made])
    before = volume.astype("<u2")
    assert np.array_equal(after[brain], before[brain])
    assert np.median(before[nose]) > 200 and np.median(after[nose]) < 10
    assert made[0].RecognizableVisualFeatures == "NO"
    assert [c.CodeValue for c in made[0].DeidentificationMethodCodeSequence] == ["113100", "113102"]


def test_a_head_that_cannot_be_told_is_held_apart(tmp_path: Path):
    write(tmp_path / "in", *head_files(made_head()[0])[:5])
    assert deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(deface=True)).outcomes == {"held": 5}


@real
def test_the_brain_of_a_real_study_is_untouched(tmp_path: Path):
    """The brain mask is made from FLAIR and T2, not from what is defaced: bright in the middle of the head, opened, eroded."""
    series: dict[str, list[Any]] = {}
    with zipfile.ZipFile(IMAGING / "dicom_mr_glioma_multisequence.zip") as archive:
        for name in archive.namelist():
            if not name.endswith("/") and any(w in name for w in ("T1post", "FLAIR", "T2reg")):
                series.setdefault(name.split("/")[-2], []).append(pydicom.dcmread(io.BytesIO(archive.read(name))))
    volumes = {}
    for name, found in series.items():
        found.sort(key=lambda d: d.ImagePositionPatient[2])
        volumes["T1" if "T1" in name else "FLAIR" if "FLAIR" in name else "T2"] = np.stack(
            [d.pixel_array for d in found]
        ).astype(np.float32)
    flair = volumes["FLAIR"]
    middle = np.median(flair[8:14, 110:210, 90:190])
    alike = (flair > 0.55 * middle) & (flair < 1.9 * middle)
    alike[:6] = alike[19:] = False
    disc = np.hypot(*np.mgrid[-9:10, -9:10]) <= 9
    opened = np.stack([ndimage.binary_opening(plane, disc) for plane in alike])
    labels, _ = ndimage.label(opened)
    brain = ndimage.binary_erosion(labels == labels[12, 160, 120], np.ones((1, 3, 3)))
    assert brain.sum() * 0.6875**2 * 6.5 / 1000 > 500  # ml of a brain without its base
    for name, volume in volumes.items():
        found = deface.find_face(volume, (6.5, 0.6875, 0.6875), (1, -1), (0, 1))
        assert found.verdict == "removed" and 0.05 < found.share < 0.35, name
        assert not (found.face & brain).any(), name
        assert found.face[3, 20:60, 60:220].mean() > 0.6, name  # eyes and nose
