"""A pre-trained encoder that learns further: where it starts, what moves, and that a saved model needs no folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("rdkit")

from osler import modalities, models
from osler.adapters import pretrained as folders
from osler.blocks import Block
from osler.cohort.column import Column
from osler.engine.validate_params import _network
from osler.errors import OptionError, PredictorError
from osler.models.base import Encoded, Params
from osler.models.neural.assembly import branches_of, networks
from osler.models.neural.inputs import tensors
from osler.models.neural.pretrained import Pretrained, PretrainedOptions
from osler.tasks.base import Target
from tests.adapters.tiny_encoder import save_encoder
from tests.models.neural.planted_blocks import auroc

ENDS = ("O", "N", "F", "Cl", "c1ccccc1", "C(C)C")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def molecules(folder: Path, n: int = 240) -> tuple[Block, np.ndarray]:
    """Chains with two ends; the label says whether there is a nitrogen."""
    rng = np.random.default_rng(0)
    smiles = [f"{ENDS[i]}{'C' * rng.integers(2, 9)}{ENDS[j]}" for i, j in rng.integers(0, 6, (n, 2))]
    modality, values = modalities.get("molecule"), pl.Series("s", smiles)
    options = {"encoder": str(folder), "features": ["none"], "spellings": 2}
    block = modality.encode_as("sequence", values, modality.fit(values, Column("s", "molecule", options=options)))
    return block, np.array(["N" in s for s in smiles]).astype(int)


def rows(block: Block, y: np.ndarray) -> Encoded:
    return Encoded({"s": block}, Target("binary", ("y",), y, classes=("no", "yes")), np.arange(len(y)))


def options(folder: Path, **more: object) -> PretrainedOptions:
    return replace(PretrainedOptions(folder=str(folder), width=16, epochs=1, dropout=0.0, learning_rate=0.003), **more)


@pytest.fixture(scope="module")
def fitted(folder: Path) -> tuple[Encoded, Params]:
    data = rows(*molecules(folder))
    small = options(folder, epochs=12, batch_size=16)
    return data, Pretrained(small).fit(data.take(np.arange(180)), np.random.default_rng(0))


def test_it_learns_what_its_tokens_say(fitted):
    data, params = fitted
    value = Pretrained().predict(params, data.take(np.arange(180, 240)).blocks).value
    assert auroc(data.target.y[180:], value[:, 1]) > 0.95


def test_it_starts_from_the_folder(folder, fitted):
    data, _ = fitted
    still = Pretrained(options(folder, learning_rate=1e-12, weight_decay=0.0)).fit(data, np.random.default_rng(1))
    for name, weight in folders.weights(folders.encoder(folder)).items():
        np.testing.assert_allclose(still.arrays[f"member0/encoders.0.net.{name}"], weight.numpy(), atol=1e-6)


def test_a_text_is_read_as_the_frozen_encoder_reads_it(folder, fitted):
    data, _ = fitted
    still = Pretrained(options(folder, learning_rate=1e-12)).fit(data, np.random.default_rng(1))
    net, branch = networks(still)[0], branches_of(still)[0]
    x = tensors([branch], data.blocks)[0]
    with torch.no_grad():
        found = net.encoders[0]._in_order((x["x"].long())[:, :, 0])
    words = {v: k for k, v in json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"].items()}
    texts = ["".join(words[int(t) - 1] for t in row if t > 4) for row in x["x"][:, :, 0]]
    np.testing.assert_allclose(found.numpy(), folders.embed(folders.encoder(folder), texts), atol=1e-4)


def test_frozen_layers_keep_their_weights(folder, fitted):
    data, _ = fitted
    start = folders.weights(folders.encoder(folder))
    params = Pretrained(options(folder, frozen=1)).fit(data, np.random.default_rng(1))
    moved = {
        name: not np.array_equal(params.arrays[f"member0/encoders.0.net.{name}"], weight.numpy())
        for name, weight in start.items()
    }
    assert not any(v for k, v in moved.items() if k.startswith(("embeddings.", "encoder.layer.0.")))
    assert all(v for k, v in moved.items() if k.startswith("encoder.layer.1.") and k.endswith("dense.weight"))


def test_a_saved_model_needs_no_folder(folder, fitted, tmp_path):
    block, y = molecules(folder)
    gone = Path(shutil.copytree(folder, tmp_path / "gone"))
    params = Pretrained(options(gone)).fit(rows(block, y), np.random.default_rng(0))
    shutil.rmtree(gone)
    again = Params(json.loads(json.dumps(params.meta)), dict(params.arrays))
    assert str(tmp_path) not in json.dumps(params.meta)
    assert np.isfinite(Pretrained().predict(again, {"s": block}).value).all()


def test_missing_molecules_and_rows_beside_change_nothing(fitted):
    data, params = fitted
    block = replace(data.blocks["s"], present=np.arange(240) % 3 > 0)
    whole = Pretrained().predict(params, {"s": block}).value
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(whole[0], whole[3], atol=1e-6)
    order = np.random.default_rng(2).permutation(240)
    np.testing.assert_allclose(Pretrained().predict(params, {"s": block.take(order)}).value, whole[order], atol=1e-5)


def test_the_same_seed_gives_the_same_weights(folder, fitted):
    data, _ = fitted
    one, two = (Pretrained(options(folder)).fit(data, np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(one.arrays[k], two.arrays[k]) for k in one.arrays)


def test_large_vocabularies_pass_the_gate_and_larger_ones_do_not(fitted):
    meta = json.loads(json.dumps(fitted[1].meta))
    _network(meta)
    meta["architecture"]["pretrained"]["vocab_size"] = 52_000
    _network(meta)
    for key, value in (("vocab_size", 1 << 21), ("num_hidden_layers", 100_000)):
        spoilt = json.loads(json.dumps(meta))
        spoilt["architecture"]["pretrained"][key] = value
        with pytest.raises(PredictorError):
            _network(spoilt)


def test_what_cannot_be_is_refused(folder, fitted, tmp_path):
    with pytest.raises(OptionError, match="must be given its encoder's folder"):
        Pretrained().fit(fitted[0], np.random.default_rng(0))
    with pytest.raises(OptionError, match="must not be negative"):
        models.get("pretrained:frozen=-1")
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text()) | {"model_type": "mpnet"}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(OptionError, match="it is mpnet"):
        Pretrained(options(other)).fit(fitted[0], np.random.default_rng(0))
    with pytest.raises(OptionError, match="of a kind that transformers has"):
        folders.build({"model_type": "no such network"})
