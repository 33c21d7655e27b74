"""One picture is laid on another: shifts, turns and sizes that were made are undone, and what all pictures share counts for nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from osler.adapters.imaging.alignment import _moved, _way, aligned, details

SIDE = 64
GRID = np.hypot(*(np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2))


def texture(seed: int, smooth: float = 2.0) -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE)), smooth)
    return values / values.std()


def unit(values: np.ndarray) -> np.ndarray:
    return ((values - values.mean()) / values.std()).astype(np.float32)


def pair_of(*pictures: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(*details(np.stack([unit(p) for p in pictures]))))


@pytest.mark.parametrize("way", [(0.03, 0.0, 0.0, 0.0), (0.0, 0.05, 0.0, 0.0), (0.0, 0.0, 2.0, -1.5), (-0.03, -0.03, 1.0, 1.0)])
def test_a_known_change_is_found_and_undone(way: tuple[float, ...]):
    """The way back of a picture that was moved: composed with what was done it is nothing."""
    one = texture(0, 3.0)
    other, _ = _moved(one, np.array(way))
    first, second = pair_of(one, other)
    found = _way(second, first)  # lays the first on the second, as `_moved` did
    assert np.allclose(found[:2], way[:2], atol=0.01)
    assert np.allclose(found[2:], way[2:], atol=0.4)
    assert aligned(second, first) > 0.93


def test_other_textures_stay_others():
    first, *others = pair_of(*(texture(i) for i in range(8)))
    assert max(aligned(first, other) for other in others) < 0.6


def test_a_frame_that_pictures_share_is_left_out():
    """Two textures in the same bright disc on black: alike as pictures, and not in detail."""
    one, other = (np.where(GRID < 28, 60 + 4 * texture(i), 0.0) for i in (1, 2))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98
    first, second = pair_of(one, other)
    assert not first[1][GRID > 28].any()
    assert first[1][GRID < 24].all()
    assert abs((first[0] * second[0]).mean()) < 0.1
    assert aligned(first, second) < 0.6
    assert aligned(first, first) == pytest.approx(1.0, abs=1e-6)


def test_shading_and_contrast_make_no_difference():
    values, slope = texture(3), np.linspace(0, 4, SIDE)
    first, second = pair_of(values, 0.3 * values + slope)
    assert (first[0] * second[0]).mean() / np.sqrt((first[0] ** 2).mean() * (second[0] ** 2).mean()) > 0.95


def test_what_lies_too_far_apart_is_not_laid_on():
    values = texture(4, 4.0)
    first, second = pair_of(values, np.roll(values, 16, axis=0))
    assert aligned(first, second) < 0.7
    assert aligned(first, (second[0], np.zeros_like(second[1]))) == -1.0
