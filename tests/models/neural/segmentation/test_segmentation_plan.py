"""Plans follow the scans: spacing, proportions, memory, minutes; and what is asked for wins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from osler.errors import ColumnError, OptionError
from osler.models.neural.segmentation import fingerprint, planning, scaling
from osler.models.neural.segmentation.drawers import DeepMedic, UNet
from osler.models.neural.segmentation.networks import network_of
from osler.models.neural.segmentation.options import DeepMedicOptions, UNetOptions
from osler.scenes import Asked, Boxes, Drawing, HeldScenes, Scene
from tests.models.neural.segmentation.planted_scenes import balls


def scans(shape, spacing, n=2, low=0.0, channels=1) -> HeldScenes:
    """Empty scans of one kind with a small box drawn."""
    labels = np.zeros(shape, np.uint16)
    labels[tuple(slice(s // 3, s // 2) for s in shape)] = 1
    values = np.full((channels, *shape), 10.0, np.float32)
    values[:, 0] = low
    scene = Scene(values, np.array(spacing, float), np.eye(4), Drawing(labels))
    return HeldScenes((scene,) * n, Asked("segmentation", ("background", "thing"), len(shape)))


def test_a_fingerprint_counts_what_is_there():
    scenes = balls(4, np.random.default_rng(0), (20, 24, 22))
    found = fingerprint.of(scenes)
    assert (found.scans, found.dims, found.channels, found.shape) == (4, 3, 1, (20, 24, 22))
    assert found.spacing == (1.0, 1.0, 1.0) and found.known_spacing and found.total == 4 * 20 * 24 * 22
    shares = [np.mean([(s.drawn.labels == k).mean() for s in scenes]) for k in range(3)]
    np.testing.assert_allclose(found.shares, shares)
    np.testing.assert_allclose(found.voxels, [np.median([(s.drawn.labels == k).sum() for s in scenes]) for k in (1, 2)])


def test_the_plan_follows_the_spacing():
    fine, coarse = UNet().plan(scans((40, 40, 40), (1, 1, 1))), UNet().plan(scans((10, 64, 64), (6, 1, 1)))
    assert fine["spacing"] == [1, 1, 1] and fine["network"]["stem"] == [2, 2, 2]
    assert coarse["spacing"] == [6, 1, 1] and coarse["network"]["stem"] == [1, 2, 2]
    # the coarse axis is neither halved nor convolved over before the others are as coarse
    assert coarse["network"]["strides"][0] == [1, 2, 2] and coarse["network"]["kernels"][0] == [1, 3, 3]
    assert fine["network"]["kernels"][0] == [3, 3, 3]
    twice = UNet(UNetOptions(spacing=("2",))).plan(scans((40, 40, 40), (1, 1, 1)))
    assert twice["spacing"] == [2, 2, 2] and np.prod(twice["patch"]) * 4 < np.prod(fine["patch"])
    assert UNet().plan(scans((40, 40), (np.nan, np.nan)))["spacing"] is None


def test_every_side_of_a_patch_fits_the_network():
    for shape, spacing in (((37, 51, 36), (1, 1, 1)), ((22, 320, 280), (6.5, 0.7, 0.7)), ((300, 200), (np.nan, np.nan)), ((5, 7, 6), (1, 1, 1))):
        plan = UNet().plan(scans(shape, spacing))
        assert all(p % d == 0 for p, d in zip(plan["patch"], plan["divisor"]))
        assert all(w % d == 0 for w, d in zip(plan["window"], plan["divisor"]))
        assert np.prod(plan["divisor"]) == np.prod(plan["network"]["stem"]) * np.prod([np.prod(s) for s in plan["network"]["strides"]])


def test_memory_and_minutes_bound_the_plan():
    scenes = scans((96, 160, 160), (1, 1, 1))
    large, small = (UNet(UNetOptions(memory=m, steps=10)).plan(scenes) for m in (8.0, 0.25))
    assert np.prod(small["patch"]) * 3 < np.prod(large["patch"])
    short, long = (UNet(UNetOptions(minutes=m, patch=("32", "32", "32"))).plan(scenes) for m in (5.0, 50.0))
    assert long["steps"] == pytest.approx(10 * short["steps"], rel=0.01)
    hurried = UNet(UNetOptions(minutes=1.0)).plan(scenes)
    assert np.prod(hurried["patch"]) < np.prod(large["patch"]) and min(hurried["patch"]) >= 32
    assert UNet(UNetOptions(minutes=5, precision="float32", patch=("32", "32", "32"))).plan(scenes)["steps"] * 2 == pytest.approx(short["steps"], abs=2)


def test_what_is_asked_for_wins():
    options = UNetOptions(patch=("30", "30", "30"), width=8, levels=2, batch_size=3, steps=7, norm="batch", stem="full", mirror="all", members=2)
    plan = UNet(options).plan(scans((40, 40, 40), (1, 1, 1)))
    assert plan["patch"] == [30, 30, 30] and plan["network"]["widths"] == [8, 16] and plan["network"]["stem"] == [1, 1, 1]
    assert (plan["batch_size"], plan["steps"], plan["members"], plan["mirror"]) == (3, 7, 2, [0, 1, 2])
    assert plan["network"]["norm"] == "batch" and plan["why"]["steps"] == "as asked"


def test_one_number_of_voxels_is_for_every_axis_and_two_are_not_enough_for_three():
    scenes = scans((40, 40, 40), (1, 1, 1))
    assert UNet(UNetOptions(patch=("24",), levels=2)).plan(scenes)["patch"] == [24, 24, 24]
    for wrong in ({"patch": ("24", "24")}, {"spacing": ("1", "1", "1", "1")}):
        with pytest.raises(OptionError, match="one number or 3"):
            UNet(UNetOptions(**wrong)).plan(scenes)


def test_a_norm_must_not_depend_on_the_window_where_scans_are_larger_than_patches():
    whole, parts = scans((40, 40, 40), (1, 1, 1)), scans((90, 90, 90), (1, 1, 1))
    assert UNet().plan(whole)["network"]["norm"] == "instance"
    large = UNet(UNetOptions(patch=("40",))).plan(parts)
    assert large["network"]["norm"] == "batch" and "windows" in large["why"]["norm"]
    assert UNet(UNetOptions(patch=("40",), norm="instance")).plan(parts)["network"]["norm"] == "instance"
    assert DeepMedic().plan(whole)["network"]["norm"] == "batch"


def test_bodies_are_not_mirrored_and_things_in_pictures_are():
    pictures = scans((64, 64), (np.nan, np.nan))
    assert UNet().plan(pictures)["mirror"] == []
    assert UNet().plan(replace(pictures, asked=replace(pictures.asked, instances=True)))["mirror"] == [0, 1]


def test_hounsfield_units_are_scaled_alike_and_others_by_scan():
    ct = UNet().plan(scans((20, 20, 20), (1, 1, 1), low=-1000.0))["intensities"]
    mr = UNet().plan(scans((20, 20, 20), (1, 1, 1)))["intensities"]
    assert ct[0]["how"] == "shared" and mr == [{"how": "scan", "nonzero": False}]
    scene = scans((20, 20, 20), (1, 1, 1), n=1)[0]
    for factor in (1.0, 7.0):
        changed = replace(scene, values=scene.values * factor)
        np.testing.assert_allclose(
            scaling.seen({"spacing": None, "dims": 3, "channels": 1, "intensities": mr}, changed),
            scaling.seen({"spacing": None, "dims": 3, "channels": 1, "intensities": mr}, scene), atol=1e-5,
        )  # fmt: skip


def test_blanked_out_surroundings_stay_zero():
    values = np.zeros((1, 8, 8), np.float32)
    values[0, 2:6, 2:6] = np.arange(16).reshape(4, 4) + 5
    plan = {"spacing": None, "dims": 2, "channels": 1, "intensities": [{"how": "scan", "nonzero": True}]}
    found = scaling.seen(plan, Scene(values, np.full(2, np.nan), np.eye(4)))
    assert (found[0, :2] == 0).all() and abs(found[0, 2:6, 2:6].mean()) < 1e-6 and abs(found[0, 2:6, 2:6].std() - 1) < 1e-5


def test_labels_go_to_the_nearest_voxel_and_back():
    labels = np.kron(np.arange(1, 5).reshape(2, 2), np.ones((3, 3))).astype(np.uint16)
    there = scaling.labels_gridded(labels, (12, 12))
    np.testing.assert_array_equal(scaling.labels_gridded(there, (6, 6)), labels)
    np.testing.assert_array_equal(scaling.labels_gridded(labels, (2, 2)), [[1, 2], [3, 4]])


def test_scans_of_unlike_channels_are_refused():
    one, two = scans((20, 20, 20), (1, 1, 1)), scans((20, 20, 20), (1, 1, 1), channels=2)
    with pytest.raises(ColumnError, match="channels"):
        UNet().plan(HeldScenes((one[0], two[0]), one.asked))
    with pytest.raises(ColumnError, match="none"):
        UNet().plan(HeldScenes((), one.asked))


def test_classes_of_things_come_from_their_boxes():
    labels = np.array([[1, 1, 0], [0, 2, 2]], np.uint16)
    asked = Asked("segmentation", ("background", "a", "b"), 2, (), True)
    boxes = Boxes(np.zeros((2, 4)), np.array([2, 1]), np.ones(2))
    np.testing.assert_array_equal(fingerprint.classes_of(Drawing(labels, boxes, None, True), asked), [[2, 2, 0], [0, 1, 1]])
    np.testing.assert_array_equal(fingerprint.classes_of(Drawing(labels, None, None, True), asked), [[1, 1, 0], [0, 1, 1]])


def test_deepmedic_reaches_less_along_a_coarse_axis():
    plan = DeepMedic(DeepMedicOptions(steps=1)).plan(scans((22, 80, 70), (6.5, 0.7, 0.7), channels=3))
    assert plan["network"]["factor"] == [1, 3, 3] and plan["network"]["margin"] == [2, 24, 24]
    assert all(p % f == 0 for p, f in zip(plan["patch"], plan["network"]["factor"]))
    assert len(plan["network"]["widths"]) == 8 and plan["network"]["channels"] == 3
    assert sum(p.numel() for p in network_of(plan["network"]).parameters()) > 10_000


def test_estimates_grow_with_the_network():
    plain = UNet(UNetOptions(width=16)).plan(scans((40, 40, 40), (1, 1, 1)))["network"]
    wide, deep = plain | {"widths": [2 * w for w in plain["widths"]]}, plain | {"blocks": 4}
    for other in (wide, deep):
        assert all(a < b for a, b in zip(planning.cost_of_unet(plain), planning.cost_of_unet(other)))
