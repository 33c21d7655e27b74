"""Drugs ranked for an indication: likeness by hand, hidden uses stay hidden, DrugCentral's tables, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cli import main
from osler.engine.discovery.drugs import Drugs, drugcentral, drugs_of, from_tables
from osler.engine.discovery.repurpose import RepurposeOptions, _out_of_fold, fitted, judge, likeness, rank, sources
from osler.errors import ColumnError, OptionError, ReadError
from tests.engine.discovery.families import FAMILIES

pytest.importorskip("rdkit")


def _frame(pairs: list[tuple[str, str]], *names: str) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema=list(names), orient="row")


def few() -> Drugs:
    """a and b share gene x, c shares y with d; a is used for i, c for j; e has nothing but a use."""
    uses = _frame([("a", "i"), ("c", "j"), ("e", "j")], "drug", "indication")
    genes = _frame([("a", "x"), ("b", "x"), ("b", "y"), ("c", "y"), ("d", "y")], "drug", "feature")
    return drugs_of(uses, {"gene": genes}, {}, {"a": "Alpha"})


def many() -> Drugs:
    """Sixteen drugs of each of four families with a gene of their own; half of each is used for the disease."""
    uses, genes, drawn, classes = [], [], {}, []
    for family, members in FAMILIES.items():
        for i, smiles in enumerate(members):
            name = f"{family} {i}"
            drawn[name] = smiles
            genes.append((name, f"gene of {family}"))
            classes.append((name, f"{family} {i // 4}"))
            if i % 2 == 0:
                uses.append((name, f"disease of {family}"))
    return drugs_of(
        _frame(uses, "drug", "indication"),
        {"gene": _frame(genes, "drug", "feature")},
        drawn,
        {},
        _frame(classes, "drug", "class"),
    )


def test_likeness_of_features_by_hand():
    found = few()
    at = {d: i for i, d in enumerate(found.ids)}
    alike = found.similarity["gene"]
    x, y = np.log(6 / 3), np.log(6 / 4)  # five drugs, of which two have x and three y
    assert alike[at["a"], at["b"]] == pytest.approx(x / np.hypot(x, y))
    assert alike[at["c"], at["d"]] == pytest.approx(1.0)
    assert alike[at["a"], at["c"]] == 0
    assert (np.diag(alike) == 0).all()
    assert found.names[at["a"]] == "Alpha"
    assert found.annotations.tolist() == [1, 2, 1, 1, 0]


def test_a_drug_is_not_its_own_neighbour():
    found = few()
    numbers = likeness(found, found.used, ("gene",))
    a, i = found.ids.index("a"), found.indications.index("i")
    assert numbers[a, i].tolist() == [0.0, 0.0]  # a alone is used for i
    b = found.ids.index("b")
    assert numbers[b, i, 0] == pytest.approx(found.similarity["gene"][a, b])
    assert numbers[b, i, 1] == pytest.approx(found.similarity["gene"][a, b] / 3)  # of three neighbours two are missing


def test_ranking_finds_the_family_and_names_what_is_in_use():
    rows = rank("DISEASE of dna", many(), RepurposeOptions(top=16))
    assert {r["name"].split()[0] for r in rows} == {"dna"}
    assert sum(r["already_used"] for r in rows) == 8
    assert [r["rank"] for r in rows] == list(range(1, 17))
    assert all(r["gene"] == 1.0 and r["gene_like"].startswith("dna") for r in rows)
    assert all(0 <= r["score"] <= 1 for r in rows)


def test_unknown_indications_and_sources_are_refused():
    with pytest.raises(OptionError, match="did you mean 'disease of dna'"):
        rank("disease of dnaa", many())
    with pytest.raises(OptionError, match="source must be one of gene, structure"):
        sources(many(), ("genes",))
    with pytest.raises(OptionError, match="leave must be"):
        RepurposeOptions(leave="class")
    with pytest.raises(OptionError, match="folds must be"):
        judge(many(), folds=65)


def test_hidden_uses_are_found_and_hidden():
    found = judge(many())
    assert found.certificate["verdict"] == "clean"
    assert (
        found.scores["all sources"]["auroc"]["value"] > 0.8
    )  # the other half of each family cannot be told from the hidden one
    assert found.scores["popularity"]["auroc"]["value"] == 0.5  # all drugs have one annotation
    assert set(found.scores) == {"all sources", "gene alone", "structure alone", "popularity"}
    assert found.facts["judged"] == 4


def test_a_left_out_drugs_own_uses_do_not_reach_its_score():
    drugs = many()
    fold = np.arange(len(drugs)) % 4
    changed = drugs.used.copy()
    changed[fold == 2] = False
    changed[fold == 2, 0] = True
    other = Drugs(**{**drugs.__dict__, "used": changed})
    before, after = (_out_of_fold(d, ("gene", "structure"), fold)[fold == 2] for d in (drugs, other))
    assert np.array_equal(before, after)


def test_classes_stay_together():
    drugs = many()
    assert len(np.unique(drugs.classes)) == 16
    found = judge(drugs, RepurposeOptions(leave="classes"))
    checks = {c["name"]: c for c in found.certificate["checks"]}
    assert checks["same chemical class"]["verdict"] == "clean"
    assert found.certificate["unit"] == "chemical class"
    assert found.facts["groups"] == 16
    assert judge(drugs).facts["groups"] == 64


def test_other_forms_of_a_drug_are_hidden_with_it():
    drawn = {"salt": "CC(=O)[O-].[Na+]", "acid": "CC(=O)O", "other": "CCN", "more": "CCO"}
    uses = _frame([("acid", "i"), ("other", "i"), ("more", "i")], "drug", "indication")
    found = judge(drugs_of(uses, {}, drawn, {}), folds=3)
    assert found.facts["groups"] == 3
    assert found.certificate["verdict"] == "clean"


def test_the_model_weighs_what_tells(rng: np.random.Generator):
    used = rng.random((300, 2)) < 0.3
    numbers = np.stack([used + rng.normal(scale=0.3, size=used.shape), rng.normal(size=used.shape)], axis=2)
    rows = np.arange(300) < 200
    score = fitted(numbers, used, rows)(numbers)
    assert ((score > 0.5) == used)[~rows].mean() > 0.9
    noise = numbers.copy()
    noise[:, :, 1] += 1.0
    assert np.abs(fitted(numbers, used, rows)(noise) - score).max() < 0.35


def test_own_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    drugs = many()
    names = [d for d in drugs.ids]
    used = [(names[i], drugs.indications[k]) for i, k in zip(*np.nonzero(drugs.used))]
    _frame(used, "name", "disease").write_csv(tmp_path / "uses.csv")
    _frame([(n, n.split()[0]) for n in names], "name", "gene").write_csv(tmp_path / "genes.csv")
    _frame([(n, s) for n, s in zip(names, drugs.smiles)], "name", "smiles").write_csv(tmp_path / "drawn.csv")
    found = from_tables(
        str(tmp_path / "uses.csv"),
        "name",
        "disease",
        [f"{tmp_path / 'genes.csv'}:gene"],
        f"{tmp_path / 'drawn.csv'}:smiles",
    )
    assert found.ids == drugs.ids
    assert np.array_equal(found.used, drugs.used)
    assert list(found.similarity) == ["gene", "structure"]
    tables = [
        "--known",
        str(tmp_path / "uses.csv"),
        "--drug",
        "name",
        "--indication-column",
        "disease",
        "--feature",
        f"{tmp_path / 'genes.csv'}:gene",
        "--structures",
        f"{tmp_path / 'drawn.csv'}:smiles",
    ]
    assert main(["repurpose", "disease of dna", "--top", "12", "--out", str(tmp_path / "out.csv"), *tables]) == 0
    out = capsys.readouterr().out
    assert "already used" in out
    assert "no advice on treatment" in out
    assert pl.read_csv(tmp_path / "out.csv").height == 12
    assert main(["repurpose", "evaluate", "--out", str(tmp_path / "judged.json"), *tables]) == 0
    assert "certificate: clean" in capsys.readouterr().out
    assert json.loads((tmp_path / "judged.json").read_text())["certificate"]["verdict"] == "clean"
    assert main(["repurpose", "headache", *tables]) == 2
    assert "indication must be one of the 4" in capsys.readouterr().err


def test_tables_that_cannot_be(tmp_path: Path):
    path = tmp_path / "uses.csv"
    _frame([("a", "i"), ("b", "i")], "drug", "indication").write_csv(path)
    with pytest.raises(OptionError, match="add --feature or --structures"):
        from_tables(str(path), "drug", "indication", [], "")
    with pytest.raises(OptionError, match="FILE:COLUMN"):
        from_tables(str(path), "drug", "indication", ["genes"], "")
    with pytest.raises(ColumnError, match="another column"):
        from_tables(str(path), "drug", "indication", [f"{path}:drug"], "")
    with pytest.raises(ColumnError, match="did you mean 'indication'"):
        from_tables(str(path), "drug", "indicatio", [], "")
    with pytest.raises(ReadError, match="at least one use"):
        drugs_of(_frame([], "drug", "indication").cast(pl.String), {}, {"a": "CCO"}, {})


def test_drugcentral(mirror: Path):
    drugs = drugcentral()
    assert len(drugs) == 1317
    assert drugs.used.sum() == 646  # 671 lines less 25 that are marked NOT
    assert drugs.refused == {"marked as no indication": 25}
    assert list(drugs.similarity) == ["targets", "mechanism", "structure"]
    assert (len(wide := drugcentral(with_use=True)), list(wide.similarity)) == (
        1449,
        ["targets", "mechanism", "use", "structure"],
    )
    rows = rank("rheumatoid arthritis", drugs, RepurposeOptions(top=5))
    assert all(r["already_used"] for r in rows)  # glucocorticoids
    found = judge(drugs)
    assert found.scores["all sources"]["auroc"]["low"] > found.scores["popularity"]["auroc"]["high"]
