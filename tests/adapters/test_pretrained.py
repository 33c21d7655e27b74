"""Encoders from a local folder: what is read, what is refused, and the embedding against transformers by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from osler.adapters import pretrained
from osler.errors import LimitError, OptionError
from tests.adapters.tiny_encoder import save_encoder

TEXTS = ["CCO", "c1ccccc1C(=O)N", "C", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "CCN"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def copied(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_folder_is_described(folder):
    found = pretrained.encoder(folder)
    assert (found.kind, found.width, found.longest, len(found.sha256)) == ("roberta", 16, 64, 64)
    assert pretrained.encoder(str(folder)) == found


def test_an_embedding_is_the_mean_of_the_last_states_of_one_text_alone(folder):
    found = pretrained.embed(pretrained.encoder(folder), TEXTS)
    assert found.shape == (5, 16)
    assert found.dtype == np.float32
    net = transformers.RobertaModel.from_pretrained(folder, add_pooling_layer=False).eval()
    words = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    for text, row in zip(TEXTS, found):
        ids = torch.tensor([[0, *(words[letter] for letter in text), 2]])
        with torch.no_grad():
            np.testing.assert_allclose(row, net(ids).last_hidden_state[0].mean(dim=0).numpy(), atol=1e-5)
    assert np.abs(found[0] - found[4]).max() > 0.01


def test_the_order_of_texts_and_what_stands_beside_them_mean_nothing(folder):
    encoder = pretrained.encoder(folder)
    many = [text * (1 + i % 3) for i in range(60) for text in TEXTS[:3]]
    whole = pretrained.embed(encoder, many)
    order = np.random.default_rng(0).permutation(len(many))
    np.testing.assert_allclose(pretrained.embed(encoder, [many[i] for i in order]), whole[order], atol=1e-5)
    assert pretrained.embed(encoder, []).shape == (0, 16)


def test_kept_rows_are_the_same_and_bounded(folder, monkeypatch):
    encoder = pretrained.encoder(folder)
    np.testing.assert_allclose(pretrained.embed_kept(encoder, TEXTS * 2)[5:], pretrained.embed(encoder, TEXTS), atol=1e-5)
    asked = []
    real = pretrained.embed
    monkeypatch.setattr(pretrained, "embed", lambda e, texts: asked.extend(texts) or real(e, texts))
    monkeypatch.setattr(pretrained, "MAX_KEPT", 3 * 16 * 4)
    assert pretrained.embed_kept(encoder, [TEXTS[0], "CCCl"]).shape == (2, 16)
    assert asked == ["CCCl"]
    assert len(pretrained._KEPT) == 3
    assert pretrained.embed_kept(encoder, []).shape == (0, 16)


def test_long_texts_are_cut(folder):
    encoder = pretrained.encoder(folder)
    ids = pretrained.token_ids(encoder, ["C" * 200, "CCO"])
    assert [len(i) for i in ids] == [64, 5]
    assert ids[1][0] == 0
    assert ids[1][-1] == 2
    assert np.isfinite(pretrained.embed(encoder, ["C" * 5000])).all()
    assert pretrained.token_ids(encoder, []) == []


def test_nothing_learns_and_nothing_is_in_training(folder):
    net = pretrained.loaded(pretrained.encoder(folder))[1]
    assert not any(p.requires_grad for p in net.parameters())
    assert not net.training


@pytest.mark.parametrize(("gone", "word"), [
    ("config.json", "must hold a config.json"), ("model.safetensors", "pickled weights"), ("tokenizer.json", "must hold a tokeniser"),
])  # fmt: skip
def test_a_folder_without_a_part_is_refused(folder, tmp_path, gone, word):
    spoilt = copied(folder, tmp_path)
    (spoilt / gone).unlink()
    if gone == "model.safetensors":
        (spoilt / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(OptionError, match=word):
        pretrained.encoder(spoilt)


def test_no_folder_is_refused_and_a_shelf_is_looked_at(folder, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="'tiny' is none"):
        pretrained.encoder(tmp_path / "moved" / "tiny")
    monkeypatch.setenv("OSLER_ENCODERS", str(folder.parent))
    assert pretrained.encoder(tmp_path / "moved" / "tiny").folder == folder.resolve()


@pytest.mark.parametrize(("change", "word"), [
    ({"model_type": 3}, "model_type"), ({"is_decoder": True}, "it is a decoder"), ({"hidden_size": "x"}, "hidden_size"),
    ("[]", "an object"), ("{", "must be JSON"),
])  # fmt: skip
def test_a_wrong_configuration_is_refused(folder, tmp_path, change, word):
    spoilt = copied(folder, tmp_path)
    config = json.loads((spoilt / "config.json").read_text())
    (spoilt / "config.json").write_text(change if isinstance(change, str) else json.dumps(config | change))
    with pytest.raises(OptionError, match=word):
        pretrained.encoder(spoilt)


def test_weights_that_lack_a_part_and_files_that_are_cut_are_refused(folder, tmp_path):
    from safetensors.numpy import load_file, save_file

    spoilt = copied(folder, tmp_path)
    arrays = load_file(spoilt / "model.safetensors")
    gone = next(k for k in arrays if "layer.1.output.dense.weight" in k)
    save_file({k: v for k, v in arrays.items() if k != gone}, spoilt / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OptionError, match="must be whole, 1 are missing"):
        pretrained.embed(pretrained.encoder(spoilt), ["C"])
    (spoilt / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(OptionError, match="that transformers reads"):
        pretrained.embed(pretrained.encoder(spoilt), ["C"])


def test_code_in_the_folder_is_not_run(folder, tmp_path):
    spoilt = copied(folder, tmp_path)
    config = json.loads((spoilt / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}
    (spoilt / "config.json").write_text(json.dumps(config))
    (spoilt / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    pretrained.embed(pretrained.encoder(spoilt), ["C"])
    assert not (tmp_path / "ran").exists()


def test_large_files_are_refused(folder, monkeypatch):
    monkeypatch.setattr(pretrained, "MAX_WEIGHTS", 10)
    with pytest.raises(LimitError, match="at most 0 GiB"):
        pretrained.encoder(folder)
    monkeypatch.setattr(pretrained, "MAX_WEIGHTS", 1 << 30)
    monkeypatch.setattr(pretrained, "MAX_FILE", 10)
    with pytest.raises(LimitError, match=r"'config.json' of encoder 'tiny'"):
        pretrained.encoder(folder)


def test_other_weights_have_another_hash(folder, tmp_path):
    other = save_encoder(tmp_path / "other", seed=1)
    assert pretrained.encoder(other).sha256 != pretrained.encoder(folder).sha256
    assert pretrained.encoder(copied(folder, tmp_path)).sha256 == pretrained.encoder(folder).sha256
