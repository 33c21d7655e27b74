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
        elif isinstance(value, (list, tuple)) and any(isinstance(v, (list, tuple)) for v in value):
            lines.append(f"{head} {'; '.join(_short(v) for v in value)}")
        else:
            lines.append(f"{head} {_short(value)}")
    return lines


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_short(v) for v in value)
    return str(value)
