"""Everything that can be wrong with a table or a flag, through the command line: one sentence, exit 2, nothing
written, nothing lost.
"""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cli import main

QUICK = ["--folds", "2", "--repeats", "1", "--model", "logistic", "--boot", "200", "--no-explain"]


def lines(n: int = 60, outcome: str = "") -> list[str]:
    """A small table as lines; `outcome` replaces every outcome."""
    rng = np.random.default_rng(0)
    rows = [
        f"P{i:03d},{50 + i % 30}.5,{rng.normal(5, 2):.3f},{'ab'[i % 2]},{outcome or ('yes' if rng.random() < 0.5 else 'no')}"
        for i in range(n)
    ]
    return ["id,age,crp,ward,died", *rows]


def put(folder: Path, content: list[str] | bytes, name: str = "t.csv") -> Path:
    """A file with these lines or bytes."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode())
    return path


def refused(args: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a refused command, after checking that it is one, exits 2 and has written nothing."""
    before = sorted(folder.rglob("*"))
    assert main(args) == 2
    said = capsys.readouterr()
    sentence = said.err.strip()
    assert sentence.count("\n") == 0, sentence
    assert sentence.startswith("osler")
    assert "Traceback" not in sentence
    assert sorted(folder.rglob("*")) == before
    return sentence


def with_column(name: str, values: list[str]) -> list[str]:
    """The small table with one more column."""
    return [f"{line},{value}" for line, value in zip(lines(len(values)), [name, *values])]


TABLES = {
    "constant": (lines(outcome="yes"), [], "one value", "target-constant"),
    "fewer rows than folds": (
        lines(8),
        ["--folds", "10"],
        "at least as many units as folds (10), there are 8",
        "target-rows",
    ),
    "two rows": (lines(2), [], "must have two classes", "target-constant"),
    "rare class": ([*lines(60, "no"), "P900,61.5,5.1,a,yes"], [], "class 'yes'", "target-class"),
    "doubled header": (["id,age,age,ward,died", *lines()[1:]], [], "columns 2 and 3", "read-header"),
    "empty": (b"", [], "it is empty", "read-empty"),
    "header only": (lines()[:1], [], "at least one row", "read-empty"),
    "binary": (bytes(range(256)) * 20, [], "binary file", "read-format"),
    "only ids": (
        [",".join([r.split(",")[0], r.split(",")[4]]) for r in lines()],
        [],
        "at least one predictor",
        "column-kind",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_used_is_refused(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    content, flags, words, code = TABLES[case]
    sentence = refused(
        [
            "fit",
            str(put(tmp_path, content)),
            "--target",
            "died",
            "--out",
            str(tmp_path / "runs" / "r"),
            "--quiet",
            *flags,
        ],
        tmp_path,
        capsys,
    )
    assert words in sentence
    assert f"[{code}]" in sentence


FLAGS = {
    "target": (["--target", "dyed"], "did you mean 'died'", "column-unknown"),
    "no target": ([], "a target must be named", "target-absent"),
    "target is an id": (["--target", "id"], "name another target", "target-class"),
    "target twice": (["--target", "died", "--target", "died"], "named twice", "column-kind"),
    "target is unit": (["--target", "died", "--unit", "died"], "no second role", "column-kind"),
    "unit": (["--target", "died", "--unit", "patient"], "was 'patient'", "column-unknown"),
    "input": (["--target", "died", "--input", "agee"], "did you mean 'age'", "column-unknown"),
    "modality": (["--target", "died", "--column", "age=nmber"], "did you mean 'number'", "option"),
    "modality without =": (["--target", "died", "--column", "age"], "NAME=MODALITY", "option"),
    "task": (["--target", "died", "--task", "binry"], "did you mean 'binary'", "option"),
    "folds": (["--target", "died", "--folds", "1"], "at least 2", "option"),
    "model": (["--target", "died", "--model", "logstic"], "did you mean 'logistic'", "option"),
    "model option": (["--target", "died", "--model", "logistic:penlty=1"], "did you mean 'penalty'", "option"),
    "model option value": (["--target", "died", "--model", "logistic:penalty=big"], "must be a number", "option"),
    "model of another task": (["--target", "died", "--model", "cox"], "cannot", "option"),
    "member of another task": (
        ["--target", "died", "--model", "ensemble:members=logistic+linear"],
        "'linear' cannot",
        "option",
    ),
    "imbalance": (["--target", "died", "--imbalance", "smote"], "none or balanced", "option"),
    "threshold": (["--target", "died", "--threshold", "high"], "between 0 and 1", "option"),
    "coverage": (["--target", "died", "--coverage", "0"], "between 0 and 1", "option"),
    "boot": (["--target", "died", "--boot", "-5"], "at least 0", "option"),
    "seed": (["--target", "died", "--seed", "-1"], "at least 0", "option"),
    "workers": (["--target", "died", "--workers", "-2"], "at least 0", "option"),
    "hold-out share": (["--target", "died", "--holdout", "1.5"], "between 0 and 1", "option"),
    "hold-out column": (["--target", "died", "--holdout", "agee>=60"], "did you mean 'age'", "option"),
    "hold-out file": (["--target", "died", "--holdout", "later.csv"], "must be a file", "read-missing"),
    "positive": (["--target", "died", "--positive", "maybe"], "in no row", "target-class"),
    "event": (["--duration", "age", "--event", "dead"], "did you mean 'died'", "column-unknown"),
    "no event": (["--duration", "age"], "both duration and event", "option"),
}


@pytest.mark.parametrize("case", FLAGS)
def test_a_wrong_flag_is_refused(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    flags, words, code = FLAGS[case]
    sentence = refused(
        ["fit", str(put(tmp_path, lines())), "--out", str(tmp_path / "runs" / "r"), "--quiet", *flags], tmp_path, capsys
    )
    assert words in sentence
    assert f"[{code}]" in sentence


def test_paths_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    good = put(tmp_path, lines(), "patients.csv")
    assert "did you mean 'patients.csv'" in refused(["look", str(tmp_path / "patient.csv")], tmp_path, capsys)
    assert "[image-format]" in refused(["look", str(tmp_path)], tmp_path, capsys)
    assert "[run-missing]" in refused(["predict", str(tmp_path), str(good)], tmp_path, capsys)
    assert "[run-missing]" in refused(["verify", str(tmp_path / "none")], tmp_path, capsys)
    assert "holds something else" in refused(
        ["fit", str(good), "--target", "died", "--out", str(tmp_path)], tmp_path, capsys
    )
    assert "[read-truncated]" in refused(
        ["look", str(put(tmp_path, gzip.compress("\n".join(lines(600)).encode())[:300], "t.csv.gz"))], tmp_path, capsys
    )
    assert "device" in refused(["look", os.devnull], tmp_path, capsys)
    assert "NUL" in refused(["look", "a\0b.csv"], tmp_path, capsys)
    assert "[read-encoding]" in refused(
        ["fit", str(good), "--target", "died", "--config", str(put(tmp_path, b"\xff\xfe\x81", "c.yaml"))],
        tmp_path,
        capsys,
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = put(tmp_path, lines())
    path.chmod(0)
    assert "[system]" in refused(["look", str(path)], tmp_path, capsys)


def test_a_bomb_is_refused_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bomb = put(tmp_path, gzip.compress(b"a,b\n" + b"0,0\n" * (12 << 20)), "bomb.csv.gz")
    assert bomb.stat().st_size < 1 << 18
    assert "[limit-ratio]" in refused(
        ["fit", str(bomb), "--target", "b", "--out", str(tmp_path / "r"), "--quiet"], tmp_path, capsys
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["fitt"], "was 'fitt': did you mean 'fit'?"),
        (["fit"], "Missing argument 'path'"),
        (["fit", "x.csv", "--tarrget", "died"], "Possible options: --target"),
        (["data", "gte"], "was 'gte': did you mean 'get'?"),
        (["data", "get", "hart"], "[data-unknown]"),
        (["fit", "x.csv", "--folds", "five"], "Invalid value for '--folds'"),
    ],
)
def test_commands_that_do_not_exist(args: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert said in refused(args, tmp_path, capsys)


def test_a_site_of_one_class_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sites = ["A" if line.endswith("yes") else "B" for line in lines()[1:]]
    path = put(tmp_path, with_column("site", sites[:59]))
    args = [
        "fit",
        str(path),
        "--target",
        "died",
        "--site",
        "site",
        "--out",
        str(tmp_path / "runs" / "r"),
        "--quiet",
        "--workers",
        "1",
        *QUICK,
    ]
    assert "both classes" in refused(args, tmp_path, capsys)


def account(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, int, int, str]:
    """Rows read, used and refused, and everything that `look` says."""
    assert main(["look", str(path)]) == 0
    said = capsys.readouterr().out
    read, used, lost = (int(n) for n in re.search(r"rows read (\d+) = used (\d+) \+ refused (\d+)", said).groups())
    assert read == used + lost
    return read, used, lost, " ".join(said.split())


USABLE = {
    "mixed types": with_column("x", [*(str(i) for i in range(58)), "old"]),
    "all missing": with_column("x", [""] * 59),
    "not a number": with_column("x", ["NaN", "inf", "-inf", *(f"{i}.5" for i in range(56))]),
    "dates in several formats": with_column(
        "x", [("2020-01-31", "31/01/2020", "31 Jan 2020")[i % 3] for i in range(59)]
    ),
    "leading zeros": with_column("x", [f"0{1000 + i % 7}" for i in range(59)]),
    "formula": with_column("=1+1", [f"=cmd|' /C calc'!A{i}" for i in range(59)]),
    "ragged": [*lines(59), "P999,61"],
}


@pytest.mark.parametrize("case", USABLE)
def test_a_table_that_can_be_used_is_used_and_nothing_is_lost(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = put(tmp_path, USABLE[case])
    read, _used, lost, said = account(path, capsys)
    assert read == len(USABLE[case]) - 1
    assert lost == (1 if case == "ragged" else 0)
    if case == "ragged":
        assert "60" in said.split("refused")[-1]
    out = tmp_path / "run"
    assert main(["fit", str(path), "--target", "died", "--out", str(out), "--quiet", "--workers", "1", *QUICK]) == 0
    facts = pl.read_csv(out / "refusals.csv")
    assert facts.columns == ["row", "column", "reason", "action"]
    assert not list(tmp_path.glob(".*partial*"))
    if case == "mixed types":
        assert (59, "x") in set(zip(facts["row"], facts["column"]))
