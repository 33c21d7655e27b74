"""Write the reference pages that are made from the code: `python docs/generate.py` (or `make docs`).

`render()` gives page → text without writing; a test compares it with what lies in docs/reference, so that a
command, an option, a default or a public name cannot change without its page.
"""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "reference"
MADE = "<!-- Made by docs/generate.py: change the code, then run `make docs`. -->\n"

#: Public names besides those of `import osler`, by module.
MORE = {
    "osler.catalogue": ("entries", "path", "table", "read"),
    "osler.models": ("get",),
    "osler.instruments": ("get",),
    "osler.tasks": ("get",),
    "osler.modalities": ("get",),
}


def render() -> dict[str, str]:
    """File name below docs/reference → text."""
    return {
        "cli.md": cli_page(),
        "python.md": python_page(),
        "study.md": study_page(),
        "errors.md": errors_page(),
    }


def commands() -> dict[str, Any]:
    """Command → its click command, instruments included."""
    import typer

    from osler import instruments
    from osler.cli import COMMANDS
    from osler.cli.instrument import command_of
    from osler.registry import load

    found = {}
    for name in [*COMMANDS, *instruments.INDEX]:
        if name in COMMANDS:
            function = load({name: COMMANDS[name][0]}, "commands", name)
        else:
            function = command_of(name)
        app = function
        if not isinstance(function, typer.Typer):
            app = typer.Typer(add_completion=False)
            app.command(name)(function)
        found[name] = typer.main.get_command(app)
    return found


def cli_page() -> str:
    """Every command with its arguments, options, defaults and examples."""
    from osler.cli import COMMANDS, INSTRUMENTS

    lines = ["# The command line", "", MADE]
    lines += ["    osler COMMAND [OPTIONS]", "    osler --help", "    osler --version", ""]
    lines += ["Every command has `--help`, and takes `--debug` for the traceback of an error.", ""]
    lines += ["| exit code | meaning |", "|---|---|", "| 0 | done |"]
    lines += ["| 1 | the answer is no (a violation, a failed check), or Osler's own fault |"]
    lines += ["| 2 | the input must change; one sentence says what |", ""]
    lines += ["| command | what it does |", "|---|---|"]
    summaries = {**{n: text for n, (_, text) in COMMANDS.items()}, **INSTRUMENTS}
    lines += [f"| [`{name}`](#osler-{name}) | {text} |" for name, text in summaries.items()]
    for name, command in commands().items():
        lines += ["", f"## osler {name}", "", *_help_lines(command.help or "")]
        lines += ["", *_parameter_lines(command)] if not hasattr(command, "commands") else []
        for verb, inner in getattr(command, "commands", {}).items():
            lines += ["", f"### osler {name} {verb}", "", *_help_lines(inner.help or ""), "", *_parameter_lines(inner)]
        if name in INSTRUMENTS:
            lines += ["", f"More: [{name}](instruments/{name}.md)"]
        if name == "fit":
            lines += ["", "The flags from `--target` on are the keys of a [study](study.md)."]
    return "\n".join(lines) + "\n"


def _help_lines(text: str) -> list[str]:
    """A command's docstring; its examples as code."""
    out: list[str] = []
    for part in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        example = part.removeprefix("Example: ")
        sentence = " ".join(part.split())
        out += (
            ["", f"    {' '.join(example.split())}"]
            if example != part
            else ["", f"{sentence[:1].upper()}{sentence[1:]}"]
        )
    return out[1:]


def _parameter_lines(command: Any) -> list[str]:
    lines = ["| argument or option | default | meaning |", "|---|---|---|"]
    for param in command.params:
        if "--help" in param.opts:
            continue
        is_argument = param.param_type_name == "argument"
        names = [f"{param.name.upper()}"] if is_argument else [*param.opts, *param.secondary_opts]
        shown = " ".join(f"`{n}`" for n in names)
        default = "required" if param.required else _default(param.default)
        text = (getattr(param, "help", "") or "").strip()
        if param.multiple and "may be repeated" not in text:
            text += " (may be repeated)"
        lines.append(f"| {shown} | {default} | {_cell(text)} |")
    return lines


def _default(value: Any) -> str:
    value = value() if callable(value) else value
    if value is None or value == "" or value == [] or value == ():
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(f"`{v}`" for v in value)
    return f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def python_page() -> str:
    """The public names with signatures and the first sentences of their docstrings."""
    import osler

    lines = ["# Python", "", MADE]
    lines += ["```python", "import osler", "```", ""]
    lines += [
        "`import osler` is quick: every name is loaded on first use. [A first example](../../README.md#use).",
        "",
    ]
    lines += ["| name | what it is |", "|---|---|"]
    public = [n for n in osler.__all__ if not n.startswith("_")]
    for name in public:
        lines.append(f"| [`osler.{name}`](#{_anchor(f'osler.{name}')}) | {_first(getattr(osler, name))} |")
    for name in public:
        lines += ["", *_thing(f"osler.{name}", getattr(osler, name))]
    for module, names in MORE.items():
        for name in names:
            lines += ["", *_thing(f"{module}.{name}", getattr(importlib.import_module(module), name))]
    return "\n".join(lines) + "\n"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _thing(name: str, thing: Any) -> list[str]:
    lines = [f"## {name}", ""]
    if not inspect.isclass(thing):
        return [*lines, "```python", _signature(name, thing), "```", "", *_body(thing)]
    lines += [*_body(thing), ""]
    rows = [(n, m) for n, m in vars(thing).items() if not n.startswith("_") and _is_member(m)]
    if rows:
        lines += ["| member | what it does |", "|---|---|"]
    for member, raw in rows:
        call = raw.__func__ if isinstance(raw, (classmethod, staticmethod)) else raw
        is_value = isinstance(raw, property) or not callable(call)
        what = getattr(raw, "fget", None) or getattr(raw, "func", None) or call
        text = (
            f"`.{member}`"
            if is_value
            else f"`.{_cell(_signature(member, call, bound=not isinstance(raw, staticmethod)))}`"
        )
        lines.append(f"| {text} | {_cell(_first(what))} |")
    return lines


def _is_member(value: Any) -> bool:
    return (
        callable(value) or isinstance(value, (property, classmethod, staticmethod)) or hasattr(value, "func")
    )


def _signature(name: str, function: Any, bound: bool = False) -> str:
    """`name(a: type, *, b: type = default) -> type`, the same on every Python version."""
    signature = inspect.signature(function)
    shown: list[str] = []
    has_star = False
    for parameter in list(signature.parameters.values())[1 if bound else 0 :]:
        mark = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        if parameter.kind is parameter.KEYWORD_ONLY and not has_star:
            shown.append("*")
        has_star = has_star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        text = f"{mark}{parameter.name}: {_type(parameter.annotation)}"
        shown.append(text if parameter.default is parameter.empty else f"{text} = {parameter.default!r}")
    return f"{name}({', '.join(shown)}) -> {_type(signature.return_annotation)}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _first(thing: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    text = inspect.getdoc(thing) or ""
    return " ".join(text.split("\n\n")[0].split())


def _body(thing: Any) -> list[str]:
    """A docstring as it is written, its indented sections as code."""
    parts = (inspect.getdoc(thing) or "").split("\n\n")
    if inspect.isclass(thing) and parts[0].startswith(f"{thing.__name__}("):
        parts = []
    out: list[str] = []
    for part in parts:
        is_section = re.match(r"(Args|Returns|Raises|Attributes):", part)
        out += ["", "```text", part, "```"] if is_section else ["", part]
    return out[1:]


def study_page() -> str:
    """Every field of a study."""
    from osler.engine.study import Study

    lines = ["# A study", "", MADE]
    lines += [
        "A study is the question and how it will be answered. Each field is a flag of",
        "[`osler fit`](cli.md#osler-fit), a key of the file given with `--config` (YAML or JSON; flags win over it), an",
        "argument of `osler.fit` in Python, and a key of `study.json` in the run folder, where every default is written out.",
        "",
        "    target: died",
        "    unit: [patient_id]",
        "    model: [logistic, boosting]",
        "    holdout: admitted>=2021-01-01",
        "",
        "| key | flag | default | meaning |",
        "|---|---|---|---|",
    ]
    for field in (f for f in fields(Study) if not f.metadata.get("hidden")):
        default = field.default if field.default is not MISSING else field.default_factory()
        flag = f"--{field.name.replace('_', '-')}"
        shown = f"`{flag}` `--no-{flag[2:]}`" if isinstance(default, bool) else f"`{flag}`"
        more = " (a list; the flag may be repeated)" if isinstance(default, tuple) else ""
        lines.append(
            f"| `{field.name}` | {shown} | {_default(default)} | {_cell(field.metadata['help'])}{more} |"
        )
    lines += [
        "",
        "Written by Osler: "
        + ", ".join(f"`{f.name}` ({f.metadata['help']})" for f in fields(Study) if f.metadata.get("hidden")),
    ]
    lines += [
        "and `key`, which row numbers and identifiers are hashed with.",
        "",
        "An unknown key is refused with the nearest known one.",
    ]
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Every error code."""
    from osler.errors import CODES, CURES

    lines = ["# Errors", "", MADE]
    lines += [
        "An error is one sentence: which thing must be what, what it was, what to do. It names files, columns, row numbers",
        "and counts, never a patient's value. Its code stands in brackets at the end. The HTTP service answers with the",
        "same code as a problem document. `--debug` adds the traceback.",
        "",
        "    osler: target must be a column of the table, was 'dead': did you mean 'death'? [column-unknown]",
        "",
        "Exit code 2: the input must change. Exit code 1: `leak` and `violation` (the answer is no), `internal` (Osler's",
        "own fault).",
        "",
        "| code | cause | cure |",
        "|---|---|---|",
    ]
    lines += [f"| `{code}` | {_cell(text)} | {_cell(CURES[code])} |" for code, text in CODES.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write every page that has changed."""
    for name, text in render().items():
        path = FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: docs/reference/{name}")


if __name__ == "__main__":
    main()
