"""`osler data` from a terminal's point of view."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from osler import catalogue
from osler.cli.data import data
from osler.errors import InputError, OptionError

app = typer.Typer()
app.command()(data)


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_list_names_what_is_asked_for():
    shown = run("list", "heart_c")
    assert shown.exit_code == 0
    assert "heart_cleveland" in shown.output
    assert "heart_va" not in shown.output


def test_list_is_the_default():
    shown = run()
    assert shown.exit_code == 0
    for name in ("breast_cancer", "tox21", "pbc"):
        assert name in shown.output


def test_get_prints_the_path_of_a_checked_file():
    shown = run("get", "breast_cancer")
    assert shown.exit_code == 0
    assert str(catalogue.path("breast_cancer")) in shown.output
    assert "Licence" in shown.output


def test_get_copies_to_a_folder(tmp_path):
    shown = run("get", "lung", "--out", str(tmp_path / "new"))
    assert shown.exit_code == 0
    assert (tmp_path / "new" / "lung.csv").read_bytes() == catalogue.path("lung").read_bytes()


def test_get_of_an_unknown_name_is_an_input_error():
    shown = run("get", "breast_cancr")
    assert isinstance(shown.exception, InputError)
    assert shown.exception.code == "data-unknown"
    assert "did you mean" in shown.exception.message


def test_get_of_an_absent_file_uses_no_network(monkeypatch, tmp_path):
    monkeypatch.delenv("OSLER_DATA_MIRROR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("osler.catalogue.places._open", lambda url: pytest.fail("the network was used"))
    shown = run("get", "mnist-t10k-labels-idx1-ubyte")
    assert shown.exception.code == "data-absent"
    assert "--network" in shown.exception.message


def test_where_tells_packages_then_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("OSLER_DATA_MIRROR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    lines = [line.split("\t") for line in run("where").output.strip().splitlines()]
    assert [line[0] for line in lines] == ["sklearn", "lifelines", "OSLER_DATA_MIRROR", "downloads"]
    assert [line[2] for line in lines[2:]] == ["found", "absent"]


def test_an_unknown_action_is_refused():
    shown = run("lst")
    assert isinstance(shown.exception, OptionError)
    assert "list, get or where" in shown.exception.message
