"""Answers block by block: the same as those for the whole table, for any size of blocks, in files that are whole or not there."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("rdkit")

from osler.engine import stream
from osler.engine.predict import predict
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.engine.stream import can_stream, predict_stream
from osler.errors import ColumnError, OptionError, ReadError
from tests.molecule_predictors import SMILES, cohort_of, predictor_of, small

BAD = ("C1CC", "CC>>CO", "*CC", "C(C)(C)(C)(C)C")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """Boosting on molecules alone."""
    return small("boosting:rounds=20")[0]


def table(folder: Path, name: str = "new.csv") -> Path:
    """Thirty molecules, four cells that are none and an empty one, with an extra column written in several ways."""
    smiles = [*SMILES, *BAD, ""]
    extra = ["007", "1.50", "x,y", "", "=1+1"]
    rows = [f'{i},{s},"{extra[i % 5]}"' for i, s in enumerate(smiles)]
    path = folder / name
    text = "id,smiles,batch\n" + "\n".join(rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def answers(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that a prediction adds."""
    return frame.select("y_pred", "in_domain")


@pytest.mark.parametrize("size", [1, 7, 2000])
@pytest.mark.parametrize("name", ["new.csv", "new.csv.gz"])
def test_blocks_answer_as_the_whole_table_does(predictor, tmp_path, monkeypatch, size, name):
    path, out = table(tmp_path, name), tmp_path / "answers.csv"
    whole = predict(predictor, path)
    monkeypatch.setattr(stream, "ROWS", size)
    found = predict_stream(predictor, path, out)
    frame = pl.read_csv(out)
    np.testing.assert_array_equal(frame["y_pred"], whole.table["y_pred"])
    assert frame["in_domain"].to_list() == whole.table["in_domain"].to_list()
    assert found.rows == len(whole) == 35
    assert found.inside == int(whole.table["in_domain"].sum())
    assert found.refused == 4
    assert found.first["row"].to_list() == [31, 32, 33, 34]
    assert set(found.first["column"]) == {"smiles"}
    assert found.head.height == 20
    assert found.head["_row"].to_list() == list(range(1, 21))


def test_other_columns_are_carried_along_as_they_were_written(predictor, tmp_path):
    out = tmp_path / "answers.csv"
    predict_stream(predictor, table(tmp_path), out)
    frame = pl.read_csv(out, infer_schema=False)
    assert frame.columns[:3] == ["id", "smiles", "batch"]
    assert frame["batch"].head(5).to_list() == ["007", "1.50", "x,y", None, "'=1+1"]
    assert frame["smiles"].to_list()[30:34] == [None] * 4


def test_parquet_in_and_out_keep_their_types(predictor, tmp_path):
    source, out = tmp_path / "new.parquet", tmp_path / "answers.parquet"
    pl.DataFrame({"smiles": SMILES, "dose": np.linspace(0, 1, 30), "kind": ["a", "=b"] * 15}).write_parquet(source)
    predict_stream(predictor, source, out)
    frame = pl.read_parquet(out)
    assert frame.schema["dose"] == pl.Float64
    assert frame.schema["in_domain"] == pl.Boolean
    assert frame["kind"].to_list() == ["a", "=b"] * 15
    np.testing.assert_array_equal(frame["y_pred"], predict(predictor, source).table["y_pred"])


def test_a_list_of_smiles_is_answered_line_by_line(predictor, tmp_path, monkeypatch):
    source, out = tmp_path / "library.smi", tmp_path / "answers.csv"
    source.write_text("\n".join([f"{s} mol{i}" for i, s in enumerate((*SMILES[:5], *BAD, *SMILES[5:]))]) + "\n")
    monkeypatch.setattr(stream, "ROWS", 4)
    found = predict_stream(predictor, source, out)
    frame = pl.read_csv(out)
    assert frame["smiles"].to_list() == list(SMILES)
    assert frame["name"].to_list()[:6] == ["mol0", "mol1", "mol2", "mol3", "mol4", "mol9"]
    assert (found.rows, found.refused) == (30, 4)
    assert found.first["row"].to_list() == [6, 7, 8, 9]
    assert all("not a molecule" in reason for reason in found.first["reason"])
    named = predictor_of(cohort_of(SMILES, [float(len(s)) for s in SMILES]), "boosting:rounds=5")
    assert predict_stream(named, source).rows == 30


def test_rows_that_are_no_rows_are_refused_with_their_number(predictor, tmp_path):
    source = tmp_path / "cut.csv"
    source.write_text("id,smiles\n1,CCO\n2,CCN,extra\n3,CCC\n4")
    found = predict_stream(predictor, source)
    assert found.rows == 2
    assert found.refused == 2
    assert found.first["row"].to_list() == [2, 4]


def test_a_file_of_answers_is_whole_or_not_there(predictor, tmp_path, monkeypatch):
    out = tmp_path / "answers.csv"
    out.write_text("yesterday\n")
    monkeypatch.setattr(stream, "ROWS", 5)
    calls = []

    def stopped(stage: str, done: int, total: int) -> None:
        calls.append(done)
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_stream(predictor, table(tmp_path), out, stopped)
    assert calls == [5, 10]
    assert out.read_text() == "yesterday\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["answers.csv", "new.csv"]


def test_what_cannot_be_answered_block_by_block_is_said(predictor, tmp_path, run: Run):
    source = table(tmp_path)
    assert can_stream(predictor, source)
    assert not can_stream(run.predictor, source)
    assert not can_stream(predictor, "sqlite:///x.db?table=t")
    sdf = tmp_path / "a.sdf"
    sdf.write_text("\n")
    assert not can_stream(predictor, sdf)
    with pytest.raises(OptionError, match=r"out must end in \.csv or \.parquet, was '\.xlsx'"):
        predict_stream(predictor, source, tmp_path / "a.xlsx")
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(ColumnError):
        predict_stream(predictor, other)
    empty = tmp_path / "none.smi"
    empty.write_text("C1CC bad\n")
    with pytest.raises(ReadError, match="at least one row that can be read"):
        predict_stream(predictor, empty)


def test_the_command_says_what_was_answered_and_refused(predictor, tmp_path, capsys):
    from osler.cli.predict import predict as command

    predictor.save(tmp_path / "saved")
    assert command(tmp_path / "saved", str(table(tmp_path)), tmp_path / "answers.csv") == 0
    said = capsys.readouterr().out
    assert "35 rows answered" in said
    assert "4 cells or rows refused" in said
    assert "row 31: smiles: not a molecule" in said
    assert command(tmp_path / "saved", str(table(tmp_path))) == 0
    assert "_row,y_pred" in capsys.readouterr().out
