"""A table of molecules and proteins through the engine: the default model, four parts, intervals, certificate, report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("rdkit")

from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.prepare import prepare
from osler.engine.run import Run
from osler.engine.study import Study
from osler.engine.verify import verify
from osler.evaluation.concordance import concordance_of_numbers
from osler.modalities.residues import RESIDUES

DECLARED = {"drug": "molecule", "protein": "protein"}


def table(seed: int = 0) -> pl.DataFrame:
    """All pairs of 12 molecules (alcohols, amines, acids; four lengths) and 9 proteins of three families."""
    rng = np.random.default_rng(seed)
    drugs = [(f"{'C' * n}{end}", kind) for kind, end in enumerate(("O", "N", "C(=O)O")) for n in (3, 4, 5, 6)]
    parents = [list(rng.choice(list(RESIDUES), 60)) for _ in range(3)]
    proteins = []
    for k in range(9):
        letters = parents[k // 3].copy()
        letters[5 * (k % 3)] = "W"
        proteins.append(("".join(letters), k // 3))
    rows = [(d, p, 5.0 + 2.0 * (a == b) + 0.1 * rng.normal()) for d, a in drugs for p, b in proteins]
    return pl.DataFrame(rows, schema=["drug", "protein", "affinity"], orient="row").sample(fraction=1.0, shuffle=True, seed=seed)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small fit by the default question."""
    return fit(
        read(table(), columns=DECLARED), tmp_path_factory.mktemp("pairs") / "run", target="affinity", folds=3, repeats=1,
        model="affinity:rounds=30,folds=2,axes=4", explain=False, boot=200, silent=True, workers=1,
    )  # fmt: skip


def test_the_model_of_pairs_is_the_default_for_what_it_answers() -> None:
    study = Study(target=("affinity",))
    prepared = prepare(study, read(table(), columns=DECLARED, target="affinity"))
    assert prepared.study.model == ("affinity",)
    assert [len(np.unique(code)) for code in prepared.things.values()] == [12, 9]
    three = table().with_columns(affinity=pl.Series(["low", "mid", "high"] * 36))
    assert prepare(study, read(three, columns=DECLARED, target="affinity")).study.model[0] == "boosting"
    alone = table().select("drug", "affinity").unique("drug")
    assert prepare(study, read(alone, columns={"drug": "molecule"}, target="affinity")).study.model[0] == "boosting"


def test_the_four_parts_are_scored_side_by_side(run: Run) -> None:
    parts = run.scores["parts"]
    assert list(parts) == ["cv", "cold=drug", "cold=protein", "cold=drug+protein"]
    for part, by_model in parts.items():
        own = by_model["affinity:rounds=30,folds=2,axes=4"]
        assert {"mse", "concordance", "rmse"} <= set(own)
        assert own["mse"]["value"] == pytest.approx(own["rmse"]["value"] ** 2)
        assert own["mse"]["low"] <= own["mse"]["value"] <= own["mse"]["high"]
        assert by_model["baseline"]["mse"]["n"] == own["concordance"]["n"] == (36 if "+" in part else 108)
    known = parts["cv"]["affinity:rounds=30,folds=2,axes=4"]
    assert known["mse"]["value"] < 0.5 * parts["cv"]["baseline"]["mse"]["value"], "families tell the affinity"
    assert known["concordance"]["value"] > 0.7


def test_a_score_is_that_of_the_answers_written_down(run: Run) -> None:
    answers = run.predictions.filter(pl.col("part") == "cold=protein").sort("row")
    y = table()["affinity"].to_numpy()[answers["row"].to_numpy() - 1]
    entry = run.scores["parts"]["cold=protein"][run.chosen]
    assert entry["mse"]["value"] == pytest.approx(np.mean((y - answers["value"].to_numpy()) ** 2))
    assert entry["concordance"]["value"] == pytest.approx(concordance_of_numbers(y, answers["value"].to_numpy()).value)


def test_intervals_of_new_things_count_things(run: Run) -> None:
    """12 molecules are fewer than 108 pairs: the interval of the baseline's error is wider where whole molecules are drawn."""
    width = {}
    for part in ("cv", "cold=drug"):
        entry = run.scores["parts"][part]["baseline"]["mse"]
        width[part] = entry["high"] - entry["low"]
    assert width["cold=drug"] != pytest.approx(width["cv"], rel=0.05)


def test_the_certificate_says_what_is_shared_and_verifies_again(run: Run) -> None:
    checks = {c["name"]: c for c in run.certificate["checks"]}
    assert run.certificate["verdict"] == "clean"
    assert checks["new things"]["detail"] == (
        "test pairs whose thing training has too: cv: 100 % drug, 100 % protein; cold=drug: 0 % drug, 100 % protein; "
        "cold=protein: 100 % drug, 0 % protein; cold=drug+protein: 0 % drug, 0 % protein"
    )
    again = {c.name: c.verdict for c in verify(run.folder).checks}
    assert again["new things"] == "clean"
    assert "violated" not in again.values()


def test_plan_and_report_name_what_is_new(run: Run) -> None:
    plan = (run.folder / "plan.md").read_text()
    assert "('drug' 12, 'protein' 9 distinct)" in plan
    assert "new drug; new protein; new drug and protein" in plan
    page = (run.folder / "report.html").read_text()
    assert "Pairs and things that training did not have" in page
    for words in ("new drug", "new protein", "new drug and new protein", "Concordance index"):
        assert words in page, words


def test_a_saved_predictor_answers_new_pairs_and_bad_ones(run: Run, tmp_path: Path) -> None:
    known = table()
    bad = pl.DataFrame({
        "drug": [known["drug"][0], "CCCCCCCO", "not a molecule", known["drug"][1]],
        "protein": [known["protein"][0], known["protein"][0], known["protein"][0], "MK1V" * 10],
    })  # fmt: skip
    bad.write_csv(tmp_path / "new.csv")
    answered = run.predictor.predict(read(tmp_path / "new.csv", columns=DECLARED))
    values = answered.table[answered.role("prediction")[0].name]
    assert len(values) == 4
    assert values.is_finite().all(), "a pair without a readable thing is answered as a new one"
    assert json.loads((run.folder / "facts.json").read_text())["rows_used"] == 108


def test_a_unit_of_one_column_leaves_its_own_cold_part(tmp_path: Path) -> None:
    series = table().with_columns(series=pl.col("drug").rank("dense").cast(pl.Int64) // 2)
    study = Study(target=("affinity",), unit=("series",), folds=3)
    prepared = prepare(study, read(series, columns=DECLARED, target="affinity"))
    assert {s.part for s in prepared.splits} == {"cv", "cold=drug", "cold=drug+protein", "final"}


def test_an_illegal_letter_is_a_line_of_the_ledger(tmp_path: Path) -> None:
    rows = table().with_columns(protein=pl.when(pl.int_range(pl.len()) == 4).then(pl.lit("MKV" * 9 + "7")).otherwise("protein"))
    rows.write_csv(tmp_path / "t.csv")
    prepared = prepare(Study(target=("affinity",), column=("drug=molecule", "protein=protein"), source=str(tmp_path / "t.csv")))
    assert len(prepared.cohort) == 108
    assert prepared.cohort.refusals.rows() == [
        (5, "protein", "not a protein: no letter of a residue at position 28", "set missing"),
    ]
