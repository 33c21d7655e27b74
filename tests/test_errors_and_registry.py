"""The error tree and the one way from names to classes."""

from __future__ import annotations

import importlib
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import osler
from osler import errors, instruments, modalities, models, registry, tasks

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.OslerError)]
ANSWERS_NO = {errors.OslerError, errors.ViolationError, errors.InternalError}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_every_error_has_a_code_and_an_exit(cls: type) -> None:
    error = cls("one sentence")
    assert error.code in errors.CODES
    assert error.exit_code == (1 if cls in ANSWERS_NO else 2)
    assert (str(error), error.message) == ("one sentence", "one sentence")
    assert isinstance(error, errors.InputError) == (error.exit_code == 2)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_an_error_comes_back_from_a_worker_process(cls: type) -> None:
    error = pickle.loads(pickle.dumps(cls("text", "leak")))
    assert (type(error), error.message, error.code) == (cls, "text", "leak")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_an_unknown_code_is_a_fault(cls: type) -> None:
    with pytest.raises(AssertionError, match="no-such-code"):
        cls("text", "no-such-code")


def test_codes_raised_in_the_source_are_all_known() -> None:
    """A code that is only reached on a rare path must not fail there."""
    source = Path(osler.__file__).parent
    found = set()
    for path in source.rglob("*.py"):
        for call in re.finditer(
            r'Error\((?:[^()]|\([^()]*\))*?,\s*"([a-z]+(?:-[a-z]+)*)",?\s*\)', path.read_text(), re.DOTALL
        ):
            found.add(call[1])
    assert len(found) > 25
    assert found <= set(errors.CODES)


@pytest.mark.parametrize(
    ("name", "known", "clause"),
    [
        ("age", ["Age", "sex"], "did you mean 'Age'?"),
        ("agee", ["age", "sex"], "did you mean 'age'?"),
        ("xyz", ["age", "sex"], "known: 'age', 'sex'"),
        ("x", [], ""),
        ("zzz", [f"column{i}" for i in range(10)], "known: " + ", ".join(f"'column{i}'" for i in range(8)) + ", ..."),
        ("zzz", [f"column{i}" for i in range(8)], "known: " + ", ".join(f"'column{i}'" for i in range(8))),
        ("AGE", ["page", "age"], "did you mean 'age'?"),
    ],
)
def test_the_nearest_name(name: str, known: list[str], clause: str) -> None:
    assert errors.nearest(name, known) == clause
    assert errors.nearest(name, iter(known)) == clause


@given(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=12))
def test_a_hint_names_known_things_only(name: str, known: list[str]) -> None:
    clause = errors.nearest(name, known)
    if clause.startswith("did you mean"):
        assert any(f"'{k}'" in clause for k in known)
    assert bool(clause) == bool(known)


# -- the registry --------------------------------------------------------------------------------------------

INDEXES = {
    "modalities": modalities.INDEX,
    "models": models.INDEX,
    "tasks": tasks.INDEX,
    "instruments": instruments.INDEX,
}
ENTRIES = [(kind, name) for kind, index in INDEXES.items() for name in index]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_index_entry_leads_to_a_class_of_its_name(kind: str, name: str) -> None:
    cls = registry.load(INDEXES[kind], kind, name)
    assert isinstance(cls, type)
    assert getattr(cls, "name", getattr(cls, "kind", None)) == name
    assert cls.__doc__


@pytest.mark.parametrize("kind", INDEXES)
def test_an_unknown_name_is_refused_with_the_nearest(kind: str) -> None:
    first = next(iter(INDEXES[kind]))
    with pytest.raises(errors.OptionError, match=f"was '{first}x': did you mean") as error:
        registry.load(INDEXES[kind], kind, first + "x")
    assert error.value.code == "option"


def test_an_outside_entry_point_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint("mine", "collections:Counter", "osler.models")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry] if group == "osler.models" else [])
    assert registry.load({}, "models", "mine").__name__ == "Counter"
    with pytest.raises(errors.OptionError):
        registry.load({}, "tasks", "mine")


def test_an_absent_library_names_its_extra() -> None:
    with pytest.raises(errors.MissingExtraError, match=re.escape("pip install 'osler[explain]'")) as error:
        registry.optional("no_such_library.part", "explain")
    assert "'no_such_library'" in error.value.message
    assert error.value.code == "extra-missing"


def test_a_library_that_lacks_its_own_part_is_not_called_absent(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_installed.py").write_text("import another_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError) as error:
        registry.optional("half_installed", "explain")
    assert not isinstance(error.value, errors.OslerError)


def test_an_installed_library_is_given() -> None:
    assert registry.optional("json", "explain").loads("1") == 1


def test_the_public_names_all_load() -> None:
    for name in osler.__all__:
        assert getattr(osler, name) is not None
    with pytest.raises(AttributeError):
        osler.no_such_name  # noqa: B018
