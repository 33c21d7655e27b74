"""Where voxels lie, by invariants: a number that is linear in the patient's millimetres stays so through every change of grid or order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from osler.adapters.imaging import geometry, resample
from osler.adapters.imaging.scan import Scan
from osler.errors import ReadError

SLOPE = np.array([0.7, -1.3, 0.4])


def places(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(z, y, x, 3) patient millimetres of each voxel."""
    z, y, x = np.indices(shape)
    return np.stack([x, y, z, np.ones(shape)], axis=-1) @ affine.T[:, :3]


def ramp(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(1, z, y, x): a number that is linear in millimetres."""
    return (places(affine, shape) @ SLOPE + 11.0)[None].astype(np.float32)


def oblique(seed: int, spacing: tuple[float, float, float], flip: bool = False) -> np.ndarray:
    """An affine with axes turned anyhow; spacing is of x, y, z."""
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * np.array(spacing)
    if flip:
        affine[:3, 1] *= -1
    affine[:3, 3] = rng.uniform(-80, 80, 3)
    return affine


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("size", "shape", "spacing"),
    [((20, 24, 18), "stretch", ()), ((9, 11, 10), "stretch", ()), ((16, 16, 16), "crop", ()), ((12, 14, 13), "crop", ()),
     ((10, 12, 10), "pad", (3.0, 2.0, 2.5)), ((24, 20, 22), "pad", (0.9, 1.1, 0.7))],
)  # fmt: skip
def test_a_ramp_stays_a_ramp_on_any_grid(seed: int, size: tuple[int, ...], shape: str, spacing: tuple[float, ...]):
    """Values and affine change together: inside of the scan each new voxel holds the ramp at the place that its affine says, exactly where an axis
    becomes finer, and within a tenth of a voxel where it becomes coarser (a triangle on a grid is not quite even)."""
    affine = oblique(seed, (1.1, 0.8, 2.3))
    scan = Scan(ramp(affine, (18, 22, 20)), geometry.spacing_of(affine), affine)
    found = resample.to_grid(scan, size, shape, spacing)
    assert found.values.shape == (1, *size)
    assert np.allclose(found.spacing, geometry.spacing_of(found.affine))
    if spacing:
        assert np.allclose(found.spacing, spacing)
    back = np.einsum("ij,zyxj->zyxi", np.linalg.inv(affine)[:3, :3], places(found.affine, size) - affine[:3, 3])
    margin = np.maximum(found.spacing / scan.spacing, 1.0)[::-1]
    is_inside = np.all((back >= margin) & (back <= np.array([19, 21, 17]) - margin), axis=-1)
    assert is_inside.sum() > 50
    wrong = np.abs(found.values[0] - ramp(found.affine, size)[0])[is_inside].max()
    coarser = (found.spacing > scan.spacing * 1.001)[::-1]
    assert wrong < 2e-3 + 0.1 * np.abs(SLOPE @ affine[:3, :3])[coarser].sum()


@pytest.mark.parametrize("factor", [2, 3])
def test_a_finer_grid_is_linear_interpolation(factor: int):
    """Against scipy's map_coordinates at the same places, first order, edges repeated."""
    values = np.random.default_rng(0).normal(size=(1, 7, 9)).astype(np.float32)
    found = resample.to_grid(Scan(values, np.ones(2), np.eye(4)), (7 * factor, 9 * factor), "stretch")
    at = [(np.arange(n * factor) + 0.5) / factor - 0.5 for n in (7, 9)]
    expected = ndimage.map_coordinates(values[0], np.meshgrid(*at, indexing="ij"), order=1, mode="nearest")
    assert np.allclose(found.values[0], expected, atol=1e-5)


def test_a_coarser_grid_keeps_the_mean_and_loses_what_is_too_fine():
    rng = np.random.default_rng(1)
    values = ndimage.gaussian_filter(rng.normal(size=(48, 48)), 4).astype(np.float32)
    checks = ((np.indices((48, 48)).sum(axis=0) % 2) * 2.0 - 1.0).astype(np.float32)
    coarse = resample.to_grid(Scan((values + checks)[None], np.ones(2), np.eye(4)), (12, 12), "stretch").values[0]
    plain = resample.to_grid(Scan(values[None], np.ones(2), np.eye(4)), (12, 12), "stretch").values[0]
    assert coarse.mean() == pytest.approx(values.mean(), abs=2e-3)
    assert np.abs(coarse - plain)[1:-1, 1:-1].max() < 1e-4


def test_the_same_grid_is_the_same_scan():
    scan = Scan(np.zeros((1, 4, 5, 6), np.float32), np.array([2.0, 1.0, 1.0]), np.eye(4))
    assert resample.to_grid(scan, (4, 5, 6), "stretch") is scan
    assert resample.to_grid(scan, (4, 5, 6), "pad", (2.0, 1.0, 1.0)) is scan


def test_a_spacing_cannot_be_reached_from_an_unknown_one():
    with pytest.raises(ReadError) as caught:
        resample.to_grid(Scan(np.zeros((1, 4, 5), np.float32), np.full(2, np.nan), np.eye(4)), (4, 5), "pad", (1.0, 1.0))
    assert caught.value.code == "series-geometry"


def test_what_is_padded_is_the_lowest_value():
    scan = Scan(np.full((1, 4, 8), 5.0, np.float32), np.ones(2), np.eye(4))
    scan.values[0, 0, 0] = -3.0
    found = resample.to_grid(scan, (8, 8), "pad").values[0]
    assert (found[:2] == -3.0).all()
    assert (found[-2:] == -3.0).all()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("flip", [False, True])
def test_turned_axes_keep_every_number_at_its_place(seed: int, flip: bool):
    affine = oblique(seed, (0.9, 1.4, 3.0), flip)
    values = ramp(affine, (5, 6, 7))
    for turned, made in (geometry.to_patient_axes(values, affine), geometry.right_handed(values, affine)[:2]):
        assert np.allclose(turned, ramp(made, turned.shape[1:]), atol=1e-3)
        assert sorted(turned.ravel().tolist()) == sorted(values.ravel().tolist())
    turned, made = geometry.to_patient_axes(values, affine)
    assert (np.diag(made)[:3] > 0).all()
    again, same = geometry.to_patient_axes(turned, made)
    assert np.array_equal(again, turned)
    assert np.array_equal(same, made)
    assert np.linalg.det(geometry.right_handed(values, affine)[1][:3, :3]) > 0


def frames(n: int, seed: int, step: float = 2.0, slide: float = 0.0) -> tuple[list[dict], np.ndarray]:
    """Slices in any order along the normal of a random orientation, sliding sideways by `slide` mm a step; and the order they have."""
    rng = np.random.default_rng(seed)
    axes = Rotation.random(random_state=seed).as_matrix().T
    start, order = rng.uniform(-50, 50, 3), rng.permutation(n)
    made = [
        {"ImagePositionPatient": (start + i * (step * np.cross(axes[0], axes[1]) + slide * axes[0])).tolist(),
         "ImageOrientationPatient": [*axes[0].tolist(), *axes[1].tolist()], "PixelSpacing": [0.7, 0.5]}
        for i in order
    ]  # fmt: skip
    return made, order


@pytest.mark.parametrize("seed", range(6))
def test_slices_lie_where_the_standard_says(seed: int):
    """PS3.3 equation C.7.6.2.1-1: place of pixel (column i, row j) = position + i * spacing[1] * row cosines + j * spacing[0] * column cosines."""
    made, order = frames(7, seed)
    found, affine, spacing = geometry.stacked(made, "s")
    assert [order[i] for i in found] == sorted(order)
    assert np.allclose(spacing, [2.0, 0.7, 0.5])
    for z, which in enumerate(found):
        one = made[which]
        cosines = np.array(one["ImageOrientationPatient"])
        for i, j in ((0, 0), (4, 0), (0, 9), (3, 5)):
            place = np.array(one["ImagePositionPatient"]) + i * 0.5 * cosines[:3] + j * 0.7 * cosines[3:]
            assert np.allclose(affine @ [i, j, z, 1], [*place, 1], atol=1e-9)


def changed(made: list[dict], at: int, **fields: object) -> list[dict]:
    return [{**one, **fields} if i == at else one for i, one in enumerate(made)]


def test_small_irregularities_pass_and_larger_ones_are_named():
    made, _ = frames(9, 3)
    normal = np.cross(made[0]["ImageOrientationPatient"][:3], made[0]["ImageOrientationPatient"][3:])
    place = np.array(made[4]["ImagePositionPatient"])
    geometry.stacked(changed(made, 4, ImagePositionPatient=(place + 0.08 * normal).tolist()), "s")
    geometry.stacked(frames(9, 3, slide=0.019)[0], "s")
    refused = {
        "series-gap": changed(made, 4, ImagePositionPatient=(place + 0.14 * normal).tolist()),
        "series-tilt": frames(9, 3, slide=0.03)[0],
        "series-few": made[:2],
        "series-geometry": changed(made, 2, PixelSpacing=[]),
        "series-orientation": changed(made, 2, PixelSpacing=[0.7, 0.6]),
        "series-duplicates": changed(made, 2, ImagePositionPatient=made[3]["ImagePositionPatient"]),
    }
    for code, one in refused.items():
        with pytest.raises(ReadError) as caught:
            geometry.stacked(one, "s")
        assert caught.value.code == code, code


@pytest.mark.parametrize("cosines", [None, [1, 0, 0], [1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0]])
def test_orientations_that_are_none(cosines: list[float] | None):
    assert geometry.oriented({"ImageOrientationPatient": cosines}) is None
