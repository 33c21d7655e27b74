"""Molecules read by a pre-trained encoder: its numbers beside the usual ones, its tokens, and what it saw before."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("torch")
pytest.importorskip("transformers")

from osler import modalities
from osler.adapters import pretrained
from osler.cohort.column import Column
from osler.errors import OptionError
from tests.adapters.tiny_encoder import save_encoder

MOLECULE = modalities.get("molecule")
VALUES = pl.Series("smiles", ["OCC", None, "C1CC", "CCO.Cl", "c1ccccc1C(=O)O", "CCN"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoders") / "tiny", listed="CCO\nCCCl\nOC(=O)c1ccccc1\n")


def column(folder: Path, **options) -> Column:
    """A molecule column with this encoder."""
    return Column("smiles", "molecule", options={"encoder": str(folder), **options})


def test_its_numbers_stand_beside_the_usual_features(folder):
    state = MOLECULE.fit(VALUES, column(folder, features=["maccs"]))
    block = MOLECULE.encode(VALUES, state)
    assert block.values.shape == (6, 167 + 16)
    assert block.present.tolist() == [True, False, False, True, True, True]
    assert block.names[167:169] == ("smiles: roberta 0", "smiles: roberta 1")
    assert set(block.kinds[167:]) == {"continuous"}
    canonical = pretrained.embed(pretrained.encoder(folder), ["CCO", "O=C(O)c1ccccc1"])
    np.testing.assert_allclose(block.values[[0, 4], 167:], canonical, atol=1e-5)
    assert np.array_equal(block.values[0], block.values[3]), "ethanol and its hydrochloride, the salt stripped"


def test_it_can_stand_alone(folder):
    block = MOLECULE.encode(VALUES, MOLECULE.fit(VALUES, column(folder, features=["none"])))
    assert block.values.shape == (6, 16)
    assert block.present.sum() == 4
    with pytest.raises(OptionError, match="was 'none'"):
        MOLECULE.fit(VALUES, Column("smiles", "molecule", options={"features": ["none"]}))


def test_the_sequence_holds_its_tokens(folder):
    state = MOLECULE.fit(VALUES, column(folder, spellings=2))
    block = MOLECULE.encode_as("sequence", VALUES, state)
    ids = pretrained.token_ids(pretrained.encoder(folder), ["CCO"])[0]
    start, end = block.arrays["offsets"][:2]
    assert block.values.shape[1] == 2
    assert block.values[start : start + len(ids), 0].tolist() == ids
    assert end - start >= len(ids)
    assert np.array_equal(np.diff(block.arrays["offsets"]) > 0, block.present)


def test_another_folder_than_that_of_the_training_is_refused(folder, tmp_path):
    there = Path(shutil.copytree(folder, tmp_path / "enc"))
    state = MOLECULE.fit(VALUES, column(there, features=["none"]))
    first = MOLECULE.encode(VALUES, state).values
    shutil.rmtree(there)
    with pytest.raises(OptionError, match="'enc' is none"):
        MOLECULE.encode(VALUES, state)
    save_encoder(there, seed=5)
    with pytest.raises(OptionError, match="must be the one of the training"):
        MOLECULE.encode(VALUES, state)
    shutil.rmtree(there)
    shutil.copytree(folder, there)
    assert np.array_equal(MOLECULE.encode(VALUES, state).values, first, equal_nan=True)


def test_what_it_saw_is_counted(folder, tmp_path):
    said = MOLECULE.pretraining(VALUES, column(folder))
    assert said == "seen: 3 of 4 molecules of 'smiles' are on the list that its encoder was trained on"
    assert MOLECULE.pretraining(VALUES[-1:], column(folder)).startswith("disjoint: none of 1 molecules")
    unlisted = Path(shutil.copytree(folder, tmp_path / "enc"))
    (unlisted / "pretraining.txt").unlink()
    assert MOLECULE.pretraining(VALUES, column(unlisted)).startswith("unknown: the encoder of 'smiles' holds no list")
    assert MOLECULE.pretraining(VALUES, Column("smiles", "molecule")) == ""
