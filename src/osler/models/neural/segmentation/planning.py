"""From the fingerprint of the training scans to a plan: what the network sees, how it is built and how long it learns, and why.

The rules follow the published ones of nnU-Net (Isensee et al. 2021) where they fit a processor: spacing by the median (of an axis that is much
coarser than the others its 10 % point would blur less; here it is kept), patches as large as memory allows with the proportions of the
median scan, halvings while an axis is long and not much coarser than the others. What differs: the steps follow a budget of minutes by an
estimate of operations, and volumes start from half resolution without loss (see `unet`).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from osler.errors import OptionError
from osler.models.neural.segmentation.fingerprint import AIR, Fingerprint
from osler.models.neural.segmentation.options import DeepMedicOptions, SegmentationOptions, UNetOptions

#: Operations per second of one core that a training is estimated by (multiplications and additions, bfloat16; float32 half of it).
RATE = 1e11
#: Share of zeros from which the surrounding of an organ is taken to be blanked out.
BLANK = 0.25
#: An axis whose voxels are so many times longer than the shortest is not halved yet, and convolved over by itself.
COARSE = 2.0
#: Longest side of a patch.
LONGEST = {2: 512, 3: 128}
#: Shortest side that a patch is cut to for the sake of more steps, and the steps wanted.
SHORTEST, FEWEST = {2: 96, 3: 32}, {2: 1000, 3: 400}
#: Most channels of a level.
WIDEST = {2: 384, 3: 256}
#: Voxels that one window of drawing may hold.
WINDOW = {2: 1 << 20, 3: 1 << 21}


def target_spacing(found: Fingerprint, options: SegmentationOptions) -> list[float] | None:
    """mm between voxels that the network sees; None where scans do not say theirs."""
    given = per_axis(found, options, "spacing")
    if given:
        return given
    return list(found.spacing) if found.known_spacing else None


def per_axis(found: Fingerprint, options: SegmentationOptions, name: str) -> list[float]:
    """`spacing` or `patch` as one number for each axis; none where it is not asked for.

    Raises:
        OptionError: there are neither one number nor as many as axes.
    """
    given = list(options.numbers(name))
    if len(given) not in (0, 1, found.dims):
        raise OptionError(f"option '{name}' of a drawing network must be one number or {found.dims} of them joined by +, there were {len(given)}")
    return given * found.dims if len(given) == 1 else given


def intensities(found: Fingerprint, options: SegmentationOptions) -> list[dict[str, Any]]:
    """Per channel how intensities are scaled."""
    rules = []
    for channel in found.intensities:
        shared = options.normalise == "shared" or (options.normalise == "auto" and channel["least"] < AIR)
        if shared:
            rules.append({"how": "shared"} | {k: channel[k] for k in ("low", "high", "mean", "spread")})
        else:
            rules.append({"how": "scan", "nonzero": channel["zeros"] > BLANK})
    return rules


def stem_of(spacing: np.ndarray, options: SegmentationOptions) -> tuple[int, ...]:
    """Neighbours per axis that become channels."""
    half = options.stem == "half" or (options.stem == "auto" and len(spacing) == 3)
    return tuple(2 if half and s <= COARSE * spacing.min() * 0.999 else 1 for s in spacing)


def halvings(size: np.ndarray, spacing: np.ndarray, stem: tuple[int, ...], most: int) -> tuple[list[list[int]], list[list[int]]]:
    """Strides between levels, and kernels of every level, for a patch of about `size` voxels."""
    at, mm = size / np.array(stem), spacing * np.array(stem)
    strides, kernels = [], []
    while True:
        near = mm < COARSE * mm.min() * 0.999
        kernels.append([3 if n else 1 for n in near])
        go = near & (at >= 8)
        if not go.any() or len(kernels) >= most:
            return strides, kernels
        stride = np.where(go, 2, 1)
        strides.append([int(s) for s in stride])
        at, mm = at / stride, mm * stride


def patch_of(shape: np.ndarray, divisor: np.ndarray, most: int, longest: int) -> list[int]:
    """A patch with the proportions of a scan, each side a multiple of its divisor, of at most about `most` voxels."""
    sides = np.minimum(np.ceil(shape / divisor) * divisor, np.maximum(longest // divisor, 1) * divisor)
    while prod(sides) > most:
        ratio = np.where(sides > divisor, sides / shape, 0.0)
        if not ratio.any():
            break
        axis = int(ratio.argmax())
        sides[axis] -= divisor[axis]
    return [int(s) for s in sides]


def of_unet(found: Fingerprint, options: UNetOptions) -> dict[str, Any]:
    """The whole plan of a U-Net."""
    dims = found.dims
    spacing = target_spacing(found, options)
    mm = np.array(spacing if spacing is not None else [1.0] * dims)
    shape = np.maximum(np.round(np.array(found.extent) / mm), 1.0) if spacing is not None else np.array(found.shape, dtype=float)
    stem = stem_of(mm, options)
    reach = np.minimum(shape, LONGEST[dims])
    strides, kernels = halvings(reach, mm, stem, options.levels or 6)
    divisor = np.array(stem) * np.array(strides or [[1] * dims]).prod(axis=0)
    width = options.width or (32 if dims == 3 or prod(stem) > 1 else 16)
    outputs = len(found.classes) + (1 if found.instances else 0)
    network = {
        "kind": "unet", "dims": dims, "channels": found.channels, "outputs": outputs, "stem": list(stem),
        "widths": [min(WIDEST[dims], width * 2**level) for level in range(len(kernels))], "strides": strides, "kernels": kernels,
        "blocks": options.blocks, "norm": options.norm, "residual": options.residual,
        "heads": max(1, min(3, len(strides) - 1)) if options.supervision else 1, "prior": prior_of(found), "margin": [0] * dims,
    }  # fmt: skip
    per_voxel, operations = cost_of_unet(network)
    asked = [int(v) for v in per_axis(found, options, "patch")]
    budget = options.memory * 2**30 / per_voxel
    patch = [int(np.ceil(p / d) * d) for p, d in zip(asked, divisor)] if asked else patch_of(shape, divisor, int(budget / 2), LONGEST[dims])
    return finish(found, options, network, patch, divisor, (per_voxel, operations), spacing, shape)


def of_deepmedic(found: Fingerprint, options: DeepMedicOptions) -> dict[str, Any]:
    """The whole plan of a network of two pathways: an axis that is much coarser than the finest is convolved over by the last two layers
    alone, and not averaged over.
    """
    dims, spacing = found.dims, target_spacing(found, options)
    mm = np.array(spacing if spacing is not None else [1.0] * dims)
    shape = np.maximum(np.round(np.array(found.extent) / mm), 1.0) if spacing is not None else np.array(found.shape, dtype=float)
    fine = mm < COARSE * mm.min() * 0.999
    layers = options.levels or 8
    kernels = [[3 if f or layer >= layers - 2 else 1 for f in fine] for layer in range(layers)]
    factor = [3 if f else 1 for f in fine]
    reach = [sum(k[a] // 2 for k in kernels) for a in range(dims)]
    width = options.width or 32
    network = {
        "kind": "deepmedic", "dims": dims, "channels": found.channels, "outputs": len(found.classes) + (1 if found.instances else 0),
        "widths": [width + width // 4 * (2 * (layer >= layers // 4) + (layer >= 3 * layers // 4)) // 2 for layer in range(layers)],
        "kernels": kernels, "factor": factor, "hidden": 4 * width, "norm": "batch" if options.norm == "auto" else options.norm,
        "dropout": options.dropout, "margin": [f * r for f, r in zip(factor, reach)], "prior": prior_of(found),
    }  # fmt: skip
    divisor = np.array(factor)
    asked = [int(v) for v in per_axis(found, options, "patch")]
    segment = np.minimum(27 if dims == 3 else 81, np.ceil(shape / divisor) * divisor).astype(int)
    patch = [int(np.ceil(p / d) * d) for p, d in zip(asked or segment, divisor)]
    return finish(found, options, network, patch, divisor, cost_of_deepmedic(network, patch), spacing, shape)


def cost_of_deepmedic(network: dict[str, Any], patch: list[int]) -> tuple[float, float]:
    """Bytes that training keeps and operations forward, both per answered voxel of a segment of this size."""
    held, operations, middle = 0.0, 0.0, prod(patch)
    for factor in ([1] * network["dims"], network["factor"]):
        taken = network["channels"]
        sides = [p / f + 2 * sum(k[a] // 2 for k in network["kernels"]) for a, (p, f) in enumerate(zip(patch, factor))]
        for width, kernel in zip(network["widths"], network["kernels"]):
            sides = [s - k + 1 for s, k in zip(sides, kernel)]
            voxels = prod(sides) / middle
            operations += 2 * prod(kernel) * taken * width * voxels
            held += 3 * width * voxels
            taken = width
    hidden = network["hidden"]
    operations += 2 * hidden * (2 * network["widths"][-1] + hidden + network["outputs"])
    return 4.0 * (held + 6 * hidden + 4 * network["outputs"]), operations


def finish(
    found: Fingerprint, options: SegmentationOptions, network: dict[str, Any], patch: list[int], divisor: np.ndarray,
    cost: tuple[float, float], spacing: list[float] | None, shape: np.ndarray,
) -> dict[str, Any]:  # fmt: skip
    """What every network's plan shares: batch, steps, window, and the reasons."""
    dims = found.dims
    batch = options.batch_size or int(np.clip(options.memory * 2**30 / (cost[0] * prod(patch)), 1, 2 if dims == 3 else 8))
    patch, batch = paced(patch, batch, divisor, cost[1], options)
    voxels = prod(patch)
    each = 3.0 * cost[1] * voxels * batch
    steps = options.steps or max(20, round(options.minutes * 60 * rate_of(options) / each))
    mirror = options.mirror == "all" or (options.mirror == "auto" and found.instances and dims == 2)
    window = patch_of(np.maximum(shape, patch), divisor, max(WINDOW[dims], voxels), 1 << 20)
    if network["norm"] == "auto":
        network["norm"] = "instance" if (np.array(patch) >= shape).all() else "batch"
    why = "as asked" if options.norm != "auto" else "a patch holds a whole scan" if network["norm"] == "instance" else "the same in windows of every size"
    return {
        "dims": dims, "channels": found.channels, "classes": list(found.classes), "instances": found.instances, "spacing": spacing,
        "intensities": intensities(found, options), "network": network, "patch": patch, "divisor": [int(v) for v in divisor],
        "window": window, "batch_size": batch, "steps": int(steps), "mirror": list(range(dims)) if mirror else [],
        "members": options.members, "fingerprint": found.to_json(),
        "why": reasons(found, options, spacing, cost[0] * voxels * batch, each, steps * batch) | {"norm": why},
    }  # fmt: skip


def rate_of(options: SegmentationOptions) -> float:
    """Operations per second that the estimate reckons with: the same on every machine, so that plans are."""
    return RATE / 2 if options.precision == "float32" else RATE


def paced(patch: list[int], batch: int, divisor: np.ndarray, operations: float, options: SegmentationOptions) -> tuple[list[int], int]:
    """Patch and batch made smaller until the minutes hold `FEWEST` steps, as far as they are not asked for: many steps on little teach
    more than few on much.
    """
    least = SHORTEST[len(patch)]
    while not options.steps and options.minutes * 60 * rate_of(options) / (3.0 * operations * prod(patch) * batch) < FEWEST[len(patch)]:
        sides = np.array(patch)
        room = np.where(sides - divisor >= least, sides, 0)
        if batch > 2 and not options.batch_size:
            batch = batch // 2
        elif room.any() and not options.patch:
            patch = [int(s - d) if axis == int(room.argmax()) else int(s) for axis, (s, d) in enumerate(zip(sides, divisor))]
        else:
            break
    return patch, batch


def reasons(
    found: Fingerprint, options: SegmentationOptions, spacing: list[float] | None, held: float, operations: float, patches: float
) -> dict[str, str]:
    """Why the plan is as it is, in words."""
    planned = "unknown: voxels as they are" if spacing is None else "median of the training scans"
    estimate = f"{options.minutes:g} minutes of one core at {operations / 1e9:.1f} billion operations a step, {RATE / 1e9:.0f} billion a second"
    return {
        "spacing": "as asked" if options.spacing else planned,
        "patch": f"{'as asked' if options.patch else 'proportions of the median scan'}, {held / 2**30:.2f} GiB per step by estimate",
        "levels": "an axis is halved while it has 8 places and is not coarser than twice the finest",
        "steps": "as asked" if options.steps else estimate,
        "passes": f"{patches / found.scans:.1f} patches of every training scan",
    }


def prior_of(found: Fingerprint) -> list[float]:
    """Logits that say of every voxel what share of all voxels each class has (and of depths that they are low): where a network begins."""
    return [round(float(np.log(max(share, 1e-4))), 4) for share in found.shares] + ([-2.0] if found.instances else [])


def cost_of_unet(network: dict[str, Any]) -> tuple[float, float]:
    """Bytes that training keeps and operations forward, both per voxel of a patch."""
    shrink = float(prod(network["stem"]))
    held, operations = 0.0, 0.0
    widths, blocks = network["widths"], network["blocks"]
    taken = network["channels"] * shrink
    for level, (width, kernel) in enumerate(zip(widths, network["kernels"])):
        shrink *= prod(network["strides"][level - 1]) if level else 1
        size = prod(kernel)
        operations += 2 * size * width * (taken + (blocks - 1) * width) / shrink
        held += 3 * blocks * width / shrink
        if level < len(widths) - 1:
            up = max(1, blocks - 1)
            operations += 2 * (size * width * width * (1 + up) + widths[level + 1] * width) / shrink
            held += (3 * up + 3) * width / shrink
        taken = width
    return 4.0 * (held + 4 * network["outputs"]), operations
