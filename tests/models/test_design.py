"""The two design matrices, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from osler.blocks import dense
from osler.models.base import Params
from osler.models.design import Design, TreeDesign, raw, sources_of

NAN = np.nan


def blocks_of(age, site):
    return {
        "age": dense(np.array(age, float)[:, None], ["age"]),
        "site": dense(np.array(site, float)[:, None], ["site"], kinds=["categorical"], levels=[("a", "b", "(other)")]),
    }


def through(design):
    meta, arrays = design.to_params()
    return type(design).from_params(Params({"design": meta}, arrays))


def test_numbers_are_imputed_standardised_and_levels_centred():
    design = Design.fit(blocks_of([1, 3, NAN, 8], [0, 1, 1, NAN]))
    assert design.names == ("age", "site = a", "site = b")
    # the median of 1, 3, 8 is 3; 1, 3, 3, 8 have mean 3.75 and variance 6.6875
    X = design.matrix(blocks_of([1, NAN], [0, 1]))
    assert X[:, 0] == pytest.approx((np.array([1, 3]) - 3.75) / np.sqrt(6.6875))
    # of three known sites one is a and two are b
    assert X[:, 1:] == pytest.approx(np.array([[2 / 3, -2 / 3], [-1 / 3, 1 / 3]]))


@pytest.mark.parametrize("code", [NAN, 2.0, 7.0, -1.0])
def test_missing_and_unseen_categories_sit_at_the_average(code):
    design = Design.fit(blocks_of([1, 3, 5, 8], [0, 1, 1, 0]))
    assert np.all(design.matrix(blocks_of([1], [code]))[:, 1:] == 0)


def test_training_columns_have_mean_zero_and_unit_scale(rng):
    values = rng.normal(3, 7, size=(50, 4))
    values[rng.random((50, 4)) < 0.2] = NAN
    block = {"x": dense(values, list("abcd"))}
    design = Design.fit(block)
    X = design.matrix(block)
    assert np.abs(X.mean(axis=0)).max() < 1e-12
    assert X[:, :4].std(axis=0) == pytest.approx(np.ones(4))
    assert design.names[4:] == tuple(f"{c} is missing" for c in "abcd")


def test_constant_empty_and_doubly_missing_columns_are_dropped_and_named():
    together = np.where(np.arange(40) < 20, NAN, np.arange(40.0))
    values = np.column_stack([np.ones(40), np.full(40, NAN), together, together * 2 + np.arange(40) % 3])
    design = Design.fit({"x": dense(values, ["one", "empty", "first", "second"])})
    assert design.names == ("first", "second", "first is missing")
    assert set(design.dropped) == {"one", "empty", "second is missing"}


def test_a_block_that_is_absent_counts_as_missing():
    blocks = blocks_of([1, 3, 5, 8], [0, 1, 1, 0])
    design = Design.fit(blocks)
    X = design.matrix({"site": blocks["site"]})
    assert np.isfinite(X).all()
    assert X[:, 0] == pytest.approx(np.full(4, (4 - 4.25) / np.std([1, 3, 5, 8])))


def test_matrix_is_row_wise_and_survives_params(rng):
    blocks = blocks_of(rng.normal(size=30), rng.integers(0, 3, 30))
    design = through(Design.fit(blocks))
    X = design.matrix(blocks)
    rows = rng.permutation(30)[:7]
    assert np.array_equal(design.matrix({k: b.take(rows) for k, b in blocks.items()}), X[rows])
    assert np.array_equal(Design.fit(blocks).matrix(blocks), X)


def test_natural_units_and_reference_levels(rng):
    blocks = blocks_of(rng.normal(40, 9, size=30), rng.integers(0, 3, 30))
    design = Design.fit(blocks)
    X, _, _ = design.natural(design.matrix(blocks))
    assert X[:, 0] == pytest.approx(blocks["age"].values[:, 0])
    assert np.allclose(X[:, 1:].sum(axis=1), 1.0)
    assert [design.names[i] for i in design.reference()] == ["age", "site = b", "site = (other)"]


def test_trees_see_raw_values_levels_and_missing():
    blocks = blocks_of([1, NAN, 5, 8], [0, 1, 2, NAN])
    design = through(TreeDesign.fit(blocks))
    assert list(design.names) == ["age", "site = a", "site = b", "site = (other)"]
    expected = [[1, 1, 0, 0], [NAN, 0, 1, 0], [5, 0, 0, 1], [8, NAN, NAN, NAN]]
    np.testing.assert_array_equal(design.matrix(blocks), expected)


def test_trees_fill_what_was_never_missing_in_training():
    design = TreeDesign.fit(blocks_of([1, 3, 5, 8], [0, 1, 1, 0]))
    assert design.names == ("age", "site = a")
    np.testing.assert_array_equal(design.matrix(blocks_of([NAN], [NAN])), [[4.0, 0.0]])


def test_many_levels_stay_codes():
    codes = np.arange(40.0)[:, None]
    block = {"drug": dense(codes, ["drug"], kinds=["categorical"], levels=[[str(i) for i in range(40)]])}
    design = TreeDesign.fit(block)
    assert design.names == ("drug",)
    assert np.array_equal(design.matrix(block), codes)


def test_raw_puts_dense_blocks_side_by_side():
    blocks = blocks_of([1, 2], [0, 1])
    assert np.array_equal(raw(blocks, sources_of(blocks)), [[1, 0], [2, 1]])
