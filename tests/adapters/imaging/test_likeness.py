"""Copies of a scan are found however they were saved; scans of two people are not taken for one."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from osler.adapters.imaging import likeness
from osler.adapters.imaging.scan import Scan
from tests.adapters.imaging.files import DATA

FILMS = DATA / "cxr_pneumonia_kermany_224.zip"
EYES, BRAINS = DATA / "drive_retina_half.zip", DATA / "oasis1_mri_4mm.npz"


def seen(picture: Image.Image) -> dict[str, np.ndarray]:
    values = np.asarray(picture.convert("L"), dtype=np.float32)[None]
    return likeness.fingerprint(Scan(values, np.full(2, np.nan), np.eye(4)))


def pairs_of(prints: list[dict[str, np.ndarray]], **given: likeness.Alike) -> set[tuple[int, int]]:
    found = likeness.near([p["bits"] for p in prints], [p["thumbnail"] for p in prints], **given)
    return set(map(tuple, found.tolist()))


@pytest.fixture(scope="module")
def films() -> list[Image.Image]:
    """The first film of each of 40 children."""
    if not FILMS.is_file():
        pytest.skip("needs the chest X-rays of the imaging data: set OSLER_DATA_MIRROR")
    with zipfile.ZipFile(FILMS) as archive:
        rows = archive.read("labels.csv").decode().split("\n")[1:]
        firsts = {}
        for path, *_, patient in (r.strip().split(",") for r in rows if r):
            firsts.setdefault(patient, path)
        return [Image.open(io.BytesIO(archive.read(path))).convert("L") for path in list(firsts.values())[:40]]


def resaved(picture: Image.Image, quality: int) -> Image.Image:
    held = io.BytesIO()
    picture.save(held, "jpeg", quality=quality)
    return Image.open(held)


COPIES = {
    "saved at quality 50": lambda p: resaved(p, 50),
    "half the size": lambda p: p.resize((p.width // 2, p.height // 2), Image.Resampling.BILINEAR),
    "twice the size": lambda p: p.resize((p.width * 2, p.height * 2), Image.Resampling.BICUBIC),
    "a seventh brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.14),
    "less contrast": lambda p: ImageEnhance.Contrast(p).enhance(0.8),
    "two pixels cut at each side": lambda p: p.crop((2, 2, p.width - 2, p.height - 2)),
    "3 % cut at one side": lambda p: p.crop((p.width * 3 // 100, p.height * 2 // 100, p.width, p.height)),
    "turned by 2 degrees": lambda p: p.rotate(2, Image.Resampling.BILINEAR),
    "made smaller and saved at quality 60": lambda p: resaved(p.resize((p.width * 7 // 10, p.height * 7 // 10), Image.Resampling.BILINEAR), 60),
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_found(films: list[Image.Image], how: str):
    """Every one of 40 films finds its copy, and no other film."""
    prints = [seen(p) for p in films] + [seen(COPIES[how](p)) for p in films]
    assert pairs_of(prints) == {(i, i + 40) for i in range(40)}


@pytest.mark.parametrize("how", ["saved at quality 50", "turned by 2 degrees", "3 % cut at one side"])
def test_eyes_of_different_people_are_different_and_copies_of_one_are_found(how: str):
    """Fundus pictures of one camera correlate to 0.95 and more as a whole (DRIVE, 20 eyes): frame and shading are not what makes them the same."""
    if not EYES.is_file():
        pytest.skip("needs the fundus pictures of the imaging data: set OSLER_DATA_MIRROR")
    with zipfile.ZipFile(EYES) as archive:
        names = sorted(n for n in archive.namelist() if n.startswith("training/images/"))
        eyes = [Image.open(io.BytesIO(archive.read(n))).convert("L") for n in names]
    prints = [seen(p) for p in eyes]
    whole = np.stack([p["thumbnail"].ravel() for p in prints])
    assert (np.triu(whole @ whole.T / whole.shape[1], 1) > 0.95).sum() > 50
    assert len(eyes) == 20
    assert pairs_of(prints) == set()
    assert pairs_of([*prints, *(seen(COPIES[how](p)) for p in eyes)]) == {(i, i + 20) for i in range(20)}


VOLUMES = {
    "noise": lambda v, rng: v + rng.normal(0, 0.02 * v.std(), v.shape),
    "fewer greys": lambda v, rng: np.rint(v / 4) * 4,
    "brighter": lambda v, rng: np.clip(v * 1.14, 0, 255),
    "cut": lambda v, rng: v[1:, 1:-1, 1:],
}  # fmt: skip


@pytest.mark.parametrize("how", VOLUMES)
def test_brains_of_different_people_are_different_and_copies_of_one_are_found(how: str):
    if not BRAINS.is_file():
        pytest.skip("needs the brains of the imaging data: set OSLER_DATA_MIRROR")
    rng = np.random.default_rng(0)
    with np.load(BRAINS) as held:
        brains = held["image"][:60].astype(np.float32)

    def of(values: np.ndarray) -> dict[str, np.ndarray]:
        return likeness.fingerprint(Scan(np.asarray(values, np.float32)[None], np.ones(3), np.eye(4)))

    prints = [of(v) for v in brains] + [of(VOLUMES[how](v, rng)) for v in brains]
    assert pairs_of(prints, alike=likeness.VOLUMES) == {(i, i + 60) for i in range(60)}


def test_films_of_different_children_are_different(films: list[Image.Image]):
    prints = [seen(p) for p in films]
    assert pairs_of(prints) == set()
    assert len({p["exact"].tobytes() for p in prints}) == 40


def test_a_mirrored_or_turned_film_is_another(films: list[Image.Image]):
    """A side of a body matters: a mirrored film is no copy."""
    for change in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180):
        assert pairs_of([seen(films[0]), seen(films[0].transpose(change))]) == set()


def test_many_pictures_are_compared_by_bands_and_find_the_same(films: list[Image.Image], monkeypatch: pytest.MonkeyPatch):
    """What comparing all pairs finds, comparing those with like prints finds too, for copies saved anew."""
    prints = [seen(p) for p in films] + [seen(resaved(p, 80)) for p in films]
    everything = pairs_of(prints)
    monkeypatch.setattr(likeness, "ALL_PAIRS", 10)
    assert pairs_of(prints) == everything


def test_the_order_of_pictures_does_not_matter(films: list[Image.Image]):
    prints = [seen(p) for p in films[:6]] + [seen(resaved(p, 50)) for p in films[:6]]
    order = np.random.default_rng(0).permutation(12)
    turned = pairs_of([prints[i] for i in order])
    assert {tuple(sorted((int(order[a]), int(order[b])))) for a, b in turned} == pairs_of(prints)


def test_small_and_empty_pictures_are_compared_exactly_only():
    rng = np.random.default_rng(0)
    small = [Scan(rng.normal(size=(1, 63, 200)).astype(np.float32), np.ones(2), np.eye(4)) for _ in range(2)]
    flat = [Scan(np.full((1, 80, 80), v, np.float32), np.ones(2), np.eye(4)) for v in (1.0, 2.0)]
    prints = [likeness.fingerprint(s) for s in (*small, small[0], *flat)]
    assert all(p["bits"].size == 0 for p in prints)
    assert pairs_of(prints) == set()
    assert prints[0]["exact"].tobytes() == prints[2]["exact"].tobytes() != prints[1]["exact"].tobytes()
    assert prints[3]["exact"].tobytes() != prints[4]["exact"].tobytes()


def test_shape_is_part_of_being_exactly_the_same():
    values = np.arange(96 * 64, dtype=np.float32)
    first, second = (likeness.exactly(values.reshape(shape)) for shape in ((96, 64), (64, 96)))
    assert first["exact"].tobytes() != second["exact"].tobytes()
    whole = likeness.fingerprint(Scan(values.reshape(1, 96, 64), np.ones(2), np.eye(4)))
    assert whole["exact"].tobytes() == first["exact"].tobytes()


def test_a_volume_is_seen_as_the_sum_of_its_slices():
    """Noise in a few slices does not hide a copy; another volume is another."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(3)
    one, other = (gaussian_filter(rng.normal(size=(20, 90, 80)), (1, 5, 5)).astype(np.float32) for _ in range(2))
    noisy = one + rng.normal(0, 0.02 * one.std(), one.shape).astype(np.float32)
    prints = [likeness.fingerprint(Scan(v[None], np.ones(3), np.eye(4))) for v in (one, noisy, other)]
    assert pairs_of(prints, alike=likeness.VOLUMES) == {(0, 1)}
