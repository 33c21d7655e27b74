"""Flags made from the fields of a dataclass."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import pytest
import typer

from osler.cli.options import flags_from


@dataclass(frozen=True)
class Asked:
    """One field of every type."""

    names: tuple[str, ...] = field(default=(), metadata={"help": "names"})
    sizes: tuple[int, ...] = field(default=(1, 2), metadata={"help": "sizes"})
    is_fast: bool = field(default=True, metadata={"help": "be quick"})
    share: float = field(default=0.5, metadata={"help": "share"})
    count: int = field(default=3, metadata={"help": "count"})
    label: str = field(default="a", metadata={"help": "label"})
    maybe: str | None = field(default=None, metadata={"help": "perhaps"})
    secret: str = field(default="kept", metadata={"help": "never shown", "hidden": True})


def command(seen: dict[str, Any]) -> Any:
    """A click command that stores what it was called with."""

    def body(path: str, options: Asked) -> int:
        """Do it."""
        seen.update(path=path, options=options)
        return 7

    before = [
        inspect.Parameter(
            "path", inspect.Parameter.KEYWORD_ONLY, annotation=str, default=typer.Argument(..., help="table")
        )
    ]
    app = typer.Typer(add_completion=False)
    app.command("do")(flags_from(Asked, body, before))
    return typer.main.get_command(app)


def call(*args: str) -> tuple[dict[str, Any], Any]:
    """What the body saw, and what the command returned."""
    seen: dict[str, Any] = {}
    return seen, command(seen).main(list(args), prog_name="do", standalone_mode=False)


def test_defaults_are_those_of_the_dataclass():
    seen, code = call("x.csv")
    assert seen == {"path": "x.csv", "options": Asked()}
    assert code == 7


def test_every_type_is_read():
    args = [
        "x.csv",
        "--names",
        "a",
        "--names",
        "b",
        "--sizes",
        "4",
        "--no-is-fast",
        "--share",
        "0.25",
        "--count",
        "9",
        "--label",
        "z",
        "--maybe",
        "m",
    ]
    seen, _ = call(*args)
    assert seen["options"] == Asked(("a", "b"), (4,), False, 0.25, 9, "z", "m")


def test_hidden_fields_are_no_flags_and_help_is_theirs():
    params = {p.name: p for p in command({}).params}
    assert "secret" not in params
    assert params["names"].help == "names (may be repeated)"
    assert params["is_fast"].opts == ["--is-fast"]
    assert params["is_fast"].secondary_opts == ["--no-is-fast"]
    assert params["count"].default == 3
    assert command({}).help == "Do it."


@pytest.mark.parametrize("args", [["x.csv", "--count", "many"], ["x.csv", "--secret", "s"], []])
def test_what_cannot_be_is_refused(args: list[str]):
    with pytest.raises(Exception) as caught:
        call(*args)
    assert any(word in caught.value.format_message().lower() for word in ("--count", "--secret", "path"))
