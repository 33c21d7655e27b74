"""How long until it happens: right-censored times in two plain columns, a duration and an event."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import TargetError
from osler.tasks import reading
from osler.tasks.base import Prediction, Target, Task
from osler.tasks.kaplan_meier import kaplan_meier

#: Every model answers at this many equally spaced times up to the horizon.
GRID_STEPS = 60

#: The horizon is the last time at which this share of the rows is still followed.
SHARE_AT_RISK = 0.2

#: Up to this many codes an event column reads as competing events; with more it is not an event column at all.
MOST_CODES = 10

#: The loss reads a curve at this many equally spaced times.
LOSS_STEPS = 12

#: Least hazard of one step in the loss: a curve that is flat there must not lose for ever.
_LEAST_STEP = 1e-5


def time_grid(horizon: float) -> np.ndarray:
    """(60,) times at which a survival curve is answered: equal steps, the last one is the horizon itself."""
    return np.linspace(0.0, float(horizon), GRID_STEPS + 1)[1:]


def default_horizon(duration: np.ndarray, event: np.ndarray) -> float:
    """The last time at which at least 20 % of the rows are still followed, rounded down to two digits.

    Beyond it curves rest on few people. If nobody has had an event by then, the last event time.

    Args:
        duration: (n,) above 0.
        event: (n,) bool.
    """
    falling = np.sort(duration)[::-1]
    last = float(falling[int(np.ceil(SHARE_AT_RISK * len(falling))) - 1])
    unit = 10.0 ** (np.floor(np.log10(last)) - 1)
    rounded = float(f"{np.floor(last / unit + 1e-9) * unit:.12g}")
    if event.any() and not (event & (duration <= rounded)).any():
        return float(duration[event].max())
    return rounded


def horizon_of(target: Target) -> float:
    """The declared horizon, or the default one of these rows."""
    return float(target.horizon) if target.horizon else default_horizon(target.y, target.event)


def split_event(text: str, names: Iterable[str]) -> tuple[str, str | None]:
    """`status==2` or `status=2` as (column, event value); a plain column name has no value.

    Args:
        text: what the user gave for the event.
        names: the table's columns; a name that holds a "=" itself is recognised.
    """
    names = set(names)
    for at in [i for i, c in enumerate(text) if c == "="]:
        if text not in names and text[:at].strip() in names:
            return text[:at].strip(), text[at:].lstrip("=").strip()
    return text, None


class Survival(Task):
    """Right-censored time to an event.

    The option `event_value` of the event column names the code (or list of codes) that is the event; every other code
    then counts as censored. Without it the column must hold two codes that say themselves which is which.
    """

    kind = "survival"
    needs = ("duration", "event")
    metrics = (
        "c_harrell", "c_uno", "ibs", "auroc", "brier",
        "calibration_slope", "calibration_intercept", "observed_expected",
    )  # fmt: skip
    primary = "c_harrell"
    bigger_is_better = True

    def problems(self, cohort: Cohort, like: Target | None = None) -> dict[str, np.ndarray]:
        """Reasons why rows cannot be used: a duration that is missing or not above zero, a missing event, no weight."""
        duration, event = _columns(cohort)
        found = _duration_problems(cohort, duration)
        found[f"event '{event.name}' is missing"] = _missing(reading.labels(cohort, event))
        weight = reading.weights(cohort)
        if weight is not None:
            found["weight is missing or negative"] = np.isnan(weight)
        return found

    def check(self, cohort: Cohort) -> None:
        """Refuse a target that cannot be learnt from.

        Raises:
            TargetError: a column is not declared; the event has competing codes (`target-competing`) or codes that do
                not say which is the event (`target-class`); no usable row, no event, or events in fewer than two units.
        """
        duration, event = _columns(cohort)
        usable = self.usable(cohort)
        if not usable.any():
            reasons = {r: int(m.sum()) for r, m in self.problems(cohort).items() if m.any()}
            worst = max(reasons, key=reasons.get) if reasons else "there are no rows"
            raise TargetError(
                f"survival needs rows with a positive duration '{duration.name}' and a known event '{event.name}', "
                f"none is left: mostly because {worst}",
                "target-rows",
            )
        happened = _happened(cohort, event) & usable
        if not happened.any():
            raise TargetError(
                f"event '{event.name}' must happen in some rows, all {int(usable.sum())} usable rows are censored: "
                "name another event column, or its option event_value",
                "target-constant",
            )
        reading.need_units(cohort, event.name, happened)

    def target_of(self, cohort: Cohort, like: Target | None = None) -> Target:
        """Durations and events of every row; `like` fixes the horizon, else the duration column's option `horizon`,
        else `default_horizon`.

        Raises:
            TargetError: a row has no duration above zero or no event code (row numbers in the message), or as in
                `check`.
        """
        duration, event = _columns(cohort)
        for reason, mask in self.problems(cohort).items():
            if mask.any():
                raise TargetError(
                    f"every row that is used must have a positive duration and a known event, but {reason} in "
                    f"{reading.row_list(cohort, mask)}: keep only rows where Task.usable(cohort) is true",
                    "target-rows",
                )
        happened = _happened(cohort, event)
        time = reading.numbers(cohort, duration)
        horizon = like.horizon if like is not None and like.horizon else _declared_horizon(duration)
        horizon = horizon or (default_horizon(time, happened) if len(time) else None)
        return Target(
            self.kind, (duration.name, event.name), time, happened, horizon=horizon, weight=reading.weights(cohort)
        )

    def baseline(self, target: Target) -> dict[str, Any]:
        """The Kaplan-Meier curve of the training rows on the time grid."""
        times = time_grid(horizon_of(target))
        curve = kaplan_meier(target.y, target.event, target.weight)
        return {"kind": self.kind, "times": times.tolist(), "survival": curve.at(times).tolist()}

    def predict_baseline(self, baseline: dict[str, Any], n: int) -> Prediction:
        """The Kaplan-Meier curve for every row, (n, t)."""
        times = np.asarray(baseline["times"], dtype=np.float64)
        return Prediction(np.tile(np.asarray(baseline["survival"], dtype=np.float64), (n, 1)), times)

    def loss(self, target: Target, prediction: Prediction) -> np.ndarray:
        """(n,) censored negative log likelihood on the grid, follow-up beyond the last time (at most the horizon) cut.

        The curve is read at 12 equally spaced times with a constant hazard between them, so a row censored inside a
        step keeps the credit for the part that it was followed (piecewise exponential likelihood). Time is in steps,
        which makes the loss free of the unit of time. Proper for the curve at these times: the true one has the least
        expected loss.
        """
        last = float(prediction.times[-1])
        if target.horizon:
            last = min(last, float(target.horizon))
        edges = np.linspace(0.0, last, LOSS_STEPS + 1)
        at = np.searchsorted(prediction.times, edges * (1 + 1e-12), side="right") - 1
        curve = np.where(at >= 0, np.log(np.clip(prediction.value, 1e-12, 1.0))[:, np.maximum(at, 0)], 0.0)
        hazard = np.maximum(-np.diff(curve, axis=1), _LEAST_STEP)
        rows, followed = np.arange(len(target)), np.minimum(target.y, last) * (LOSS_STEPS / last)
        step = np.clip(np.ceil(followed).astype(np.int64) - 1, 0, LOSS_STEPS - 1)
        before = np.concatenate([np.zeros((len(target), 1)), np.cumsum(hazard, axis=1)], axis=1)[rows, step]
        own = hazard[rows, step]
        happened = target.event & (target.y <= last)
        return before + (followed - step) * own - np.where(happened, np.log(own), 0.0)


# -- the two columns -----------------------------------------------------------------------------------------


def _columns(cohort: Cohort) -> tuple[Column, Column]:
    found = []
    for role in ("duration", "event"):
        columns = reading.target_columns(cohort, role)
        if len(columns) > 1:
            names = ", ".join(f"'{c.name}'" for c in columns[:5])
            raise TargetError(
                f"survival needs one {role} column, {len(columns)} were declared ({names}): name one",
                "target-absent",
            )
        found.append(columns[0])
    return found[0], found[1]


def _missing(labels: np.ndarray) -> np.ndarray:
    return np.array([v is None for v in labels], dtype=bool)


def _duration_problems(cohort: Cohort, duration: Column) -> dict[str, np.ndarray]:
    time = reading.numbers(cohort, duration)
    absent = np.isnan(time)
    return {
        f"duration '{duration.name}' is missing or not a finite number": absent,
        f"duration '{duration.name}' is zero": ~absent & (time == 0),
        f"duration '{duration.name}' is negative": ~absent & (time < 0),
    }


def _declared_horizon(duration: Column) -> float | None:
    value = duration.options.get("horizon")
    if value is None:
        return None
    try:
        horizon = float(value)
    except (TypeError, ValueError):
        horizon = -1.0
    if not 0 < horizon < np.inf:
        raise TargetError(
            f"option horizon of column '{duration.name}' must be a time above zero: give it in the unit of the "
            "durations",
            "option",
        )
    return horizon


def _word(label: str) -> str:
    """A code in lower case, without what follows a colon after a digit ("1:DECEASED")."""
    found = re.match(r"^\s*([01])\s*:", label)
    return found[1] if found else label.strip().lower()


def _happened(cohort: Cohort, event: Column) -> np.ndarray:
    """(n,) bool, true where the event was seen; false where its code is missing."""
    labels = reading.labels(cohort, event)
    names = sorted({v for v in labels if v is not None})
    chosen = (
        _chosen(event, names)
        if "event_value" in event.options
        else _told(event, names, int((~_missing(labels)).sum()))
    )
    return np.array([v in chosen for v in labels], dtype=bool)


def _chosen(event: Column, names: list[str]) -> set[str]:
    """The labels that the option `event_value` names."""
    asked = event.options["event_value"]
    asked = list(asked) if isinstance(asked, (list, tuple)) else [asked]
    coding = {reading.label(k): v for k, v in event.coding.items()}
    chosen = {coding.get(reading.label(v), reading.label(v)) for v in asked}
    unknown = chosen - set(names)
    if unknown:
        raise TargetError(
            f"option event_value of column '{event.name}' must be a code that occurs in it, {len(unknown)} of "
            f"{len(chosen)} do not: it holds {len(names)} codes, check the spelling",
            "target-class",
        )
    return chosen


def _shown(names: list[str], n: int) -> tuple[str, str]:
    """The codes as words for a message, and one of them; nothing where they could be patients' values and not codes."""
    if n < 5 * len(names) or any(len(v) > 20 for v in names) or not names:
        return "", "CODE"
    return f" ({', '.join(names)})", names[-1]


def _told(event: Column, names: list[str], n: int) -> set[str]:
    """The label that says by itself that the event was seen; n rows have one."""
    if len(names) > MOST_CODES:
        raise TargetError(
            f"event '{event.name}' must say whether the event was seen, holds {len(names)} different values: name a "
            "column of 0 and 1",
            "target-class",
        )
    shown, last = _shown(names, n)
    if len(names) > 2:
        raise TargetError(
            f"event '{event.name}' must have two codes, has {len(names)}{shown}, which reads as competing events, "
            f"and those are not supported yet: name the code that is the event (--event '{event.name}=={last}', or "
            "the column's option event_value), every other code then counts as censored",
            "target-competing",
        )
    yes = [n for n in names if _word(n) in reading.YES]
    no = [n for n in names if _word(n) in reading.NO]
    if len(yes) <= 1 and len(no) <= 1 and len(yes) + len(no) == len(names):
        return set(yes)
    # A word for yes or no explains the other word; a number does not (1 and 2: R means 2, others 1).
    if len(names) == 2 and len(yes) + len(no) == 1 and not any(_word(n).replace(".", "").isdigit() for n in names):
        return set(yes) if yes else {n for n in names if n not in no}
    raise TargetError(
        f"event '{event.name}' must be 0 or 1, false or true, or words that say which is the event, "
        f"has {len(names)} codes{shown}: name the code that is the event (--event "
        f"'{event.name}=={last}', or the column's option event_value)",
        "target-class",
    )
