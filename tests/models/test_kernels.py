"""Kernels: what counts share against sums written out, numbers against their formulas, missing things against nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.blocks import Block, dense
from osler.models import kernels
from osler.models.base import Params
from osler.models.kernels import KernelDesign, Rows


def written_out(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """MinMax of all pairs as its definition says."""
    low = np.minimum(x[:, None, :], y[None, :, :]).sum(axis=2, dtype=float)
    high = np.maximum(x[:, None, :], y[None, :, :]).sum(axis=2, dtype=float)
    return np.divide(low, high, out=np.zeros_like(low), where=high > 0)


def mixed(n: int = 40, seed: int = 0) -> dict[str, Block]:
    """A molecule's counts and weight, and a number with holes."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.7, (n, 8)).astype(float)
    weight = rng.normal(300, 50, (n, 1))
    names = [*(f"m: ecfp {i}" for i in range(5)), *(f"m: erg {i}" for i in range(3)), "m: weight"]
    molecule = dense(np.hstack([counts, weight]), names, kinds=["count"] * 8 + ["continuous"])
    age = rng.normal(50, 10, (n, 1))
    age[::4] = np.nan
    return {"m": molecule, "age": dense(age, ["age"])}


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 40), st.sampled_from([1, 3, 255]))
def test_minmax_is_its_definition_whichever_way_it_is_computed(seed: int, n: int, m: int, top: int):
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(0, top + 1, (k, 7)) * rng.integers(0, 2, (k, 7)) for k in (n, m))
    x, y = x.astype(np.uint8), y.astype(np.uint8)
    assert kernels.minmax(x, y) == pytest.approx(written_out(x.astype(float), y.astype(float)), abs=1e-12)


def test_minmax_of_bits_is_tanimoto():
    from scipy.spatial.distance import cdist

    bits = np.random.default_rng(1).integers(0, 2, (50, 64)).astype(np.uint8)
    peer = 1.0 - cdist(bits.astype(bool), bits.astype(bool), "jaccard")
    assert kernels.minmax(bits, bits) == pytest.approx(peer, abs=1e-12)


def test_minmax_is_a_kernel():
    """No negative eigenvalue, ones on the diagonal."""
    x = np.random.default_rng(2).poisson(0.5, (60, 20)).astype(np.uint8) + np.eye(60, 20, dtype=np.uint8)
    K = kernels.minmax(x, x)
    kept = x.sum(axis=1) > 0
    assert np.diag(K)[kept] == pytest.approx(1.0)
    assert np.linalg.eigvalsh(K).min() > -1e-9


def test_numbers_by_hand():
    """Rows (0, 2) and (2, 0): dot product 0 / 2, squared distance 8 / 2; a row and itself 4 / 2 and 0."""
    x = np.array([[0.0, 2.0], [2.0, 0.0]])
    line, bend = kernels.of_numbers(x, x)
    assert line.tolist() == [[2.0, 0.0], [0.0, 2.0]]
    assert bend.tolist() == [[0.0, 4.0], [4.0, 0.0]]


def test_families_are_the_fingerprints_of_a_block():
    design = KernelDesign.fit(mixed())
    assert design.families == (("m", 0, 5), ("m", 5, 8))
    assert design.names == ("line", "bend", "counts 0", "counts 1")
    rows = design.rows(mixed())
    assert [c.shape for c in rows.counts] == [(40, 5), (40, 3)]
    assert set(design.design.names) == {"m: weight", "age", "age is missing"}


def test_broken_counts_are_rounded_up():
    block = dense(np.array([[0.0, 0.3, 2.0, 2.1, 999.0]]), [f"erg {i}" for i in range(5)], kinds=["count"] * 5)
    blocks = {"m": block}
    assert KernelDesign.fit(blocks).counts(blocks)[0].tolist() == [[0, 1, 2, 3, 255]]


def test_far_numbers_count_as_far_and_no_further():
    blocks = mixed()
    design = KernelDesign.fit(blocks)
    block = blocks["m"]
    values = block.values.copy()
    values[0, 8] = 1e9
    moved = {**blocks, "m": dense(values, block.names, kinds=block.kinds)}
    assert design.numbers(moved).max() == kernels.FAR
    assert np.array_equal(design.numbers(moved)[1:], design.numbers(blocks)[1:])


@pytest.mark.parametrize("gone", ["m", "age"])
def test_an_absent_column_is_a_missing_one(gone: str):
    blocks = mixed()
    design = KernelDesign.fit(blocks)
    held = blocks[gone]
    empty = dense(np.full_like(held.values, np.nan), held.names, kinds=held.kinds)
    without = design.rows({k: b for k, b in blocks.items() if k != gone})
    missing = design.rows({**blocks, gone: empty})
    assert np.array_equal(without.numbers, missing.numbers)
    assert all(np.array_equal(a, b) for a, b in zip(without.counts, missing.counts))
    if gone == "m":
        assert not np.concatenate(without.counts, axis=1).any()
        assert not kernels.minmax(without.counts[0], design.rows(blocks).counts[0]).any()


def test_only_counts_have_no_kernel_of_numbers():
    block = dense(np.ones((30, 4)), [f"x {i}" for i in range(4)], kinds=["count"] * 4)
    design = KernelDesign.fit({"m": block})
    assert design.names == ("counts 0",)
    rows = design.rows({"m": block})
    assert rows.numbers.shape == (30, 0)
    assert len(kernels.between(design.names, rows, rows)) == 1


def test_a_design_survives_saving():
    blocks = mixed()
    design = KernelDesign.fit(blocks)
    meta, arrays = design.to_params()
    again = KernelDesign.from_params(Params(json.loads(json.dumps(meta)), arrays))
    a, b = design.rows(blocks), again.rows(blocks)
    assert again.families == design.families
    assert np.array_equal(a.numbers, b.numbers)
    assert np.array_equal(a.counts[1], b.counts[1])


def test_rows_are_taken_together():
    rows = Rows(np.arange(6.0).reshape(3, 2), (np.arange(9, dtype=np.uint8).reshape(3, 3),))
    part = rows.take(np.array([2, 0]))
    assert len(part) == 2
    assert part.numbers.tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert part.counts[0].tolist() == [[6, 7, 8], [0, 1, 2]]
