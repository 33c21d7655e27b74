"""Molecules as texts in several spellings: what is drawn in training, what is averaged in the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from osler import models
from osler.blocks import Block
from osler.errors import ColumnError, OptionError
from osler.models.base import Encoded, Params
from osler.models.neural.assembly import Extras, branches_of
from osler.models.neural.checkpoint import Checkpoint
from osler.models.neural.inputs import plan_branches, tensors
from osler.models.neural.smiles_rnn import SmilesRnn, SmilesRnnOptions
from osler.models.neural.spelled import TokenEncoder
from tests.models.neural.planted_blocks import auroc, binary, numbers
from tests.models.neural.training_killed import digest

QUICK = SmilesRnnOptions(width=24, hidden=16, epochs=15, batch_size=32, learning_rate=0.006, members=1)
SHORT = replace(QUICK, epochs=2)


def texts(rng: np.random.Generator, n: int, k: int = 3) -> tuple[Block, np.ndarray]:
    """Rows of k spellings of one text; the label says whether a 4 stands right after a 3 or one later."""
    y, parts, sizes = rng.integers(0, 2, n), [], []
    for label in y:
        size = int(rng.integers(5, 10))
        text = rng.integers(1, 3, size)
        at = int(rng.integers(size - 2))
        text[at], text[at + (1 if label else 2)] = 3, 4
        rows = np.full((size + 1, k), -1.0)
        for j in range(k):
            rows[: size + (j == 1), j] = np.concatenate([[2] * (j == 1), text])
        parts.append(rows)
        sizes.append(size + 1)
    arrays = {"values": np.concatenate(parts), "offsets": np.concatenate([[0], np.cumsum(sizes)])}
    return Block("sequence", arrays, np.ones(n, dtype=bool), tuple(f"t{j}" for j in range(k))), y


@pytest.fixture(scope="module")
def small() -> tuple[Encoded, Params]:
    """Texts, some missing, beside two numbers; a network of two epochs."""
    rng = np.random.default_rng(3)
    block, y = texts(rng, 60)
    block = replace(block, present=rng.random(60) > 0.2)
    rows = binary({"s": block, "lab": numbers(rng.normal(size=(60, 2)))}, y)
    return rows, SmilesRnn(SHORT).fit(rows, np.random.default_rng(0))


def test_the_order_of_tokens_is_learnt(rng):
    block, y = texts(rng, 500)
    rows, model = binary({"s": block}, y), SmilesRnn(QUICK)
    params = model.fit(rows.take(np.arange(400)), np.random.default_rng(1))
    test = rows.take(np.arange(400, 500))
    assert auroc(test.target.y, model.predict(params, test.blocks).value[:, 1]) > 0.97


def test_ends_unknown_tokens_and_missing_rows_as_tensors(rng):
    block, y = texts(rng, 8)
    branch = plan_branches(binary({"s": block}, y), 8, True, 99, rng, codes=True)[0]
    assert (branch.encoder, branch.spec["tokens"]) == ("tokens", 4)
    values = np.array([[1.0, 9.0], [0.0, -1.0], [4.0, 2.0]])
    other = Block("sequence", {"values": values, "offsets": np.array([0, 2, 3])}, np.array([True, False]))
    given = replace(branch, spec=branch.spec | {"p": 2})
    found = tensors([given], {"s": other})[0]
    assert found["x"].tolist() == [[[2, 1], [1, 0]], [[0, 0], [0, 0]]]
    assert found["present"].tolist() == [True, False]
    with pytest.raises(ColumnError, match="sequence with 3 features"):
        tensors([branch], {"s": other})


def test_an_answer_is_the_mean_over_spellings_and_training_draws_one(rng):
    block, y = texts(rng, 40)
    branch = plan_branches(binary({"s": block}, y), 8, True, 99, rng, codes=True)[0]
    torch.manual_seed(0)
    encoder = TokenEncoder(branch, {"hidden": 6, "width": 5, "dropout": 0.0}).eval()
    rows = tensors([branch], {"s": block})[0]
    with torch.no_grad():
        each = torch.stack([encoder({"x": rows["x"][:, :, [j]]}) for j in range(3)])
        np.testing.assert_allclose(encoder(rows).numpy(), each.mean(dim=0).numpy(), atol=1e-6)
        drawn = encoder.train()(rows)
        which = (drawn - each).abs().amax(dim=2).argmin(dim=0)
        nearest = each[which, torch.arange(40)]
    np.testing.assert_allclose(drawn.numpy(), nearest.numpy(), atol=1e-6)
    assert set(which.tolist()) >= {0, 1}, "each row draws its own spelling"


def test_a_text_is_read_in_both_directions_to_its_end_and_no_further(rng):
    block, y = texts(rng, 6, k=1)
    branch = plan_branches(binary({"s": block}, y), 8, True, 99, rng, codes=True)[0]
    encoder = TokenEncoder(branch, {"hidden": 3, "width": 2, "dropout": 0.0}).eval()
    seen = {}
    encoder.last.register_forward_hook(lambda _m, inputs, _o: seen.update(x=inputs[0].detach()))
    x = torch.tensor([[2, 4, 5, 0, 0], [3, 2, 3, 4, 2]], dtype=torch.int16)
    with torch.no_grad():
        encoder({"x": x[:, :, None]})
        batch = seen["x"].sort(dim=0).values
        for unit, place, order in ((encoder.forwards, 0, [2, 4, 5]), (encoder.backwards, 6, [5, 4, 2])):
            states = unit(torch.tensor(order)[:, None])[:, 0]
            by_hand = torch.cat([states.mean(dim=0), states[-1]]).numpy()
            encoder({"x": x[:1, :, None]})
            np.testing.assert_allclose(seen["x"][0, place : place + 6].numpy(), by_hand, atol=1e-6)
        encoder({"x": x[1:, :, None]})
        both = torch.cat([seen["x"]])
    assert batch.shape == (2, 12)
    assert np.isfinite(both.numpy()).all()


def test_a_rows_answer_does_not_depend_on_the_rows_beside_it(small, rng):
    rows, params = small
    whole = SmilesRnn(SHORT).predict(params, rows.blocks).value
    order = rng.permutation(len(rows))
    mixed = SmilesRnn(SHORT).predict(params, rows.take(order).blocks).value
    np.testing.assert_allclose(mixed, whole[order], atol=1e-6)
    for i in (0, 7, 21):
        alone = SmilesRnn(SHORT).predict(params, rows.take(np.array([i])).blocks).value
        np.testing.assert_allclose(alone[0], whole[i], atol=1e-6)


def test_what_a_missing_text_holds_is_never_seen(small):
    rows, params = small
    block = rows.blocks["s"]
    values = block.values.copy()
    values[np.repeat(~block.present, np.diff(block.arrays["offsets"]))] = 4.0
    changed = rows.blocks | {"s": replace(block, arrays=block.arrays | {"values": values})}
    before, after = (SmilesRnn(SHORT).predict(params, b).value for b in (rows.blocks, changed))
    np.testing.assert_array_equal(after, before)


def test_a_stopped_training_goes_on_to_the_same_bytes(small, tmp_path):
    rows, _ = small
    options = replace(SHORT, epochs=4)

    def stop(event: dict) -> None:
        if event["epoch"] == 3:
            raise KeyboardInterrupt

    kept = Checkpoint(tmp_path, 0.0)
    with pytest.raises(KeyboardInterrupt):
        SmilesRnn(options, Extras(checkpoint=kept, progress=stop)).fit(rows, np.random.default_rng(0))
    seen: list[dict] = []
    again = SmilesRnn(options, Extras(checkpoint=kept, progress=seen.append)).fit(rows, np.random.default_rng(0))
    assert [e["epoch"] for e in seen] == [3, 4]
    assert digest(again) == digest(SmilesRnn(options).fit(rows, np.random.default_rng(0)))


def test_an_encoder_of_an_earlier_run_is_taken_over_where_it_fits(small):
    rows, params = small
    taken = SmilesRnn(SHORT, Extras(init=params)).fit(rows, np.random.default_rng(5))
    assert set(taken.meta["warm_start"]) == {"table", "s"}
    assert branches_of(taken)[1].encoder == "tokens"
    other = SmilesRnn(replace(SHORT, hidden=20), Extras(init=params)).fit(rows, np.random.default_rng(5))
    assert other.meta["warm_start"] == ["table"]


def test_impossible_options_are_refused():
    with pytest.raises(OptionError, match="'hidden' of smiles_rnn must be at least 1, was 0"):
        models.get("smiles_rnn:hidden=0")
