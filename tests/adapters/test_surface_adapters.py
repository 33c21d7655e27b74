"""scikit-image's outlines and surfaces, trimesh's files, through their adapters."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skimage")
pytest.importorskip("trimesh")

from osler.adapters import skimage_surface, trimesh_files
from osler.adapters.trimesh_files import Body
from tests.instruments.solids import box


def shoelace(line: np.ndarray) -> float:
    x, y = line.T
    return 0.5 * abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])))


def test_a_ring_has_two_outlines_around_its_pixels():
    mask = np.ones((9, 12), dtype=bool)
    mask[3:6, 4:8] = False
    inner, outer = sorted(shoelace(line) for line in skimage_surface.outlines(mask))
    assert outer == pytest.approx(9 * 12 - 4 / 8)  # each corner is cut by an eighth of a pixel
    assert inner == pytest.approx(3 * 4 - 4 / 8)


def test_outlines_keep_x_before_y():
    (line,) = skimage_surface.outlines(np.pad(np.ones((2, 5), dtype=bool), 3))
    assert np.ptp(line, axis=0).tolist() == [5, 2]
    assert line.min(axis=0).tolist() == [2.5, 2.5]


def test_two_regions_are_two_bodies():
    mask = np.concatenate([box((3, 3, 3)), box((4, 3, 3))], axis=2)
    corners, faces = skimage_surface.surface(mask)
    assert len(corners) - len(faces) // 2 == 4  # Euler number 2 for each
    assert trimesh_files.checked(corners, faces) == {"watertight": True, "one_way": True, "outward": True}


@pytest.mark.parametrize("kind", trimesh_files.KINDS)
def test_what_is_written_is_read_back(kind):
    corners, faces = skimage_surface.surface(box((4, 3, 2)))
    (back,) = trimesh_files.read(trimesh_files.written([Body("part", corners, faces)], kind), kind)
    assert len(back.faces) == len(faces)
    assert np.allclose(back.vertices.min(axis=0), corners.min(axis=0), atol=1e-5)
    assert np.allclose(back.vertices.max(axis=0), corners.max(axis=0), atol=1e-5)
    assert back.name == ("part" if kind == "glb" else "")


def test_kinds_without_names_join_their_bodies():
    corners, faces = skimage_surface.surface(box((2, 2, 2)))
    two = [Body("a", corners, faces), Body("b", corners + 10, faces)]
    (joined,) = trimesh_files.read(trimesh_files.written(two, "ply"), "ply")
    assert len(joined.faces) == 2 * len(faces)
    assert [b.name for b in trimesh_files.read(trimesh_files.written(two, "glb"), "glb")] == ["a", "b"]
