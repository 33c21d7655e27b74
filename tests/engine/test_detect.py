"""Boxes from files to a run and back to files: folds, scores, ledger, predictor, table and COCO file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from osler import modalities
from osler.adapters.imaging import labels
from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.engine.scenes.predict import predict_files
from osler.engine.verify import verify
from osler.evaluation import froc
from tests.models.neural.detection.planted_things import blocks

MODEL = "retina:filters=8,width=16,depth=1,steps=50,batch_size=4,learning_rate=0.01"


def pictures(folder: Path, n: int) -> Path:
    """Pictures of bright and dark blocks, two of each patient, with their boxes as JSON in a table; some boxes cannot be asked for."""
    folder.mkdir(parents=True)
    lines = []
    for i, scene in enumerate(blocks(n, 2, 64, np.random.default_rng(1), classes=2)):
        grey = np.clip(128 + 30 * scene.values[0], 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"p{i}.png")
        written = []
        for (y0, x0, y1, x1), code in zip(scene.drawn.boxes.corners.tolist(), scene.drawn.boxes.codes.tolist()):
            written.append({"box": [x0, y0, x1 - x0, y1 - y0], "class": ("bright", "dark")[code]})
        if i == 0:
            written += [{"box": [500, 500, 5, 5], "class": "dark"}, {"box": [3, 3, 0, 9], "class": "dark"}, {"box": [1, 1, 9, 9], "class": "dirt"}]
        lines.append({"picture": f"p{i}.png", "patient": i // 2, "things": json.dumps(written)})
    lines[1]["things"] = "[{broken"
    pl.DataFrame(lines).write_csv(folder / "table.csv")
    return folder / "table.csv"


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("found")
    source = pictures(folder / "data", 30)
    columns = ("things=boxes:names=bright+dark", "picture=image")
    options = {"folds": 2, "repeats": 1, "boot": 50, "silent": True, "workers": 1}
    return source, fit(source, folder / "run", target="things", column=columns, unit="patient", model=(MODEL,), **options)


def test_a_run_of_boxes_has_scores_and_a_clean_certificate(learnt):
    source, run = learnt
    assert run.study.task == "detection"
    assert run.certificate["verdict"] == "clean"
    made = run.scores["parts"]["cv"][MODEL]
    assert {"map_50", "map_50[bright]", "map_50[dark]", "map", "cpm", "sensitivity_at_1"} <= set(made)
    assert made["map_50"]["low"] <= made["map_50"]["value"] <= made["map_50"]["high"]
    assert verify(run.folder, source).verdict == "clean"


def test_boxes_that_cannot_be_asked_for_are_in_the_ledger(learnt):
    ledger = pl.read_csv(learnt[1].folder / "refusals.csv")
    left_out = ledger.filter(pl.col("action") == "box left out")
    assert left_out["row"].to_list() == [1, 1, 1]
    assert set(left_out["reason"]) == {"a box has no area", "a box lies outside of the scan", "a box is of a class that the column does not name"}
    broken = ledger.filter(pl.col("reason").str.contains("boxes-format"))
    assert 2 in broken["row"].to_list()


def test_the_scores_are_those_of_the_drawings(learnt):
    source, run = learnt
    cohort, boxes = read(source), modalities.get("boxes")
    column = next(c for c in Predictor.load(run.folder / "predictor").columns if c.name == "things")
    notes = []
    for line in run.predictions.filter(pl.col("part") == "cv").iter_rows(named=True):
        at = int(np.flatnonzero(cohort.rows == line["row"])[0])
        image = labels.kept(cohort.values("picture")[at], cohort.root)
        truth = boxes.drawing(cohort.values("things")[at], image, column, cohort.root).boxes
        told = json.loads((run.folder / line["drawing"]).read_bytes())
        assert line["n_boxes"] == len(told)
        answer = boxes.drawing(json.dumps(told), image, column, cohort.root).boxes
        scores = np.array([one["score"] for one in told])
        notes.append(froc.noted(type(answer)(answer.corners, answer.codes, scores), truth, 2, froc.Rule()))
    wanted = np.mean([froc.average_precision(froc.ranked(notes, [k]))[0] for k in (0, 1)])
    assert run.scores["parts"]["cv"][MODEL]["map_50"]["value"] == pytest.approx(wanted, abs=1e-3)


def test_prediction_writes_boxes_a_table_and_a_coco_file(learnt, tmp_path):
    source, run = learnt
    predict_files(Predictor.load(run.folder / "predictor"), read(source), tmp_path / "found")
    table = pl.read_csv(tmp_path / "found" / "boxes.csv")
    assert table.columns == ["scan", "class", "score", "x", "y", "size_x", "size_y"]
    whole = json.loads((tmp_path / "found" / "coco.json").read_bytes())
    assert [c["name"] for c in whole["categories"]] == ["bright", "dark"]
    assert len(whole["images"]) == 30
    assert len(whole["annotations"]) == table.height > 0
    answers = pl.read_csv(tmp_path / "found" / "answers.csv")
    assert answers["things_count_bright"].sum() + answers["things_count_dark"].sum() == table.height
    one = json.loads((tmp_path / "found" / "p3.json").read_bytes())
    assert [b["score"] for b in one] == sorted((b["score"] for b in one), reverse=True)


def test_the_report_has_the_curve_and_drawn_boxes(learnt):
    run = learnt[1]
    page = (run.folder / "report.html").read_text()
    assert "Things found (free-response curve)" in page
    assert "What a score does" in page
    held = json.loads((run.folder / "curves.json").read_text())["found"]["cv"]
    assert set(held) == {"all", "bright", "dark"}
    assert held["all"]["sensitivity"] == sorted(held["all"]["sensitivity"])
    shown = json.loads((run.folder / "explanation.json").read_text())["drawings"]
    assert shown["measure"] == "map_50"
    lines = [line for example in shown["worst"] for part in (example["truth"], example["answer"]) for kind in part for line in kind["lines"]]
    assert all(len(line) == 5 for line in lines)  # frames of boxes
    assert any(kind["lines"] for example in shown["usual"] + shown["worst"] for kind in example["answer"])
