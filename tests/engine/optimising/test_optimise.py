"""The search end to end: better than the lead, an exact budget, the same bytes again and after a kill, and everything said."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from osler.adapters.rdkit.evolution import sound
from osler.adapters.rdkit.fragments import canonical
from osler.adapters.rdkit.parse import parse
from osler.adapters.rdkit.properties import properties
from osler.cli import main
from osler.engine.optimising.optimise import SMALL, Optimised, optimise
from osler.engine.optimising.options import OptimiseOptions
from osler.errors import InputError, OptionError, ReadError
from tests.engine.optimising.judges import committee, tiny_generator
from tests.engine.screening.molecules import SMILES, predictor
from tests.models.neural.generation.drugs import DRUGS

pytest.importorskip("rdkit")
LEAD = "CCCCCCCCc1ccccc1O"
FILES = ("scored.csv", "best.csv", "front.csv", "optimise.json", "front.svg", "report.html")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A predictor of the length of a SMILES."""
    return str(predictor().save(tmp_path_factory.mktemp("runs") / "size"))


def options(run: str, **more: Any) -> OptimiseOptions:
    """Shorter molecules, from the lead."""
    given = {"run": (run,), "minimise": ("size_pred",), "lead": LEAD, "budget": 60, "batch": 20, "population": 20, "domain": "ignore", **more}
    return OptimiseOptions(**given)


def scored(found: Optimised) -> list[dict[str, str]]:
    """Every scored molecule."""
    with (found.folder / "scored.csv").open() as source:
        return list(csv.DictReader(source))


def test_the_best_is_better_than_the_lead_and_everything_is_written(run: str, tmp_path: Path):
    found = optimise(tmp_path / "o", options(run))
    facts = found.facts
    assert facts["best"]["size_pred"] < facts["lead"]["size_pred"] - 2
    assert found.best["score"].to_list() == sorted(found.best["score"], reverse=True)
    assert {p.name for p in (tmp_path / "o").iterdir()} >= set(FILES)
    assert not list(tmp_path.glob(".o.partial*"))
    assert facts["scored_sha256"] == hashlib.sha256((tmp_path / "o" / "scored.csv").read_bytes()).hexdigest()
    assert facts["best_so_far"] == sorted(facts["best_so_far"], key=lambda one: one[1])
    assert set(facts["scored_by_method"]) == {"start", "genetic", "edits"}


@pytest.mark.parametrize("budget", [1, 7, 20, 53])
def test_the_budget_is_spent_to_the_molecule(run: str, tmp_path: Path, budget: int):
    rows = scored(optimise(tmp_path / "o", options(run, budget=budget)))
    assert len(rows) == budget
    assert len({row["smiles"] for row in rows}) == budget
    assert rows[0]["smiles"] == canonical(parse(LEAD).mol)
    assert [int(row["place"]) for row in rows] == list(range(1, budget + 1))


def test_a_run_is_asked_about_no_molecule_more(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from osler.engine.optimising.judging import Judging

    asked: list[str] = []
    plain = Judging.rows
    monkeypatch.setattr(Judging, "rows", lambda self, texts: asked.extend(texts) or plain(self, texts))
    optimise(tmp_path / "o", options(run, budget=45))
    assert len(asked) == 45 + 1  # and one molecule of known answer, for the names of the columns


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(run: str, tmp_path: Path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        optimise(tmp_path / name, options(run, seed=seed, budget=40))
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "scored.csv").read_bytes() != (tmp_path / "c" / "scored.csv").read_bytes()


class Killed(Exception):
    """Raised on the way."""


@pytest.mark.parametrize("method", [("genetic", "edits"), ("reinforce",)])
def test_a_killed_search_goes_on_to_the_same_bytes(run: str, tmp_path: Path, method: tuple[str, ...]):
    generator = str(tiny_generator(tmp_path / "generator")) if "reinforce" in method else ""
    asked = options(run, method=method, generator=generator, most_sa=8.0)

    def stop(stage: str, done: int, total: int) -> None:
        if done >= 40:
            raise Killed

    with pytest.raises(Killed):
        optimise(tmp_path / "cut", asked, stop)
    held = json.loads((tmp_path / ".cut.partial" / "progress.json").read_text())
    assert 40 <= len(held["rows"]) < 60
    begun: list[int] = []
    optimise(tmp_path / "cut", asked, lambda stage, done, total: begun.append(done))
    assert begun[0] == len(held["rows"])
    optimise(tmp_path / "whole", asked)
    for name in FILES:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_was_begun_with_other_options_is_begun_anew(run: str, tmp_path: Path):
    def stop(stage: str, done: int, total: int) -> None:
        if done >= 20:
            raise Killed

    with pytest.raises(Killed):
        optimise(tmp_path / "o", options(run), stop)
    begun: list[int] = []
    optimise(tmp_path / "o", options(run, seed=9), lambda stage, done, total: begun.append(done))
    assert begun[0] == 1


def test_every_scored_molecule_is_near_the_lead_easy_to_make_and_sound(run: str, tmp_path: Path):
    rows = scored(optimise(tmp_path / "o", options(run, keep_similar=0.45, most_sa=3.0)))[1:]
    mols = [parse(row["smiles"]).mol for row in rows]
    assert all(float(row["similarity"]) >= 0.45 for row in rows)
    assert (properties(mols)[:, 0] <= 3.0).all()
    assert all(map(sound, mols))
    assert all(row["parent"] and row["method"] in ("genetic", "edits") and row["change"] for row in rows)


def test_conditions_come_first(run: str, tmp_path: Path):
    found = optimise(tmp_path / "o", options(run, want=("logp>3",), budget=80))
    best = found.best.filter(pl.col("unmet") == 0)
    assert len(best) > 3
    assert (best["logp"] > 3).all()
    assert found.facts["best"]["unmet"] == 0
    assert (found.front["unmet"] == 0).all()


def test_unfamiliar_molecules_are_never_first(run: str, tmp_path: Path):
    found = optimise(tmp_path / "o", options(run, domain="exclude"))
    assert found.facts["best"]["size_in_domain"] is True
    assert found.front["size_in_domain"].all()
    inside = {row["smiles"] for row in scored(found) if row["size_in_domain"] == "true"}
    assert all(row["parent"] in inside for row in scored(found)[1:])


def test_from_nothing_it_begins_with_small_rings_and_grows(run: str, tmp_path: Path):
    found = optimise(tmp_path / "o", options(run, lead="", minimise=(), maximise=("size_pred",), budget=120))
    rows = scored(found)
    start = {canonical(parse(s).mol) for s in SMALL}
    assert {row["smiles"] for row in rows if row["method"] == "start"} <= start
    assert found.facts["lead"] is None
    assert found.facts["best"]["size_pred"] > max(float(row["size_pred"]) for row in rows if row["method"] == "start") + 3


def test_a_file_to_begin_with_and_pairs_to_learn_from(run: str, tmp_path: Path):
    start, pairs = tmp_path / "start.smi", tmp_path / "pairs.smi"
    start.write_text("\n".join(DRUGS[:10]))
    pairs.write_text("\n".join(SMILES))
    found = optimise(tmp_path / "o", options(run, lead="", start=str(start), pairs=str(pairs), method=("edits",), budget=40))
    assert {row["change"] for row in scored(found) if row["method"] == "start"} == {"beginning"}
    assert any("pairs)" in row["change"] for row in scored(found))


def test_a_search_that_finds_nothing_new_says_so(run: str, tmp_path: Path):
    found = optimise(tmp_path / "o", options(run, method=("edits",), keep_similar=0.99, batch=5))
    assert found.facts["ran_dry"]
    assert found.facts["scored"] < 20
    assert found.facts["passed_over"]["too unlike the lead"] > 10
    assert "ran dry" in (tmp_path / "o" / "report.html").read_text()


def test_probabilities_of_an_ensemble_are_judged_by_its_members(tmp_path: Path):
    judge = str(committee().save(tmp_path / "ring"))
    found = optimise(tmp_path / "o", options(judge, minimise=("ring_prob_1",), budget=40))
    assert "members" in found.facts["caution"]["ring_prob_1"]
    assert all(float(r["ring_prob_1_cautious"]) >= float(r["ring_prob_1"]) for r in scored(found))


def test_a_generator_can_be_the_beginning(run: str, tmp_path: Path):
    from tests.engine.test_generate import trained

    made = trained(tmp_path, "generator")
    found = optimise(tmp_path / "o", options(run, lead="", generator=str(made.folder), budget=20, most_sa=9.0, method=("genetic",)))
    assert found.facts["scored_by_method"]["start"] >= 5
    assert not {canonical(parse(s).mol) for s in SMALL} >= {row["smiles"] for row in scored(found) if row["method"] == "start"}


def test_the_command_line_prints_lead_and_best_and_says_no(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["optimise", "--run", run, "--minimise", "size_pred", "--lead", LEAD, "--budget", "25", "--batch", "12", "--domain", "ignore", "--quiet"]
    assert main([*command, "--out", str(tmp_path / "o")]) == 0
    said = capsys.readouterr().out
    assert "lead. " in said
    assert "scored: 25 of 25" in said
    assert main([*command, "--want", "weight<1", "--out", str(tmp_path / "none")]) == 1
    assert "0 meet every condition" in capsys.readouterr().out
    assert main(["optimise", "--run", run, "--out", str(tmp_path / "x")]) == 2


def test_what_cannot_begin_is_refused(run: str, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.txt").write_text("x")
    with pytest.raises(OptionError, match="out must be a new folder"):
        optimise(tmp_path / "mine", options(run))
    empty = tmp_path / "empty.smi"
    empty.write_text("C1CC\n")
    with pytest.raises(ReadError, match="holds none"):
        optimise(tmp_path / "o", options(run, start=str(empty)))
    empty.write_text("CC1(C)C2CCC1(C)C(=O)C2\n")
    with pytest.raises(InputError, match="passed over"):
        optimise(tmp_path / "o", options(run, lead="", start=str(empty), most_sa=1.5))
    with pytest.raises(InputError):
        optimise(tmp_path / "o", options(run, method=("reinforce",), generator=str(tmp_path)))
