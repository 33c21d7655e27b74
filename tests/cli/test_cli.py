"""The command line as a whole: help, examples, exit codes, suggestions, and where every command is."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from osler import __version__, instruments
from osler.cli import COMMANDS, INSTRUMENTS, main
from tests.architecture.test_docs import commands


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit code, output and error output of one command in this process."""
    code = main(list(args))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_module_and_the_script_are_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "osler", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"osler {__version__}"


def test_instruments_are_those_of_the_index():
    assert list(INSTRUMENTS) == list(instruments.INDEX)
    assert set(COMMANDS) & set(INSTRUMENTS) == set()


def test_every_command_is_a_module_of_its_own():
    for name, (where, text) in COMMANDS.items():
        module, _, attribute = where.partition(":")
        assert module == f"osler.cli.{name}"
        assert callable(getattr(importlib.import_module(module), attribute))
        assert text == text.rstrip(".")
        assert len(text) <= 80


@pytest.mark.parametrize("name", [*COMMANDS, *INSTRUMENTS])
def test_help_has_an_example_that_parses(name: str, capsys: pytest.CaptureFixture[str]):
    code, out, err = run(capsys, name, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: osler {name}" in out
    text = commands()[name].help
    examples = [" ".join(e.split()) for e in re.findall(r"Example: (osler [^\n]*(?:\n(?!\n)[^\n]*)*)", text)]
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[:2] == ["osler", name]
        context = commands()[name].make_context(name, words[2:], resilient_parsing=False)
        assert context.params is not None


@pytest.mark.parametrize("name", [*COMMANDS, *INSTRUMENTS])
def test_every_option_says_what_it_is(name: str):
    bare = [
        p.name
        for p in commands()[name].params
        if p.name != "help" and not (getattr(p, "help", "") or "").strip()
    ]
    assert bare == []


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"], ["help"]])
def test_overview_names_every_command(args: list[str], capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, *args)
    assert code == 0
    assert all(re.search(rf"^  {name} ", out, flags=re.M) for name in [*COMMANDS, *INSTRUMENTS])


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(flag: str, capsys: pytest.CaptureFixture[str]):
    assert run(capsys, flag) == (0, f"osler {__version__}\n", "")


@pytest.mark.parametrize(
    ("typed", "meant"), [("fti", "fit"), ("verfy", "verify"), ("Look", "look"), ("clusters", "cluster")]
)
def test_an_unknown_command_is_met_with_the_nearest(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
):
    code, out, err = run(capsys, typed)
    assert (code, out) == (2, "")
    assert f"was '{typed}': did you mean '{meant}'? [option]" in err
    assert err.count("\n") == 1


def test_an_unknown_command_like_no_other_lists_what_there_is(capsys: pytest.CaptureFixture[str]):
    code, _, err = run(capsys, "zzzzzz")
    assert code == 2
    assert "known: 'demo', 'look'" in err


def test_an_unknown_option_is_met_with_the_nearest(capsys: pytest.CaptureFixture[str]):
    code, _, err = run(capsys, "fit", "x.csv", "--tarrget", "y")
    assert code == 2
    assert "--target" in err
    assert "osler fit --help" in err


def test_an_argument_that_is_not_given_is_named(capsys: pytest.CaptureFixture[str]):
    code, _, err = run(capsys, "verify")
    assert code == 2
    assert "run" in err.lower()


@pytest.mark.parametrize("value", ["many", "1.5"])
def test_a_number_must_be_one(value: str, capsys: pytest.CaptureFixture[str]):
    code, _, err = run(capsys, "fit", "x.csv", "--folds", value)
    assert code == 2
    assert "--folds" in err


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["look", "nothing.csv"], "read-missing"),
        (["fit", "nothing.csv", "--target", "y"], "read-missing"),
        (["verify", "nothing"], "run-missing"),
        (["predict", "nothing", "new.csv"], "run-missing"),
        (["report", "nothing"], "run-missing"),
        (["data", "get", "nothing"], "data-unknown"),
        (["data", "burn"], "option"),
        (["cluster", "nothing.csv"], "read-missing"),
    ],
)
def test_input_errors_are_one_sentence_with_a_code(
    args: list[str],
    code: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    exit_code, _, err = run(capsys, *args)
    said = [line for line in err.splitlines() if line.startswith("osler: ")]
    assert exit_code == 2
    assert len(said) == 1
    assert said[0].endswith(f"[{code}]")
    assert "Traceback" not in err


def test_debug_adds_a_trace_and_keeps_the_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "look", "nothing.csv", "--debug")
    assert code == 2
    assert "osler.errors" in err or "ReadError" in err
    assert "[read-missing]" in err


def test_an_unforeseen_error_is_owned_up_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def broken() -> None:
        raise ZeroDivisionError("a patient called Smith")

    monkeypatch.setattr("osler.engine.doctor.examine", broken)
    code, _, err = run(capsys, "doctor")
    assert code == 1
    assert "Osler's own fault (ZeroDivisionError)" in err
    assert "Smith" not in err


def test_stopping_is_no_crash(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("osler.engine.doctor.examine", stopped)
    code, _, err = run(capsys, "doctor")
    assert code == 130
    assert "continues" in err


def test_doctor_says_what_is_there(capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert __version__ in out
    assert "extra core" in out
