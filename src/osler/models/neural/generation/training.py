"""Steps, measurements on the way, the guard against collapse, and a checkpoint to go on from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from osler.errors import ViolationError
from osler.models.neural import loop
from osler.models.neural.checkpoint import Checkpoint
from osler.models.neural.generation.learner import Learner
from osler.models.neural.generation.options import GeneratorOptions

#: Draws and whether slow measures are wanted → measures as {"value", "n", ...}.
Judge = Callable[[list[str], bool], dict[str, dict[str, float | int]]]
#: Valid molecules below which nothing is said about collapse.
ENOUGH = 50


class Collapsed(ViolationError):
    """A generator gives the same few molecules again and again.

    Attributes:
        curves: the measurements up to there.
    """

    default_code = "generator-collapsed"

    def __init__(self, message: str, code: str | None = None, curves: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message, code)
        self.curves = curves or []


def check_steps(total: int, checks: int) -> list[int]:
    """Steps after which the generator is measured; the last is among them."""
    return sorted({int(s) for s in np.linspace(0, total, min(checks, total) + 1)[1:].round()})


def train(
    learner: Learner, checkpoint: Checkpoint | None, mark: str, judge: Judge, report: Callable[[dict[str, Any]], None]
) -> list[dict[str, Any]]:
    """Train a learner to its end, or on from its checkpoint.

    Args:
        checkpoint: where the state is kept; None keeps none.
        mark: fingerprint of the question; a checkpoint of another one is not used.
        judge: measures drawn strings.
        report: called with {"step", "total", "losses"} after every step, and with "measures" too after a measurement.

    Returns:
        One dict per measurement: step, losses (means since the last), measures.

    Raises:
        Collapsed: uniqueness or internal diversity fell under its floor.
        OptionError: `model-diverged`.
    """
    options, total = learner.options, learner.total
    points = check_steps(total, options.checks)
    slow = {p for i, p in enumerate(reversed(points)) if i % max(1, len(points) // options.fcd_checks) == 0}
    done, curves, sums = _resume(learner, checkpoint, mark)
    due = loop.due(checkpoint.seconds if checkpoint else 0.0)
    with loop.threads(1):
        for number in range(done, total):
            losses = learner.step(number)
            for name, value in losses.items():
                total_loss, count = sums.get(name, (0.0, 0))
                sums[name] = (total_loss + value, count + 1)
            event: dict[str, Any] = {"step": number + 1, "total": total, "losses": losses}
            if number + 1 in points:
                drawn = learner.draw(options.check_n, (number + 1,))
                means = {name: value / count for name, (value, count) in sums.items()}
                event = {**event, "losses": means, "measures": judge(drawn, number + 1 in slow)}
                curves.append({k: event[k] for k in ("step", "losses", "measures")})
                sums = {}
            report(event)
            if "measures" in event:
                guard(curves, options)
            if checkpoint is not None and ("measures" in event or due()):
                meta = {"fingerprint": mark, "step": number + 1, "curves": curves, "sums": sums}
                checkpoint.write(learner.arrays(), meta)
    return curves


def guard(curves: list[dict[str, Any]], options: GeneratorOptions) -> None:
    """Refuse to go on with a generator that gives the same few molecules.

    Raises:
        Collapsed: the last measurement is under a floor.
    """
    last = curves[-1]
    measures = last["measures"]
    floors = {"unique_1k": options.uniqueness_floor, "internal_diversity": options.diversity_floor}
    for name, floor in floors.items():
        found = measures.get(name)
        if found and found["n"] >= 2 and measures["unique_1k"]["n"] >= ENOUGH and found["value"] < floor:
            words = {"unique_1k": "share of different molecules", "internal_diversity": "internal diversity"}[name]
            raise Collapsed(
                f"the generator must give different molecules, at step {last['step']} the {words} was {found['value']:.3f} (floor "
                f"{floor:g}, {measures['unique_1k']['n']} valid): draw at a higher temperature, lower adversarial_rate or "
                "critic_rate, or raise likelihood",
                curves=curves,
            )


def _resume(
    learner: Learner, checkpoint: Checkpoint | None, mark: str
) -> tuple[int, list[dict[str, Any]], dict[str, tuple[float, int]]]:
    arrays, meta = checkpoint.read(mark) if checkpoint else ({}, {})
    if not meta:
        return 0, [], {}
    learner.restore(arrays)
    return meta["step"], meta["curves"], {k: (v[0], v[1]) for k, v in meta["sums"].items()}
