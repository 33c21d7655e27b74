"""The funnel end to end on molecules that can be seen through: counts, order, resumption to the same bytes, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from osler.cli import main
from osler.engine.screening import screen as verb
from osler.engine.screening.options import ScreenOptions
from osler.engine.screening.screen import screen
from osler.errors import ColumnError, InputError, OptionError, ReadError
from tests.engine.screening.molecules import SMILES, predictor

pytest.importorskip("rdkit")
FILES = ("hits.csv", "kept.parquet", "refused.csv", "funnel.json", "funnel.svg")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The forty molecules, one twice, one quinone (PAINS), and two lines that are no molecules."""
    path = tmp_path / "library.smi"
    lines = [f"{s} m{i}" for i, s in enumerate(SMILES)]
    path.write_text("\n".join([*lines[:5], "what? x", *lines[5:], "CCO again", "O=C1C=CC(=O)C=C1 quinone", "C1CC cut"]) + "\n")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A saved predictor of the column 'size'."""
    return str(predictor().save(tmp_path_factory.mktemp("runs") / "size"))


@pytest.fixture
def asked(run: str, tmp_path: Path) -> ScreenOptions:
    """Every stage at once, in small blocks."""
    actives = tmp_path / "actives.smi"
    actives.write_text("CCCCc1ccccc1O phenol\nCCCCCCO hexanol\n")
    return ScreenOptions(
        filter=("pains", "veber"), actives=str(actives), run=(run,), want=("size_pred<12", "similarity>0.1"), maximise=("size_low",),
        keep=12, pick=4, block=7,
    )  # fmt: skip


def test_a_funnel_counts_every_stage(library: Path, tmp_path: Path, asked: ScreenOptions):
    found = screen(library, tmp_path / "out", asked)
    counts = dict(found.funnel)
    assert counts["read"] == 44
    assert counts["readable"] == 42
    assert counts["passed pains"] == 41
    assert list(counts) == [
        "read", "readable", "passed pains", "passed veber", "similarity>0.1", "size_pred<12", "has a score", "kept", "picked",
    ]  # fmt: skip
    values = list(counts.values())
    assert values == sorted(values, reverse=True)
    assert found.facts["dropped"]["pains"] == {"quinone_A(370)": 1}
    kept = pl.read_parquet(tmp_path / "out" / "kept.parquet")
    assert kept["smiles"].n_unique() == kept.height == 12
    assert kept["score"].is_sorted(descending=True)
    assert kept["score"].to_list() == kept["size_low"].to_list()
    assert (kept["size_pred"] < 12).all()
    assert (kept["similarity"] > 0.1).all()
    assert set(kept["nearest_active"]) <= {"phenol", "hexanol"}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(FILES)


def test_molecules_that_have_passed_leave_nothing_in_memory(library: Path, tmp_path: Path, asked: ScreenOptions):
    from osler.adapters.rdkit import features

    features.forget()
    screen(library, tmp_path / "out", asked)
    assert not {key[0] for key in features._KEPT} & set(SMILES)


def test_picks_begin_with_the_best_and_are_sorted_by_score(library: Path, tmp_path: Path, asked: ScreenOptions):
    hits = screen(library, tmp_path / "out", asked).hits
    assert hits.height == 4
    assert hits.row(0, named=True)["pick"] == 1
    assert sorted(hits["pick"]) == [1, 2, 3, 4]
    assert hits["score"].is_sorted(descending=True)


def test_refused_lines_have_their_place_and_reason(library: Path, tmp_path: Path):
    screen(library, tmp_path / "out", ScreenOptions(block=3))
    refused = pl.read_csv(tmp_path / "out" / "refused.csv")
    assert refused["place"].to_list() == [6, 44]
    assert refused["name"].to_list() == ["x", "cut"]
    assert all(refused["reason"].str.len_chars() > 5)
    assert "C1CC" not in refused["reason"].str.join(" ").item()


@pytest.mark.parametrize("stop_after", [1, 4])
def test_a_killed_screen_goes_on_to_the_same_bytes(
    library: Path, tmp_path: Path, asked: ScreenOptions, monkeypatch: pytest.MonkeyPatch, stop_after: int
):
    screen(library, tmp_path / "whole", asked)
    worked: list[int] = []
    passed = verb.Stages.passed

    def count_and_stop(self, block):
        if len(worked) == stop_after:
            raise KeyboardInterrupt
        worked.append(len(block))
        return passed(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(verb.Stages, "passed", count_and_stop)
        with pytest.raises(KeyboardInterrupt):
            screen(library, tmp_path / "cut", asked)
    with (tmp_path / ".cut.partial" / "refused.csv").open("a") as half:
        half.write("7,half a li")
    again: list[int] = []
    monkeypatch.setattr(verb.Stages, "passed", lambda self, block: (again.append(len(block)), passed(self, block))[1])
    screen(library, tmp_path / "cut", asked)
    assert sum(worked) + sum(again) == 44
    assert all((tmp_path / "whole" / n).read_bytes() == (tmp_path / "cut" / n).read_bytes() for n in FILES)
    assert not (tmp_path / ".cut.partial").exists()


def test_a_library_that_changed_meanwhile_is_refused(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    options = ScreenOptions(block=10)
    passed, calls = verb.Stages.passed, []
    with monkeypatch.context() as patch:
        patch.setattr(verb.Stages, "passed", lambda self, block: passed(self, block) if not calls.append(1) and len(calls) < 3 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            screen(library, tmp_path / "out", options)
    library.write_text(library.read_text().replace("m3", "other"))
    with pytest.raises(ReadError, match="changed"):
        screen(library, tmp_path / "out", options)


def test_without_an_aim_a_seeded_sample_is_kept(library: Path, tmp_path: Path):
    small = [screen(library, tmp_path / f"{s}{b}", ScreenOptions(keep=10, seed=s, block=b)).hits for s, b in ((1, 5), (1, 50), (2, 5))]
    assert small[0].equals(small[1])
    assert set(small[0]["place"]) != set(small[2]["place"])


@pytest.mark.parametrize(("diversity", "n"), [("none", 6), ("spheres", 6), ("maxmin", 6)])
def test_ways_to_pick(library: Path, tmp_path: Path, run: str, diversity: str, n: int):
    options = ScreenOptions(run=(run,), maximise=("size_pred",), pick=n, diversity=diversity, most_similar=0.5)
    found = screen(library, tmp_path / "out", options)
    kept = pl.read_parquet(tmp_path / "out" / "kept.parquet")
    if diversity == "none":
        assert found.hits["smiles"].to_list() == kept["smiles"].to_list()[:n]
    if diversity == "spheres":
        assert found.hits["pick_similarity"].max() <= 0.5
    assert found.hits["smiles"][0] == kept["smiles"][0]


def test_two_runs_of_one_target_have_columns_of_their_own(library: Path, tmp_path: Path, run: str):
    other = str(predictor().save(tmp_path / "second"))
    hits = screen(library, tmp_path / "out", ScreenOptions(run=(run, other), in_domain=True)).hits
    assert {"size_size_pred", "second_size_pred", "second_size_in_domain", "size_size_low"} <= set(hits.columns)
    assert hits["second_size_in_domain"].all()


@pytest.mark.parametrize(("change", "told"), [
    ({"filter": ("pain",)}, "pains"), ({"want": ("size_perd<3",)}, "size_pred"), ({"maximise": ("size",)}, "size_"),
    ({"dock_option": ("a=b",)}, "dock"), ({"keep": 0}, "keep"), ({"diversity": "best"}, "maxmin"),
])  # fmt: skip
def test_options_are_refused_before_the_library_is_read(library: Path, tmp_path: Path, run: str, change: dict, told: str):
    with pytest.raises(InputError, match=told):
        screen(library, tmp_path / "out", ScreenOptions(**{"run": (run,), **change}))
    assert not (tmp_path / "out").exists()


def test_a_run_that_reads_no_molecules_is_refused(library: Path, tmp_path: Path):
    from tests.predictors import fitted

    other = str(fitted("diabetes", "linear").predictor.save(tmp_path / "diabetes"))
    with pytest.raises(ColumnError, match="one column of molecules") as error:
        screen(library, tmp_path / "out", ScreenOptions(run=(other,)))
    assert error.value.code == "column-kind"


def test_a_library_without_molecules_is_refused(tmp_path: Path):
    path = tmp_path / "library.smi"
    path.write_text("hello\nworld?\n")
    with pytest.raises(ReadError, match="none of its 2 entries") as error:
        screen(path, tmp_path / "out")
    assert error.value.code == "read-empty"
    path.write_text("")
    with pytest.raises(ReadError, match="none of its 0 entries"):
        screen(path, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


def test_actives_must_be_molecules(library: Path, tmp_path: Path):
    for text, told in (("CCO\nno!\n", "number 2"), ("", "none")):
        (tmp_path / "actives.smi").write_text(text)
        with pytest.raises(ReadError, match=told):
            screen(library, tmp_path / "out", ScreenOptions(actives=str(tmp_path / "actives.smi")))


def test_out_must_not_be_the_library(library: Path):
    with pytest.raises(OptionError, match="library itself"):
        screen(library, library)


def test_the_command_prints_the_funnel(library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = main(["screen", str(library), "--filter", "ro5", "--out", str(tmp_path / "out"), "--quiet"])
    told = capsys.readouterr().out
    assert code == 0
    assert "passed ro5" in told
    assert "2 entries could not be read" in told
    assert json.loads((tmp_path / "out" / "funnel.json").read_text())["funnel"][0] == ["read", 44]
    assert (tmp_path / "out" / "funnel.svg").read_text().startswith("<svg xmlns")
