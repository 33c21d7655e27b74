"""Panels: made once and kept, answers with limits, what is in a run's own table, and what cannot be a member."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler import catalogue
from osler.engine.discovery.endpoints import ENDPOINTS, GROUPS
from osler.engine.discovery.molecules import asked
from osler.engine.discovery.panel import open_panel, train, wanted
from osler.engine.discovery.plain import NUMBERS, numbers, verdicts
from osler.engine.discovery.reference import of_panel
from osler.engine.predict import predict
from osler.errors import ColumnError, InputError, OptionError
from tests.engine.discovery.panels import MODEL, SMILES, panel, tables

pytest.importorskip("rdkit")


def test_every_run_is_certified_and_has_its_answers():
    members, left = open_panel(panel())
    assert [m.name for m in members] == ["acid", "halves", "size"]
    assert left == {}
    assert {m.run.certificate["verdict"] for m in members} == {"clean"}
    assert {m.run.certificate["unit"] for m in members} == {"smiles scaffold"}
    queries, _ = asked("CCCc1ccc(CCNS(N)(=O)=O)cc1")
    labels = {m.name: [a.label for a in m.answer(queries)[0]] for m in members}
    assert labels == {"acid": ["acid"], "halves": ["sulfur", "chlorine"], "size": ["size"]}
    assert [m.n for m in members] == [64, 64, 64]


def test_answers_are_those_of_predict():
    members, _ = open_panel(panel())
    queries = [asked(s)[0][0] for s in ("CCCc1ccc(CCNS(N)(=O)=O)cc1", "CCO")]
    table = pl.DataFrame({"smiles": [q.smiles for q in queries]})
    for member, column in zip(members, ("acid_prob_1", "sulfur_prob_1", "size_pred")):
        expected = predict(member.run, _cohort(table)).table[column].to_list()
        assert member.answer(queries)[0][0].value.tolist() == expected


def _cohort(table: pl.DataFrame):
    from osler.cohort.read import read

    return read(table, columns={"smiles": "molecule"})


def test_limits_hold_the_answer():
    members, _ = open_panel(panel())
    queries = [asked(s)[0][0] for s in SMILES[::9]]
    for member in members:
        for answer in member.answer(queries)[0]:
            there = np.isfinite(answer.low)
            assert (answer.low[there] <= answer.value[there]).all()
            assert (answer.value[there] <= answer.high[there]).all()
    size = members[2].answer(queries)[0][0]
    assert np.ptp(size.high - size.low) < 1e-9  # one conformal width


@pytest.mark.parametrize(
    ("written", "inside"), [(SMILES[0], True), (f"{SMILES[0]}.Cl", True), ("CCCCCCc1ccc(CCNS(N)(=O)=O)cc1", False)]
)
def test_molecules_of_the_table_are_known_with_their_left_out_answer(written: str, inside: bool):
    size = open_panel(panel())[0][2]
    answers, _, known = size.answer(asked(written)[0])
    assert known.tolist() == [inside]
    held = size.run.predictions.filter(
        (pl.col("row") == 1) & (pl.col("part") == "cv") & (pl.col("model") == size.run.chosen)
    )
    expected = float(held["value"].mean()) if inside else np.nan
    assert answers[0].out_of_fold[0] == pytest.approx(expected, nan_ok=True)


def test_runs_that_are_there_are_kept(tmp_path: Path):
    folder, lines = panel(), []
    texts = tables(folder.parent / "tables")
    before = {p: p.stat().st_mtime_ns for p in folder.glob("*/scores.json")}
    train(texts, folder, workers=1, model=MODEL, silent=True, say=lines.append)
    assert before == {p: p.stat().st_mtime_ns for p in folder.glob("*/scores.json")}
    assert all("kept" in line and "certificate clean" in line for line in lines)


def test_a_run_of_another_table_is_made_anew(tmp_path: Path):
    shutil.copytree(panel() / "size", tmp_path / "runs" / "size")
    path = tmp_path / "size.csv"
    pl.DataFrame({"smiles": SMILES, "size": [float(2 * len(s)) for s in SMILES]}).write_csv(path)
    made = train([f"{path}:size"], tmp_path / "runs", workers=1, model=MODEL, silent=True)
    assert (
        made[0].scores["parts"]["cv"][made[0].chosen]["mae"]["value"]
        != open_panel(panel())[0][2].run.scores["parts"]["cv"][made[0].chosen]["mae"]["value"]
    )


def test_what_may_be_asked_for(tmp_path: Path):
    path = tables(tmp_path)[0].rpartition(":")[0]
    one = wanted([f"{path}:size"])[0]
    assert (one.name, one.molecule, one.targets) == ("size", "smiles", ("size",))
    with pytest.raises(OptionError, match=r"write size.csv:TARGET"):
        wanted([path])
    with pytest.raises(OptionError, match="did you mean 'herg'"):
        wanted(["hergg"])
    pl.DataFrame({"x": [1, 2], "y": [1, 0]}).write_csv(tmp_path / "none.csv")
    with pytest.raises(ColumnError, match="column of SMILES"):
        wanted([f"{tmp_path / 'none.csv'}:y"])


def test_folders_without_runs_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="osler admet train"):
        open_panel(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text("{}")
    with pytest.raises(InputError, match="broken"):
        open_panel(tmp_path)


def test_one_run_is_a_panel_of_one(tmp_path: Path):
    (tmp_path / "drugs.smi").write_text("CCO\nCCN\n")
    members, _ = open_panel(panel() / "acid")
    assert [m.name for m in members] == ["acid"]
    assert of_panel(panel() / "acid", members, str(tmp_path / "drugs.smi")).n == 2
    assert not (panel() / "acid" / "reference.json").exists()


def test_the_reference_is_made_once_and_anew_for_other_molecules(tmp_path: Path):
    folder = tmp_path / "runs"
    shutil.copytree(panel(), folder)
    (folder / "reference.json").unlink(missing_ok=True)
    path = tmp_path / "drugs.smi"
    path.write_text("".join(f"{s}\n" for s in SMILES[:20]))
    members, _ = open_panel(folder)
    first = of_panel(folder, members, str(path))
    stamp = (folder / "reference.json").stat().st_mtime_ns
    again = of_panel(folder, members, str(path))
    assert (folder / "reference.json").stat().st_mtime_ns == stamp
    assert (first.n, first.what) == (again.n, again.what) == (20, "the molecules of drugs.smi")
    path.write_text("".join(f"{s}\n" for s in SMILES[:10]))
    assert of_panel(folder, members, str(path)).n == 10


def test_percentiles_by_hand(tmp_path: Path):
    path = tmp_path / "drugs.smi"
    path.write_text("CCO\nCCCO\nCCCCO\nCCCCCO\n")
    members, _ = open_panel(panel() / "size")
    found = of_panel(panel() / "size", members, str(path))
    weight = [46.07, 60.10, 74.12, 88.15]
    assert found.percentile("", "weight", 0.0) == 0.0
    assert found.percentile("", "weight", 1000.0) == 100.0
    assert found.percentile("", "weight", np.mean(weight)) == pytest.approx(50, abs=1)
    assert found.percentile("nothing", "weight", 1.0) is None
    assert found.percentile("", "weight", np.nan) is None


def test_the_table_itself_counts_with_left_out_answers(tmp_path: Path):
    path = tmp_path / "drugs.smi"
    path.write_text("".join(f"{s}\n" for s in SMILES))
    members, _ = open_panel(panel() / "size")
    found = of_panel(panel() / "size", members, str(path)).quantiles["size", "size"]
    held = (
        members[0]
        .run.predictions.filter((pl.col("part") == "cv") & (pl.col("model") == members[0].run.chosen))
        .group_by("row")
        .agg(pl.col("value").mean())
    )
    assert found[0] == pytest.approx(held["value"].min())
    assert found[-1] == pytest.approx(held["value"].max())


def test_known_endpoints_are_in_the_catalogue(mirror: Path):
    for endpoint in ENDPOINTS.values():
        columns = catalogue.table(endpoint.dataset).columns
        assert endpoint.molecule in columns
        assert set(endpoint.targets_of(columns)) <= set(columns)
        assert endpoint.group in GROUPS
        assert endpoint.better in ("", "high", "low")
    assert len(ENDPOINTS["tox21"].targets_of(catalogue.table("tox21").columns)) == 12
    assert len(ENDPOINTS["sider"].targets_of(catalogue.table("sider").columns)) == 27
    assert [w.name for w in wanted([])] == list(ENDPOINTS)
    caco2 = wanted(["caco2"])[0]
    assert "" not in [c.name for c in caco2.source.columns]
    assert wanted([str(catalogue.path("bbbp"))])[0].targets == ("p_np",)


def test_numbers_of_aspirin_and_what_rules_say():
    query = asked("CC(=O)Oc1ccccc1C(=O)O")[0][0]
    values = dict(zip(NUMBERS, numbers([query.mol])[0]))
    assert values["weight"] == pytest.approx(180.16, abs=0.01)  # PubChem CID 2244
    assert values["tpsa"] == pytest.approx(63.6, abs=0.05)  # PubChem CID 2244
    assert (values["donors"], values["rotatable"]) == (1, 2)
    assert 0 < values["qed"] < 1 <= values["sa"] <= 10
    told = {v["name"]: v for v in verdicts(query.mol)}
    assert told["ro5"]["passes"]
    assert told["bbb"]["passes"]
    assert not told["brenk"]["passes"]
    heavy = {v["name"]: v for v in verdicts(asked("OCC(O)C(O)C(O)C(O)CO" + "C" * 20)[0][0].mol)}
    assert heavy["bbb"]["met"] == "tpsa, weight"  # six hydroxyl groups of 20.2 Å² each
    assert json.dumps(told)
