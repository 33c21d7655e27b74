"""Many labels of a molecule, most of them not assessed somewhere: Tox21 through the main verb."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("torch")

from osler.engine.fit import fit
from osler.engine.predict import predict


@pytest.fixture(scope="module")
def tox21(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 molecules and the three assays that are most often positive."""
    file = mirror / "drugs" / "tox21.csv.gz"
    if not file.is_file():
        pytest.skip("no Tox21 among the data sets")
    table = pl.read_csv(file).select("SR-ARE", "SR-MMP", "NR-AhR", "smiles").sample(300, seed=1)
    table.write_csv(path := tmp_path_factory.mktemp("tox21") / "t.csv")
    return path


def test_a_network_learns_each_label_from_the_molecules_that_were_assessed(tox21: Path, tmp_path: Path):
    labels = ("SR-ARE", "SR-MMP", "NR-AhR")
    run = fit(
        tox21, tmp_path / "run", target=labels, unit=("scaffold",), model=("dmpnn:epochs=3,hidden=24,width=24",), folds=2,
        repeats=1, boot=200, explain=False, workers=1, silent=True,
        column=("smiles=molecule:features=maccs",),
    )  # fmt: skip
    table = pl.read_csv(tox21)
    assert run.certificate["verdict"] == "clean"
    scores = run.scores["parts"]["cv"][run.chosen]
    assert 0.5 < scores["auroc"]["value"] <= 1
    unknown = table.select(pl.col(labels).is_null().sum()).row(0)
    assert min(unknown) > 20, "the sample has labels that were not assessed"
    answered = predict(run.folder, tox21).table
    for label in labels:
        p = answered[f"{label}_prob_1"].to_numpy()
        assert np.isfinite(p).all(), "every molecule has an answer, assessed or not"
        assert ((p > 0) & (p < 1)).all()
        assert abs(p.mean() - table[label].mean()) < 0.15, "about the share among the assessed"
