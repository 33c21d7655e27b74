"""Pictures and volumes as columns: what is learnt, what a model sees, what is the same scan, what chance may change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image as Picture

from osler import modalities
from osler.adapters.imaging import cache, nifti, resample
from osler.adapters.imaging.scan import Scan
from osler.cohort.column import Column
from osler.errors import OptionError
from tests.adapters.imaging.files import DATA

RNG = np.random.default_rng(11)


def smooth(side: int, seed: int) -> np.ndarray:
    """A (side, side) picture of soft shapes, uint8."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), side / 12)
    return np.clip((noise - noise.min()) / np.ptp(noise) * 255, 0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch):
    """No store of one test is seen by another."""
    monkeypatch.setattr(cache, "_STORES", {})
    monkeypatch.delenv("OSLER_CACHE", raising=False)


def column(**options: object) -> Column:
    """A column of pictures."""
    return Column("x", "image", options=options)


def test_size_window_and_channels_are_learnt_from_training_rows(tmp_path: Path):
    for i in range(5):
        Picture.fromarray(np.full((20, 30), 10 * i, np.uint8)).save(tmp_path / f"{i}.png")
    Picture.fromarray(np.full((9, 9), 255, np.uint8)).save(tmp_path / "other.png")
    image = modalities.get("image")
    state = image.fit(pl.Series(["0.png", "1.png", "2.png", "3.png", "4.png"]), column(), tmp_path)
    assert (state["size"], state["n_channels"], state["window"]) == ([20, 30], 1, [0.0, 40.0])
    block = image.encode(pl.Series(["2.png", None, "other.png", "lost.png"]), state, tmp_path)
    assert block.values.shape == (4, 1, 20, 30)
    assert np.allclose(block.values[0], 0.5)
    assert block.present.tolist() == [True, False, True, False]
    assert block.values[2].max() == 1.0  # beyond the window of the training rows
    assert not block.values[[1, 3]].any()


def test_sizes_and_colours(tmp_path: Path):
    colour = RNG.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    Picture.fromarray(colour).save(tmp_path / "c.png")
    Picture.fromarray(colour[..., 0]).save(tmp_path / "g.png")
    image, cells = modalities.get("image"), pl.Series(["c.png", "g.png"])
    whole = {"scale": "none", "size": (40, 40)}
    state = image.fit(cells, column(channels="rgb", **whole), tmp_path)
    block = image.encode(cells, state, tmp_path)
    assert np.array_equal(block.values[0], np.moveaxis(colour, -1, 0))
    assert np.array_equal(block.values[1], np.repeat(colour[None, ..., 0], 3, axis=0))
    grey = image.encode(cells, image.fit(cells, column(**whole), tmp_path), tmp_path)
    assert np.allclose(grey.values[0, 0], colour @ [0.299, 0.587, 0.114], atol=1e-3)
    half = image.encode(cells, image.fit(cells, column(scale="z", size=(20, 20)), tmp_path), tmp_path)
    assert np.allclose(half.values.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    assert np.allclose(half.values.std(axis=(1, 2, 3)), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "word"),
    [({"size": (3,)}, "size"), ({"shape": "fold"}, "shape"), ({"window": (5.0, 1.0)}, "window"), ({"channels": "x"}, "channels"),
     ({"size": ("a", "b")}, "size"), ({"bias": "n3"}, "bias"), ({"spacing": (0.0, 1.0)}, "spacing")],
)  # fmt: skip
def test_options_are_checked(options: dict, word: str):
    with pytest.raises(OptionError, match=word):
        modalities.get("image").fit(pl.Series(["a.png"]), column(**options))


def test_the_steps_of_preparation_are_said_in_order():
    """As `plan.md` prints them; an option changes its step, and no other."""
    plain = modalities.get("volume").steps(Column("mri", "volume"))
    assert [s.split(" ")[0] for s in plain] == ["read", "axes", "resampled", "values"]
    asked = {"bias": "n4", "size": (8, 9, 10), "spacing": (3.0, 1.0, 1.0), "orientation": "stored", "scale": "z", "shape": "crop"}
    told = modalities.get("volume").steps(Column("mri", "volume", options=asked))
    assert told[1] == "shading evened out by N4 (Tustison et al. 2010)"
    assert told[2] == "resampled on 3 x 1 x 1 mm, to 8 x 9 x 10 (proportions kept, cropped; linear, averaged where coarser)"
    assert told[3] == "each scan to mean 0 and spread 1"
    assert modalities.get("number").steps(Column("age", "number")) == ()


def test_shading_is_evened_out_where_it_is_asked_for(tmp_path: Path):
    """The same scan with and without N4 under one cache: two answers, each kept under a key of its own."""
    pytest.importorskip("SimpleITK")
    z, y, x = np.mgrid[-1:1:24j, -1:1:26j, -1:1:22j]
    shaded = (np.sqrt(z**2 + y**2 + x**2) < 0.8) * 100.0 * np.exp(0.5 * z) + 1.0
    np.save(tmp_path / "v.npy", shaded.astype(np.float32))
    cells, volume = pl.Series(["v.npy"]), modalities.get("volume")
    options = {"scale": "none", "size": (24, 26, 22)}
    plain, even = (
        volume.encode(cells, volume.fit(cells, Column("x", "volume", options={**options, "bias": way}), tmp_path), tmp_path).values[0, 0]
        for way in ("none", "n4")
    )
    assert np.array_equal(plain, shaded.astype(np.float32))
    tissue = shaded > 20
    assert even[tissue].std() / even[tissue].mean() < 0.4 * plain[tissue].std() / plain[tissue].mean()


def test_a_new_grid_keeps_places_and_means():
    """Linear in space: a ramp stays a ramp in mm, whatever the grid; a mean is kept where a grid becomes coarser."""
    z, y, x = np.mgrid[:20, :60, :120].astype(np.float32)
    affine = np.diag([0.5, 1.0, 3.0, 1.0])
    affine[:3, 3] = [5, -7, 2]
    places = affine @ np.stack([x.ravel(), y.ravel(), z.ravel(), np.ones(x.size)])
    values = (places[0] + 2 * places[1] - places[2]).reshape(1, 20, 60, 120).astype(np.float32)
    ramp = Scan(values, np.array([3.0, 1.0, 0.5]), affine)
    for shape in resample.SHAPES:
        new = resample.to_grid(ramp, (15, 20, 24), shape)
        assert np.allclose(np.linalg.norm(new.affine[:3, :3], axis=0)[::-1], new.spacing)
        assert np.allclose(new.affine @ [11.5, 9.5, 7.0, 1], affine @ [59.5, 29.5, 9.5, 1])
        for k, j, i in ((7, 9, 11), (5, 11, 13)):
            at = new.affine @ [i, j, k, 1.0]
            assert new.values[0, k, j, i] == pytest.approx(at[0] + 2 * at[1] - at[2], abs=0.3), shape
    exact = resample.to_grid(ramp, (10, 12, 8), "crop", (3.0, 1.0, 1.0))
    assert exact.spacing.tolist() == [3.0, 1.0, 1.0]


def test_thick_slices_are_not_squashed(tmp_path: Path):
    """A ball of 24 mm in a scan of 1 × 1 × 4 mm is a ball on a grid of equal sides."""
    z, y, x = np.mgrid[:12, :48, :48]
    ball = ((z - 5.5) * 4) ** 2 + (y - 23.5) ** 2 + (x - 23.5) ** 2 < 12**2
    nifti.write(tmp_path / "b.nii.gz", ball.astype(np.uint8), np.diag([1.0, 1.0, 4.0, 1.0]))
    volume = modalities.get("volume")
    state = volume.fit(pl.Series(["b.nii.gz"]), Column("x", "volume", options={"size": (24, 24, 24), "scale": "none"}), tmp_path)
    block = volume.encode(pl.Series(["b.nii.gz"]), state, tmp_path)
    found = block.values[0, 0] > 0.5
    extents = [np.ptp(np.flatnonzero(found.any(axis=tuple(a for a in range(3) if a != axis)))) + 1 for axis in range(3)]
    assert max(extents) - min(extents) <= 1
    assert np.allclose(block.geometry["spacing"][0], 2.0)


def test_volumes_run_left_back_and_up(tmp_path: Path):
    values = RNG.integers(0, 99, (4, 5, 6)).astype(np.int16)
    turned = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.array([[0, 0, 2.0, 0], [1.0, 0, 0, 0], [0, 1.5, 0, 0], [0, 0, 0, 1]])
    nifti.write(tmp_path / "t.nii", values, turned)
    volume = modalities.get("volume")
    cells = pl.Series(["t.nii"])
    state = volume.fit(cells, Column("x", "volume"), tmp_path)
    assert state["size"] == [5, 6, 4]
    affine = volume.encode(cells, state, tmp_path).geometry["affine"][0]
    assert all(affine[a, a] > 0 for a in range(3))
    stored = volume.fit(cells, Column("x", "volume", options={"orientation": "stored"}), tmp_path)
    assert stored["size"] == [4, 5, 6]


def test_near_duplicates_under_two_names(tmp_path: Path):
    for seed in range(30):
        Picture.fromarray(smooth(96, seed)).save(tmp_path / f"{seed}.png")
    first = Picture.open(tmp_path / "0.png")
    first.save(tmp_path / "jpeg.jpg", quality=50)
    first.resize((70, 70)).save(tmp_path / "small.png")
    first.point(lambda v: int(v * 0.8 + 10)).save(tmp_path / "dark.png")
    first.save(tmp_path / "copy.bmp")
    cells = pl.Series([*(f"{i}.png" for i in range(30)), "jpeg.jpg", "small.png", "dark.png", "copy.bmp", None, "lost.png"])
    found = modalities.get("image").identities(cells, tmp_path)
    like, pixels = found["likeness"].to_list(), found["pixels"].to_list()
    assert {like[i] for i in (0, 30, 31, 32, 33)} == {like[0]}
    assert len(set(like[:30])) == 30
    assert pixels[0] == pixels[33]
    assert len(set(pixels[:33])) == 33
    assert like[34:] == pixels[34:] == [None, None]


def test_one_chest_film_is_filed_under_two_patients():
    """A known case of the public set: two names, one picture; no two others of different patients are alike."""
    folder = DATA / "cxr_pneumonia_kermany_224.zip"
    if not folder.is_file():
        pytest.skip("needs the imaging data: set OSLER_DATA_MIRROR")
    import tempfile
    import zipfile

    with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(folder) as archive:
        names = [n for n in archive.namelist() if "/test/NORMAL/" in n]
        archive.extractall(temporary, names)
        keys = modalities.get("image").identities(pl.Series(names), Path(temporary))["likeness"].to_list()
    alike: dict[str, set[str]] = {}
    for name, key in zip(names, keys):
        alike.setdefault(key, set()).add("-".join(Path(name).stem.split("-")[:3]))
    assert [sorted(v) for v in alike.values() if len(v) > 1] == [["NORMAL2-IM-0095", "NORMAL2-IM-0096"]]


def test_augmentation_is_bounded_seeded_and_leaves_absent_rows(tmp_path: Path):
    Picture.fromarray(smooth(64, 1)).save(tmp_path / "a.png")
    image, cells = modalities.get("image"), pl.Series(["a.png", None, "a.png"])
    block = image.encode(cells, image.fit(cells, column(), tmp_path), tmp_path)
    once, again = (image.augment(block, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(once.values, again.values)
    assert not np.array_equal(once.values[0], once.values[2])
    assert not once.values[1].any()
    assert np.corrcoef(once.values[0].ravel(), block.values[0].ravel())[0, 1] > 0.5
    still = column(rotate=0.0, shift=0.0, zoom=0.0, brightness=0.0)
    block = image.encode(cells, image.fit(cells, still, tmp_path), tmp_path)
    assert image.augment(block, np.random.default_rng(4)) is block
    mirror = column(rotate=0.0, shift=0.0, zoom=0.0, brightness=0.0, flip=True)
    block = image.encode(cells, image.fit(cells, mirror, tmp_path), tmp_path)
    seen = {bool(np.array_equal(image.augment(block, np.random.default_rng(s)).values[0], block.values[0, :, :, ::-1])) for s in range(12)}
    assert seen == {True, False}


def test_summary_and_thumbnail(tmp_path: Path):
    for i in range(12):
        Picture.fromarray(smooth(40, i)).save(tmp_path / f"{i}.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG, but no more")
    image = modalities.get("image")
    cells = pl.Series([*(f"{i}.png" for i in range(12)), "bad.png", None])
    facts = image.summarise(cells, column(), tmp_path)
    assert (facts["n"], facts["missing"], facts["looked_at"], facts["unreadable"]) == (14, 1, 13, 1)
    assert (facts["shapes"], facts["channels"]) == ({"40 x 40": 12}, [1])
    small = image.thumbnail("0.png", tmp_path, 32)
    assert (small.shape, small.dtype, int(small.min()), int(small.max())) == ((32, 32), np.uint8, 0, 255)
    assert image.reasons(cells, tmp_path) == {"bad.png": "image-format"}


def test_stacks_are_read_together_as_they_are_one_by_one(tmp_path: Path):
    stack = RNG.integers(0, 256, (6, 20, 24)).astype(np.uint8)
    stack[5] = stack[1]
    np.save(tmp_path / "s.npy", stack)
    np.savez(tmp_path / "s.npz", x=stack)
    for i in range(6):
        Picture.fromarray(stack[i]).save(tmp_path / f"{i}.png")
    image, order = modalities.get("image"), [3, 0, 5, 1, 4, 2]
    single = pl.Series([*(f"{i}.png" for i in order), None, "9.png"])
    state = image.fit(single, column(), tmp_path)
    expected = image.encode(single, state, tmp_path)
    for name in ("s.npy#", "s.npz#x/"):
        together = pl.Series([*(f"{name}{i}" for i in order), None, f"{name}9"])
        found = image.encode(together, state, tmp_path)
        assert np.array_equal(found.values, expected.values)
        assert found.present.tolist() == expected.present.tolist() == [True] * 6 + [False] * 2
        assert image.reasons(together, tmp_path) == {f"{name}9": "image-frame"}
        pixels = image.identities(together, tmp_path)["pixels"].to_list()
        assert pixels == image.identities(single, tmp_path)["pixels"].to_list()
        assert pixels[2] == pixels[3]
        assert len(set(pixels[:6])) == 5
        small = image.fit(together, column(size=(10, 12)), tmp_path)
        assert np.array_equal(image.encode(together, small, tmp_path).values, image.encode(single, small, tmp_path).values)
