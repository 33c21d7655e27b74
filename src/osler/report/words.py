"""How numbers and measures are said: one spelling and one number of decimals for each, everywhere in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: metric → (name for people, decimals or 0 for three significant digits, whether lower is better, what it means)
METRICS: dict[str, tuple[str, int, bool, str]] = {
    "auroc": ("AUROC", 3, False, "chance that a case with the outcome gets the higher prediction than one without; 0.5 is a coin"),
    "auprc": ("AUPRC", 3, False, "average precision; a coin gives the share of cases with the outcome"),
    "accuracy": ("Accuracy", 3, False, "share called right"),
    "balanced_accuracy": ("Balanced accuracy", 3, False, "mean of the shares called right in each class"),
    "precision": ("Precision (PPV)", 3, False, "share of positive calls that are right"),
    "recall": ("Sensitivity (recall)", 3, False, "share of cases with the outcome that are called"),
    "specificity": ("Specificity", 3, False, "share of cases without the outcome that are not called"),
    "npv": ("NPV", 3, False, "share of negative calls that are right"),
    "f1": ("F1", 3, False, "harmonic mean of precision and sensitivity"),
    "mcc": ("MCC", 3, False, "Matthews correlation of call and outcome"),
    "mse": ("MSE", 3, True, "mean squared error, in squared units of the target"),
    "concordance": ("Concordance index", 3, False, "chance that of two pairs with unequal values the larger gets the larger prediction; 0.5 is a coin"),
    "brier": ("Brier score", 3, True, "mean squared error of the probability; 0 is perfect"),
    "log_loss": ("Log loss", 3, True, "mean surprise at the outcome; 0 is perfect"),
    "ece": ("Calibration error (ECE)", 3, True, "mean gap between said and seen, over bins"),
    "calibration_slope": ("Calibration slope", 2, False, "1 is right; below 1 predictions are too extreme"),
    "calibration_intercept": ("Calibration intercept", 2, False, "0 is right; below 0 predictions are too high"),
    "observed_expected": ("Observed / expected", 2, False, "1 is right; below 1 the model expects too many"),
    "mae": ("Mean absolute error", 0, True, "in the unit of the target"),
    "rmse": ("RMSE", 0, True, "root mean squared error, in the unit of the target"),
    "r2": ("R²", 3, False, "share of the spread that is explained; 0 is as good as the mean"),
    "pearson": ("Pearson r", 3, False, "correlation of predicted and seen"),
    "spearman": ("Spearman ρ", 3, False, "correlation of their ranks"),
    "c_harrell": ("C index (Harrell)", 3, False, "chance that of two cases the one with the earlier event had the higher risk"),
    "c_uno": ("C index (Uno)", 3, False, "the same, corrected for censoring"),
    "ibs": ("Integrated Brier score", 3, True, "mean squared error of the survival curve; 0 is perfect"),
    "dice": ("Dice", 3, False, "twice the shared part over the sum of both masks; 1 is the same mask"),
    "jaccard": ("Jaccard", 3, False, "shared part over what either mask holds; 1 is the same mask"),
    "hd95": ("HD95", 0, True, "distance that 95 % of the surface keeps within, in mm (pixels where no spacing is known)"),
    "asd": ("Surface distance", 0, True, "mean distance between the surfaces, in mm (pixels where no spacing is known)"),
    "nsd": ("Surface Dice (NSD)", 3, False, "share of both surfaces that lies within the tolerance of the other"),
    "ap": ("Mean precision of things", 3, False, "found / (found + missed + invented), mean over overlaps from 0.5 to 0.95"),
    "ap_50": ("Precision of things at 0.5", 3, False, "found / (found + missed + invented) at an overlap of 0.5"),
    "map_50": ("Average precision at 0.5", 3, False, "area under precision over recall, mean over classes; 1 finds everything and nothing else"),
    "map": ("Average precision", 3, False, "the same, mean over overlaps from 0.5 to 0.95"),
    "cpm": ("CPM", 3, False, "share of things found, mean over 1/8 to 8 false boxes per scan"),
    "sensitivity_at_1": ("Sensitivity at 1 false box", 3, False, "share of things found with at most one false box per scan"),
    "f1_50": ("F1 of things at 0.5", 3, False, "harmonic mean of the shares of things found and of finds that are things, at an overlap of 0.5"),
}  # fmt: skip
#: task → the measures named first, in that order
LEADING = {
    "binary": ("auroc", "calibration_slope", "calibration_intercept", "brier"),
    "multiclass": ("auroc", "accuracy", "log_loss"), "multilabel": ("auroc", "auprc", "brier"),
    "regression": ("mae", "rmse", "r2", "calibration_slope"),
    "survival": ("c_uno", "c_harrell", "auroc", "calibration_slope", "ibs"),
    "segmentation": ("ap_50", "f1_50", "dice", "hd95", "nsd", "ap"),
    "detection": ("map_50", "cpm", "sensitivity_at_1", "map"),
}  # fmt: skip
VERDICTS = {
    "clean": ("✓", "clean"), "violated": ("✕", "violated"), "unknown": ("?", "unknown"), "not applicable": ("–", "not applicable"),
}  # fmt: skip
SEVERITIES = {"stop": ("✕", "stop", "violated"), "warning": ("!", "warning", "unknown"), "note": ("·", "note", "")}
#: A count from 1 to one below this is not printed beside what it counts.
SMALL = 10


def label(metric: str) -> str:
    """The measure's name for people; an unknown one is spelt as it is."""
    base, _, rest = metric.partition("[")
    name = METRICS[base][0] if base in METRICS else base.replace("_", " ")
    return f"{name} [{rest}" if rest else name


def meaning(metric: str) -> str:
    """What the measure says, in a clause; empty for an unknown one."""
    return METRICS.get(metric, ("", 0, False, ""))[3]


def is_number(value: object) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def number(value: object, decimals: int = 3) -> str:
    """Fixed decimals with a true minus sign; "–" where there is no number."""
    if not is_number(value):
        return "–"
    text = f"{float(value):,.{decimals}f}"  # type: ignore[arg-type]
    if text.startswith("-") and not text.strip("-0.,"):
        text = text[1:]
    return text.replace("-", "−")


def digits_of(metric: str, entry: Mapping[str, Any]) -> int:
    """Decimals for a measure: fixed for shares, three significant digits of the value for those with a unit."""
    decimals = METRICS.get(metric.partition("[")[0], ("", 3, False, ""))[1]
    if decimals or not is_number(entry.get("value")):
        return decimals
    size = max(abs(float(v)) for v in (entry["value"], entry.get("high")) if is_number(v))
    return max(0, 2 - math.floor(math.log10(size))) if size > 0 else 3


def estimate(metric: str, entry: object, decimals: int | None = None) -> str:
    """ "0.902 (0.883 to 0.921)"; never a value without its interval, "–" where there is none to give."""
    if not isinstance(entry, Mapping) or not is_number(entry.get("value")):
        return "–"
    k = digits_of(metric, entry) if decimals is None else decimals
    if not is_number(entry.get("low")) or not is_number(entry.get("high")):
        return f"{number(entry['value'], k)} (no interval)"
    return f"{number(entry['value'], k)} ({interval(entry, k)})"


def interval(entry: Mapping[str, Any], decimals: int) -> str:
    """ "0.883 to 0.921"."""
    return f"{number(entry.get('low'), decimals)} to {number(entry.get('high'), decimals)}"


def percent(entry: object) -> str:
    """ "85.1% (81.7 to 87.9)"."""
    if not isinstance(entry, Mapping) or not is_number(entry.get("value")):
        return "–"
    value, low, high = (100 * float(entry[k]) if is_number(entry.get(k)) else None for k in ("value", "low", "high"))
    return f"{number(value, 1)}% ({number(low, 1)} to {number(high, 1)})"


def share(part: float, whole: float) -> str:
    """ "66.4%" of a whole; "–" of nothing."""
    return f"{number(100 * part / whole, 1)}%" if whole else "–"


def count(n: object) -> str:
    """A count with separators."""
    return f"{int(n):,}" if is_number(n) else "–"  # type: ignore[call-overload]


def cell(n: object) -> str:
    """A count that may be printed: "<10" for 1 to 9."""
    return f"<{SMALL}" if is_number(n) and 0 < float(n) < SMALL else count(n)  # type: ignore[arg-type]


def pair(first: object, second: object) -> tuple[str, str]:
    """Two counts whose sum is known: if one is small, neither is printed."""
    small = [is_number(n) and 0 < float(n) < SMALL for n in (first, second)]  # type: ignore[arg-type]
    if not any(small):
        return count(first), count(second)
    return tuple(f"<{SMALL}" if s else "hidden" for s in small)  # type: ignore[return-value]


def plural(n: object, one: str, many: str = "") -> str:
    """ "1 row", "2 rows"."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def listed(names: list[str], most: int = 8) -> str:
    """ "a, b and c"; after `most`, how many more there are."""
    names = [str(n) for n in names]
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def short(text: object, most: int = 28) -> str:
    """A text that fits beside a picture, shortened with an ellipsis."""
    text = " ".join(str(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"
