"""`osler optimise` and `osler generate` at the command line: what is printed, exit codes, and one sentence for every mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from osler.cli import main
from tests.engine.screening.molecules import predictor

pytest.importorskip("rdkit")
LEAD = "CCCCCCCc1ccccc1O"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A predictor of the length of a SMILES."""
    return str(predictor().save(tmp_path_factory.mktemp("runs") / "size"))


def command(run: str, out: Path, *more: str) -> list[str]:
    """A short search."""
    start = ["optimise", "--run", run, "--lead", LEAD, "--budget", "15", "--batch", "8", "--domain", "ignore", "--quiet"]
    return [*start, "--out", str(out), *more]


def test_lead_and_best_are_printed_with_what_was_asked(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(command(run, tmp_path / "o", "--minimise", "size_pred")) == 0
    said = capsys.readouterr().out
    head = said.splitlines()[0].split()
    assert head == ["molecule", "size_pred", "similarity", "sa", "unmet"]
    assert re.search(r"scored: 15 of 15; \d+ meet every condition, \d+ on the Pareto front", said)
    assert (tmp_path / "o" / "report.html").is_file()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ((), "--minimise COLUMN"),
        (("--minimise", "size_prde"), "size_pred"),
        (("--minimise", "size_pred", "--method", "genetics"), "genetic"),
        (("--minimise", "size_pred", "--domain", "drop"), "exclude, penalise, ignore"),
        (("--minimise", "size_pred", "--budget", "0"), "budget"),
        (("--minimise", "size_pred", "--keep", "size_pred"), "COLUMN"),
        (("--minimise", "size_pred", "--lead", "C1CC"), "lead must be a molecule"),
        (("--minimise", "size_pred", "--filter", "payns"), "pains"),
        (("--minimise", "size_pred", "--start", "none.smi"), "not there"),
        (("--minimise", "size_pred", "--method", "reinforce"), "--generator"),
        (("--minimise", "size_pred", "--maximise", "qed"), "worst and best"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_and_exit_two(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], word: str
):
    assert main(command(run, tmp_path / "o", *more)) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("osler: ")
    assert word in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "o").exists()


def test_several_aims_and_conditions(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    aims = ["--minimise", "size_pred:30:5", "--maximise", "qed:0:1", "--want", "logp<6", "--keep", "weight:150"]
    assert main(command(run, tmp_path / "o", *aims)) == 0
    text = (tmp_path / "o" / "report.html").read_text()
    assert "small size_pred, worst at 30, best at 5" in text
    assert "large qed" in text
    assert "logp&lt;6" in text
    assert "weight&gt;=" in text


@pytest.mark.parametrize(
    ("action", "more", "word"),
    [("paint", (), "train, sample or verify"), ("sample", ("--n", "5"), "run must be a folder"), ("verify", (), "run must be a folder"),
     ("train", ("--loss", "hinge"), "wasserstein"), ("train", ("--model", "generator_gur"), "generator_gru"), ("train", ("--width", "0"), "width")],
)  # fmt: skip
def test_mistakes_of_generate_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, more: tuple[str, ...], word: str
):
    library = tmp_path / "some.smi"
    library.write_text("CCO\n")
    assert main(["generate", action, str(library), "--out", str(tmp_path / "x"), *more]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert word in said[-1]
    assert said[-1].startswith("osler: ")


@pytest.mark.parametrize("name", ["optimise", "generate"])
def test_help_shows_every_option_with_its_meaning(name: str, capsys: pytest.CaptureFixture[str]):
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    expected = {"optimise": ("--keep-similar", "--most-sa", "--budget", "--caution", "--pairs"), "generate": ("--loss", "--uniqueness-floor", "--max-atoms")}
    assert all(flag in said for flag in expected[name])
    assert "Example" in said
