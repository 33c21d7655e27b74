"""N4: a shading that was multiplied in is found again, the mean and the geometry stay, and the same scan gives the same bytes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("SimpleITK")

from osler.adapters.imaging import bias, scan
from osler.errors import ReadError


def phantom(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two tissues (100 and 160, noise 2) in air, and which voxels are tissue."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(a**2 for a in axes))
    values = np.where(radius < 0.85, 100.0, 0.0) + np.where(radius < 0.5, 60.0, 0.0)
    return np.abs(values + rng.normal(0, 2, shape)).astype(np.float32), radius < 0.8


def spread(values: np.ndarray, where: np.ndarray) -> float:
    return float(values[where].std() / values[where].mean())


@pytest.mark.parametrize("shape", [(64, 72), (28, 32, 30)])
def test_a_planted_shading_is_taken_out(shape: tuple[int, ...]):
    values, _ = phantom(shape, np.random.default_rng(0))
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    shading = np.exp(0.35 * axes[0] - 0.25 * axes[-1] * axes[0])
    radius = np.sqrt(sum(a**2 for a in axes))
    outer = (radius > 0.55) & (radius < 0.8)
    shaded = scan.Scan((values * shading)[None].astype(np.float32), np.ones(len(shape)), np.eye(4))
    evened = bias.n4(shaded)
    before, after = spread(shaded.values[0], outer), spread(evened.values[0], outer)
    assert before > 0.12
    assert after < before / 3
    assert evened.values[0][outer].mean() == pytest.approx(shaded.values[0][outer].mean(), rel=0.1)
    assert np.array_equal(evened.affine, shaded.affine)
    assert evened.facts["applied"] == ["N4 bias field correction"]
    assert np.array_equal(bias.n4(shaded).values, evened.values)


def test_a_scan_without_shading_is_left_nearly_as_it_is():
    values, tissue = phantom((24, 28, 26), np.random.default_rng(1))
    evened = bias.n4(scan.Scan(values[None], np.ones(3), np.eye(4))).values[0]
    assert np.abs(evened[tissue] / values[tissue] - 1).max() < 0.12


def test_a_scan_of_one_value_is_refused():
    with pytest.raises(ReadError, match="single value"):
        bias.n4(scan.Scan(np.full((1, 8, 8, 8), 7.0, np.float32), np.ones(3), np.eye(4)))
