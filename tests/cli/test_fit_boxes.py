"""Things found on pictures, as it is typed: fit, scores on the terminal, boxes for new pictures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from osler.cli import main


def smears(folder: Path, n: int = 8) -> Path:
    """A table of n pictures of noise, each with one bright block that its cell of boxes says."""
    from PIL import Image

    rng = np.random.default_rng(0)
    with (folder / "cells.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["patient", "picture", "cells"])
        for i in range(n):
            x = rng.integers(0, 60, (40, 40)).astype(np.uint8)
            top, left = (int(v) for v in rng.integers(2, 24, 2))
            x[top : top + 12, left : left + 12] += 150
            Image.fromarray(x).save(folder / f"{i}.png")
            table.writerow([f"p{i}", f"{i}.png", json.dumps([{"box": [left, top, 12, 12], "class": "cell"}])])
    return folder / "cells.csv"


def test_boxes_are_fitted_scored_and_found_from_the_command_line(tmp_path, capsys):
    pytest.importorskip("torch")
    table, run = smears(tmp_path), tmp_path / "run"
    typed = ["fit", str(table), "--target", "cells", "--unit", "patient", "--model", "retina:steps=4", "--folds", "2", "--repeats", "1", "--out", str(run)]
    assert main(typed) == 0
    printed = capsys.readouterr()
    assert "cpm" in printed.out
    assert "certificate: clean" in printed.out
    assert "rows read 8 = used 8" in printed.out
    assert (run / "report.html").is_file()
    assert printed.err.count("retina") <= 3 * 3  # a first and a last line of each of three fits, whatever the losses
    assert main(["predict", str(run), str(table), "--out", str(tmp_path / "found")]) == 0
    assert (tmp_path / "found" / "boxes.csv").is_file()
