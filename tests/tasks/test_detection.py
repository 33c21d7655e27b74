"""What the task of boxes asks and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from osler import tasks
from osler.cohort.cohort import Cohort
from osler.cohort.read import read
from osler.errors import TargetError

ONE, TWO = '[{"box": [1, 1, 4, 4], "class": "cell"}]', '[{"box": [1, 1, 4, 4], "class": "speck"}, {"box": [5, 5, 3, 3], "class": "cell"}]'


def cohort(folder: Path, cells: list[str | None], **columns: str) -> Cohort:
    for i in range(len(cells)):
        Image.fromarray(np.full((12, 14), i, np.uint8)).save(folder / f"{i}.png")
    table = pl.DataFrame({"picture": [f"{i}.png" for i in range(len(cells))], "boxes": pl.Series(cells, dtype=pl.String), "age": range(len(cells))})
    table.write_csv(folder / "t.csv")
    given = {"picture": {"modality": "image"}, "boxes": {"modality": "boxes", "role": "target"}, **columns}
    return read(folder / "t.csv").declare(columns=given)


def test_the_kind_is_inferred_from_the_target(tmp_path):
    assert tasks.infer_kind(cohort(tmp_path, [ONE, TWO, "[]"])) == "detection"


def test_classes_are_settled_and_other_columns_left_out(tmp_path):
    task = tasks.get("detection")
    settled = task.settled(cohort(tmp_path, [ONE, TWO, "[]"]))
    asked = task.asked(settled.columns, ("grey",))
    assert (asked.kind, asked.classes, asked.dims, asked.instances) == ("detection", ("cell", "speck"), 2, False)
    assert settled.column("age").role == "ignore"
    assert [m.tolist() for m in task.marked(settled)] == [[1], [2, 1], []]
    assert task.target_of(settled).y.tolist() == [1, 2, 0]  # strata by what is there: nothing, cells, both
    assert task.usual(settled.column("boxes")) == "retina"
    assert task.plain(settled.column("boxes")) == ""


def test_rows_without_boxes_or_pictures_cannot_be_used(tmp_path):
    made = cohort(tmp_path, [ONE, None, TWO])
    assert tasks.get("detection").usable(made).tolist() == [True, False, True]


def test_nothing_anywhere_and_no_scans_are_refused(tmp_path):
    task = tasks.get("detection")
    with pytest.raises(TargetError, match="marks nothing"):
        task.check(task.settled(cohort(tmp_path, ["[]", "[]", "[]"])))
    lone = cohort(tmp_path, [ONE, TWO, "[]"]).declare(columns={"picture": {"role": "ignore"}})
    with pytest.raises(TargetError, match="column of scans"):
        task.settled(lone)


def test_boxes_outside_are_a_line_of_the_ledger_each(tmp_path):
    settled = tasks.get("detection").settled(cohort(tmp_path, [ONE, '[{"box": [50, 1, 4, 4]}, {"box": [50, 9, 4, 4]}]', TWO]))
    lines = settled.refusals.filter(pl.col("action") == "box left out")
    assert lines["row"].to_list() == [2, 2]
    assert set(lines["column"]) == {"boxes"}
