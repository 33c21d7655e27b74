"""A network over a whole scan: windows against one piece, weights, and what must not change."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F

from osler.models.neural.segmentation import windows

SHAPE = (21, 26, 23)


def smooth(x):
    """(1, 1, ...) → itself and its mean over 3 voxels per axis, as a network of receptive field 3 would answer."""
    return torch.cat([x, F.avg_pool3d(F.pad(x, (1,) * 6, mode="replicate"), 3, 1)], dim=1)


def valid(x):
    """The mean over 5 voxels per axis, without padding: a network of margin 2."""
    return F.avg_pool3d(x, 5, 1)


def test_starts_cover_an_axis_evenly_and_end_where_it_ends():
    assert windows.starts(16, 16, 8, 8) == [0]
    assert windows.starts(40, 20, 4, 0) == [0, 20]
    for length, window, step, shared in ((64, 32, 8, 8), (120, 40, 8, 20), (48, 24, 4, 0)):
        found = windows.starts(length, window, step, shared)
        assert found[0] == 0 and found[-1] + window == length
        assert all(s % step == 0 for s in found)
        assert all(b - a <= window - shared + step for a, b in pairwise(found))


def test_windows_of_an_axis_are_no_larger_than_their_number_needs():
    assert windows.sides_of(40, 8, 24, 48) == [(40, 1)]  # a window shares at most half of itself
    assert windows.sides_of(112, 8, 16, 32)[:3] == [(112, 1), (64, 2), (48, 3)]  # two of 64 share 16, three of 48 share 16
    for length, step, shared in ((104, 8, 24), (250, 2, 32), (90, 3, 0)):
        for side, count in windows.sides_of(length, step, shared, 2 * shared):
            found = windows.starts(length, side, step, shared)
            assert side % step == 0 and len(found) == count and found[-1] + side == length


def test_a_scan_is_cut_where_the_fewest_voxels_are_answered_twice():
    cut = lambda full, most, least: windows.fewest(full, [8] * 3, most, [least] * 3, [16] * 3, [0] * 3)  # noqa: E731
    assert cut((112, 104, 128), 128**3, 32) == (112, 104, 128)
    assert cut((112, 104, 128), 96**3, 32) == (112, 104, 72)  # 2 of 72 along the longest: 1.125 of the scan
    assert cut((96, 96, 96), 64**3, 32) == (56, 56, 56)  # 112 ** 3, less than 96 * 112 * 160
    assert cut((64, 64, 64), 1, 32) == (32, 32, 32)  # nothing fits: the shortest, three that share 16


def test_windows_are_no_thinner_than_asked_but_for_thin_scans():
    thin, thick = (windows.fewest((112, 104, 128), [8] * 3, 64**3, [least] * 3, [12] * 3, [0] * 3) for least in (24, 48))
    assert thin == (32, 104, 72) and sorted(thick) == [48, 64, 72]
    assert windows.fewest((16, 200, 200), [8] * 3, 16 * 80 * 80, [48] * 3, [12] * 3, [0] * 3)[0] == 16


def test_margins_are_read_for_every_window_and_count():
    assert windows.fewest((60, 60), [3, 3], 1800, [3, 3], [0, 0], [0, 0]) == (60, 30)
    assert windows.fewest((30, 120), [3, 3], 1800, [3, 3], [0, 0], [12, 12]) == (30, 60)
    n_read = lambda side: (-(-60 // side[0]) * (side[0] + 24)) * (-(-60 // side[1]) * (side[1] + 24))  # noqa: E731
    best = windows.fewest((60, 60), [3, 3], 400, [3, 3], [0, 0], [12, 12])
    assert n_read(best) == min(n_read((a, b)) for a in (3, 6, 9, 12, 15, 21, 30, 60) for b in (3, 6, 9, 12, 15, 21, 30, 60) if a * b <= 400)


def test_gaussian_weights_are_symmetric_highest_in_the_middle_and_never_zero():
    found = windows.gaussian((8, 9, 7), (True, True, False))
    assert found.shape == (8, 9, 7) and float(found.min()) >= 1e-3
    torch.testing.assert_close(found, found.flip(0).flip(1))
    assert float(found[4, 4, 0]) == float(found.max()) == float(found[4, 4, 6])
    assert windows.gaussian((4, 4), (False, False)).unique().tolist() == [1.0]


def test_what_every_window_says_alike_is_kept_whatever_the_weights(rng):
    x = rng.normal(size=(1, *SHAPE)).astype(np.float32)
    for most in (64**3, 8 * 16 * 12, 12 * 8 * 8):
        found = windows.over(x, lambda t: t * 2.0, [4] * 3, most, [8] * 3, [4] * 3, [0] * 3)
        np.testing.assert_allclose(found, x * 2.0, rtol=1e-5)


def test_windows_agree_with_one_piece_where_they_read_past_what_they_answer(rng):
    x = rng.normal(size=(1, *SHAPE)).astype(np.float32)
    whole = windows.over(x, valid, [3] * 3, 99**3, [6] * 3, [3] * 3, [2] * 3)
    parts = windows.over(x, valid, [3] * 3, 9 * 6 * 12, [6] * 3, [3] * 3, [2] * 3)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    np.testing.assert_allclose(whole[0, 5:10, 5:10, 5:10], valid(torch.from_numpy(x[None]))[0, 0, 3:8, 3:8, 3:8], atol=1e-6)


def test_blended_windows_are_near_one_piece_inside(rng):
    x = rng.normal(size=(1, *SHAPE)).astype(np.float32)
    whole = windows.over(x, smooth, [1] * 3, 99**3, [10] * 3, [7] * 3, [0] * 3)
    parts = windows.over(x, smooth, [1] * 3, 14**3, [10] * 3, [7] * 3, [0] * 3)
    assert whole.shape == parts.shape == (2, *SHAPE)
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-5)
    # only the outermost voxels of a window lack a neighbour, and weigh least
    assert np.abs(parts[1] - whole[1]).mean() < 0.02 and np.abs(parts[1] - whole[1]).max() < 0.5


def test_a_scan_smaller_than_a_window_keeps_its_size(rng):
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    found = windows.over(x, lambda t: t, [4, 4], 64, [4, 4], [2, 2], [0, 0])
    np.testing.assert_array_equal(found, x)
