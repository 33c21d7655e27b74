"""Similarity search against a loop over sets, against RDKit, and at the edges of its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.adapters.tanimoto import search
from osler.adapters.tanimoto.search import Library
from osler.errors import OptionError

pytest.importorskip("numba")


def pack(rows: list[set[int]], words: int) -> np.ndarray:
    """Sets of bit numbers as (n, words) uint64."""
    out = np.zeros((len(rows), words), dtype=np.uint64)
    for i, row in enumerate(rows):
        for bit in row:
            out[i, bit // 64] |= np.uint64(1 << (bit % 64))
    return out


def by_sets(rows: list[set[int]], query: set[int]) -> list[tuple[float, int]]:
    """(similarity, row) of every row, most similar first, by Python's sets."""
    found = [(len(r & query) / len(r | query) if r | query else 0.0, i) for i, r in enumerate(rows)]
    return sorted(found, key=lambda hit: (-hit[0], hit[1]))


sets = st.lists(st.sets(st.integers(0, 127), max_size=12), min_size=1, max_size=40)


@settings(max_examples=60)
@given(
    rows=sets,
    query=st.sets(st.integers(0, 127), max_size=12),
    share=st.sampled_from([0.1, 0.25, 0.5, 2 / 3, 0.7, 0.9, 1.0]),
)
def test_within_is_what_sets_say(rows: list[set[int]], query: set[int], share: float):
    hits = Library.of(pack(rows, 2)).within(pack([query], 2)[0], share)
    expected = [(s, i) for s, i in by_sets(rows, query) if s >= share]
    assert list(zip(hits.similarity.tolist(), hits.rows.tolist(), strict=True)) == expected


@settings(max_examples=60)
@given(
    rows=sets,
    query=st.sets(st.integers(0, 127), max_size=12),
    k=st.integers(1, 45),
    share=st.sampled_from([0.0, 0.3, 0.5]),
)
def test_top_is_what_sets_say(rows: list[set[int]], query: set[int], k: int, share: float):
    hits = Library.of(pack(rows, 2)).top(pack([query], 2)[0], k, share)
    expected = [(s, i) for s, i in by_sets(rows, query) if s >= share][:k]
    assert list(zip(hits.similarity.tolist(), hits.rows.tolist(), strict=True)) == expected


def test_a_row_exactly_at_the_threshold_is_found_and_the_next_one_is_not():
    rows = [set(range(10)), set(range(11))]
    library = Library.of(pack(rows, 1))
    query = pack([set(range(7))], 1)[0]
    assert library.within(query, 0.7).rows.tolist() == [0]
    assert library.within(query, 7 / 11).rows.tolist() == [0, 1]
    assert library.within(query, np.nextafter(0.7, 1)).rows.tolist() == []


@pytest.mark.parametrize("share", [0.01, 0.3, 1 / 3, 0.5, 0.7, 0.99, 1.0])
def test_least_common_is_the_smallest_number_that_reaches(share: float):
    for own in (0, 1, 7, 45, 200):
        need = search.least_common(own, 300, share)
        for size in range(300):
            reach = [
                c for c in range(min(own, size) + 1) if own + size - c > 0 and c / (own + size - c) >= share and c > 0
            ]
            assert need[size] == (reach[0] if reach else size + 1)


def test_rdkit_finds_the_same_in_real_molecules(mirror):
    chem = pytest.importorskip("rdkit.Chem")
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    from osler.adapters.rdkit import fingerprints

    lines = (mirror / "drugs" / "lipophilicity.csv").read_text().splitlines()[1:401]
    mols = [chem.MolFromSmiles(line.rpartition(",")[2]) for line in lines]
    bits = fingerprints.bits(mols)
    theirs = [rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint(m) for m in mols]
    library = Library.of(bits)
    for i in range(0, 400, 40):
        expected = np.array(DataStructs.BulkTanimotoSimilarity(theirs[i], theirs))
        hits = library.within(bits[i], 0.2)
        assert sorted(hits.rows.tolist()) == np.flatnonzero(expected >= 0.2).tolist()
        assert np.array_equal(hits.similarity, expected[hits.rows])
        assert np.array_equal(library.top(bits[i], 25).similarity, np.sort(expected)[::-1][:25])
        assert np.array_equal(search.similarities(bits, bits[i]), expected)


def test_nearest_names_the_first_of_the_most_similar():
    others = pack([{0, 1}, {5, 6, 7}, {5, 6, 7}], 1)
    similarity, which = search.nearest(pack([{0, 1, 2}, {5, 6, 7}, {40}, set()], 1), others)
    assert similarity.tolist() == [2 / 3, 1.0, 0.0, 0.0]
    assert which.tolist() == [0, 1, 0, 0]


def test_wide_rows_have_exact_similarities(rng: np.random.Generator):
    bits = rng.integers(0, 2**63, (5, 40), dtype=np.uint64)
    query = rng.integers(0, 2**63, 40, dtype=np.uint64)
    hits = Library.of(bits).top(query, 5)
    expected = search.similarities(bits, query)
    assert np.array_equal(hits.similarity, expected[hits.rows])


@pytest.mark.parametrize("ask", [
    lambda library: library.within(np.zeros(2, np.uint64), 0.0),
    lambda library: library.within(np.zeros(2, np.uint64), 1.1),
    lambda library: library.within(np.zeros(3, np.uint64), 0.5),
    lambda library: library.top(np.zeros(2, np.uint64), 0),
    lambda library: Library.of(np.zeros((2, 2))),
    lambda library: Library.of(np.zeros((2, search.MOST_WORDS + 1), np.uint64)),
    lambda library: search.nearest(np.zeros((1, 2), np.uint64), np.zeros((0, 2), np.uint64)),
])  # fmt: skip
def test_what_cannot_be_searched_is_refused(ask):
    with pytest.raises(OptionError):
        ask(Library.of(np.zeros((1, 2), np.uint64)))


def test_an_empty_library_finds_nothing():
    library = Library.of(np.zeros((0, 2), np.uint64))
    assert len(library.within(np.ones(2, np.uint64), 0.5)) == len(library.top(np.ones(2, np.uint64), 3)) == 0
