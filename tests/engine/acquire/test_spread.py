"""The spread of a model: equal to its parts', larger where nothing was seen, and that of a mean where it must be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osler import models
from osler.blocks import Block, dense
from osler.engine.acquire import spread
from osler.errors import OptionError
from osler.models.base import Encoded
from osler.models.nodes import Nodes
from osler.tasks.base import Target
from tests.engine.screening.molecules import predictor


def blocks(x: np.ndarray) -> dict[str, Block]:
    """One column of numbers."""
    return {"x": dense(x.reshape(-1, 1), ["x"])}


@pytest.fixture
def rows(rng: np.random.Generator) -> Encoded:
    """Eighty rows: y is x with noise, x from 0 to 1 and from 3 to 4."""
    x = np.concatenate([rng.random(40), 3 + rng.random(40)])
    return Encoded(blocks(x), Target("regression", ("y",), x + rng.normal(size=80) / 20), np.arange(80))


def test_a_forest_answers_by_its_trees(rows: Encoded):
    params = models.get("forest:n_trees=30").fit(rows, np.random.default_rng(0))
    found = spread.own("forest:n_trees=30", params, blocks(np.linspace(0, 4, 9)))
    said = models.get("forest").predict(params, blocks(np.linspace(0, 4, 9))).value[:, 0]
    assert found.mean == pytest.approx(said)
    forest = Nodes.from_params(params)
    trees = forest.value[:, 0][forest.leaves(np.linspace(0, 4, 9, dtype=np.float32).reshape(-1, 1))]
    assert found.spread == pytest.approx(trees.std(axis=0, ddof=1))
    assert found.spread[4] > 3 * found.spread[[0, 1, 7, 8]].max()  # x = 2: in the gap
    assert found.source == "30 trees of the forest"
    assert found.take(np.array([4])).spread == found.spread[4]


def test_an_ensemble_adds_what_its_members_disagree_about(rows: Encoded):
    estimator = models.get("ensemble")
    estimator = type(estimator)(replace(estimator.options, members=("linear", "forest:n_trees=20")))
    params = estimator.fit(rows, np.random.default_rng(0))
    params.meta["weights"] = [0.25, 0.75]
    new = blocks(np.array([0.5, 2.0, 6.0]))
    answers = estimator.predict_members(params, new)
    means = np.array([a.value[:, 0] for a in answers.values()])
    trees = spread.own("forest", params.part("1"), new)
    mean = 0.25 * means[0] + 0.75 * means[1]
    variance = 0.25 * (means[0] - mean) ** 2 + 0.75 * (trees.spread**2 + (means[1] - mean) ** 2)
    found = spread.own("ensemble", params, new)
    assert found.mean == pytest.approx(mean)
    assert found.spread == pytest.approx(np.sqrt(variance))
    assert found.source == "2 members of the ensemble"
    params.meta["weights"] = [0.0, 1.0]
    assert spread.own("ensemble", params, new).spread == pytest.approx(trees.spread)


def test_a_gaussian_process_says_itself_how_unsure_it_is(rows: Encoded):
    params = models.get("gaussian_process").fit(rows, np.random.default_rng(0))
    new = blocks(np.array([0.5, 2.0, 6.0]))
    said = models.get("gaussian_process").predict(params, new)
    found = spread.own("gaussian_process", params, new)
    assert np.array_equal(found.spread, said.spread)
    assert np.array_equal(found.mean, said.value[:, 0])
    assert found.source == "what gaussian_process says of each row"
    assert found.spread[2] > found.spread[0]


def test_a_straight_line_has_no_spread_of_its_own_but_copies_have(rows: Encoded):
    one = replace(predictor(), models={"linear": ("linear", models.get("linear").fit(rows, np.random.default_rng(0)))})
    spec, params = one.models["linear"]
    new = blocks(np.array([2.0, 20.0]))
    assert spread.own(spec, params, new) is None
    found = spread.bagged(one, rows, new, 30, np.random.default_rng(1))
    assert found.mean == pytest.approx(models.get("linear").predict(params, new).value[:, 0])
    assert found.spread[1] > 3 * found.spread[0] > 0
    again = spread.bagged(one, rows, new, 30, np.random.default_rng(1))
    assert np.array_equal(found.spread, again.spread)
    with pytest.raises(OptionError, match="copies"):
        spread.bagged(one, rows, new, 1, np.random.default_rng(1))


def test_copies_draw_whole_units(rows: Encoded):
    """With two units, a copy that drew one of them twice knows nothing of the other."""
    spec = "tree:min_leaf=5"
    data = replace(rows, groups=np.repeat([0, 1], 40))
    one = replace(predictor(), models={"linear": (spec, models.get(spec).fit(data, np.random.default_rng(0)))})
    found = spread.bagged(one, data, blocks(np.array([0.5, 3.5])), 12, np.random.default_rng(0))
    assert (found.spread > 0.5).all()
