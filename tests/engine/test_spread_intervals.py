"""Intervals as wide as a row is uncertain, through the main verb: fitted, saved, verified, asked again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cohort.read import read
from osler.engine.answer import answer_blocks
from osler.engine.batches import encode
from osler.engine.fit import fit
from osler.engine.predict import predict
from osler.engine.predictor import Predictor
from osler.engine.validate import check_answer
from osler.engine.verify import verify
from osler.errors import PredictorError

pytest.importorskip("torch")

SPEC = "mlp:members=1,width=16,epochs=25,patience=25,learning_rate=0.01,uncertainty=quantile"


def uneven(n: int, seed: int) -> pl.DataFrame:
    """A number whose noise is 0.2 for half of the rows and 2 for the others."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    y = 3 * x[:, 0] + rng.normal(size=n) * np.where(x[:, 1] > 0, 2.0, 0.2)
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    """A finished run of one network that says how sure it is."""
    folder = tmp_path_factory.mktemp("spread")
    uneven(600, 0).write_csv(folder / "t.csv")
    return fit(
        folder / "t.csv", folder / "run", target="y", model=(SPEC,), folds=3, repeats=2, boot=200, explain=False,
        workers=1, silent=True,
    )  # fmt: skip


def test_new_rows_lie_inside_and_uncertain_ones_have_wide_intervals(run, tmp_path: Path):
    new = uneven(1500, 1)
    new.write_csv(tmp_path / "new.csv")
    found = predict(run.folder, tmp_path / "new.csv").table
    inside = ((found["y_low"] <= new["y"]) & (new["y"] <= found["y_high"])).to_numpy()
    width = (found["y_high"] - found["y_low"]).to_numpy()
    noisy = new["b"].to_numpy() > 0
    assert 0.86 < inside.mean() < 0.95
    assert np.median(width[noisy]) > 3 * np.median(width[~noisy])
    np.testing.assert_allclose(
        found["y_pred"].to_numpy(), 0.5 * (found["y_low"] + found["y_high"]).to_numpy(), atol=1e-9
    )


def test_the_report_counts_the_coverage_of_these_intervals(run):
    counted = json.loads((run.folder / "curves.json").read_text())["coverage"]
    assert 0.87 < counted["value"] < 0.93
    assert counted["mean_size"] < 5.5, "intervals of one width would be 6 wide"


def test_a_saved_predictor_keeps_them_and_the_run_verifies(run):
    predictor = Predictor.load(run.folder / "predictor")
    assert predictor.conformal["method"] == "normalised"
    assert verify(run.folder).verdict == "clean"


def test_an_answer_without_a_spread_gives_no_interval_and_a_broken_one_is_refused(run):
    predictor = Predictor.load(run.folder / "predictor")
    cohort = read(uneven(5, 2))
    blocks = encode(cohort, predictor.states)
    answer = predictor.answer(blocks)
    assert answer.spread.shape == (5,)
    columns = answer_blocks(predictor, blocks, replace(answer, spread=None))
    assert columns["y_low"].null_count() == columns["y_high"].null_count() == 5
    for broken in (np.zeros(5), np.ones(4), np.full(5, np.nan)):
        with pytest.raises(PredictorError, match="one number above 0 per row"):
            check_answer(predictor, replace(answer, spread=broken), 5)
