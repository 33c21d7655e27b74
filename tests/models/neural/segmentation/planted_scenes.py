"""Scenes with something planted in noise: bright balls of two kinds, or discs that touch."""

from __future__ import annotations

import numpy as np

from osler.scenes import Asked, Drawing, HeldScenes, Scene


def balls(n: int, rng: np.random.Generator, shape: tuple[int, ...] = (20, 24, 22), spacing: tuple[float, ...] | None = None) -> HeldScenes:
    """Volumes or pictures with one ball of 1 above the noise and one of 2; labels are exact."""
    dims = len(shape)
    mm = np.ones(dims) if spacing is None else np.array(spacing)
    scenes = []
    grid = np.stack(np.meshgrid(*(np.arange(s) for s in shape), indexing="ij"))
    for _ in range(n):
        labels = np.zeros(shape, dtype=np.uint16)
        for code, side in ((1, 0.28), (2, 0.72)):
            middle = np.array(shape) * side + rng.uniform(-2, 2, dims)
            away = (((grid - middle.reshape(-1, *(1,) * dims)) * mm.reshape(-1, *(1,) * dims)) ** 2).sum(0)
            labels[away < rng.uniform(3.5, 5.0) ** 2] = code
        values = rng.normal(0, 0.3, shape) + labels
        scenes.append(Scene(values[None].astype(np.float32) * 50 + 100, mm, np.eye(4), Drawing(labels)))
    return HeldScenes(tuple(scenes), Asked("segmentation", ("background", "pale", "bright"), dims, ("t1",)))


def discs(n: int, rng: np.random.Generator, shape: tuple[int, int] = (64, 64)) -> HeldScenes:
    """Pictures with bright discs in noise, some of which touch; each has its own number."""
    grid = np.stack(np.meshgrid(*(np.arange(s) for s in shape), indexing="ij"))
    scenes = []
    for _ in range(n):
        labels = np.zeros(shape, np.uint16)
        count = 0
        for _ in range(60):
            radius, middle = rng.uniform(4, 7), rng.uniform(6, 58, 2)
            inside = ((grid - middle.reshape(2, 1, 1)) ** 2).sum(0) < radius**2
            around = ((grid - middle.reshape(2, 1, 1)) ** 2).sum(0) < (radius - 1) ** 2
            if not (labels[around] > 0).any():
                count += 1
                labels[inside & (labels == 0)] = count
        values = rng.normal(0, 0.15, shape) + (labels > 0)
        scenes.append(Scene(values[None].astype(np.float32), np.full(2, np.nan), np.eye(4), Drawing(labels, instances=True)))
    return HeldScenes(tuple(scenes), Asked("segmentation", ("background", "cell"), 2, ("grey",), True))
