"""Every command of every tutorial, typed as shown; and the scripts in examples/."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.imaging.archives import orthanc, own_network
from tests.journeys.console import ROOT, Step, close, missing, play, problems, same, steps, workplace

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
HOW_TO = sorted(
    p for p in (ROOT / "docs" / "how-to").glob("*.md") if "```console" in p.read_text(encoding="utf-8")
)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def archive(folder: Path, is_asked: bool) -> Iterator[str]:
    """The address of a real Orthanc in a network of its own, if a page speaks to one."""
    if not is_asked:
        yield ""
        return
    with own_network(), orthanc(folder / "orthanc") as one:
        yield one.node


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [*TUTORIALS, *HOW_TO], ids=lambda p: p.stem)
def test_a_page_can_be_typed(page: Path, tmp_path: Path, request: pytest.FixtureRequest):
    todo = steps(page.read_text(encoding="utf-8"))
    assert todo, "a tutorial has something to type"
    if any("curl" in s.command for s in todo) and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    if any("osler data get" in s.command for s in todo):
        request.getfixturevalue("mirror")
    for tool in ("img2dcm", "dsrdump"):
        if any(tool in s.command for s in todo) and not shutil.which(tool):
            pytest.skip(f"{tool} of DCMTK is not installed")
    for command, library in (("fit measured.csv --target exp", "rdkit"), ("generate", "torch"), ("dock", "vina")):
        if any(f"osler {command}" in s.command for s in todo):
            pytest.importorskip(library)
    with archive(tmp_path, any("ORTHANC@" in s.command for s in todo)) as address:
        answers = play(todo, workplace(tmp_path), {"8765": str(free_port()), "ORTHANC@127.0.0.1:4242": address})
    assert problems(todo, answers) == []


def test_every_tutorial_is_there():
    assert {p.stem for p in TUTORIALS} == {"chemist", "first-hour", "hospital", "judge-predictions", "radiologist"}


def test_tutorials_show_refusals_and_a_violation():
    """What goes wrong is part of the story: exit codes 1 and 2 are shown."""
    todo = [s for p in TUTORIALS for s in steps(p.read_text(encoding="utf-8"))]
    assert {s.expected for s in todo if s.command == "echo $?"} >= {("1",), ("2",)}


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda p: p.stem)
def test_examples_run(script: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_python_of_the_readme_runs(tmp_path: Path):
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M | re.S
    )
    assert len(blocks) == 1
    done = subprocess.run(
        [sys.executable, "-c", blocks[0]], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "clean" in done.stdout
    assert "diagnosis_prob_malignant" in done.stdout


def test_steps_are_read_from_a_page():
    page = "text\n```console\n$ ls\na\n...\n$ echo x \\\n> y\nx y\n```\n```python\n$ no\n```\n"
    assert steps(page) == [Step("ls", ("a", "..."), 3), Step("echo x \\\ny", ("x y",), 6)]


def test_a_session_keeps_codes_and_order(tmp_path: Path):
    todo = steps(
        "```console\n$ echo one; echo two\ntwo\n$ false\n$ echo $?\n1\n$ cd / && pwd\n/\n$ pwd\n/\n```"
    )
    answers = play(todo, tmp_path)
    assert [a.code for a in answers] == [0, 1, 0, 0, 0]
    assert problems(todo, answers) == []


def test_what_does_not_come_is_told(tmp_path: Path):
    todo = steps("```console\n$ echo one\ntwo\n$ false\n$ true\n$ false\n$ echo $?\n2\n```")
    wrong = problems(todo, play(todo, tmp_path))
    assert [w.split(":")[0] for w in wrong] == ["line 2", "line 4", "line 7"]


@pytest.mark.parametrize(
    ("want", "line", "is_same"),
    [
        ("auroc 0.912 (0.88-0.94)", "auroc   0.930 (0.89-0.95)", True),
        ("auroc 0.912 (0.88-0.94)", "auroc   0.960 (0.89-0.95)", False),
        ("569 rows", "569 rows", True),
        ("569 rows", "500 rows", False),
        ("3 rows", "4 rows", False),
        ("written: ...", "written: a b", True),
        ("written", "written: a b", False),
        ("site=A2", "site=A3", False),
        ("-0.047 (-0.06 to -0.03)", "-0.045 (-0.06 to -0.03)", True),
    ],
)
def test_lines_are_compared_within_rounding(want: str, line: str, is_same: bool):
    assert same(want, line) is is_same


def test_lines_follow_one_another_unless_dots_stand_between():
    assert missing(("a", "c"), ("a", "b", "c")) == "c"
    assert missing(("a", "...", "c"), ("a", "b", "c")) is None
    assert missing(("c", "...", "a"), ("a", "b", "c")) == "a"


def test_numbers_are_close():
    assert close("0.50", "0.53")
    assert not close("0.50", "0.54")
    assert not close("5", "6")
