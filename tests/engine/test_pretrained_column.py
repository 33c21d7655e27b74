"""A pre-trained encoder through the main verb: asked for in one flag, stated in the certificate, verified, asked again."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("torch")
pytest.importorskip("transformers")

from osler.engine.asked import declared
from osler.engine.fit import fit
from osler.engine.predict import predict
from osler.engine.verify import verify
from osler.errors import OptionError
from tests.adapters.tiny_encoder import save_encoder


def chains(n: int) -> pl.DataFrame:
    """Alcohols and amines of up to n carbons, rings among them; the number is their count of heavy atoms."""
    smiles = [f"{'C' * i}{end}" for i in range(2, n) for end in ("O", "N", "c1ccccc1", "C1CCOC1")]
    sizes = [sum(c in "CcNO" for c in s) for s in smiles]
    return pl.DataFrame({"smiles": smiles, "size": np.array(sizes) + 0.01 * np.arange(len(sizes))})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    """A straight line on the embedding alone."""
    place = tmp_path_factory.mktemp("pretrained")
    save_encoder(place / "tiny", listed="CCO\nCCCCCN\nc1ccccc1\n")
    chains(18).write_csv(place / "t.csv")
    return fit(
        place / "t.csv", place / "run", target="size", model=("linear",), folds=2, repeats=1, boot=200, explain=False,
        column=(f"smiles=molecule:features=none,encoder={place / 'tiny'}",), workers=1, silent=True,
    )  # fmt: skip


def overlap(certificate: dict) -> dict:
    """The check that tells of pre-training."""
    return next(c for c in certificate["checks"] if c["name"] == "pre-training overlap")


def test_the_certificate_counts_what_the_encoder_saw(run):
    found = overlap(run.certificate)
    assert found["detail"] == "seen: 2 of 64 molecules of 'smiles' are on the list that its encoder was trained on"
    assert found["verdict"] == "unknown"
    assert run.certificate["verdict"] == "clean"


def test_the_run_verifies_to_the_same_words(run):
    found = verify(run.folder)
    assert found.verdict == "clean"
    kept = [c for c in found.checks if c.name == "pre-training overlap"]
    assert kept[0].detail.startswith("seen: 2 of 64")


def test_new_molecules_are_answered_through_the_folder(run, tmp_path):
    pl.DataFrame({"smiles": ["CCCCCCO", "x", "CCCCCCCCCCCO"]}).write_csv(tmp_path / "new.csv")
    found = predict(run.folder, tmp_path / "new.csv").table["size_pred"].to_numpy()
    assert found[2] - found[0] == pytest.approx(5, abs=3)


def test_the_encoder_itself_learns_where_the_model_says_so(tmp_path):
    save_encoder(tmp_path / "tiny")
    chains(12).write_csv(tmp_path / "t.csv")
    found = fit(
        tmp_path / "t.csv", tmp_path / "run", target="size", folds=2, repeats=1, boot=200, explain=False, workers=1,
        column=(f"smiles=molecule:features=none,encoder={tmp_path / 'tiny'},spellings=2",), silent=True,
        model=(f"pretrained:folder={tmp_path / 'tiny'},epochs=2,width=8",),
    )  # fmt: skip
    assert overlap(found.certificate)["detail"].startswith("unknown: the encoder of 'smiles' holds no list")
    answered = predict(found.folder, tmp_path / "t.csv").table["size_pred"]
    assert answered.null_count() == 0


def test_options_of_a_column_are_given_in_its_flag():
    found = declared(["smiles=molecule:features=ecfp+maccs,spellings=3", "a=b=number", "zip:code=category"])
    assert found == {
        "smiles": ("molecule", {"features": ["ecfp", "maccs"], "spellings": 3}), "a=b": ("number", {}),
        "zip:code": ("category", {}),
    }  # fmt: skip
    with pytest.raises(OptionError, match="did you mean 'spellings'"):
        declared(["smiles=molecule:speling=3"])
    with pytest.raises(OptionError, match="must be a whole number"):
        declared(["smiles=molecule:spellings=many"])
    with pytest.raises(OptionError, match="must be NAME=MODALITY"):
        declared(["smiles"])
    with pytest.raises(OptionError, match="did you mean 'molecule'"):
        declared(["smiles=molecul"])
