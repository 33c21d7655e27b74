"""How a region has changed between two dates: doubling time, specific growth rate and the RECIST 1.1 category, each with its error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: Smallest long axis (mm) of a lesion that RECIST 1.1 calls measurable.
MEASURABLE_MM = 10.0
#: Most target lesions of RECIST 1.1.
MOST_TARGETS = 5


@dataclass(frozen=True)
class Lesion:
    """One region on one date.

    Attributes:
        volume: mm³, and `volume_error`: what half a voxel at the whole boundary changes it by.
        long_axis: longest axial diameter in mm, and `pixel`: how exactly it can be read.
    """

    volume: float
    volume_error: float
    long_axis: float
    pixel: float


def rates(before: Lesion, after: Lesion, days: float) -> dict[str, float]:
    """Specific growth rate (% per day, with its error) and doubling time (days; negative is a halving time, NaN where neither is defined).

    Both volumes are taken to grow exponentially (Mehrara et al.: Specific growth rate versus doubling time. Cancer Res 2007). The error adds
    the relative boundary errors of both dates as independent.
    """
    if before.volume <= 0 or after.volume <= 0:
        return dict.fromkeys(("growth_percent_per_day", "growth_error", "doubling_days"), math.nan)
    log = math.log(after.volume / before.volume)
    error = math.hypot(before.volume_error / before.volume, after.volume_error / after.volume)
    doubling = days * math.log(2) / log if log else math.inf
    return {"growth_percent_per_day": 100 * log / days, "growth_error": 100 * error / days, "doubling_days": doubling}


def compare(before: Lesion, after: Lesion, days: float) -> dict[str, float | bool]:
    """The line of one lesion: volumes, their change, rates, diameters; `beyond_error` says whether the volume changed by more than its error."""
    found = rates(before, after, days)
    change = 100 * (after.volume / before.volume - 1) if before.volume > 0 else math.nan
    beyond = (
        abs(found["growth_percent_per_day"]) > found["growth_error"]
        if before.volume > 0 and after.volume > 0
        else max(before.volume, after.volume) > 0
    )
    return {
        "volume_before_mm3": before.volume, "volume_before_error_mm3": before.volume_error, "volume_after_mm3": after.volume,
        "volume_after_error_mm3": after.volume_error, "volume_change_percent": change, **found, "beyond_error": beyond,
        "long_axis_before_mm": before.long_axis, "long_axis_after_mm": after.long_axis,
        "long_axis_error_mm": max(before.pixel, after.pixel),
    }  # fmt: skip


def category(before: float, after: float, n_new: int = 0) -> str:
    """The category of target lesions by the sums of their diameters in mm (Eisenhauer et al., Eur J Cancer 2009, 4.3).

    The first date stands for the smallest sum on study. "complete response": all gone. "progressive disease": at least 20 % and 5 mm more, or a
    new lesion. "partial response": at least 30 % less. Otherwise "stable disease"; "not evaluable" without a lesion on the first date.
    """
    if n_new:
        return "progressive disease"
    if before <= 0:
        return "not evaluable"
    if after <= 0:
        return "complete response"
    if after - before >= 5.0 and after >= 1.2 * before - 1e-9:
        return "progressive disease"
    return "partial response" if after <= 0.7 * before + 1e-9 else "stable disease"


def recist(before: Mapping[int, Lesion], after: Mapping[int, Lesion]) -> dict[str, object]:
    """Sums of the long axes of the targets, the category, and the categories that the error of the diameters would allow.

    Targets are the lesions of the first date with the longest axes, at most five of at least 10 mm; where none is that long, all of them with
    a sentence that says so. A label of the second date only is a new lesion. The sum's error adds those of the diameters as independent.
    """
    held = {k: v for k, v in before.items() if v.volume > 0}
    measurable = [k for k, v in held.items() if v.long_axis >= MEASURABLE_MM]
    targets = sorted(measurable or held, key=lambda k: -held[k].long_axis)[:MOST_TARGETS]
    new = [k for k, v in after.items() if v.volume > 0 and k not in held]
    first = sum(held[k].long_axis for k in targets)
    gone = [k for k in targets if k not in after or after[k].volume <= 0]
    second = sum(after[k].long_axis for k in targets if k not in gone)
    error = math.sqrt(sum(held[k].pixel ** 2 for k in targets) + sum(after[k].pixel ** 2 for k in targets if k not in gone))
    all_gone = bool(targets) and len(gone) == len(targets)
    nearby = [second] if all_gone else [max(second - error, 0.01), second, second + error]
    possible = list(dict.fromkeys(category(first, s, len(new)) for s in nearby))
    return {
        "sum_before_mm": round(first, 3), "sum_after_mm": round(second, 3), "sum_error_mm": round(error, 3), "targets": len(targets),
        "new_lesions": len(new), "category": category(first, second, len(new)), "within_error": possible, "measurable": bool(measurable),
    }  # fmt: skip
