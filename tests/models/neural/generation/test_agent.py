"""A generator in reinforcement: it comes to draw what scores well, stays near what it knew, and can be stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.adapters.rdkit.parse import parse
from osler.errors import OptionError, PredictorError
from osler.models.neural.generation import get, learner
from osler.models.neural.generation.agent import Agent
from osler.models.neural.generation.options import GeneratorOptions
from tests.models.neural.generation.drugs import DRUGS

pytest.importorskip("rdkit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny generator of drugs."""
    options = GeneratorOptions(width=32, batch_size=16, epochs=30.0, learning_rate=0.01, rarest=1, longest=40)
    made = get("generator_gru").learn_from(DRUGS, options)[0]
    for number in range(made.total):
        made.step(number)
    learner.save(made, tmp_path_factory.mktemp("agent") / "g")
    return tmp_path_factory.getbasetemp() / "agent0" / "g"


def nitrogens(drawn: list[str]) -> float:
    """Mean share of nitrogen among the heavy atoms of the valid ones."""
    mols = [mol for text in drawn if text and (mol := parse(text).mol) is not None]
    return sum(sum(a.GetSymbol() == "N" for a in mol.GetAtoms()) / mol.GetNumHeavyAtoms() for mol in mols) / len(mols)


def test_draws_follow_from_the_seed_and_the_turn(folder: Path):
    assert Agent(folder, 1).draw(20, 0) == Agent(folder, 1).draw(20, 0)
    assert Agent(folder, 1).draw(20, 0) != Agent(folder, 1).draw(20, 1)
    assert Agent(folder, 1).draw(20, 0) != Agent(folder, 2).draw(20, 0)


def test_it_comes_to_draw_what_scores_well(folder: Path):
    agent = Agent(folder, 1)
    before = nitrogens(agent.draw(200, 1000))
    for turn in range(18):
        valid = [text for text in agent.draw(32, turn) if text and parse(text).mol is not None]
        for _ in range(4):
            agent.learn(valid, [min(1.0, 4 * nitrogens([text])) for text in valid])
    assert nitrogens(agent.draw(200, 1000)) > 1.6 * before


def test_a_stopped_agent_goes_on_the_same(folder: Path, tmp_path: Path):
    whole, first, second = Agent(folder, 1), Agent(folder, 1), Agent(folder, 1)
    shown = list(DRUGS[:12]), [i / 12 for i in range(12)]
    for agent in (whole, first):
        agent.learn(*shown)
    first.save(tmp_path / "state")
    second.restore(tmp_path / "state")
    assert whole.learn(*shown) == second.learn(*shown)
    assert whole.draw(20, 5) == second.draw(20, 5)
    fresh = Agent(folder, 1)
    fresh.restore(tmp_path / "none")
    assert fresh.draw(20, 5) == Agent(folder, 1).draw(20, 5)


def test_molecules_of_unknown_tokens_teach_nothing(folder: Path):
    assert Agent(folder, 1).learn(["[Xe]", "C[Se]C"], [1.0, 1.0]) == 0.0
    assert Agent(folder, 1).learn([], []) == 0.0
    assert Agent(folder, 1).learn([DRUGS[0], "[Xe]"], [1.0, 1.0]) > 0.0


def test_graphs_have_no_likelihood(tmp_path: Path):
    made = get("generator_graph_gan").learn_from(DRUGS, GeneratorOptions(model="generator_graph_gan", width=8, batch_size=8))[0]
    learner.save(made, tmp_path)
    with pytest.raises(OptionError, match="must write SMILES"):
        Agent(tmp_path, 1)
    with pytest.raises(PredictorError):
        Agent(tmp_path / "none", 1)
