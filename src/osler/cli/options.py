"""Command-line flags from dataclass fields: an option is written once, where it is used."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any


def flags_from(cls: type, body: Callable[..., Any], before: list[inspect.Parameter]) -> Callable[..., Any]:
    """A function that a CLI can read: the parameters `before`, then one flag per field of `cls`.

    `body(**before, options=cls(...))` is called with the fields put together. Fields with metadata `hidden` are left
    out; metadata `help` is the flag's help. Tuples become flags that may be repeated.

    Args:
        cls: a frozen dataclass.
        body: what the command does; its docstring becomes the help text.
        before: positional arguments and flags of the command itself, with annotations and defaults.
    """
    own = [f for f in fields(cls) if not f.metadata.get("hidden")]
    parameters = [*before, *(_parameter(f) for f in own)]

    def command(**given: Any) -> Any:
        values = {f.name: tuple(given.pop(f.name) or ()) if _is_tuple(f) else given.pop(f.name) for f in own}
        return body(**given, options=cls(**values))

    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__name__ = body.__name__
    command.__doc__ = body.__doc__
    return command


def _default(field: Field) -> Any:
    return field.default if field.default is not MISSING else field.default_factory()


def _is_tuple(field: Field) -> bool:
    return isinstance(_default(field), tuple)


def _parameter(field: Field) -> inspect.Parameter:
    import typer

    default, text = _default(field), field.metadata.get("help", "")
    flag = f"--{field.name.replace('_', '-')}"
    if isinstance(default, bool):
        info, kind = typer.Option(default, f"{flag}/--no-{flag[2:]}", help=text), bool
    elif isinstance(default, tuple):
        kind = list[str] if not default or isinstance(default[0], str) else list[type(default[0])]
        info = typer.Option(list(default), flag, help=f"{text} (may be repeated)")
    elif default is None:
        info, kind = typer.Option(None, flag, help=text), str | None
    else:
        info, kind = typer.Option(default, flag, help=text), type(default)
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=kind)
