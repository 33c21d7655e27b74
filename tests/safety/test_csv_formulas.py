"""No cell or header that Osler writes is a formula to a spreadsheet, and numbers stay numbers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import polars as pl

from osler.cli import main
from osler.engine.tables import defused
from tests.safety.small_table import QUICK

STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "|", "%"]
ENDS = [
    "cmd|' /C calc'!A0",
    'HYPERLINK("http://x","y")',
    "1+1",
    "SUM(A1:A9)",
    "A1",
    'IMPORTXML("http://x")',
    "2*3",
    "@x",
    "-1.5.2",
]


def formulas(text: str) -> list[str]:
    """Cells, headers included, that a spreadsheet would compute: a dangerous beginning, and no plain number."""
    found = []
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            if cell and cell[0] in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20|%":
                try:
                    float(cell)
                except ValueError:
                    found.append(cell)
    return found


def test_a_thousand_cells_hold_no_formula_when_read_again():
    rng = np.random.default_rng(0)
    cells = [STARTS[i % len(STARTS)] + ENDS[int(rng.integers(len(ENDS)))] + str(i) for i in range(1000)]
    text = defused(pl.DataFrame({"=1+1": cells, "plain": ["x"] * 1000})).write_csv()
    assert formulas(pl.DataFrame({"a": cells}).write_csv()) != []
    assert formulas(text) == []
    again = pl.read_csv(io.StringIO(text))
    assert again.columns == ["'=1+1", "plain"]
    assert [c[1:] for c in again["'=1+1"]] == cells


def test_numbers_stay_numbers():
    frame = pl.DataFrame({"x": [-1.5, 2.0], "as_text": ["-1.5", "+2e-3"], "n": [-3, 4]})
    again = pl.read_csv(io.StringIO(defused(frame).write_csv()))
    assert again["x"].to_list() == [-1.5, 2.0]
    assert again["as_text"].to_list() == [-1.5, 0.002]
    assert again["n"].to_list() == [-3, 4]


def test_what_commands_write_holds_no_formula(tmp_path: Path):
    rng = np.random.default_rng(1)
    n = 80
    lines = ["=evil(),age,@group,died"]
    lines += [
        f"=cmd|{i},{20 + i % 50}.5,{('-x', '+y')[i % 2]},{'yes' if rng.random() < 0.5 else 'no'}" for i in range(n)
    ]
    lines[5] = lines[5].rsplit(",", 1)[0] + ","
    lines[9] = lines[9].replace(".5", ".5.5", 1)
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    fit = [*QUICK, "--no-explain", "--input", "age", "--input", "@group", "--input", "=evil()"]
    assert main(["fit", str(tmp_path / "t.csv"), "--out", str(tmp_path / "run"), *fit]) == 0
    assert (
        main(["predict", str(tmp_path / "run"), str(tmp_path / "t.csv"), "--out", str(tmp_path / "answers.csv")]) == 0
    )
    assert main(["cluster", str(tmp_path / "t.csv"), "--out", str(tmp_path / "clusters.csv")]) == 0
    outputs = [tmp_path / "answers.csv", tmp_path / "clusters.csv", tmp_path / "run" / "refusals.csv"]
    assert [formulas(p.read_text()) for p in outputs] == [[], [], []]
    ledger = pl.read_csv(tmp_path / "run" / "refusals.csv")
    assert {4 + 1, 8 + 1} <= set(ledger["row"].to_list())
