"""Ranked targets: right for families that can be told apart, honest about the query itself, judged without twins;
folder and command.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cli import main
from osler.engine.discovery import target_folder, twins
from osler.engine.discovery.molecules import asked
from osler.engine.discovery.targets import TargetOptions, adjusted, evaluate, rank
from osler.errors import OptionError, ReadError
from tests.engine.discovery.families import FAMILIES, known, table

pytest.importorskip("rdkit")
NEW = "CCCCc1ccc(CCNS(N)(=O)=O)cc1"


def test_a_new_ligand_of_a_family_ranks_its_target_first():
    rows = rank(asked(NEW)[0], known())
    assert [r["rank"] for r in rows] == [1, 2, 3, 4]
    assert rows[0]["target"] == "anhydrase"
    assert not any(r["already_known"] for r in rows)
    assert rows[0]["nearest_smiles"] in FAMILIES["anhydrase"]
    assert rows[0]["q_value"] < 0.05 < rows[-1]["q_value"]
    assert rows[0]["ligands"] == 16


@pytest.mark.parametrize(
    "written", ["CCc1ccc(CCNS(N)(=O)=O)cc1", "c1(CC)ccc(CCNS(=O)(=O)N)cc1.Cl", "CCc1ccc(CCNS([NH3+])(=O)=O)cc1.[Cl-]"]
)
def test_the_query_itself_is_named_as_already_known(written: str):
    rows = rank(asked(written)[0], known(), TargetOptions(top=4))
    assert [r["target"] for r in rows if r["already_known"]] == ["anhydrase"]
    assert rows[0]["similarity"] == 1.0


def test_a_tautomer_is_already_known(tmp_path: Path):
    table(tmp_path, [("Oc1ccccn1", "a"), ("CCO", "b")])
    rows = rank(asked("O=c1cccc[nH]1")[0], target_folder.known_of([str(tmp_path / "known.csv")]))
    assert {r["target"]: r["already_known"] for r in rows} == {"a": True, "b": False}


@pytest.mark.parametrize("written", ["CCc1ccc(CC(=O)N)cc1", "CCc1ccc(CC(O)=N)cc1"])
def test_a_tautomer_of_a_larger_molecule_is_already_known(tmp_path: Path, written: str):
    table(tmp_path, [("CCc1ccc(CC(N)=O)cc1", "a"), ("CCO", "b")])
    rows = rank(asked(written)[0], target_folder.known_of([str(tmp_path / "known.csv")]))
    assert {r["target"]: r["already_known"] for r in rows} == {"a": True, "b": False}


def test_lists_are_right_for_left_out_scaffolds():
    found = evaluate(known(), folds=3)
    assert found.scores["neighbours"]["hit_1"]["value"] == 1.0
    assert found.scores["neighbours"]["hit_1"]["low"] < 1.0
    assert found.scores["popularity"]["hit_1"]["value"] < 0.6
    assert found.certificate["verdict"] == "clean"
    assert found.facts["asked"] == len(known())
    bins = found.reliability
    assert bins[-1]["right"] > bins[0]["right"]
    assert sum(b["n"] for b in bins) == 4 * len(known())


def test_the_same_seed_gives_the_same_numbers_and_another_gives_other_folds():
    first, again, other = (evaluate(known(), TargetOptions(seed=s), folds=3, most=20) for s in (1, 1, 2))
    assert first.scores == again.scores
    assert np.array_equal(first.fold, again.fold)
    assert first.certificate["seal"] == again.certificate["seal"]
    assert not np.array_equal(first.fold, other.fold)


def test_no_scaffold_or_twin_is_in_two_folds():
    found = evaluate(known(), folds=3, most=5)
    for scaffold in set(known().scaffolds):
        assert len({f for f, s in zip(found.fold, known().scaffolds) if s == scaffold}) == 1


def test_the_certificate_sees_a_twin_in_the_reference():
    smiles = ["CC(=O)O", "CC(=O)[O-].[Na+]", "c1ccccc1", "CCN"]
    keys = twins.keys_of(smiles, ["a", "b", "c", "d"])
    groups = twins.together(keys)
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == 3
    split = np.array([0, 1, 0, 1])
    checks = {c.name: c for c in twins.shared(keys, split, "molecule")}
    assert checks["same parent"].verdict == "violated"
    assert checks["same parent"].n == 1
    assert checks["same scaffold"].verdict == "clean"
    assert twins.certificate("scaffold", list(checks.values()), split, b"k")["verdict"] == "violated"


def test_groups_are_dealt_whole_and_evenly():
    groups = np.repeat(np.arange(12), [30, 10, 10, 10, 5, 5, 5, 5, 5, 5, 5, 5])
    fold = twins.dealt(groups, 4, np.random.default_rng(0))
    assert all(len(set(fold[groups == g])) == 1 for g in range(12))
    assert sorted(np.bincount(fold).tolist()) == [20, 25, 25, 30]


def test_adjusted_p_values_by_hand():
    assert adjusted(np.array([0.01, 0.04, 0.03, 0.5])).tolist() == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert adjusted(np.array([0.9, 0.9])).tolist() == [0.9, 0.9]


def test_options_say_what_they_may_be():
    with pytest.raises(OptionError, match="did you mean 'neighbours'"):
        TargetOptions(method="neighbour")
    with pytest.raises(OptionError, match="top must be"):
        TargetOptions(top=0)
    with pytest.raises(OptionError, match="folds must be from 2"):
        evaluate(known(), folds=1)


def test_a_folder_gives_back_what_was_written(tmp_path: Path):
    found = target_folder.train(known(), tmp_path / "t", TargetOptions(seed=4), most=30)
    again, scores, proof = target_folder.load(tmp_path / "t")
    assert again.smiles == known().smiles
    assert again.targets == known().targets
    assert np.array_equal(again.bits, known().bits)
    assert np.array_equal(again.molecule, known().molecule)
    assert scores["scores"] == json.loads(json.dumps(found.scores))
    assert proof["verdict"] == "clean"
    rows = rank(asked(NEW)[0], again, TargetOptions(top=1), scores["reliability"])
    assert 0 <= rows[0]["right_low"] <= rows[0]["right"] <= rows[0]["right_high"] <= 1


def test_damaged_folders_are_refused(tmp_path: Path):
    target_folder.train(known(), tmp_path / "t", most=10)
    study = json.loads((tmp_path / "t" / "study.json").read_text())
    (tmp_path / "t" / "study.json").write_text(json.dumps({**study, "targets": study["targets"][:2]}))
    with pytest.raises(ReadError, match="belong together"):
        target_folder.load(tmp_path / "t")
    (tmp_path / "t" / "bits.npy").write_bytes(b"not an array")
    with pytest.raises(ReadError, match="cannot be read"):
        target_folder.load(tmp_path / "t")
    (tmp_path / "t" / "bits.npy").unlink()
    with pytest.raises(ReadError, match=r"bits\.npy"):
        target_folder.load(tmp_path / "t")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "x").touch()
    with pytest.raises(OptionError, match="something else"):
        target_folder.train(known(), tmp_path / "else", most=10)


def test_the_command_trains_and_ranks(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = table(tmp_path)
    assert main(["targets", "train", str(path), "--out", str(tmp_path / "t"), "--quiet", "--most", "20"]) == 0
    out = capsys.readouterr().out
    assert "64 lines read = 64 pairs of 64 molecules and 4 targets + 0 left out" in out
    assert "certificate: clean" in out
    assert main(["targets", NEW, "--known", str(tmp_path / "t"), "--top", "2", "--out", str(tmp_path / "t.csv")]) == 0
    out = capsys.readouterr().out
    assert "anhydrase" in out
    assert "a list to test, not a finding" in out
    rows = pl.read_csv(tmp_path / "t.csv")
    assert rows["target"].to_list()[0] == "anhydrase"
    assert rows.height == 2
    assert main(["targets", "train", str(path)]) == 2
    assert "--out FOLDER" in capsys.readouterr().err
    assert main(["targets", "C1CC", "--known", str(path)]) == 2
    assert "unclosed ring" in capsys.readouterr().err
