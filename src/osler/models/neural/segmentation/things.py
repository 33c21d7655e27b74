"""Things told apart: a network says of every voxel how deep below a thing's border it lies; the middles grow to numbered masks.

Depth is the distance to the thing's own border, up to half of the usual radius: a thing seen from nearby, so that small and large things
look alike at their borders, and two things that touch are parted by a valley. What the valley leaves together is parted where the shape has a
waist, as the classical watershed of distances does.
"""

from __future__ import annotations

import numpy as np

from osler.adapters.skimage_regions import flooded
from osler.scenes import Boxes

#: What is tried on training scans, one after the other until nothing gets better: from which depth a middle begins, up to how many deepest
#: depths inward it may be parted again, how many voxels waists are blurred by (small things need them sharp), from which probability something is a
#: thing at all, and the share of the usual size below which it is none.
TRIED = {
    "middle": (0.2, 0.35, 0.5, 0.65), "split": (0.0, 0.5, 1.0, 2.0, 4.0), "blur": (0.5, 1.0), "sure": (0.35, 0.5, 0.65), "least": (0.05, 0.1, 0.2),
}  # fmt: skip
#: Where the search begins.
BEGIN = {"middle": 0.35, "split": 1.0, "blur": 0.5, "sure": 0.5, "least": 0.1}
#: Depth by which a middle is looked at again for several, and the least share of the usual size that each must have.
STEP, SMALL = 0.25, 0.02
#: Overlaps (intersection over union) by which the choice is judged.
OVERLAPS = (0.5, 0.7)


def deepest(usual: float, dims: int) -> float:
    """Voxels below a border from which depth is 1: half the radius of a ball of the usual size, at least 2."""
    radius = np.sqrt(usual / np.pi) if dims == 2 else np.cbrt(0.75 * usual / np.pi)
    return max(2.0, 0.5 * float(radius))


def depth_of(labels: np.ndarray, full: float) -> np.ndarray:
    """(...) float32 from 0 (background, borders) to 1 (`full` voxels below the border of a thing, or deeper) of numbered things."""
    from scipy import ndimage

    inner = labels > 0
    for axis in range(labels.ndim):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(labels.ndim))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(labels.ndim))
        apart = (labels[low] != labels[high]) & (labels[low] > 0) & (labels[high] > 0)
        inner[low] &= ~apart
        inner[high] &= ~apart
    return np.minimum(ndimage.distance_transform_edt(inner) / full, 1.0).astype(np.float32)


def middles(inside: np.ndarray, height: np.ndarray, rule: dict[str, float]) -> np.ndarray:
    """(...) int32 numbered middles of things: connected parts, each parted again where, up to the height `split`, it falls into two or more
    parts of at least `small` voxels.
    """
    from scipy import ndimage

    seeds, count = ndimage.label(inside)
    for level in np.arange(STEP, rule["split"] + 1e-6, STEP):
        parts, n = ndimage.label((height > level) & (seeds > 0))
        if not n:
            break
        large = np.bincount(parts.ravel(), minlength=n + 1)[1:] >= rule["small"]
        parent = np.atleast_1d(ndimage.maximum(seeds, parts, np.arange(1, n + 1))).astype(np.int64)
        divided = np.bincount(parent[large], minlength=count + 1) >= 2
        seeds[divided[seeds]] = 0
        number = np.zeros(n + 1, dtype=seeds.dtype)
        new = np.flatnonzero(large & divided[parent])
        number[new + 1] = count + 1 + np.arange(len(new))
        seeds = np.where(number[parts] > 0, number[parts], seeds)
        count += len(new)
    return seeds


def numbered(sure: np.ndarray, depth: np.ndarray, rule: dict[str, float]) -> np.ndarray:
    """(...) uint16 numbered things of a probability and a depth.

    Args:
        rule: `sure` (least probability), `middle` (least depth of a middle), `blur` (of waists, voxels), `least` (voxels of the smallest
            thing), `full` (voxels of depth 1) and those of `middles`.
    """
    from scipy import ndimage

    mask = sure > rule["sure"]
    inside = mask & (depth > rule["middle"])
    height = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside) / rule["full"], rule["blur"])
    seeds = middles(inside, height, rule)
    found = flooded(-depth - height, seeds, mask) if seeds.any() else seeds
    sizes = np.bincount(found.ravel(), minlength=1)
    kept = np.flatnonzero(sizes >= max(1.0, rule["least"]))
    kept = kept[kept > 0][: np.iinfo(np.uint16).max]
    number = np.zeros(len(sizes), np.uint16)
    number[kept] = np.arange(1, len(kept) + 1)
    return number[found]


def boxes_of(labels: np.ndarray, probability: np.ndarray, depth: np.ndarray) -> Boxes:
    """One box per numbered thing in order: its corners, its likeliest class, and how sure it is: the mean probability of not being background
    times the greatest depth.
    """
    from scipy import ndimage

    count, d = int(labels.max(initial=0)), labels.ndim
    if not count:
        return Boxes.none(d)
    index = np.arange(1, count + 1)
    corners = np.array([[s.start for s in box] + [s.stop for s in box] for box in ndimage.find_objects(labels)], dtype=np.float64)
    of_class = np.stack([ndimage.mean(p, labels, index) for p in probability[1:]])
    scores = of_class.sum(axis=0) * np.asarray(ndimage.maximum(depth, labels, index))
    return Boxes(corners, 1 + of_class.argmax(axis=0).astype(np.int64), np.clip(scores, 0.0, 1.0).astype(np.float64))


def agreement(truth: np.ndarray, found: np.ndarray) -> float:
    """Mean over `OVERLAPS` of the share of things that are found, of those found, missed and invented together."""
    n_true, n_found = int(truth.max(initial=0)) + 1, int(found.max(initial=0)) + 1
    shared = np.bincount(truth.ravel().astype(np.int64) * n_found + found.ravel(), minlength=n_true * n_found).reshape(n_true, n_found)
    union = shared.sum(1)[:, None] + shared.sum(0)[None, :] - shared
    overlap = (shared / np.maximum(union, 1))[1:, 1:]
    there = int((shared.sum(1)[1:] > 0).sum()) + int((shared.sum(0)[1:] > 0).sum())
    hits = np.array([(overlap > t).sum() for t in OVERLAPS])
    return float(np.mean(hits / np.maximum(there - hits, 1))) if there else 1.0


def chosen_rule(answers: list[tuple[np.ndarray, np.ndarray, np.ndarray]], usual: float) -> dict[str, float]:
    """The rule that agrees best with training scans.

    Args:
        answers: per scan the probability of being a thing, the depth, and the true numbers.
        usual: median size of a thing in voxels.
    """
    full = deepest(usual, answers[0][2].ndim)
    made = lambda tried: tried | {"full": full, "least": tried["least"] * usual, "small": max(2.0, SMALL * usual)}  # noqa: E731
    judge = lambda tried: float(np.mean([agreement(truth, numbered(s, d, made(tried))) for s, d, truth in answers]))  # noqa: E731
    rule, best = dict(BEGIN), judge(BEGIN)
    for name, values in 2 * list(TRIED.items()):
        for value in values:
            tried = rule | {name: value}
            if tried != rule and (mean := judge(tried)) > best:
                rule, best = tried, mean
    return made(rule)
