"""What is asked of masks: kind, classes, rows that fit, and what splits are balanced by."""

from __future__ import annotations

import numpy as np
import pytest

from osler import tasks
from osler.adapters.imaging import labels, nifti
from osler.cohort.check import check
from osler.cohort.read import read
from osler.errors import TargetError
from osler.tasks import infer_kind
from osler.tasks.segmentation import Segmentation
from tests.drawn_scans import affine_of, brains, pictures


@pytest.fixture
def cohort(tmp_path):
    return read(brains(tmp_path, n=4), columns={"drawn": "mask", "scan": "volume"}, target="drawn", unit="patient")


def test_a_target_of_masks_asks_for_segmentation(cohort):
    assert infer_kind(cohort) == "segmentation"
    assert isinstance(tasks.get("segmentation"), Segmentation)


def test_what_is_asked_is_written_into_the_columns(cohort):
    settled = Segmentation().settled(cohort)
    assert settled.column("drawn").options["names"] == ["1", "2"]
    asked = Segmentation().asked(settled.columns, ("scan",))
    assert (asked.kind, asked.classes, asked.dims, asked.channels) == ("segmentation", ("background", "1", "2"), 3, ("scan",))
    assert not asked.instances


def test_only_scans_stay_inputs(cohort):
    more = cohort.declare(columns={"patient": {"role": "input"}})
    assert [c.name for c in Segmentation().settled(more).role("input")] == ["scan"]


def test_the_target_is_balanced_by_which_classes_are_there(cohort):
    reference = cohort.values("drawn")[2]
    values = labels.read(reference, cohort.root).values[0].astype(np.uint8)
    nifti.write(cohort.root / reference, np.minimum(values, 1), affine_of((2.0, 1.0, 1.0)))
    target = Segmentation().target_of(Segmentation().settled(cohort))
    assert len(set(target.y[[0, 1, 3]].tolist())) == 1
    assert target.y[2] != target.y[0]
    assert target.classes == ("background", "1", "2")
    assert np.array_equal(target.strata, target.y)


def test_things_are_balanced_by_how_many_there_are(tmp_path):
    from PIL import Image

    table = pictures(tmp_path, n=4)
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "masks" / "c1.png")
    cohort = read(table, columns={"cells": "mask", "picture": "image"}, target="cells")
    cohort = cohort.declare(columns={"cells": {"options": {"instances": True}}})
    y = Segmentation().target_of(Segmentation().settled(cohort)).y
    assert y[1] != y[0] == y[2] == y[3]


def test_rows_whose_mask_does_not_fit_are_problems_with_a_reason(cohort):
    reference = cohort.values("drawn")[1]
    values = labels.read(reference, cohort.root).values[0].astype(np.uint8)
    nifti.write(cohort.root / reference, values[:, :-2], affine_of((2.0, 1.0, 1.0)))
    found = Segmentation().problems(cohort)
    wrong = {reason: np.flatnonzero(mask).tolist() for reason, mask in found.items() if mask.any()}
    assert wrong == {"'drawn' and 'scan': a mask does not lie on the voxels of its image (mask-geometry)": [1]}
    assert Segmentation().usable(cohort).tolist() == [True, False, True, True]


def test_masks_without_scans_and_masks_of_nothing_are_refused(cohort, tmp_path):
    with pytest.raises(TargetError, match="there is none"):
        Segmentation().settled(cohort.declare(columns={"scan": {"role": "ignore"}}))
    for reference in cohort.values("drawn"):
        nifti.write(cohort.root / reference, np.zeros((10, 14, 12), np.uint8), affine_of((2.0, 1.0, 1.0)))
    with pytest.raises(TargetError, match="marks nothing"):
        Segmentation().check(Segmentation().settled(cohort))


def test_another_kind_of_target_is_refused(cohort):
    with pytest.raises(TargetError, match="must be a column of mask"):
        Segmentation().settled(cohort.declare(target="patient"))


def test_rare_classes_and_empty_masks_are_noticed_by_their_voxels(cohort):
    masks = cohort.values("drawn").to_list()
    settled = Segmentation().settled(cohort)
    assert {f.code for f in Segmentation().noticed(settled)} <= {"class-voxels"}
    shape = labels.read(masks[0], cohort.root).values[0].shape
    for i, reference in enumerate(masks):
        values = np.zeros(shape, np.uint8)
        if i > 0:
            values[0, 0, : 3 * i] = 1
        if i == 3:
            values[1, 1, 1] = 2
        nifti.write(cohort.root / reference, values, affine_of((2.0, 1.0, 1.0)))
    found = {f.message: f.n for f in Segmentation().noticed(Segmentation().settled(cohort))}
    share = 100 * 18 / (3 * np.prod(shape))  # 3 + 6 + 9 voxels of three scans
    assert found == {
        "1 of 4 scans of mask 'drawn' have nothing drawn": 1,
        f"class '1' of mask 'drawn' is in 3 of 4 scans and fills {share:.2g} % of their voxels": 3,
        f"class '2' of mask 'drawn' is in 1 of 4 scans and fills {100 / np.prod(shape):.2g} % of their voxels": 1,
    }


def test_class_balance_is_not_said_of_masks(cohort):
    assert "class-balance" not in {f.code for f in check(cohort)}
