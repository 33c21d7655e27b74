"""What every generator promises: learn, draw what follows from the seed, be stopped and taken up, be saved and opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from osler.adapters.rdkit.parse import parse
from osler.errors import InputError, OptionError, OslerError, PredictorError
from osler.models.neural.generation import INDEX, get, learner
from osler.models.neural.generation.options import GeneratorOptions
from tests.models.neural.generation.drugs import DRUGS

pytest.importorskip("rdkit")
TINY = {"width": 16, "batch_size": 16, "epochs": 1.0, "adversarial_steps": 3, "rarest": 1, "longest": 60, "max_atoms": 16}
GANS = ("generator_gan", "generator_graph_gan")


def made(model: str, **more: Any) -> Any:
    """A learner of the drugs."""
    return get(model).learn_from(DRUGS, GeneratorOptions(model=model, **{**TINY, **more}))[0]


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Whether two states are equal to the bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("model", INDEX)
def test_every_generator_takes_all_its_steps_and_draws(model: str):
    found = made(model)
    before = {k: v.copy() for k, v in found.arrays().items()}
    for number in range(found.total):
        assert all(np.isfinite(v) for v in found.step(number).values())
    assert not same(before, found.arrays())
    drawn = found.draw(20, (1,))
    assert drawn == found.draw(20, (1,))
    assert drawn != found.draw(20, (2,))
    assert len(drawn) == 20


@pytest.mark.parametrize("model", INDEX)
def test_one_that_was_stopped_goes_on_to_the_same_bytes(model: str):
    whole, first, second = made(model), made(model), made(model)
    for number in range(whole.total):
        whole.step(number)
    half = whole.total // 2
    for number in range(half):
        first.step(number)
    second.restore({k: v.copy() for k, v in first.arrays().items()})
    for number in range(half, whole.total):
        second.step(number)
    assert same(whole.arrays(), second.arrays())


@pytest.mark.parametrize("model", INDEX)
def test_a_saved_generator_draws_the_same(model: str, tmp_path: Path):
    found = made(model)
    found.step(0)
    learner.save(found, tmp_path / "g")
    assert learner.load(tmp_path / "g").draw(10, (3,)) == found.draw(10, (3,))


def test_a_changed_or_foreign_generator_is_refused(tmp_path: Path):
    with pytest.raises(PredictorError, match="must hold a saved generator"):
        learner.load(tmp_path)
    learner.save(made("generator_gru"), tmp_path)
    meta = tmp_path / "generator.json"
    whole = meta.read_text()
    for text, code in (("{", "predictor"), (json.dumps(json.loads(whole) | {"format": "x/9"}), "predictor-version")):
        meta.write_text(text)
        with pytest.raises(PredictorError) as told:
            learner.load(tmp_path)
        assert told.value.code.startswith(code)
    meta.write_text(whole)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(PredictorError) as told:
        learner.load(tmp_path)
    assert told.value.code == "predictor-changed"


def test_likelihood_falls_with_training():
    found = made("generator_gru", epochs=30.0, learning_rate=0.01)
    losses = [found.step(number)["loss"] for number in range(found.total)]
    assert np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3])


@pytest.mark.parametrize("loss", ["wasserstein", "least_squares", "vanilla"])
@pytest.mark.parametrize("model", GANS)
def test_every_loss_moves_generator_and_critic(model: str, loss: str):
    found = made(model, loss=loss, likelihood=0.0)
    start = getattr(found, "likelihood_steps", 0)
    before = {k: v.copy() for k, v in found.arrays().items()}
    told = found.step(start)
    assert set(told) == {"critic", "loss"}
    after = found.arrays()
    for part in ("net", "critic"):
        assert any(not np.array_equal(before[k], after[k]) for k in before if k.startswith(f"{part}/"))


def test_the_critic_of_strings_learns_to_tell_real_ones():
    found = made("generator_gan", loss="vanilla", critic_rate=0.002, adversarial_rate=1e-9, likelihood=0.0, adversarial_steps=25)
    critic = [found.step(number)["critic"] for number in range(found.likelihood_steps, found.total)]
    assert np.mean(critic[-5:]) < 0.7 * np.mean(critic[:3])


def test_the_critic_of_strings_sees_no_token_ahead():
    found = made("generator_gan")
    tokens = torch.randn(2, 9, len(found.vocabulary))
    changed = tokens.clone()
    changed[:, 6:] += 1.0
    assert torch.equal(found.critic(tokens)[:, :6], found.critic(changed)[:, :6])
    assert not torch.equal(found.critic(tokens)[:, 6:], found.critic(changed)[:, 6:])


def test_the_critic_of_graphs_does_not_mind_the_order_of_atoms():
    found = made("generator_graph_gan")
    atoms, bonds = found._real(0, 0)
    order = torch.randperm(atoms.shape[1])
    assert torch.allclose(found.critic(atoms, bonds), found.critic(atoms[:, order], bonds[:, order][:, :, order]), atol=1e-5)


def test_drawn_graphs_are_molecules_of_the_asked_size():
    drawn = made("generator_graph_gan").draw(60, (1,))
    mols = [parse(text).mol for text in drawn if text]
    assert len(mols) >= 55
    assert all(mol is not None and mol.GetNumAtoms() <= 16 for mol in mols)
    assert len({text for text in drawn}) > 40


def test_molecules_that_a_generator_cannot_take_are_left_out():
    strings = (*DRUGS, "C" * 70, "C[N+](C)(C)C")
    _, used = get("generator_gru").learn_from(strings, GeneratorOptions(**TINY))
    assert used[: len(DRUGS)].sum() > 50
    assert not used[len(DRUGS)]
    _, used = get("generator_graph_gan").learn_from(strings, GeneratorOptions(model="generator_graph_gan", **TINY))
    assert used.tolist() == [parse(s).mol.GetNumAtoms() <= 16 and "+" not in s and "-" not in s for s in strings]


@pytest.mark.parametrize("model", INDEX)
def test_too_few_molecules_are_refused(model: str):
    with pytest.raises(InputError, match="at least one batch of 16"):
        get(model).learn_from(["CCO", "CCN"], GeneratorOptions(model=model, **TINY))


def test_a_loss_that_is_not_finite_stops_training():
    net = torch.nn.Linear(1, 1)
    with pytest.raises(OptionError, match="finite") as told:
        learner.descend(net(torch.full((1, 1), torch.inf)).sum(), net, torch.optim.SGD(net.parameters(), 0.1), "critic")
    assert told.value.code == "model-diverged"


def test_unknown_generators_are_named():
    with pytest.raises(OslerError, match="generator_gru"):
        get("generator_gur")


@pytest.mark.parametrize(
    ("name", "value"),
    [("loss", "hinge"), ("precision", "int8"), ("width", 0), ("epochs", -1.0), ("learning_rate", 0.0), ("held_out", 1.0),
     ("uniqueness_floor", 1.5), ("check_n", 5), ("max_atoms", 100)],
)  # fmt: skip
def test_options_out_of_range_are_refused(name: str, value: Any):
    with pytest.raises(OptionError, match=name):
        GeneratorOptions(**{name: value})
