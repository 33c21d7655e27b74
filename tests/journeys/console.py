"""Tutorials that are run: the `console` blocks of a page as one shell session, and what it must print.

In a block, a line that begins with `$ ` is typed; what follows must be printed, in this order, until the next `$ `.
`...` stands for anything: alone on a line for any lines, at the end of a line for its rest. Spaces count once. A number
may differ by 0.03 or 3 %, because libraries round differently; `echo $?` must print exactly what is shown. A command
must end with code 0 unless `echo $?` is next or a refusal (`osler: ...`, code 2) is shown.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
_END = "@@end"


@dataclass(frozen=True)
class Step:
    """One typed command, the lines it must print, and its line number in the page."""

    command: str
    expected: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Answer:
    """What a step printed, and its exit code."""

    lines: tuple[str, ...]
    code: int


def steps(page: str) -> list[Step]:
    """The typed commands of a page; a trailing backslash continues a command on the next line."""
    found: list[Step] = []
    inside = more = False
    for number, line in enumerate(page.splitlines(), start=1):
        if line.startswith("```"):
            inside = line.strip() == "```console"
            continue
        if not inside:
            continue
        if more:
            last = found.pop()
            found.append(Step(f"{last.command}\n{line.removeprefix('> ')}", (), last.line))
        elif line.startswith("$ "):
            found.append(Step(line[2:], (), number))
        else:
            last = found.pop()
            found.append(Step(last.command, (*last.expected, line), last.line))
        more = line.endswith("\\") and (more or line.startswith("$ "))
    return found


def play(todo: list[Step], folder: Path, replace: dict[str, str] | None = None) -> list[Answer]:
    """Type every command into one shell in `folder`, with this installation first on the path."""
    script = ["exec 2>&1", "trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for step in todo:
        script += [step.command, f'__code=$?; printf "\\n{_END} %s\\n" "$__code"; (exit "$__code")']
    text = "\n".join(script)
    for old, new in (replace or {}).items():
        text = text.replace(old, new)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {
        **os.environ,
        "PATH": path,
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "HOME": str(folder),
    }
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=840,
    )
    answers, lines = [], []
    for line in done.stdout.splitlines():
        if line.startswith(_END):
            answers.append(Answer(tuple(lines), int(line.split()[1])))
            lines = []
        else:
            lines.append(line)
    return answers


def problems(todo: list[Step], answers: list[Answer]) -> list[str]:
    """What did not go as the page says, one sentence each."""
    wrong = []
    if len(answers) != len(todo):
        wrong.append(f"{len(todo)} commands were typed, {len(answers)} came to an end")
    for i, (step, answer) in enumerate(zip(todo, answers)):
        is_asked = i + 1 < len(todo) and todo[i + 1].command.strip() == "echo $?"
        is_refusal = answer.code == 2 and step.expected[:1] and step.expected[0].startswith("osler: ")
        printed = "\n".join(answer.lines)
        if answer.code and not (is_asked or is_refusal):
            wrong.append(f"line {step.line}: '{step.command}' ended with {answer.code}:\n{printed}")
            continue
        lost = missing(step.expected, answer.lines, exact=step.command.strip() == "echo $?")
        if lost is not None:
            wrong.append(f"line {step.line}: '{step.command}' did not print '{lost}' there, but:\n{printed}")
    return wrong


def missing(expected: tuple[str, ...], printed: tuple[str, ...], exact: bool = False) -> str | None:
    """The first expected line that is not printed in its place, or None.

    Without `...` between them, lines follow one another.
    """
    wanted = [line for line in expected if line.strip()]
    lines = [line for line in printed if line.strip()]
    at, is_free = 0, True
    for want in wanted:
        if want.strip() == "...":
            is_free = True
            continue
        hits = [k for k in range(at, len(lines)) if same(want, lines[k], exact)]
        if not hits or (hits[0] != at and not is_free):
            return want
        at, is_free = hits[0] + 1, False
    return None


def same(want: str, line: str, exact: bool = False) -> bool:
    """Whether a printed line is the one that is shown, numbers within rounding."""
    want, line = " ".join(want.split()), " ".join(line.split())
    if exact:
        return want == line
    is_open = want.endswith("...")
    want = want.removesuffix("...").rstrip()
    pattern = _NUMBER.sub("\0", want)
    shape = "".join(
        r"(-?\d+(?:\.\d+)?)" if part == "\0" else re.escape(part) for part in re.split("(\0)", pattern)
    )
    match = re.match(shape if is_open else f"{shape}$", line)
    if not match:
        return False
    return all(close(a, b) for a, b in zip(_NUMBER.findall(want), match.groups()))


def close(want: str, got: str) -> bool:
    """Whole numbers within 3 %, others within 0.03 or 3 %."""
    a, b = float(want), float(got)
    return abs(a - b) <= max(0.03 * abs(a), 0.03 if "." in want else 0.0) + 1e-9


def workplace(folder: Path) -> Path:
    """A folder with the examples in it, as a person who copied them has it."""
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    return folder
