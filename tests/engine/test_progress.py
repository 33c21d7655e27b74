"""Progress: a line now and then where nobody watches, one bar per stage on a terminal, nothing when silent."""

from __future__ import annotations

import io

import pytest

from osler.engine import progress as module
from osler.engine.progress import Progress


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def train(shown: Progress, steps: int) -> None:
    """A training that says its loss at every step."""
    for step in range(1, steps + 1):
        shown("fold 1 retina: classes [0.5] " + str(1 / step), step, steps)


def test_a_loss_is_news_of_its_stage_and_prints_no_line_of_its_own(capsys):
    with Progress() as shown:
        shown("folds", 0, 2)
        train(shown, 300)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "folds: 0/2"
    assert lines[1].endswith("1/300")  # the first, and then one in five seconds
    assert lines[-1].endswith("300/300")
    assert len(lines) <= 4


def test_a_line_is_printed_again_after_five_seconds(capsys, monkeypatch):
    now = iter(range(0, 60, 2))
    monkeypatch.setattr(module.time, "monotonic", lambda: 100.0 + next(now))
    with Progress() as shown:
        train(shown, 10)
    assert [line.rsplit(": ", 1)[1] for line in capsys.readouterr().err.splitlines()] == ["1/10", "4/10", "7/10", "10/10"]


def test_a_terminal_has_one_bar_per_stage(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with Progress() as shown:
        train(shown, 20)
        shown("report", 1, 1)
        assert [task.completed for task in shown._bar.tasks] == [20, 1]
        assert "[0.5]" in shown._bar.tasks[0].description.replace("\\", "")
    assert "20/20" in screen.getvalue()


@pytest.mark.parametrize("total", [0, 5])
def test_silence_is_silent(total, capsys):
    with Progress(silent=True) as shown:
        shown("folds", 1, total)
    assert capsys.readouterr().err == ""
