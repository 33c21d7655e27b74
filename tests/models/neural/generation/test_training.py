"""Steps and measurements, the guard against collapse, and a training that was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osler.evaluation.generation import Drawn, internal_diversity, unique_share
from osler.evaluation.generation import fingerprint_bits as bits
from osler.models.neural.checkpoint import Checkpoint
from osler.models.neural.generation import get, training
from osler.models.neural.generation.options import GeneratorOptions
from tests.models.neural.generation.drugs import DRUGS

pytest.importorskip("rdkit")


def judge(strings: list[str], slow: bool) -> dict[str, dict[str, float | int]]:
    """Uniqueness and diversity of what was drawn."""
    drawn = Drawn.read(strings)
    n = len(drawn.smiles)
    found: dict[str, dict[str, float | int]] = {"unique_1k": {"value": unique_share(drawn.smiles, 1000), "n": n}}
    return found | {"internal_diversity": {"value": internal_diversity(bits(drawn.mols)), "n": n}, "slow": {"value": float(slow), "n": 1}}


def learner_of(library: list[str], **options: Any) -> Any:
    """A tiny language model."""
    given = {"width": 24, "batch_size": 16, "rarest": 1, "checks": 4, "check_n": 100, "fcd_checks": 2, "epochs": 4.0, **options}
    return get("generator_gru").learn_from(library, GeneratorOptions(**given))[0]


def point(unique: float, diverse: float, n: int = 500) -> list[dict[str, Any]]:
    """Curves with one measurement."""
    measures = {"unique_1k": {"value": unique, "n": n}, "internal_diversity": {"value": diverse, "n": n}}
    return [{"step": 7, "losses": {}, "measures": measures}]


@pytest.mark.parametrize(("total", "checks", "expected"), [(100, 4, [25, 50, 75, 100]), (3, 8, [1, 2, 3]), (7, 2, [4, 7]), (1, 1, [1])])
def test_measurements_are_spread_and_end_with_the_last_step(total: int, checks: int, expected: list[int]):
    assert training.check_steps(total, checks) == expected


def test_the_guard_lets_a_diverse_generator_go_on():
    assert training.guard(point(0.99, 0.88), GeneratorOptions()) is None
    assert training.guard(point(0.004, 0.1, n=30), GeneratorOptions()) is None  # too few valid ones to say


@pytest.mark.parametrize(("unique", "diverse", "word"), [(0.004, 0.88, "share of different"), (0.9, 0.2, "internal diversity")])
def test_the_guard_names_what_fell(unique: float, diverse: float, word: str):
    with pytest.raises(training.Collapsed, match=word) as told:
        training.guard(point(unique, diverse), GeneratorOptions())
    assert told.value.code == "generator-collapsed"
    assert told.value.curves[0]["step"] == 7
    assert told.value.exit_code == 1


def test_a_generator_that_only_knows_one_molecule_is_stopped():
    learner = learner_of(["CCO"] * 64, epochs=60.0, learning_rate=0.05, checks=10)
    with pytest.raises(training.Collapsed) as told:
        training.train(learner, None, "x", judge, lambda event: None)
    assert told.value.curves[-1]["step"] < learner.total
    assert told.value.curves[-1]["measures"]["unique_1k"]["value"] < 0.5


def test_a_critic_alone_that_drives_too_hard_is_caught_too():
    options = GeneratorOptions(model="generator_gan", width=24, batch_size=16, rarest=1, epochs=20.0, adversarial_steps=120, loss="vanilla",
                               adversarial_rate=0.05, critic_rate=0.001, likelihood=0.0, checks=16, check_n=200)  # fmt: skip
    learner = get("generator_gan").learn_from(DRUGS, options)[0]
    with pytest.raises(training.Collapsed):
        training.train(learner, None, "x", judge, lambda event: None)


def test_events_tell_every_step_and_curves_keep_the_measured_ones():
    learner, events = learner_of(list(DRUGS)), []
    curves = training.train(learner, None, "x", judge, events.append)
    assert [e["step"] for e in events] == list(range(1, learner.total + 1))
    assert [c["step"] for c in curves] == training.check_steps(learner.total, 4)
    first = curves[0]["step"]
    assert curves[0]["losses"]["loss"] == pytest.approx(np.mean([e["losses"]["loss"] for e in events[: first - 1]]), rel=0.2)
    assert [c["measures"]["slow"]["value"] for c in curves] == [0.0, 1.0, 0.0, 1.0]


class Killed(Exception):
    """Raised on the way."""


@pytest.mark.parametrize("at", [3, 8])
def test_a_killed_training_ends_with_the_same_bytes(tmp_path: Path, at: int):
    whole = learner_of(list(DRUGS))
    expected = training.train(whole, None, "x", judge, lambda event: None)

    def stop(event: dict[str, Any]) -> None:
        if event["step"] == at:
            raise Killed

    checkpoint = Checkpoint(tmp_path, seconds=0.0)
    with pytest.raises(Killed):
        training.train(learner_of(list(DRUGS)), checkpoint, "x", judge, stop)
    steps: list[int] = []
    again = learner_of(list(DRUGS))
    curves = training.train(again, checkpoint, "x", judge, lambda event: steps.append(event["step"]))
    assert steps[0] > 1
    assert curves == expected
    left, right = whole.arrays(), again.arrays()
    assert all(np.array_equal(left[k].ravel(), right[k].ravel()) for k in left)


def test_a_checkpoint_of_another_question_is_not_used(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path, seconds=0.0)
    training.train(learner_of(list(DRUGS)), checkpoint, "x", judge, lambda event: None)
    steps: list[int] = []
    training.train(learner_of(list(DRUGS)), checkpoint, "y", judge, lambda event: steps.append(event["step"]))
    assert steps[0] == 1


@pytest.mark.parametrize("loss", ["wasserstein", "least_squares", "vanilla"])
def test_no_adversarial_training_collapses_in_silence(loss: str):
    options = GeneratorOptions(model="generator_gan", width=24, batch_size=16, rarest=1, epochs=10.0, adversarial_steps=12, loss=loss, checks=3,
                               check_n=100)  # fmt: skip
    curves = training.train(get("generator_gan").learn_from(DRUGS, options)[0], None, "x", judge, lambda event: None)
    assert len(curves) == 3
    for point_ in curves:
        assert point_["measures"]["unique_1k"]["value"] >= options.uniqueness_floor
        assert point_["measures"]["internal_diversity"]["value"] >= options.diversity_floor
    assert {"critic", "loss"} == set(curves[-1]["losses"])


def test_floors_can_be_set_higher():
    with pytest.raises(training.Collapsed, match=r"floor 0\.999"):
        training.guard(point(0.99, 0.9), GeneratorOptions(uniqueness_floor=0.999))
    with pytest.raises(training.Collapsed, match=r"floor 0\.95"):
        training.guard(point(1.0, 0.9), GeneratorOptions(diversity_floor=0.95))
    assert training.guard(point(0.0, 0.0), GeneratorOptions(uniqueness_floor=0.0, diversity_floor=0.0)) is None
