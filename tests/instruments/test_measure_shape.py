"""Shapes with known answers: boxes and single voxels by hand, balls and ellipsoids by formula, IBSI's phantom by its published values."""

from __future__ import annotations

import numpy as np
import pytest

from tests.instruments.solids import PHANTOM, box, ellipsoid, steps, turned

pytest.importorskip("skimage")

from osler.adapters.skimage_surface import outlines, surface
from osler.instruments.measure.features import SHAPE
from osler.instruments.measure.shape import (
    Region,
    area,
    axial_axes,
    boundary_error,
    farthest,
    plane_diameter,
    principal_axes,
    shape_features,
    volume,
)


def test_the_surface_of_one_voxel_is_an_octahedron():
    corners, faces = surface(box((1, 1, 1)))
    assert len(corners) == 6
    assert len(faces) == 8
    assert np.allclose(sorted(map(tuple, corners - 1)), sorted([(0.5, 0, 0), (-0.5, 0, 0), (0, 0.5, 0), (0, -0.5, 0), (0, 0, 0.5), (0, 0, -0.5)]))
    assert volume(corners, faces) == pytest.approx(1 / 6)
    assert area(corners, faces) == pytest.approx(np.sqrt(3))


def test_one_voxel_has_hand_worked_features():
    found = shape_features(Region(box((1, 1, 1)), steps(2, 3, 6)))
    assert found["voxels"] == found["components"] == 1
    assert found["volume_voxels_mm3"] == pytest.approx(36)
    assert found["volume_mm3"] == pytest.approx(6)
    assert found["diameter_3d_mm"] == pytest.approx(6)
    assert found["diameter_xy_mm"] == pytest.approx(3)
    assert found["diameter_xz_mm"] == pytest.approx(6)
    assert found["diameter_yz_mm"] == pytest.approx(6)
    assert found["long_axis_mm"] == pytest.approx(3)
    assert found["short_axis_mm"] == pytest.approx(2)
    assert found["axis_major_mm"] == 0
    assert found["elongation"] == found["flatness"] == 1


def test_the_names_are_those_of_the_reference():
    assert list(shape_features(Region(box((2, 2, 2)), steps(1, 1, 1)))) == list(SHAPE)


@pytest.mark.parametrize("sides", [(1.0, 1.0, 1.0), (0.7, 0.7, 1.5), (0.5, 0.8, 2.0)])
def test_a_ball_has_the_volume_diameter_and_axes_of_a_ball(sides):
    found = shape_features(Region(ellipsoid((15, 15, 15), steps(*sides)), steps(*sides)))
    assert found["volume_mm3"] == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.01)
    assert found["diameter_3d_mm"] == pytest.approx(30, abs=max(sides))
    assert found["long_axis_mm"] == pytest.approx(30, abs=1.0)
    assert found["short_axis_mm"] == pytest.approx(30, abs=1.0)
    assert found["elongation"] == pytest.approx(1, abs=0.01)
    assert found["flatness"] == pytest.approx(1, abs=0.01)
    assert found["axis_major_mm"] == pytest.approx(4 / np.sqrt(5) * 15, rel=0.01)  # moments of a solid ball: r²/5 per axis
    assert 0.8 < found["sphericity"] <= 1  # voxels have steps, a ball has none


def test_an_ellipsoid_has_its_axes():
    affine = steps(0.5, 0.5, 1.0)
    found = shape_features(Region(ellipsoid((20, 12, 8), affine), affine))
    assert found["volume_mm3"] == pytest.approx(4 / 3 * np.pi * 20 * 12 * 8, rel=0.01)
    assert found["elongation"] == pytest.approx(12 / 20, abs=0.01)
    assert found["flatness"] == pytest.approx(8 / 20, abs=0.01)
    assert found["long_axis_mm"] == pytest.approx(40, abs=0.6)
    assert found["short_axis_mm"] == pytest.approx(24, abs=0.6)
    assert found["long_axis_slice"] == (21 - 1) // 2  # the middle of 2 * (8 + 2) + 1 slices


def test_turning_the_scan_changes_nothing():
    mask = ellipsoid((9, 6, 5), steps(0.6, 0.9, 2.0))
    straight = shape_features(Region(mask, steps(0.6, 0.9, 2.0)))
    oblique = shape_features(Region(mask, turned(steps(0.6, 0.9, 2.0), 33)))
    for name, value in straight.items():
        assert oblique[name] == pytest.approx(value, rel=1e-9), name


def test_shape_numbers_hang_together():
    found = shape_features(Region(ellipsoid((9, 7, 5), steps(1, 1, 1)), steps(1, 1, 1)))
    assert found["surface_volume_ratio_per_mm"] == pytest.approx(found["surface_area_mm2"] / found["volume_mm3"])
    assert found["spherical_disproportion"] == pytest.approx(1 / found["sphericity"])
    assert found["asphericity"] == pytest.approx(found["spherical_disproportion"] - 1)
    assert found["compactness_2"] == pytest.approx(found["sphericity"] ** 3)
    assert found["compactness_1"] == pytest.approx(np.sqrt(found["compactness_2"]) / (6 * np.pi))
    assert found["diameter_3d_mm"] >= max(found["diameter_xy_mm"], found["diameter_xz_mm"], found["diameter_yz_mm"])
    assert found["long_axis_mm"] >= found["short_axis_mm"]


def test_parts_are_counted_and_corners_hold_together():
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[1, 1, 1] = mask[2, 2, 2] = mask[5, 5, 5] = True
    assert shape_features(Region(mask, steps(1, 1, 1)))["components"] == 2


def test_a_region_at_the_border_is_closed_there():
    whole = np.ones((3, 4, 5), dtype=bool)
    inner = shape_features(Region(box((5, 4, 3), margin=2), steps(1, 1, 1)))
    outer = shape_features(Region(whole, steps(1, 1, 1)))
    assert outer["volume_mm3"] == pytest.approx(inner["volume_mm3"])
    assert outer["diameter_3d_mm"] == pytest.approx(inner["diameter_3d_mm"])


def test_the_ibsi_phantom_gives_the_published_values():
    """Consensus values of the digital phantom (reference manual, morphology)."""
    found = shape_features(Region(PHANTOM > 0, steps(2, 2, 2)))
    published = {
        "volume_mm3": 556, "volume_voxels_mm3": 592, "surface_area_mm2": 388, "surface_volume_ratio_per_mm": 0.698, "compactness_1": 0.0411,
        "compactness_2": 0.599, "spherical_disproportion": 1.19, "sphericity": 0.843, "asphericity": 0.186, "diameter_3d_mm": 13.1,
        "axis_major_mm": 11.4, "axis_minor_mm": 9.31, "axis_least_mm": 8.54, "elongation": 0.816, "flatness": 0.749,
    }  # fmt: skip
    for name, value in published.items():
        assert found[name] == pytest.approx(value, rel=5e-3), name


def test_random_masks_have_watertight_surfaces():
    mask = np.random.default_rng(0).random((12, 12, 12)) < 0.4
    _, faces = surface(mask)
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    assert set(np.unique(ends, axis=0, return_counts=True)[1].tolist()) <= {2, 4}
    assert np.unique(ends, axis=0, return_counts=True)[1].max() == 2


def test_an_empty_mask_has_an_empty_surface():
    corners, faces = surface(np.zeros((3, 3, 3), dtype=bool))
    assert corners.shape == (0, 3)
    assert volume(corners, faces) == 0


def test_the_surface_lies_where_the_mask_lies():
    mask = np.zeros((9, 10, 11), dtype=bool)
    mask[6:8, 2:5, 3] = True
    corners, faces = surface(mask)
    assert corners.min(axis=0).tolist() == [2.5, 1.5, 5.5]
    assert corners.max(axis=0).tolist() == [3.5, 4.5, 7.5]
    assert volume(corners, faces) > 0


def test_the_farthest_points_are_those_of_all_pairs():
    points = np.random.default_rng(1).normal(size=(300, 3))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    longest, a, b = farthest(points)
    assert longest == pytest.approx(apart.max())
    assert np.linalg.norm(a - b) == pytest.approx(longest)


def test_farthest_of_points_on_a_line_and_of_one_point():
    line = np.outer(np.arange(100.0), [1, 1, 0])
    assert farthest(line)[0] == pytest.approx(99 * np.sqrt(2))
    assert farthest(np.zeros((1, 3)))[0] == 0
    assert farthest(np.zeros((0, 3)))[0] == 0


def test_diameters_of_a_box_by_hand():
    """10 x 4 x 2 voxels: vertices lie half a voxel out on one axis at a time."""
    corners, _ = surface(box((10, 4, 2)))
    assert plane_diameter(corners, np.eye(3), 2) == pytest.approx(np.hypot(10, 3))
    assert plane_diameter(corners, np.eye(3), 1) == pytest.approx(np.hypot(10, 1))
    assert plane_diameter(corners, np.eye(3), 0) == pytest.approx(np.hypot(4, 1))


def test_the_long_axis_is_taken_in_the_axial_plane_however_the_scan_was_stored():
    rod = box((30, 4, 4))
    assert axial_axes(Region(rod, steps(1, 1, 1))).long == pytest.approx(np.hypot(30, 3))
    upright = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])  # columns of the scan run along the patient
    assert axial_axes(Region(rod, upright)).long == pytest.approx(5, abs=0.01)  # 4 and 3, half a voxel out on one axis at a time


def test_the_short_axis_is_perpendicular_and_of_the_same_slice():
    mask = np.zeros((5, 30, 40), dtype=bool)
    mask[1, 5:25, 10:12] = True  # 20 long, 2 wide: not the longest
    mask[3, 10:16, 2:38] = True  # 36 long, 6 wide
    found = axial_axes(Region(mask, steps(1, 1, 5)))
    assert found.slice == 3
    assert found.long == pytest.approx(np.hypot(36, 5))
    assert found.short == pytest.approx(6, abs=0.25)
    assert found.pixel == 1


def test_a_region_in_its_box_is_the_same_region():
    mask = np.zeros((20, 30, 40), dtype=bool)
    mask[7:12, 9:20, 15:32] = ellipsoid((8, 5, 2), steps(1, 1, 1), margin=0)
    affine = turned(steps(0.5, 0.6, 3), 20)
    affine[:3, 3] = 4, 5, 6
    whole, boxed = Region(mask, affine), Region.of(mask, affine)
    assert boxed.mask.shape == (5, 11, 17)
    assert boxed.first == (7, 9, 15)
    assert boxed.places == pytest.approx(whole.places)
    for name, value in shape_features(whole).items():
        assert shape_features(boxed)[name] == pytest.approx(value, rel=1e-9), name


def test_the_error_of_a_box_is_half_a_voxel_on_each_side():
    """Of a large box nearly 0.5 voxels per face: 2 * (ab + bc + ca) / 2."""
    corners, faces = surface(box((40, 50, 60)))
    exact = 40 * 50 + 50 * 60 + 60 * 40
    assert boundary_error(corners, faces, np.eye(3)) == pytest.approx(exact, rel=0.03)
    assert boundary_error(corners * [1, 1, 4], faces, np.diag([1.0, 1, 4])) == pytest.approx(4 * exact, rel=0.03)


def test_axes_of_a_line_of_voxels():
    major, minor, least = principal_axes(Region(box((11, 1, 1)), steps(2, 1, 1)))
    assert major == pytest.approx(4 * np.sqrt(4 * 11))  # the sample variance of 11 whole numbers is 11, each step is 2 mm
    assert minor == least == 0


def test_outlines_are_closed_and_halfway():
    (line,) = outlines(np.ones((1, 1), dtype=bool))
    assert line[0].tolist() == line[-1].tolist()
    assert sorted(map(tuple, line[:-1].tolist())) == [(-0.5, 0.0), (0.0, -0.5), (0.0, 0.5), (0.5, 0.0)]
