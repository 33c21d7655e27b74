"""The network over pairs: what it learns, that parts and distinct things are read rightly, that answers are row-wise."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("rdkit")

from osler import modalities, models
from osler.blocks import dense
from osler.cohort.column import Column
from osler.engine.validate_params import check_params
from osler.errors import ColumnError, OptionError
from osler.modalities.residues import RESIDUES
from osler.models.base import Encoded, Params
from osler.models.neural.affinity_inputs import LOT, PairFeed, Side
from osler.models.neural.affinity_net import Across, Atoms, Residues
from osler.models.neural.heads import head_of
from osler.tasks.base import Target
from tests.models.made_pairs import pairs

QUICK = "affinity_network:epochs=12,width=16,heads=2,graph_steps=2,batch_size=64,learning_rate=0.01,dropout=0.0"
SMILES = [f"{'C' * n}{end}" for end in ("O", "N", "C(=O)O", "Cl") for n in (3, 4, 5)]


def sequences(n: int = 6, seed: int = 0) -> list[str]:
    """Random proteins of 60 to 85 residues."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(RESIDUES), 60 + 5 * k)) for k in range(n)]


def block_of(kind: str, values: list[str | None]):
    """Cells as a block with the views that the network wants."""
    modality, cells = modalities.get(kind), pl.Series(kind, values, dtype=pl.String)
    state = modality.fit(cells, Column(kind, kind))
    block = modality.encode(cells, state)
    views = {v: modality.encode_as(v, cells, state) for v in modality.also if v in ("graph", "sequence")}
    return type(block)(**{**block.__dict__, "views": views})


def data(kind: str = "regression") -> Encoded:
    """All pairs of twelve molecules and six proteins; the value follows from the end of the one and the half of the other."""
    proteins = sequences()
    grid = [(a, b) for a in range(12) for b in range(6)]
    y = np.array([4.0 + (a // 3) * (1.0 if b < 3 else -1.0) for a, b in grid])
    blocks = {
        "drug": block_of("molecule", [SMILES[a] for a, _ in grid]),
        "protein": block_of("protein", [proteins[b] for _, b in grid]),
    }
    if kind == "binary":
        target = Target(kind, ("y",), (y > 4.5).astype(np.int64), classes=("no", "yes"))
    else:
        target = Target(kind, ("y",), y)
    return Encoded(blocks, target, np.arange(len(grid)))


_FITTED: dict[str, tuple[Encoded, Params]] = {}


def fitted(kind: str = "regression") -> tuple[Encoded, Params]:
    """Pairs and a network, once per process."""
    if kind not in _FITTED:
        made = data(kind)
        _FITTED[kind] = made, models.get(QUICK).fit(made, np.random.default_rng(0))
    return _FITTED[kind]


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_it_learns_what_depends_on_both_things(kind: str) -> None:
    made, params = fitted(kind)
    answer = models.get(QUICK).predict(params, made.blocks).value
    assert answer.shape == (72, 2 if kind == "binary" else 1)
    assert np.corrcoef(answer[:, -1], made.target.y)[0, 1] > 0.7
    if kind == "binary":
        np.testing.assert_allclose(answer.sum(axis=1), 1.0)


def test_params_are_plain_and_survive_saving(tmp_path) -> None:
    made, params = fitted()
    check_params(QUICK, params.meta, params.arrays, 0)
    np.savez(tmp_path / "a.npz", **{k.replace("/", "|"): v for k, v in params.arrays.items()})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as held:
        arrays = {k.replace("|", "/"): held[k] for k in held.files}
    again = Params(json.loads(json.dumps(params.meta, allow_nan=False)), arrays)
    before = models.get(QUICK).predict(params, made.blocks).value
    np.testing.assert_array_equal(models.get(QUICK).predict(again, made.blocks).value, before)


def test_the_same_seed_gives_the_same_bytes() -> None:
    _made, params = fitted()
    again = models.get(QUICK).fit(data(), np.random.default_rng(0))
    assert {k: v.tobytes() for k, v in again.arrays.items()} == {k: v.tobytes() for k, v in params.arrays.items()}


def test_answers_do_not_depend_on_the_rows_beside() -> None:
    made, params = fitted()
    whole = models.get(QUICK).predict(params, made.blocks).value
    rows = np.array([70, 3, 11, 3])
    np.testing.assert_allclose(models.get(QUICK).predict(params, made.take(rows).blocks).value, whole[rows], atol=1e-5)
    assert models.get(QUICK).predict(params, made.take(rows[:0]).blocks).value.shape == (0, 1)


def test_missing_things_are_answered() -> None:
    made, params = fitted()
    blocks = {
        "drug": block_of("molecule", [SMILES[0], None, SMILES[0], None]),
        "protein": block_of("protein", [sequences()[0], sequences()[0], None, None]),
    }
    value = models.get(QUICK).predict(params, blocks).value
    assert np.isfinite(value).all()
    assert value[0] == pytest.approx(models.get(QUICK).predict(params, made.take(np.array([0])).blocks).value[0], abs=1e-5)
    assert len(set(value[:, 0].round(6).tolist())) == 4


def test_counts_alone_are_enough() -> None:
    made = pairs()[0]
    params = models.get(QUICK).fit(made, np.random.default_rng(0))
    assert [b["layout"] for b in params.meta["branches"]] == ["dense", "dense"]
    answer = models.get(QUICK).predict(params, made.blocks).value[:, 0]
    assert np.corrcoef(answer, made.target.y)[0, 1] > 0.8


def test_other_columns_and_early_stopping() -> None:
    made = pairs()[0]
    dose = np.random.default_rng(0).normal(size=(len(made), 1))
    dose[3] = np.nan
    target = Target("regression", ("y",), made.target.y + 3.0 * np.nan_to_num(dose[:, 0]))
    more = Encoded({**made.blocks, "dose": dense(dose, ["dose"])}, target, made.groups)
    params = models.get(f"{QUICK},validation_folds=4,members=2").fit(more, np.random.default_rng(0))
    assert params.meta["members"] == 2
    assert params.meta["architecture"]["rest"] == 1
    answer = models.get(QUICK).predict(params, more.blocks).value[:, 0]
    assert np.corrcoef(answer, target.y)[0, 1] > 0.9


@pytest.mark.parametrize("options", ["heads=0", "graph_steps=0", "width=10,heads=4", "max_length=0"])
def test_wrong_options_are_refused(options: str) -> None:
    with pytest.raises(OptionError, match="affinity_network must be at least 1"):
        models.get(f"affinity_network:{options}")


def test_one_column_of_things_is_not_enough() -> None:
    made = pairs()[0]
    alone = Encoded({"drug": made.blocks["drug"]}, made.target, made.groups)
    with pytest.raises(ColumnError, match="two columns of things"):
        models.get(QUICK).fit(alone, np.random.default_rng(0))


# -- inputs ------------------------------------------------------------------------------------------------------------


def feed(made: Encoded) -> PairFeed:
    sides = tuple(Side.of(name, made.blocks[name], 1000) for name in ("drug", "protein"))
    head = head_of(made.target, "none", 0.0, 20)
    return PairFeed(sides, np.zeros((len(made), 0), np.float32), head, made.target, torch.device("cpu"))


def test_every_distinct_thing_of_a_batch_is_there_once() -> None:
    made = data()
    drug, protein, pair = feed(made).take(np.array([0, 1, 6, 7, 0]))
    assert len(drug["counts"]) == len(protein["counts"]) == 2
    assert pair["first"].tolist() == [0, 0, 1, 1, 0]
    assert pair["second"].tolist() == [0, 1, 0, 1, 0]
    assert drug["row"].bincount().tolist() == [4, 5], "propanol has four heavy atoms, butanol five"
    assert drug["at"].tolist() == [*range(4), *range(5)]
    letters = protein["codes"][1]
    assert "".join(RESIDUES[c - 2] for c in letters.tolist() if c > 1) == sequences()[1]


def test_an_epoch_holds_every_pair_once_and_few_sequences_at_a_time() -> None:
    rng = np.random.default_rng(0)
    wide = Encoded(
        {"drug": pairs(shape=(30, 1), share=1.0)[0].blocks["drug"].take(rng.integers(0, 30, 3000)),
         "protein": block_of("protein", sequences(100)).take(rng.integers(0, 100, 3000))},
        Target("regression", ("y",), np.arange(3000.0)), np.arange(3000),
    )  # fmt: skip
    walked = feed(wide)
    seen, most = [], 0
    for inputs, target in walked.slices(200, np.random.default_rng(1)):
        seen += (target["y"] * walked.head.spread + walked.head.center).round().int().tolist()
        most = max(most, len(inputs[1]["counts"]))
    assert sorted(seen) == list(range(3000))
    assert most <= 2 * LOT, "a batch at the border of two lots has both"
    assert seen != sorted(seen)
    ordered = [y for _, t in walked.slices(0, None) for y in t["y"].tolist()]
    assert ordered == sorted(ordered)


def test_a_missing_cell_is_a_thing_without_parts() -> None:
    side = Side.of("drug", block_of("molecule", [None, "CCO", "CCO"]), 1000)
    assert side.code.tolist() == [1, 0, 0]
    found = side.tensors(np.array([0, 1]), torch.device("cpu"))
    assert found["row"].tolist() == [0, 0, 0]
    assert found["counts"][1].sum() == 0
    none = Side.of("protein", block_of("protein", ["MKV" * 9]), 10)
    assert none.tensors(np.array([1, 0]), torch.device("cpu"))["codes"].shape == (2, 10), "the first ten residues"
    assert none.tensors(np.array([1]), torch.device("cpu"))["codes"].sum() == 0


# -- parts of the network ----------------------------------------------------------------------------------------------


def test_atoms_are_put_back_where_they_belong() -> None:
    torch.manual_seed(0)
    side = Side.of("drug", block_of("molecule", ["CCO", "CCCCN"]), 1000)
    net = Atoms(side.spec(), 8, 2).eval()
    both, real = net(side.tensors(np.array([0, 1]), torch.device("cpu")))
    assert real.sum(dim=1).tolist() == [3, 5]
    alone, _ = net(side.tensors(np.array([1]), torch.device("cpu")))
    torch.testing.assert_close(both[1, :5], alone[0, :5])
    assert (both[~real] == 0).all()


@pytest.mark.parametrize("length", [1, 7, 40, 333])
def test_residues_beyond_the_end_say_nothing(length: int) -> None:
    torch.manual_seed(0)
    net = Residues({}, 8, 1).eval()
    codes = torch.randint(2, 22, (1, length))
    padded = torch.cat([codes, torch.zeros(1, 500 - length, dtype=torch.int64)], dim=1)
    short, real = net({"codes": codes})
    long, there = net({"codes": padded})
    assert there.sum() >= real.sum() >= 1
    n = int(min(real.sum(), there.sum()))
    torch.testing.assert_close(long[0, : max(n - 1, 0)], short[0, : max(n - 1, 0)], atol=1e-5, rtol=1e-4)


def test_attention_over_nothing_answers_the_same_for_all() -> None:
    torch.manual_seed(0)
    across = Across(8, 2).eval()
    vectors, parts = torch.randn(3, 8), torch.randn(2, 4, 8)
    real = torch.tensor([[True, True, False, False], [False] * 4])
    found = across(vectors, parts, real, torch.tensor([0, 1, 1]))
    torch.testing.assert_close(found[1], found[2])
    changed = parts.clone()
    changed[0, 2:] += 100.0
    torch.testing.assert_close(across(vectors, changed, real, torch.tensor([0, 1, 1])), found)
