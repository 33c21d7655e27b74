"""`osler next` end to end on a small run: what it leaves out, orders and explains, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from osler.cli import main
from osler.engine.acquire.propose import NextOptions, propose
from osler.engine.fit import fit
from osler.engine.study import Study
from osler.errors import InputError, OptionError, ReadError
from tests.engine.screening.molecules import SMILES

pytest.importorskip("rdkit")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a run of a forest on it, and a pool."""
    folder = tmp_path_factory.mktemp("next")
    pl.DataFrame({"smiles": SMILES, "size": [float(len(s)) for s in SMILES]}).write_csv(folder / "table.csv")
    study = Study(target=("size",), task="regression", column=("smiles=molecule",), model=("forest:n_trees=20",), folds=3, repeats=1,
                  explain=False, boot=50)  # fmt: skip
    fit(folder / "table.csv", folder / "run", study, silent=True)
    pool = ["OCC ethanol", *(f"{'C' * n}F f{n}" for n in range(1, 13)), "CCF again", "no! bad", f"{'C' * 13}c1ccccc1O phenol"]
    (folder / "pool.smi").write_text("\n".join(pool) + "\n")
    return folder


def test_what_is_measured_repeated_or_unreadable_is_left_out(place: Path):
    found = propose(place / "run", place / "pool.smi", NextOptions(batch=99, strategy="mean"))
    assert {k: found.facts[k] for k in ("pool", "unreadable", "measured_or_repeated", "open")} == {
        "pool": 16, "unreadable": 1, "measured_or_repeated": 2, "open": 13,
    }  # fmt: skip
    assert sorted(found.batch["place"]) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16]
    assert found.facts["best_so_far"] == max(len(s) for s in SMILES)
    assert found.facts["spread"] == "20 trees of the forest"


def test_large_or_small_values_are_chosen_with_a_reason(place: Path):
    large = propose(place / "run", place / "pool.smi", NextOptions(batch=3, strategy="mean", diversity=0.0)).batch
    small = propose(place / "run", place / "pool.smi", NextOptions(batch=3, strategy="mean", diversity=0.0, minimise=True))
    assert large["predicted"].is_sorted(descending=True)
    assert small.batch["predicted"].is_sorted()
    assert large["predicted"].min() > small.batch["predicted"].max()
    assert small.facts["best_so_far"] == min(len(s) for s in SMILES)
    assert large["why"][0].startswith("prediction ")
    assert "(rank 1)" in large["why"][0]
    assert "nearest measured one" in large["why"][0]
    assert "nearest pick" in large["why"][1]


def test_every_strategy_ranks_by_its_worth(place: Path):
    for strategy in ("ei", "ucb", "spread"):
        batch = propose(place / "run", place / "pool.smi", NextOptions(batch=5, strategy=strategy, diversity=0.0)).batch
        assert batch["worth"].is_sorted(descending=True)
        assert batch["rank"].to_list() == [1, 2, 3, 4, 5]


def test_the_command_writes_the_batch(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = main(["next", str(place / "run"), str(place / "pool.smi"), "--batch", "4", "--out", str(tmp_path / "order.csv")])
    assert code == 0
    assert "expected improvement" in capsys.readouterr().out
    written = pl.read_csv(tmp_path / "order.csv")
    assert written.columns == [
        "place", "name", "smiles", "predicted", "spread", "worth", "rank", "pick_similarity", "train_similarity", "why",
    ]  # fmt: skip
    assert written.height == 4


def test_a_table_that_moved_must_be_named_and_one_that_changed_is_refused(place: Path, tmp_path: Path):
    (tmp_path / "moved.csv").write_bytes((place / "table.csv").read_bytes())
    (tmp_path / "other.csv").write_bytes((place / "table.csv").read_bytes() + b"CCF,3\n")
    assert propose(place / "run", place / "pool.smi", NextOptions(table=str(tmp_path / "moved.csv"))).batch.height == 13
    with pytest.raises(ReadError, match="--table"):
        propose(place / "run", place / "pool.smi", NextOptions(table=str(tmp_path / "other.csv")))


def test_pools_and_options_that_cannot_be_are_refused(place: Path, tmp_path: Path):
    (tmp_path / "known.smi").write_text("CCO\nwhat?\n")
    with pytest.raises(ReadError, match="not measured yet") as error:
        propose(place / "run", tmp_path / "known.smi")
    assert error.value.code == "read-empty"
    with pytest.raises(OptionError, match="ucb"):
        propose(place / "run", place / "pool.smi", NextOptions(strategy="ucbb"))
    with pytest.raises(InputError) as error:
        propose(tmp_path, place / "pool.smi")
    assert error.value.code == "run-missing"
    with pytest.raises(OptionError, match="batch"):
        propose(place / "run", place / "pool.smi", replace(NextOptions(), batch=0))
