"""What stays together and what the certificate of an evaluation says, against brute force and by hand."""

from __future__ import annotations

import hashlib
import hmac
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort.proof_checks import Check
from osler.engine.discovery import twins

pytest.importorskip("rdkit")


def _brute(keys: dict[str, np.ndarray]) -> list[int]:
    """Groups by repeated merging, the first row naming each."""
    n = len(next(iter(keys.values())))
    group = list(range(n))
    changed = True
    while changed:
        changed = False
        for codes in keys.values():
            for i in range(n):
                for j in range(n):
                    if codes[i] == codes[j] >= 0 and group[i] != group[j]:
                        low = min(group[i], group[j])
                        group[i] = group[j] = low
                        changed = True
    return group


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), min_size=1, max_size=14))
def test_groups_are_those_of_repeated_merging(rows: list[tuple[int, int]]):
    keys = {"a": np.array([a for a, _ in rows]), "b": np.array([b for _, b in rows])}
    found, expected = twins.together(keys), _brute(keys)
    assert all(
        (found[i] == found[j]) == (expected[i] == expected[j]) for i in range(len(rows)) for j in range(len(rows))
    )


def test_missing_keys_join_nothing():
    assert len(set(twins.together({"a": np.array([-1, -1, -1])}).tolist())) == 3


def test_a_chain_of_keys_is_one_group():
    keys = {"a": np.array([0, 0, 1, 2]), "b": np.array([5, 6, 6, 7])}
    assert twins.together(keys).tolist()[:3] == [0, 0, 0]
    assert twins.together(keys)[3] != 0


@given(st.lists(st.integers(0, 9), min_size=4, max_size=60), st.integers(2, 4), st.integers(0, 3))
def test_dealt_folds_are_whole_and_within_the_largest_group_of_one_another(groups: list[int], folds: int, seed: int):
    code = np.array(groups)
    fold = twins.dealt(code, folds, np.random.default_rng(seed))
    assert all(len(set(fold[code == g].tolist())) == 1 for g in set(groups))
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= np.bincount(code).max()


def test_keys_tell_forms_of_one_substance():
    smiles = [
        "CC(=O)Oc1ccccc1C(=O)O",
        "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]",
        "C[C@H](N)C(=O)O",
        "C[C@@H](N)C(=O)O",
        "Oc1ccccn1",
        "O=c1cccc[nH]1",
        None,
    ]
    keys = twins.keys_of(smiles, [None] * 7)
    assert set(keys) == {"scaffold", "smiles", "parent", "tautomer", "connectivity", "fingerprint"}
    assert keys["smiles"][0] == keys["smiles"][1] == keys["parent"][1]  # a salt is stripped before
    assert keys["parent"][2] != keys["parent"][3]
    assert keys["connectivity"][2] == keys["connectivity"][3]  # mirror images
    assert keys["tautomer"][4] == keys["tautomer"][5]  # tautomers
    assert all(codes[6] == -1 for codes in keys.values())
    assert len(set(twins.together(keys).tolist())) == 4


def test_checks_count_keys_on_both_sides():
    keys = {"parent": np.array([0, 0, 1, 1, 2, -1, -1])}
    checks = twins.shared(keys, np.array([0, 1, 0, 0, 1, 0, 1]), "drug")
    assert [(c.name, c.verdict, c.n) for c in checks] == [("same parent", "violated", 1)]
    clean = twins.shared(keys, np.array([0, 0, 1, 1, 1, 0, 1]), "drug")
    assert [(c.verdict, c.n) for c in clean] == [("clean", 0)]
    assert "no left-out drug" in clean[0].detail


def test_no_keys_at_all_are_clean():
    assert twins.shared({"parent": np.array([-1, -1])}, np.array([0, 1]), "drug")[0].verdict == "clean"


def test_the_certificate_is_sealed():
    checks = [Check("same parent", "clean", 0, "nothing")]
    found = twins.certificate("scaffold", checks, np.array([0, 1, 1]), b"key")
    assert found["verdict"] == "clean"
    assert found["splits"] == [
        {"key": "fold/0", "by": "scaffold", "train": 2, "test": 1},
        {"key": "fold/1", "by": "scaffold", "train": 1, "test": 2},
    ]
    body = {k: v for k, v in found.items() if k != "seal"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert found["seal"] == hmac.new(b"key", text.encode(), hashlib.sha256).hexdigest()
    assert twins.certificate("scaffold", checks, np.array([0, 1, 1]), b"other")["seal"] != found["seal"]
