"""Saved detectors: what their description may say, checked before any of it is used."""

from __future__ import annotations

import itertools
import math
import weakref
from typing import Any

import torch
from torch import nn

from osler.errors import PredictorError
from osler.models.base import Params
from osler.models.neural import loop

#: Changes when the meaning of a saved network changes.
FORMAT = "osler.detector/2"
#: Most channels of anything, and most classes.
WIDEST, MOST_CLASSES = 4096, 1000
#: Largest number of pixels of a patch.
LARGEST = 1 << 26
_BUILT: dict[int, tuple[weakref.ref, nn.Module]] = {}


def rebuilt(params: Params, cls: type[nn.Module]) -> Any:
    """The trained network, from JSON and arrays; kept as long as `params` lives.

    Args:
        cls: made from a plan, whose `network` says how wide and deep it is.

    Raises:
        PredictorError: the description is none of a detector, or the arrays are not its own.
    """
    kept = _BUILT.get(id(params))
    if kept is not None and kept[0]() is params:
        return kept[1]
    plan = checked(params.meta)
    try:
        with torch.random.fork_rng(devices=[]):
            net = cls(plan)
        loop.load_weights(net, params.arrays)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise _foreign("the arrays of a detector must be those of its plan") from error
    _BUILT[id(params)] = (weakref.ref(params), net.eval())
    weakref.finalize(params, _BUILT.pop, id(params), None)
    return net


def checked(meta: dict[str, Any]) -> dict[str, Any]:
    """The plan of a saved detector.

    Raises:
        PredictorError: a field is missing, of another type, or beyond what a detector can be.
    """
    plan = meta.get("plan")
    _want(meta.get("format") == FORMAT and isinstance(plan, dict), "a saved detector must be of a known format")
    dims = plan.get("dims")
    _want(dims in (2, 3) and isinstance(dims, int), "a detector must be of pictures or of volumes")
    _want(plan.get("kind") in ("segmentation", "detection"), "a detector must find boxes or draw masks")
    classes, strides = plan.get("classes"), plan.get("strides")
    _want(isinstance(classes, list) and 1 <= len(classes) <= MOST_CLASSES, "a detector must know its classes")
    _want(_whole(plan.get("channels"), 1, WIDEST), "a detector must know its channels")
    network = plan.get("network")
    _want(isinstance(network, dict) and all(_whole(v, 1, WIDEST) for v in network.values()), "a network must have whole sizes")
    _want(
        isinstance(strides, list) and 1 <= len(strides) <= 6 and all(_whole(s, 2, 64) for s in strides)
        and strides[0] & (strides[0] - 1) == 0 and all(b == 2 * a for a, b in itertools.pairwise(strides)),
        "levels must have strides that double",
    )  # fmt: skip
    anchors = plan.get("anchors")
    _want(isinstance(anchors, list) and len(anchors) == len(strides) and all(_numbers(a, dims, 0, 1e6) for a in anchors), "every level must have an anchor")
    spacing, zoom = plan.get("spacing"), plan.get("zoom")
    _want((spacing is None) != (zoom is None), "a grid must have a spacing or a factor")
    _want(_numbers(spacing, dims, 1e-3, 1e3) if zoom is None else _numbers(zoom, dims, 1e-4, 4.0), "a grid must have possible steps")
    patch = plan.get("patch")
    _want(isinstance(patch, list) and len(patch) == dims and all(_whole(p, 1, 8192) for p in patch) and math.prod(patch) <= LARGEST, "a patch must have sides")
    _want(plan.get("normalise") in ("set", "scan") and _numbers(plan.get("window"), 2, -1e30, 1e30), "intensities must have a known scale")
    ranks = plan.get("ranks")
    _want(isinstance(ranks, list) and 1 <= len(ranks) <= 1000 and _numbers(ranks, len(ranks), -1e30, 1e30), "intensities must have ranks")
    _want(_numbers([plan.get("centre")], 1, -1e30, 1e30) and _numbers([plan.get("spread")], 1, 0, 1e30), "intensities must have a centre and a spread")
    _want(_numbers([plan.get("most_overlap")], 1, 0, 1) and _numbers([plan.get("longest")], 1, 0, 1e6), "a plan must say how things overlap")
    return plan


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _numbers(values: Any, n: int, low: float, high: float) -> bool:
    """Whether there are n finite numbers above `low` (or at it, where it is 0 or below) and up to `high`."""
    if not isinstance(values, list) or len(values) != n:
        return False
    known = all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    return known and all(low <= v <= high for v in values)


def _want(holds: bool, sentence: str) -> None:
    if not holds:
        raise _foreign(sentence)


def _foreign(sentence: str) -> PredictorError:
    return PredictorError(f"{sentence}, it is not so: the predictor is damaged or not Osler's")
