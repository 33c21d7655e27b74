"""Workers beside a program of someone who knows nothing of processes: it runs once, and everything is answered."""

from __future__ import annotations

import operator
import subprocess
import sys
from pathlib import Path

import pytest

from osler.engine.workers import each

PROGRAM = """
import operator
from osler.engine.workers import each
print("begun")
print(sorted(each(operator.mul, 3, [1, 2, 4, 5], 2)))
"""


@pytest.mark.parametrize("typed", [False, True])
def test_a_program_without_a_guard_runs_once_and_ends(tmp_path: Path, typed: bool):
    """A script without `if __name__ == "__main__"`, and the same typed in: spawned workers would run it again, or wait for it for ever."""
    script = tmp_path / "script.py"
    script.write_text(PROGRAM, encoding="utf-8")
    asked = [sys.executable, "-"] if typed else [sys.executable, str(script)]
    done = subprocess.run(asked, input=PROGRAM if typed else None, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n") == ["begun", "[3, 6, 12, 15]", ""]
    assert done.stderr == ""


def test_the_program_itself_is_as_it_was():
    main = sys.modules["__main__"]
    before = getattr(main, "__file__", None), main.__spec__
    assert sorted(each(operator.add, 10, [1, 2, 3], 2)) == [11, 12, 13]
    assert (getattr(main, "__file__", None), main.__spec__) == before


@pytest.mark.parametrize(("items", "workers"), [([4], 8), ([1, 2], 1), ([], 3)])
def test_one_worker_or_one_item_needs_no_process(items: list[int], workers: int):
    held: list[int] = []
    assert list(each(lambda shared, item: shared.append(item) or item, held, items, workers)) == items
    assert held == items  # a worker would have changed a copy
