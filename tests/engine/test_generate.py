"""`osler generate`: a run folder that can be proved, drawn from, taken up after a kill, and that tells of a collapse."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from osler.adapters import tensors
from osler.adapters.rdkit.fragments import canonical
from osler.adapters.rdkit.parse import parse
from osler.adapters.rdkit.scaffolds import scaffold
from osler.cli import main
from osler.engine import generate
from osler.engine.library import read_library
from osler.engine.progress import Progress
from osler.errors import ColumnError, InputError, OptionError, PredictorError, ViolationError
from osler.evaluation.generation import novel_share
from osler.models.neural.generation.options import GeneratorOptions
from tests.models.neural.generation.drugs import DRUGS

pytest.importorskip("rdkit")
pytest.importorskip("fcd_torch")
OPTIONS = GeneratorOptions(width=32, batch_size=16, epochs=4.0, learning_rate=0.01, rarest=1, checks=2, check_n=100, fcd_checks=1, held_out=0.2)


def library_of(folder: Path) -> Path:
    """The drugs as a list, with a salt, a repeat and a line that is no molecule."""
    path = folder / "drugs.smi"
    path.write_text("\n".join([*DRUGS, "CCN.Cl", DRUGS[0], "C1CC"]) + "\n")
    return path


def trained(folder: Path, out: str, **more: Any) -> generate.GeneratorRun:
    """A tiny finished run."""
    return generate.train(library_of(folder), folder / out, OPTIONS, silent=True, final=150, **more)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> generate.GeneratorRun:
    """One run for all tests that only read."""
    return trained(tmp_path_factory.mktemp("generate"), "run")


def copy_of(run: generate.GeneratorRun, folder: Path) -> Path:
    """A copy that may be tampered with."""
    return Path(shutil.copytree(run.folder, folder / "copy"))


def test_a_run_has_all_its_files_and_every_row_is_accounted_for(run: generate.GeneratorRun):
    names = {p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*") if p.is_file()}
    assert {"study.json", "splits.parquet", "refusals.csv", "curves.json", "scores.json", "examples.json", "certificate.json", "report.html",
            "generator/generator.json", "generator/weights.safetensors", "generator/known.safetensors"} <= names  # fmt: skip
    assert not any("checkpoint" in name for name in names)
    table, refused = pl.read_parquet(run.folder / "splits.parquet"), pl.read_csv(run.folder / "refusals.csv")
    assert len(table) == len(DRUGS)
    assert sorted(refused["reason"].str.slice(0, 14)) == ["more than one ", "not a molecule", "the same molec"]


def test_scores_have_numbers_with_n_and_interval(run: generate.GeneratorRun):
    scores = run.json("scores.json")
    valid = scores["measures"]["validity"]
    assert scores["drawn"] == valid["n"] == 150
    assert valid["low"] < valid["value"] <= valid["high"]
    assert {"unique_1k", "unique_10k", "novelty", "internal_diversity", "scaffold_similarity", "fragment_similarity", "fcd", "sa", "qed"} <= set(
        scores["measures"]
    )
    assert [c["step"] for c in run.json("curves.json")["curves"]][-1] > 0


def test_no_held_out_scaffold_was_trained_on(run: generate.GeneratorRun):
    table = pl.read_parquet(run.folder / "splits.parquet")
    parts = {part: {scaffold(parse(DRUGS[row - 1]).mol) for row in table.filter(pl.col("part") == part)["row"]} for part in table["part"].unique()}
    assert parts[generate.HELD_OUT]
    assert not parts[generate.HELD_OUT] & parts[generate.TRAINING]
    assert generate.verify(run.folder)["verdict"] == "clean"


def test_a_leak_that_is_planted_is_found(run: generate.GeneratorRun, tmp_path: Path):
    folder = copy_of(run, tmp_path)
    table = pl.read_parquet(folder / "splits.parquet")
    mark = table.filter(pl.col("part") == generate.HELD_OUT)["scaffold"][0]
    leaked = table.with_columns(pl.when(pl.col("part") == generate.TRAINING).then(pl.lit(mark)).otherwise(pl.col("scaffold")).alias("scaffold"))
    leaked.write_parquet(folder / "splits.parquet")
    assert generate.verify(folder)["verdict"] == "violated"
    assert main(["generate", "verify", str(folder)]) == 1


def test_a_certificate_that_was_edited_is_found(run: generate.GeneratorRun, tmp_path: Path):
    folder = copy_of(run, tmp_path)
    body = json.loads((folder / "certificate.json").read_text()) | {"rows_read": 1}
    (folder / "certificate.json").write_text(json.dumps(body))
    assert generate.verify(folder)["verdict"] == "violated"


def test_drawing_follows_the_seed_and_is_written(run: generate.GeneratorRun, tmp_path: Path):
    found = generate.sample(run.folder, 80, tmp_path / "new.smi", seed=3)
    assert found == generate.sample(run.folder, 80, seed=3)
    assert found["smiles"] != generate.sample(run.folder, 80, seed=4)["smiles"]
    assert (tmp_path / "new.smi").read_text().split() == found["smiles"]
    assert 0 <= found["new"] <= found["unique"] <= found["valid"] <= found["drawn"] == 80
    assert all(parse(s).mol is not None for s in found["smiles"])


def test_what_was_learnt_from_is_not_new(run: generate.GeneratorRun):
    known = tensors.read(run.folder / "generator" / "known.safetensors")[0]["marks"]
    table = pl.read_parquet(run.folder / "splits.parquet")
    seen = [canonical(parse(DRUGS[row - 1]).mol) for row in table.filter(pl.col("part") == generate.TRAINING)["row"]]
    assert novel_share(seen, known) == 0.0
    assert novel_share(["CCCCCCCCCCCCO"], known) == 1.0


class Killed(Exception):
    """Raised on the way."""


def test_a_killed_run_ends_with_the_same_weights_and_scores(run: generate.GeneratorRun, tmp_path: Path):
    def stop(event: dict[str, Any]) -> None:
        raise Killed

    with pytest.raises(Killed):
        trained(tmp_path, "run", report=stop)
    assert (tmp_path / ".run.partial").is_dir()
    assert not (tmp_path / "run").exists()
    again = trained(tmp_path, "run")
    for name in ("generator/weights.safetensors", "scores.json", "curves.json", "examples.json", "certificate.json", "report.html"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes()
    assert not (tmp_path / ".run.partial").exists()


def test_a_collapse_stops_with_exit_one_and_leaves_what_was_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["generate", "train", str(library_of(tmp_path)), "--out", str(tmp_path / "bad"), "--model", "generator_gan", "--loss", "vanilla",
               "--width", "24", "--batch-size", "16", "--rarest", "1", "--epochs", "20", "--adversarial-steps", "120", "--adversarial-rate", "0.05",
               "--critic-rate", "0.001", "--likelihood", "0", "--checks", "16", "--check-n", "200", "--held-out", "0.1"]  # fmt: skip
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "[generator-collapsed]" in said
    told = json.loads((tmp_path / "bad" / "curves.json").read_text())
    assert told["status"] == "collapsed"
    assert len(told["curves"]) < 16
    assert "the generator collapsed" in (tmp_path / "bad" / "report.html").read_text()
    with pytest.raises(InputError) as lost:
        generate.sample(tmp_path / "bad", 10)
    assert lost.value.code == "run-missing"


def test_the_command_line_prints_counts_and_molecules(run: generate.GeneratorRun, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["generate", "sample", str(run.folder), "--n", "50", "--seed", "2"]) == 0
    told = capsys.readouterr()
    assert told.err.startswith("50 drawn, ")
    assert len(told.out.split()) <= 20
    assert main(["generate", "verify", str(run.folder)]) == 0
    assert "verdict: clean" in capsys.readouterr().out
    assert main(["generate", "train", str(tmp_path / "none.smi"), "--out", str(tmp_path / "x")]) == 2
    assert main(["generate", "paint", str(run.folder)]) == 2


@pytest.mark.parametrize(("n", "temperature"), [(0, None), (20_000_000, None), (10, 0.0)])
def test_draws_that_cannot_be_are_refused(run: generate.GeneratorRun, n: int, temperature: float | None):
    with pytest.raises(OptionError):
        generate.sample(run.folder, n, temperature=temperature)


def test_changed_weights_are_refused(run: generate.GeneratorRun, tmp_path: Path):
    folder = copy_of(run, tmp_path)
    weights = folder / "generator" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    with pytest.raises(PredictorError):
        generate.verify(folder)


def test_an_out_folder_with_other_things_is_left_alone(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(OptionError, match="out must be a new folder"):
        trained(tmp_path, "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"


def test_libraries_that_cannot_be_learnt_from_are_refused(tmp_path: Path):
    few, table = tmp_path / "few.smi", tmp_path / "no.csv"
    few.write_text("CCO\nCCN\n")
    table.write_text("a,b\n1,2\n3,4\n")
    with Progress(True) as progress:
        with pytest.raises(InputError, match="at least 50 different molecules, 2 are left"):
            read_library(few, progress)
        with pytest.raises(ColumnError, match="column 'smiles'"):
            read_library(table, progress)


def test_held_out_scaffolds_are_a_share_of_all(tmp_path: Path):
    with Progress(True) as progress:
        library = read_library(library_of(tmp_path), progress)
    held = library.held_out(0.25, np.random.default_rng(1))
    names = np.array(library.scaffolds)
    assert len(set(names[held])) == round(0.25 * len(set(names)))
    assert not set(names[held]) & set(names[~held])
    alike = replace(library, scaffolds=["c1ccccc1"] * len(library))
    with pytest.raises(InputError, match="two scaffolds"):
        alike.held_out(0.1, np.random.default_rng(1))


def test_a_collapse_is_a_violation():
    from osler.models.neural.generation.training import Collapsed

    assert issubclass(Collapsed, ViolationError)
