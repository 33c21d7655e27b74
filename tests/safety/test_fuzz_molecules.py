"""The script that breaks molecules runs, finds nothing wrong, and would see a crash."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("rdkit")

from tests.adapters.rdkit.test_parse import SEEDS, block
from tests.safety import fuzz_molecules


def test_two_hundred_broken_molecules_end_nothing_and_hold_nothing_up():
    outcomes, wrong, slowest = fuzz_molecules.run(200, 1)
    assert wrong == []
    assert outcomes["crash"] == 0
    assert sum(outcomes.values()) == 200
    assert outcomes["smiles refused"] > 50
    assert slowest < fuzz_molecules.SLOW


def test_cases_are_the_same_for_a_seed_and_of_every_kind():
    blocks = [block(s) for s in SEEDS[:5]]
    cases = [fuzz_molecules.case(random.Random(i), blocks) for i in range(300)]
    assert cases == [fuzz_molecules.case(random.Random(i), blocks) for i in range(300)]
    texts = [text for kind, text in cases if kind == "smiles"]
    assert any("\0" in text for text in texts)
    assert any(">>" in text for text in texts)
    assert any(len(text) >= 10_000 for text in texts)
    assert {kind for kind, _ in cases} == {"smiles", "mol"}


def test_a_crash_is_counted(monkeypatch):
    monkeypatch.setattr(fuzz_molecules.sys, "executable", "/bin/false")
    outcomes, wrong, _ = fuzz_molecules.run(2, 0)
    assert outcomes["crash"] == 2
    assert len(wrong) == 2
