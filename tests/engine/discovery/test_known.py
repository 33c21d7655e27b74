"""Known pairs: what of a table becomes a pair, what is left out and why, and that every line is one or the other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.engine.discovery.known import Columns, gather, open_table, pairs_of, structures_of
from osler.engine.discovery.molecules import asked
from osler.engine.discovery.public import TABLES, drug_structures
from osler.engine.discovery.target_folder import known_of
from osler.errors import ColumnError, InputError, OptionError, ReadError
from tests.engine.discovery.families import table

pytest.importorskip("rdkit")


def _csv(folder: Path, **columns: list) -> Path:
    path = folder / "pairs.csv"
    pl.DataFrame(columns).write_csv(path)
    return path


def test_every_line_is_a_pair_or_left_out_with_its_reason(tmp_path: Path):
    path = _csv(
        tmp_path,
        smiles=["CCO", "OCC", "CCN", "C1CC", None, "CCC", "CCCl"],
        target=["a", "a", "b", "b", "a", "b", "b"],
        pki=["7.0", "7.2", "6.5", "8.0", "9.0", "5.0", ""],
    )
    frame, refused, n = pairs_of(path, Columns(affinity="pki", least=6.0), {})
    known = gather([frame], refused, n)
    assert known.smiles == ("CCO", "CCN")  # OCC is CCO
    assert [(known.smiles[m], known.targets[t]) for m, t in zip(known.molecule, known.target)] == [
        ("CCO", "a"),
        ("CCN", "b"),
    ]
    reasons = dict(known.refused)
    assert reasons.pop("not a molecule: unclosed ring") == 1
    assert reasons == {
        "molecule or target is missing": 1,
        "affinity is missing": 1,
        "affinity is below 6": 1,
        "the same pair as in an earlier line": 1,
    }
    assert known.n_read == 7 == len(known.molecule) + sum(known.refused.values())


def test_salts_of_one_substance_are_one_molecule(tmp_path: Path):
    path = _csv(tmp_path, smiles=["CC(=O)[O-].[Na+]", "CC(=O)O", "CCN"], target=["a", "b", "b"])
    known = gather([pairs_of(path, Columns(), {})[0]], Counter(), 3)
    assert len(known) == 2
    assert sorted(known.targets[t] for t in known.targets_of(0)) == ["a", "b"]


def test_named_molecules_are_joined_with_their_structures(tmp_path: Path):
    path = _csv(tmp_path, drug=["Ethanol", "ethylamine ", "unknownium"], gene=["x", "y", "y"])
    drawn = structures_of(
        [(pl.DataFrame({"n": ["ETHANOL", "Ethylamine", "ethanol"], "s": ["CCO", "CCN", "C"]}), "drawn", "n", "s")]
    )
    assert drawn == {"ethanol": "CCO", "ethylamine": "CCN"}  # the first of a name counts
    frame, refused, n = pairs_of(path, Columns("drug", "gene"), drawn)
    assert frame.rows() == [("CCO", "Ethanol", "x"), ("CCN", "ethylamine", "y")]
    assert refused == Counter({"no structure of this name": 1})
    assert n == 3


def test_columns_that_are_not_there_are_named_with_the_nearest(tmp_path: Path):
    path = table(tmp_path)
    with pytest.raises(ColumnError, match="did you mean 'smiles'"):
        pairs_of(path, Columns(molecule="smile"), {})
    with pytest.raises(ColumnError, match=r"affinity must be a column of 'known\.csv'"):
        pairs_of(path, Columns(affinity="ki"), {})


def test_too_little_is_refused(tmp_path: Path):
    with pytest.raises(ReadError, match="at least two targets"):
        known_of([str(_csv(tmp_path, smiles=["CCO", "CCN"], target=["a", "a"]))])
    with pytest.raises(OptionError, match="drugcentral"):
        known_of([])
    with pytest.raises(OptionError, match="FILE:NAME_COLUMN:SMILES_COLUMN"):
        known_of([str(table(tmp_path))], structures=["names.csv:name"])
    with pytest.raises(InputError):
        known_of([str(tmp_path / "absent.csv")])


def test_two_tables_are_put_together(tmp_path: Path):
    (tmp_path / "a").mkdir()
    first, second = table(tmp_path), table(tmp_path / "a", [("CCO", "new"), ("CCc1ccc(CCNS(N)(=O)=O)cc1", "new")])
    known = known_of([str(first), str(second)])
    assert known.targets == ("adrenoceptor", "anhydrase", "dna", "new", "reductase")
    both = known.smiles.index("CCc1ccc(CCNS(N)(=O)=O)cc1")
    assert [known.targets[t] for t in known.targets_of(both)] == ["anhydrase", "new"]
    assert known.bits.shape == (len(known), 32)
    assert known.bits.dtype == np.uint64


def test_a_typed_molecule_and_a_file_of_them(tmp_path: Path):
    typed, refused = asked("OCC")
    assert (typed[0].smiles, refused) == ("CCO", [])
    assert typed[0].keys["parent"] == "CCO"
    path = tmp_path / "some.smi"
    path.write_text("CCO ethanol\nC1CC broken\nCCN.Cl\n")
    found, refused = asked(str(path))
    assert [(q.place, q.name, q.smiles) for q in found] == [(1, "ethanol", "CCO"), (3, "", "CCN")]
    assert [(place, name) for place, name, _ in refused] == [(2, "broken")]
    with pytest.raises(ReadError, match="unclosed ring"):
        asked("C1CC")
    path.write_text("C1CC\n")
    with pytest.raises(ReadError, match="none of its 1 entries"):
        asked(str(path))
    with pytest.raises(ReadError):
        asked("C" * 20_000)


def test_public_tables_become_pairs(mirror: Path):
    drawn = drug_structures()
    assert len(drawn) >= 650
    assert open_table(mirror / "drugs" / "drugcentral_targets.tsv.gz").height == 2991
    frame, refused, n = TABLES["drugcentral"]()
    assert n == 2991 == frame.height + sum(refused.values())
    aspirin_like = frame.filter(pl.col("name") == "Imatinib")
    assert "Entrez 25" in aspirin_like["target"].to_list()  # ABL1
    frame, refused, n = TABLES["davis"]()
    assert (n, frame.height) == (30056, 2502)
    assert all(t.startswith("gene ") for t in frame["target"])
