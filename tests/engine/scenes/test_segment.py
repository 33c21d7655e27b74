"""Masks from files to a run and back to files: folds, drawings, scores, certificate, predictor."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest

from osler.adapters.imaging import labels, nifti
from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.predict import predict
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.engine.verify import verify
from osler.errors import ColumnError, OptionError, PredictorError
from osler.evaluation.masks import agreement
from tests.drawn_scans import affine_of, brains, pictures

QUICK = {"folds": 2, "boot": 50, "silent": True, "workers": 1}


def learnt(source: Path, out: Path, **options: object) -> Run:
    given = {"target": "drawn", "column": ("drawn=mask:names=core+rim",), "unit": "patient", "model": ("atlas",), **QUICK, **options}
    return fit(source, out, **given)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("drawn")
    source = brains(folder / "data", n=8)
    return source, learnt(source, folder / "run")


def test_a_run_of_masks_has_scores_of_every_class_and_a_clean_certificate(first):
    source, run = first
    assert run.study.task == "segmentation"
    assert run.certificate["verdict"] == "clean"
    scores = run.scores["parts"]["cv"]["atlas"]
    assert {"dice", "dice[core]", "dice[rim]", "hd95", "nsd[rim]"} <= set(scores)
    assert scores["dice"]["low"] <= scores["dice"]["value"] <= scores["dice"]["high"]
    assert scores["dice"]["n"] == 8
    assert verify(run.folder, source).verdict == "clean"


def test_patients_stay_on_one_side(first):
    source, run = first
    patients = dict(zip(read(source).rows.tolist(), read(source).values("patient").to_list()))
    folds = run.predictions.group_by("fold").agg("row")
    tested = [{patients[r] for r in rows} for rows in folds["row"].to_list()]
    assert len(tested) == 2
    assert not tested[0] & tested[1]
    assert run.certificate["unit"] == "patient"


def test_the_measures_of_every_row_are_those_of_its_drawing(first):
    source, run = first
    table = run.predictions.filter(pl.col("part") == "cv")
    cohort = read(source)
    for line in table.head(3).iter_rows(named=True):
        at = int(np.flatnonzero(cohort.rows == line["row"])[0])
        seen = labels.kept(cohort.values("scan")[at], cohort.root)
        drawn = labels.upon(line["drawing"], seen, run.folder)
        truth = labels.upon(cohort.values("drawn")[at], seen, cohort.root)
        found = agreement(truth == 2, drawn == 2, seen.spacing)
        assert found["dice"] == pytest.approx(line["dice[rim]"])
        assert found["hd95"] == pytest.approx(line["hd95[rim]"])
    assert run.scores["parts"]["cv"]["atlas"]["dice"]["value"] == pytest.approx(table["dice"].mean())


def test_the_plan_is_written_before_and_says_what_the_model_makes_of_the_scans(first):
    text = (first[1].folder / "plan.md").read_text()
    assert "**segmentation**" in text
    assert "- grid: 10, 14, 12" in text


def test_the_report_shows_classes_and_the_worst_scans_and_the_card_the_numbers(first):
    _, run = first
    page = (run.folder / "report.html").read_text()
    assert "Every class, cross-validation" in page
    assert page.count('href="data:image/png;base64,') == 8
    assert (run.folder / "figures" / "scans-cv.svg").is_file()
    shown = run.json("explanation.json")["drawings"]
    table = run.predictions.sort("dice")
    assert [e["row"] for e in shown["worst"]] == table["row"].to_list()[:4]
    assert {p["name"] for p in shown["worst"][0]["truth"]} == {"core", "rim"}
    card = (run.folder / "card.md").read_text()
    assert "segmentation" in card
    assert "Dice \\[core\\]" in card


def test_the_outlines_in_a_report_are_those_of_the_slice(first):
    """The area inside the outlines of the true core is its pixels in that slice, less what halving corners takes."""
    source, run = first
    shown = run.json("explanation.json")["drawings"]["worst"][0]
    cohort = read(source)
    row = int(np.flatnonzero(cohort.rows == shown["row"])[0])
    truth = labels.upon(cohort.values("drawn")[row], labels.kept(cohort.values("scan")[row], cohort.root), cohort.root)
    core = truth[shown["slice"]["at"]] == 1
    area = 0.0
    for line in next(p["lines"] for p in shown["truth"] if p["name"] == "core"):
        x, y = np.array(line).T
        area += abs(0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))
    assert core.sum() * 0.75 < area <= core.sum()


def test_the_page_of_scans_holds_the_volume_and_both_masks(first):
    source, run = first
    shown = run.json("explanation.json")["drawings"]["worst"][0]
    page = (run.folder / "scans.html").read_text(encoding="utf-8")
    case = json.loads(page.partition('id="scene-data">')[2].partition("</script>")[0])[0]
    assert case["name"] == f"row {shown['row']}: worst scans"
    held = {layer["kind"]: gzip.decompress(base64.b64decode(layer["data"])) for layer in case["layers"]}
    cohort = read(source)
    row = int(np.flatnonzero(cohort.rows == shown["row"])[0])
    truth = labels.upon(cohort.values("drawn")[row], labels.kept(cohort.values("scan")[row], cohort.root), cohort.root)
    assert np.array_equal(nibabel.Nifti1Image.from_bytes(held["mask"]).get_fdata().T, truth)
    assert set(held) == {"scan", "mask", "answer"}


def test_no_examples_show_no_scans(tmp_path):
    run = learnt(brains(tmp_path / "data", n=4), tmp_path / "run", examples=0)
    assert run.json("explanation.json") == {}
    assert "data:image" not in (run.folder / "report.html").read_text()


def test_the_same_fit_gives_the_same_bytes(first, tmp_path):
    source, run = first
    again = learnt(source, tmp_path / "again")
    for name in ("scores.json", "predictions.parquet", "predictor/manifest.json", "certificate.json"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes()
    for path in (run.folder / "drawings").rglob("*.nii.gz"):
        assert (again.folder / path.relative_to(run.folder)).read_bytes() == path.read_bytes()


def test_a_predictor_draws_on_new_scans_in_the_place_and_numbers_of_its_masks(first, tmp_path):
    _, run = first
    new = brains(tmp_path / "new", n=2, seed=7)
    answered = predict(run, new)
    table = answered.table
    assert {"drawn_volume_core", "drawn_volume_rim", "drawn_refused", "in_domain"} <= set(table.columns)
    reopened = Predictor.load(run.folder / "predictor")
    assert reopened.classes == ("background", "core", "rim")
    assert predict(reopened, new).table.equals(table)


def test_drawings_are_files_on_the_voxels_of_their_scans(first, tmp_path):
    from osler.engine.scenes.predict import drawn_columns

    _, run = first
    new = brains(tmp_path / "new", n=2, seed=7)
    columns = drawn_columns(run.predictor, read(new), tmp_path / "masks")
    for i, name in enumerate(columns["drawn_file"]):
        ours, theirs = nibabel.load(tmp_path / "masks" / name), nibabel.load(new.parent / "imagesTr" / f"b_0{i}.nii.gz")
        assert np.allclose(ours.affine, theirs.affine)
        marked = np.asarray(ours.dataobj)
        assert (marked == 1).sum() * 2.0 == columns["drawn_volume_core"][i]
        assert set(np.unique(marked)) <= {0, 1, 2}


def test_a_folder_is_a_cohort_that_is_fitted_answered_and_put_back_in(tmp_path, capsys):
    from osler.cli import main

    folder = brains(tmp_path / "data", n=6).parent
    (folder / "brains.csv").unlink()
    argv = ["fit", str(folder), "--target", "mask", "--model", "atlas", "--column", "mask=mask:names=core+rim"]
    assert main([*argv, "--folds", "2", "--boot", "50", "--quiet", "--workers", "1", "--out", str(tmp_path / "run")]) == 0
    assert "dice" in capsys.readouterr().out
    new = brains(tmp_path / "new", n=3, seed=9).parent
    shutil.rmtree(new / "labelsTr")
    (new / "imagesTr" / "b_02.nii.gz").write_bytes(b"no scan")
    assert main(["predict", str(tmp_path / "run"), str(new), "--out", str(new / "labelsTr")]) == 0
    said = capsys.readouterr().out
    assert "2 of 3 scans answered" in said
    assert "(image-format)" in said
    answers = pl.read_csv(new / "labelsTr" / "answers.csv")
    assert "file imagesTr/b_02.nii.gz" in said
    assert answers["mask_file"].to_list() == ["b_00.nii.gz", "b_01.nii.gz"]
    assert answers["mask_volume_core"][0] > 0
    again = read(new, columns={"mask": "mask"})
    assert again.values("mask").to_list()[:2] == ["labelsTr/b_00.nii.gz", "labelsTr/b_01.nii.gz"]


def test_files_of_scans_that_share_a_name_are_told_apart(first):
    from osler.engine.scenes.predict import stems_of

    cohort = read(pl.DataFrame({"scan": ["a/x.nii.gz", "b/x.nii.gz", "b/y z.png#3", None]}))
    assert stems_of(cohort, "scan") == ["1_x", "2_x", "y_z", "4"]


def test_a_scan_that_cannot_be_answered_says_why_and_the_others_are(first, tmp_path):
    _, run = first
    new = brains(tmp_path / "new", n=3, seed=7)
    (new.parent / "imagesTr" / "b_01.nii.gz").write_bytes(b"nothing of the kind")
    table = predict(run, new).table
    assert table["drawn_refused"].is_null().to_list() == [True, False, True]
    assert table["in_domain"].to_list()[1] is False


def test_rows_whose_masks_do_not_fit_are_in_the_ledger(tmp_path):
    source = brains(tmp_path / "data", n=6)
    place = source.parent / "labelsTr" / "b_03.nii.gz"
    values = np.asarray(nibabel.load(place).dataobj).T
    nifti.write(place, values, affine_of((2.0, 1.0, 1.4)))
    run = learnt(source, tmp_path / "run", unit=())
    ledger = pl.read_csv(run.folder / "refusals.csv")
    assert ledger["row"].to_list() == [4]
    assert "mask-geometry" in ledger["reason"][0]
    assert run.json("facts.json")["rows_used"] == 5


def test_things_are_learnt_from_pictures_with_a_holdout(tmp_path):
    source = pictures(tmp_path / "data", n=12)
    given = {"target": "cells", "column": ("cells=mask:instances=true",), "model": ("threshold:blur=1", "threshold"), "holdout": "0.5"}
    run = fit(source, tmp_path / "run", **QUICK, **given)
    assert set(run.scores["parts"]) == {"cv", "holdout"}
    assert run.scores["parts"]["holdout"][run.chosen]["f1_50"]["value"] > 0.7
    held = run.predictions.filter(pl.col("part") == "holdout")
    assert held["drawing"].str.ends_with(".png").all()
    assert all((run.folder / d).is_file() for d in held["drawing"])
    assert predict(run, source).table["cells_things"].to_list()[0] >= 3


def test_a_killed_fit_goes_on_from_its_finished_folds(tmp_path, monkeypatch):
    from osler.engine.scenes import fit as drawn_fit
    from osler.engine.scenes import folds

    source, seen = brains(tmp_path / "data", n=6), []

    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(drawn_fit, "_write_after", stopped)
        with pytest.raises(KeyboardInterrupt):
            learnt(source, tmp_path / "run")
    kept = sorted((tmp_path / ".run.partial" / "folds").glob("*.json"))
    assert len(kept) == 2
    original = folds.fit_rows
    monkeypatch.setattr(folds, "fit_rows", lambda prepared, rows, key, *more: seen.append(key) or original(prepared, rows, key, *more))
    run = learnt(source, tmp_path / "run")
    assert seen == ["final/0/0"]
    assert not (run.folder / "folds").exists()


def test_a_changed_predictor_is_refused(first, tmp_path):
    _, run = first
    folder = tmp_path / "predictor"
    shutil.copytree(run.folder / "predictor", folder)
    body = json.loads((folder / "predictor.json").read_text())
    body["models"] = [["atlas", "forest"]]
    (folder / "predictor.json").write_text(json.dumps(body))
    with pytest.raises(PredictorError, match=r"changed|size"):
        Predictor.load(folder)
    from osler.engine.predictor import seal

    seal(folder)
    with pytest.raises(PredictorError, match="drawn by models that draw"):
        Predictor.load(folder)


def test_models_that_do_not_draw_are_refused(first, tmp_path):
    with pytest.raises(OptionError, match=r"atlas|forest"):
        learnt(first[0], tmp_path / "run", model=("forest",))


def test_several_sequences_are_channels(tmp_path):
    source = brains(tmp_path / "data", n=4)
    table = pl.read_csv(source).with_columns(pl.col("scan").alias("second"))
    table.write_csv(source)
    run = learnt(source, tmp_path / "run")
    assert list(run.predictor.states) == ["scan", "second"]
    from osler.engine.scenes.predict import asked_of

    assert asked_of(run.predictor).channels == ("scan", "second")


def test_scans_from_elsewhere_are_judged_and_those_seen_before_are_told(first, tmp_path):
    from osler.engine.external import evaluate

    _, run = first
    elsewhere = brains(tmp_path / "elsewhere", n=4, seed=11).parent
    (elsewhere / "brains.csv").unlink()
    values = np.asarray(nibabel.load(elsewhere / "labelsTr" / "b_02.nii.gz").dataobj).T
    nifti.write(elsewhere / "labelsTr" / "b_02.nii.gz", values[:, 1:], affine_of((2.0, 1.0, 1.0)))
    found = evaluate(run, elsewhere, tmp_path / "out")
    scores = found.scores["parts"]["holdout"]["atlas"]
    table = pl.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert scores["dice"]["n"] == table.height == 3
    assert scores["dice"]["value"] == pytest.approx(table["dice"].mean())
    assert list(found.facts["left_out"].values()) == [1]
    assert {c["verdict"] for c in found.facts["overlap"]} <= {"clean", "unknown"}
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == found.scores


def test_a_scan_elsewhere_of_another_kind_is_left_out_and_counted(first, tmp_path):
    """One of the scans has two volumes in time, of which the model knows one."""
    from osler.engine.external import evaluate

    elsewhere = brains(tmp_path / "elsewhere", n=3, seed=12)
    place = elsewhere.parent / "imagesTr" / "b_01.nii.gz"
    image = nibabel.load(place)
    both = np.stack([np.asarray(image.dataobj)] * 2, axis=-1)
    nibabel.save(nibabel.Nifti1Image(both, image.affine), place)
    found = evaluate(first[1], elsewhere)
    assert found.facts["rows"] == 2
    assert sum(found.facts["left_out"].values()) == 1
    assert any("image-dims" in reason for reason in found.facts["left_out"])


def test_one_class_keeps_its_meaning_under_another_number(tmp_path):
    """A site that marks vessels by 255 is judged by a model of one that marks them by 1."""
    from osler.engine.external import evaluate

    def site(folder: Path, number: int, seed: int) -> Path:
        made = brains(folder, n=4, seed=seed)
        for place in (folder / "labelsTr").iterdir():
            values = np.asarray(nibabel.load(place).dataobj).T
            nifti.write(place, ((values > 0) * number).astype(np.uint8), affine_of((2.0, 1.0, 1.0)))
        return made

    run = learnt(site(tmp_path / "here", 1, 0), tmp_path / "run", column=("drawn=mask:names=any",))
    found = evaluate(run, site(tmp_path / "there", 255, 5))
    assert found.facts["numbers"] == [255]
    assert found.scores["parts"]["holdout"]["atlas"]["dice"]["value"] > 0.7


def test_what_needs_numbers_refuses_a_run_that_draws(first):
    from osler.engine.deploy import export
    from osler.engine.explain import explain

    source, run = first
    with pytest.raises(OptionError, match="answers in numbers can be explained"):
        explain(run, source)
    with pytest.raises(OptionError, match="answers in numbers can be exported") as error:
        export(run)
    assert error.value.code == "export"


def test_scans_elsewhere_without_masks_are_refused(first, tmp_path):
    from osler.engine.external import evaluate

    new = brains(tmp_path / "new", n=2).parent
    shutil.rmtree(new / "labelsTr")
    (new / "brains.csv").unlink()
    with pytest.raises(ColumnError, match="must have the target 'drawn'"):
        evaluate(first[1], new)


@pytest.mark.parametrize("option", [{"tune": 3}, {"imbalance": "balanced"}, {"sensitivity": 0.9}, {"threshold": "youden"}])
def test_options_of_answers_in_numbers_are_refused(first, tmp_path, option):
    with pytest.raises(OptionError, match="must be left out where the answer is drawn"):
        learnt(first[0], tmp_path / "run", **option)
    assert not (tmp_path / "run").exists()


def test_sites_are_left_out_in_turn(tmp_path):
    source = brains(tmp_path / "data", n=6)
    pl.read_csv(source).with_columns(pl.Series("site", list("aabbcc"))).write_csv(source)
    run = learnt(source, tmp_path / "run", site="site", unit=())
    assert {"cv", "site=a", "site=b", "site=c"} == set(run.scores["parts"])
    assert run.scores["parts"]["site=b"]["atlas"]["dice"]["n"] == 2
    of_sites = run.predictions.filter(pl.col("part") != "cv")
    assert (of_sites["drawing"] == "").all()
    assert run.certificate["verdict"] == "clean"


def test_the_checklist_says_what_is_true_of_masks(first):
    items = {i["item"]: i["text"] for i in first[1].json("tripod.json")["items"]}
    assert "masks of drawn on scans" in items["1"]
    assert "median" not in items["11"]
    assert "own units and resolution" in items["12b"]
    assert "calibrated" not in items["13"]
    assert items["15"].startswith("Output: masks")


def test_a_dicom_series_and_a_mask_of_it_in_nifti(tmp_path):
    """Masks in NIfTI's axes beside series in DICOM's, with the rows of the mask in the opposite order."""
    from tests.adapters.imaging.files import series, straight

    rng = np.random.default_rng(8)
    for k in range(4):
        case = tmp_path / "data" / f"p{k}"
        case.mkdir(parents=True)
        truth = np.zeros((5, 8, 9), np.uint8)
        truth[1:4, 2:6, 3:7] = 1
        values = (100 + 400.0 * truth + rng.integers(0, 50, truth.shape)).astype(np.int16)
        series(case / "ct", values, straight(5), PatientID=f"p{k}")
        seen = labels.kept("ct", case)
        turned = seen.affine.copy()
        turned[:3, 3] += turned[:3, 1] * 7
        turned[:3, 1] *= -1
        nifti.write(case / "mask.nii.gz", truth[:, ::-1], turned)
    run = fit(tmp_path / "data", tmp_path / "run", target="mask", unit="patient", model=("threshold",), **QUICK)
    assert run.scores["parts"]["cv"]["threshold"]["dice"]["value"] > 0.99
    assert predict(run, tmp_path / "data").table["mask_volume_1"].null_count() == 0


def test_scans_that_are_asked_for_are_masks(tmp_path):
    """A table of paths needs no declaration: the target among them is what is drawn on the others."""
    source = brains(tmp_path / "data", n=4)
    run = fit(source, tmp_path / "run", target="drawn", model=("atlas",), **QUICK)
    assert run.study.task == "segmentation"
    assert run.predictor.classes == ("background", "1", "2")


def test_everything_wrong_in_one_folder_is_named_and_the_rest_is_learnt_from(tmp_path):
    """A mask of another place, one of another shape, one that is no label map, one that is damaged, a scan without a mask, a mask without a scan."""
    folder = brains(tmp_path / "data", n=10).parent
    (folder / "brains.csv").unlink()
    masks = folder / "labelsTr"
    plain = np.asarray(nibabel.load(masks / "b_00.nii.gz").dataobj).T
    nifti.write(masks / "b_00.nii.gz", plain, affine_of((2.0, 1.0, 1.5)))
    nifti.write(masks / "b_01.nii.gz", plain[:-1], affine_of((2.0, 1.0, 1.0)))
    nifti.write(masks / "b_02.nii.gz", plain + 0.25, affine_of((2.0, 1.0, 1.0)))
    (masks / "b_03.nii.gz").write_bytes((masks / "b_04.nii.gz").read_bytes()[:100])
    (masks / "b_05.nii.gz").unlink()
    (folder / "imagesTr" / "b_06.nii.gz").unlink()
    run = fit(folder, tmp_path / "run", target="mask", model=("atlas",), **QUICK)
    ledger = pl.read_csv(run.folder / "refusals.csv")
    reasons = " | ".join(ledger["reason"].to_list())
    for code in ("mask-geometry", "mask-labels", "mask-scan", "read-truncated", "'mask' is missing"):
        assert code in reasons
    facts = run.json("facts.json")
    assert facts["rows_used"] == 4
    assert facts["rows_read"] == facts["rows_used"] + facts["rows_refused"]
    assert run.certificate["verdict"] == "clean"
