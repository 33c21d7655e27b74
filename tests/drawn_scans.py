"""Made-up scans with something drawn on them, as files: brains with two parts, and pictures of round cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osler.adapters.imaging import nifti


def ball(shape: tuple[int, ...], middle: tuple[float, ...], radius: float) -> np.ndarray:
    """A mask of everything within a radius of a point, in pixels."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    return ((grid - np.array(middle).reshape(-1, *[1] * len(shape))) ** 2).sum(axis=0) <= radius**2


def affine_of(spacing: tuple[float, float, float]) -> np.ndarray:
    """An affine of plain axes from the spacing in the order (z, y, x)."""
    return np.diag([spacing[2], spacing[1], spacing[0], 1.0])


def brain(rng: np.random.Generator, shape: tuple[int, int, int] = (10, 14, 12)) -> tuple[np.ndarray, np.ndarray]:
    """A volume with a bright ball (1) and a brighter one beside it (2), and its labels."""
    at = np.array(shape) / 2 + rng.uniform(-1, 1, 3)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[ball(shape, tuple(at), 3.2)] = 1
    labels[ball(shape, tuple(at + np.array([0, 3, 0])), 2.2)] = 2
    values = rng.normal(20, 3, shape) + 40 * (labels == 1) + 80 * (labels == 2)
    return values.astype(np.float32), labels


def brains(folder: Path, n: int = 8, seed: int = 0, spacing: tuple[float, float, float] = (2.0, 1.0, 1.0)) -> Path:
    """`n` volumes in imagesTr and their masks in labelsTr, and the table `brains.csv` that names them."""
    rng, lines = np.random.default_rng(seed), ["scan,drawn,patient"]
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for i in range(n):
        values, labels = brain(rng)
        nifti.write(folder / "imagesTr" / f"b_{i:02}.nii.gz", values, affine_of(spacing))
        nifti.write(folder / "labelsTr" / f"b_{i:02}.nii.gz", labels, affine_of(spacing))
        lines.append(f"imagesTr/b_{i:02}.nii.gz,labelsTr/b_{i:02}.nii.gz,p{i // 2}")
    (folder / "brains.csv").write_text("\n".join(lines) + "\n")
    return folder / "brains.csv"


def cells(rng: np.random.Generator, side: int = 40, n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A picture of bright cells that do not overlap, and its things numbered from 1."""
    labels = np.zeros((side, side), dtype=np.uint8)
    while labels.max() < n:
        found = ball((side, side), tuple(rng.uniform(5, side - 5, 2)), rng.uniform(3, 5))
        if not (labels[found] > 0).any():
            labels[found] = labels.max() + 1
    return np.clip(rng.normal(30, 6, (side, side)) + 120 * (labels > 0), 0, 255).astype(np.uint8), labels


def pictures(folder: Path, n: int = 8, seed: int = 0) -> Path:
    """`n` pictures in images and their things in masks, and the table `cells.csv` that names them."""
    from PIL import Image

    rng, lines = np.random.default_rng(seed), ["picture,cells"]
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(n):
        values, labels = cells(rng)
        Image.fromarray(values).save(folder / "images" / f"c{i}.png")
        Image.fromarray(labels).save(folder / "masks" / f"c{i}.png")
        lines.append(f"images/c{i}.png,masks/c{i}.png")
    (folder / "cells.csv").write_text("\n".join(lines) + "\n")
    return folder / "cells.csv"
