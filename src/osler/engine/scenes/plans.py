"""What each model that draws would do with the training scans, as Markdown for `plan.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text(plans: Mapping[str, Mapping[str, Any]]) -> str:
    """One section per model with every choice that it made from the scans' fingerprint; nested choices are indented."""
    lines = ["", "## What the models make of the scans", "",
             "Read off the development scans for the final model; every fold makes its own plan from its own training scans.", ""]  # fmt: skip
    for spec, plan in plans.items():
        lines += [f"### `{spec}`", "", *_choices(plan), ""]
    return "\n".join(lines)


def _choices(plan: Mapping[str, Any], depth: int = 0) -> list[str]:
    lines = []
    for name, value in plan.items():
        head = f"{'  ' * depth}- {str(name).replace('_', ' ')}:"
        if isinstance(value, Mapping):
            lines += [head, *_choices(value, depth + 1)]
        elif isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
            lines += [head, *(f"{'  ' * (depth + 1)}- {_together(v)}" for v in value)]
        elif isinstance(value, (list, tuple)) and any(isinstance(v, (list, tuple)) for v in value):
            lines.append(f"{head} {'; '.join(_short(v) for v in value)}")
        else:
            lines.append(f"{head} {_short(value)}")
    return lines


def _together(value: Any) -> str:
    """Choices of one of several things in a line."""
    pairs = value.items() if isinstance(value, Mapping) else [("", value)]
    return ", ".join(f"{str(name).replace('_', ' ')} {_short(v)}".strip() for name, v in pairs)


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or (hasattr(value, "__len__") and not len(value)):
        return "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_short(v) for v in value)
    return str(value)
