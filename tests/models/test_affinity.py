"""The affinity estimator: what it learns, which booster answers, and that no pair tells itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler import models
from osler.blocks import dense
from osler.engine.validate_params import check_params
from osler.errors import ColumnError, OptionError
from osler.models.affinity import Affinity, AffinityOptions, _held_out
from osler.models.base import Encoded, Params
from osler.models.neighbours import SETTINGS
from osler.models.pairs import Known, Things
from tests.models.made_pairs import pairs

QUICK = "affinity:rounds=40,folds=3"
_FITTED: dict[str, tuple[Encoded, Params]] = {}


def fitted(kind: str) -> tuple[Encoded, Params]:
    """Pairs and what was learnt from them, once per process."""
    if kind not in _FITTED:
        data = pairs(kind)[0]
        _FITTED[kind] = data, models.get(QUICK).fit(data, np.random.default_rng(3))
    return _FITTED[kind]


def saved(params: Params, folder) -> Params:
    """Params written and read back."""
    (folder / "meta.json").write_text(json.dumps(params.meta, allow_nan=False))
    np.savez(folder / "arrays.npz", **{k.replace("/", "|"): v for k, v in params.arrays.items()})
    with np.load(folder / "arrays.npz", allow_pickle=False) as held:
        arrays = {k.replace("|", "/"): held[k] for k in held.files}
    return Params(json.loads((folder / "meta.json").read_text()), arrays)


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_params_are_plain_and_answers_survive_saving(kind: str, tmp_path) -> None:
    data, params = fitted(kind)
    assert set(params.meta["parts"]) == set(SETTINGS)
    check_params(QUICK, params.meta, params.arrays, 2 if kind == "binary" else 0)
    before = models.get(QUICK).predict(params, data.blocks).value
    assert before.shape == (len(data), 2 if kind == "binary" else 1)
    np.testing.assert_array_equal(models.get(QUICK).predict(saved(params, tmp_path), data.blocks).value, before)


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_the_same_seed_gives_the_same_bytes(kind: str) -> None:
    _, params = fitted(kind)
    again = models.get(QUICK).fit(pairs(kind)[0], np.random.default_rng(3))
    assert json.dumps(again.meta) == json.dumps(params.meta)
    assert {k: v.tobytes() for k, v in again.arrays.items()} == {k: v.tobytes() for k, v in params.arrays.items()}


def test_answers_are_row_wise() -> None:
    data, params = fitted("regression")
    whole = models.get(QUICK).predict(params, data.blocks).value
    rows = np.array([5, 200, 17])
    part = models.get(QUICK).predict(params, data.take(rows).blocks).value
    np.testing.assert_allclose(part, whole[rows], rtol=1e-9)


@pytest.mark.parametrize("cold", ["seen", "new_first", "new_second", "new_both"])
def test_each_setting_is_learnt(cold: str) -> None:
    """Families tell the value, so that new things are known by their kin: far better than the mean in every setting."""
    data, i, j = pairs(shape=(40, 24), seed=4)
    rng = np.random.default_rng(0)
    one, other = rng.permutation(40)[i] < 8, rng.permutation(24)[j] < 5
    test = {"seen": rng.random(len(i)) < 0.2, "new_first": one, "new_second": other, "new_both": one & other}[cold]
    train = ~(one | other) if cold == "new_both" else ~test
    params = models.get(QUICK).fit(data.take(train), np.random.default_rng(0))
    answer = models.get(QUICK).predict(params, data.take(test).blocks).value[:, 0]
    y = data.target.y[test]
    assert np.mean((answer - y) ** 2) < 0.35 * y.var()


def test_a_missing_thing_is_a_new_one() -> None:
    data, params = fitted("regression")
    blocks = data.take(np.arange(4)).blocks
    for row, name in ((1, "drug"), (2, "protein"), (3, "drug"), (3, "protein")):
        blocks[name].values[row] = np.nan
        blocks[name].present[row] = False
    value = models.get(QUICK).predict(params, blocks).value
    assert np.isfinite(value).all()
    assert value[0] == pytest.approx(models.get(QUICK).predict(params, data.blocks).value[0])
    assert abs(value[3, 0] - data.target.y.mean()) < 2.0
    empty = models.get(QUICK).predict(params, data.take(np.arange(0)).blocks).value
    assert empty.shape == (0, 1)


def test_rows_without_a_thing_are_left_out_of_training() -> None:
    data = pairs()[0]
    data.blocks["drug"].values[:10] = np.nan
    data.blocks["drug"].present[:10] = False
    params = models.get(QUICK).fit(data, np.random.default_rng(0))
    assert int(params.arrays["table/count"].sum()) == len(data) - 10


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_pair_tells_itself(setting: str) -> None:
    """The features of a training pair stay as they are, whatever it measured."""
    data, _i, _j = pairs(seed=2)
    known = [Known.of(Things.of(data.blocks[name]).counts, 4) for name in ("drug", "protein")]
    codes = tuple(Things.of(data.blocks[name]).code for name in ("drug", "protein"))
    estimator = Affinity(AffinityOptions(folds=3))
    plan = list(estimator._plan(codes, data.groups, setting, np.random.default_rng(0)))
    tested = np.sum([test for _, test in plan], axis=0)
    assert (tested == 1).all(), "every pair is held out once"
    before = _held_out(known, codes, data.target.y, setting, plan).values
    row = 17
    changed = data.target.y.copy()
    changed[row] += 100.0
    after = _held_out(known, codes, changed, setting, plan).values
    np.testing.assert_array_equal(after[row], before[row])
    assert not np.array_equal(after, before, equal_nan=True), "others do see it"


@pytest.mark.parametrize(("setting", "sides"), [("new_first", (0,)), ("new_second", (1,)), ("new_both", (0, 1))])
def test_what_is_held_out_shares_no_thing_with_what_tells_it(setting: str, sides: tuple[int, ...]) -> None:
    data, i, j = pairs(seed=2)
    plan = Affinity()._plan((i, j), data.groups, setting, np.random.default_rng(0))
    for train, test in plan:
        assert not (train & test).any()
        for side in sides:
            assert not set((i, j)[side][train]) & set((i, j)[side][test])


def test_units_of_several_things_are_held_out_together() -> None:
    """Scaffolds: 40 molecules in 20 units of two; a new molecule is then one of a new unit."""
    _, i, j = pairs(shape=(40, 10), seed=2)
    unit = i // 2
    for train, test in Affinity(AffinityOptions(folds=5))._plan((i, j), unit, "new_first", np.random.default_rng(0)):
        assert not set(unit[train]) & set(unit[test])


def test_one_protein_alone_can_be_learnt() -> None:
    data = pairs(shape=(60, 1), share=1.0)[0]
    params = models.get(QUICK).fit(data, np.random.default_rng(0))
    assert "new_second" not in params.meta["parts"]
    assert np.isfinite(models.get(QUICK).predict(params, data.blocks).value).all()
    stranger = pairs(seed=9)[0]
    value = models.get(QUICK).predict(params, stranger.blocks).value
    np.testing.assert_allclose(value, data.target.y.mean(), rtol=1e-12)


def test_other_columns_stand_beside_the_pair() -> None:
    data, *_ = pairs()
    rng = np.random.default_rng(0)
    dose = rng.normal(size=(len(data), 1))
    target = type(data.target)("regression", ("y",), data.target.y + 3.0 * dose[:, 0])
    more = Encoded({**data.blocks, "dose": dense(dose, ["dose"])}, target, data.groups)
    params = models.get(QUICK).fit(more, np.random.default_rng(0))
    answer = models.get(QUICK).predict(params, more.blocks).value[:, 0]
    assert np.corrcoef(answer, target.y)[0, 1] > 0.9


def test_what_it_cannot_use_is_refused() -> None:
    data, *_ = pairs()
    with pytest.raises(ColumnError, match="must be given two columns of things"):
        models.get(QUICK).fit(Encoded({"drug": data.blocks["drug"]}, data.target, data.groups), np.random.default_rng(0))
    for options in ("folds=1", "axes=0"):
        with pytest.raises(OptionError, match="options 'folds' and 'axes' of affinity must be at least 2 and 1"):
            models.get(f"affinity:{options}").fit(data, np.random.default_rng(0))
