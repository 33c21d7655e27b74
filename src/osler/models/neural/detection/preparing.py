"""Scans on the network's grid, as tensors, with what is drawn on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from osler.models.neural.detection.plan import PERCENTILES, things_of, zoom_for
from osler.scenes import Scene, Scenes

#: Bytes of prepared scans that a training keeps; beyond, scans are read anew.
KEPT = 2 << 30


@dataclass(frozen=True)
class Prepared:
    """One scan on the network's grid.

    Attributes:
        x: (c, [z,] y, x) float16, about mean 0 and spread 1.
        things: (k, 2d) float32 boxes in pixels of the grid; codes: (k,) their classes.
        zoom: (d,) pixels of the grid per pixel of the scan.
        labels: ([z,] y, x) int32 with the number of the thing at every pixel (1, 2, ... in the order of `things`), or None.
    """

    x: Tensor
    things: Tensor
    codes: Tensor
    zoom: np.ndarray
    labels: Tensor | None = None


def prepared(scene: Scene, plan: dict[str, Any], masks: bool = False) -> Prepared:
    """A scan as the network sees it; with `masks`, also which thing each pixel belongs to, where labels of things are drawn."""
    zoom = zoom_for(plan, scene)
    shape = [round(float(n * z)) for n, z in zip(scene.shape, zoom)]
    x = resized(torch.from_numpy(scaled(scene.values, plan))[None], shape)[0]
    corners, codes = things_of(scene)
    labels = None
    if masks and scene.drawn is not None and scene.drawn.labels is not None and scene.drawn.instances:
        numbered = torch.from_numpy(_numbered(scene.drawn.labels))[None, None]
        labels = F.interpolate(numbered.double(), size=shape, mode="nearest-exact")[0, 0].int()
    corners = torch.from_numpy(corners * np.tile(zoom, 2)).float().reshape(-1, 2 * scene.dims)
    return Prepared(x.half(), corners, torch.from_numpy(codes), zoom, labels)


def _numbered(labels: np.ndarray) -> np.ndarray:
    """Labels as 1, 2, ... without gaps, in their own order."""
    present = np.unique(labels[labels > 0])
    return np.where(labels > 0, np.searchsorted(present, labels) + 1, 0).astype(np.int32)


def resized(x: Tensor, shape: list[int]) -> Tensor:
    """(n, c, ...) on another grid: means of the pixels that become one, linear between pixels where there are more than before."""
    if list(x.shape[2:]) == shape:
        return x
    if all(a <= b for a, b in zip(shape, x.shape[2:])):
        return F.interpolate(x, size=shape, mode="area")
    return F.interpolate(x, size=shape, mode="bilinear" if x.dim() == 4 else "trilinear", align_corners=False)


def scaled(values: np.ndarray, plan: dict[str, Any]) -> np.ndarray:
    """Values cut off at the window and put to about mean 0 and spread 1: by the scan's own numbers (`scan`), or by those around the training
    things (`set`).
    """
    values = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    if plan["normalise"] == "set":
        return (np.clip(values, *plan["window"]) - np.float32(plan["centre"])) / np.float32(plan["spread"])
    flat = values.reshape(-1)
    low, high = np.percentile(flat[:: max(1, len(flat) // 200_000)], PERCENTILES)
    inner = np.clip(flat, low, high)
    centre, spread = inner.mean(dtype=np.float64), max(float(inner.std(dtype=np.float64)), 1e-6)
    return ((np.clip(values, low, high) - np.float32(centre)) / np.float32(spread)).astype(np.float32)


class Store:
    """Training scans on the network's grid, kept in memory while they fit into `KEPT` bytes."""

    def __init__(self, scenes: Scenes, plan: dict[str, Any], masks: bool) -> None:
        self.scenes, self.plan, self.masks = scenes, plan, masks
        self.held: dict[int, Prepared] = {}
        self.room = KEPT

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, row: int) -> Prepared:
        if row in self.held:
            return self.held[row]
        made = prepared(self.scenes[row], self.plan, self.masks)
        size = made.x.numel() * 2 + (0 if made.labels is None else made.labels.numel() * 4)
        if size <= self.room:
            self.room -= size
            self.held[row] = made
        return made
