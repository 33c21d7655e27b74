"""Scans with bright blocks and round blobs planted at known places."""

from __future__ import annotations

import numpy as np

from osler.scenes import Asked, Boxes, Drawing, HeldScenes, Scene, boxes_of


def blocks(n: int, dims: int, side: int, rng: np.random.Generator, classes: int = 1, spacing: float = float("nan")) -> HeldScenes:
    """Noise with one to three blocks of 8 to 16 pixels a side, which do not touch; blocks of the second class are dark."""
    scenes = []
    for _ in range(n):
        x, corners, codes = rng.normal(0, 0.3, (1, *(side,) * dims)).astype(np.float32), [], []
        taken = np.zeros((side,) * dims, dtype=bool)
        for _ in range(int(rng.integers(1, 4))):
            size = rng.integers(8, 17, dims)
            low = np.array([rng.integers(0, side - s) for s in size])
            at = tuple(slice(a, a + s) for a, s in zip(low, size))
            if taken[at].any():
                continue
            code = int(rng.integers(classes))
            x[(0, *at)] += 2.0 if code == 0 else -2.0
            taken[at] = True
            corners.append([*low, *(low + size)])
            codes.append(code)
        boxes = Boxes(np.array(corners, dtype=float).reshape(-1, 2 * dims), np.array(codes), np.ones(len(codes)))
        scenes.append(Scene(x, np.full(dims, spacing), np.eye(4), Drawing(boxes=boxes)))
    return HeldScenes(tuple(scenes), Asked("detection", ("bright", "dark")[:classes], dims))


def discs(n: int, side: int, rng: np.random.Generator, dims: int = 2) -> HeldScenes:
    """Noise with two to four bright balls, numbered in a mask; balls that would touch are left out."""
    scenes = []
    at = np.stack(np.meshgrid(*[np.arange(side)] * dims, indexing="ij"))
    for _ in range(n):
        labels = np.zeros((side,) * dims, dtype=np.uint16)
        for _ in range(int(rng.integers(2, 5))):
            radius = rng.uniform(4, 8)
            middle = rng.uniform(radius, side - radius, dims).reshape(-1, *(1,) * dims)
            far = np.sqrt(((at - middle) ** 2).sum(axis=0))
            if not labels[far < radius + 2].any():
                labels[far < radius] = labels.max() + 1
        x = ((labels > 0) * 2.0 + rng.normal(0, 0.3, labels.shape)).astype(np.float32)[None]
        drawn = Drawing(labels, boxes_of(labels)[0], instances=True)
        scenes.append(Scene(x, np.full(dims, np.nan), np.eye(4), drawn))
    return HeldScenes(tuple(scenes), Asked("detection", ("disc",), dims, instances=True))
