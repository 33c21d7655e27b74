"""The traps are real: plain scikit-learn, used carelessly, walks into both, and used with care into neither."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from osler.cohort import Cohort, Column
from osler.cohort.split import groups_of, hold_out
from osler.errors import ViolationError
from tests.golden import canaries


def _identity():
    table = canaries.identity(np.random.default_rng(7))
    x = table.select([c for c in table.columns if c.startswith("x")]).to_numpy()
    return table, x, (table["label"] == "yes").to_numpy().astype(int)


def _forest_auroc(x, y, folds, groups=None):
    forest = RandomForestClassifier(150, random_state=0)
    p = cross_val_predict(forest, x, y, cv=folds, groups=groups, method="predict_proba")[:, 1]
    return roc_auc_score(y, p)


def test_a_row_split_recognises_patients_and_a_patient_split_does_not():
    table, x, y = _identity()
    rows = _forest_auroc(x, y, StratifiedKFold(5, shuffle=True, random_state=0))
    patients = _forest_auroc(x, y, StratifiedGroupKFold(5, shuffle=True, random_state=0), table["patient"].to_numpy())
    assert rows > 0.975
    assert 0.35 < patients < 0.65


def test_selection_before_cross_validation_finds_signal_in_noise_and_inside_it_does_not():
    table = canaries.noise(np.random.default_rng(9))
    x, y = table.drop("label").to_numpy(), (table["label"] == "yes").to_numpy().astype(int)
    folds, model = StratifiedKFold(5, shuffle=True, random_state=0), LogisticRegression(C=0.01)
    chosen = SelectKBest(f_classif, k=20).fit_transform(x, y)
    before = roc_auc_score(y, cross_val_predict(model, chosen, y, cv=folds, method="predict_proba")[:, 1])
    inside = make_pipeline(SelectKBest(f_classif, k=20), model)
    honest = roc_auc_score(y, cross_val_predict(inside, x, y, cv=folds, method="predict_proba")[:, 1])
    assert before > 0.95
    assert 0.3 < honest < 0.7


def test_a_forced_row_split_is_refused_with_the_rows_of_shared_patients():
    table, _, _ = _identity()
    rng = np.random.default_rng(1)
    table = table.with_columns(half=np.where(rng.random(len(table)) < 0.5, "test", "train"))
    roles = {"patient": "unit", "label": "target", "half": "split"}
    columns = [Column(c, "number" if c.startswith("x") else "category", roles.get(c, "input")) for c in table.columns]
    cohort = Cohort(table, tuple(columns))
    with pytest.raises(ViolationError, match=r"\d+ units have rows on both: \(rows \d+, ") as caught:
        hold_out(cohort, "half=test", groups_of(cohort), rng)
    assert caught.value.code == "leak"
    assert "p0" not in caught.value.message, "patient ids are named only if asked for"
    sides = table.group_by("patient").agg(n="half").with_columns(both=(table["half"].n_unique() > 1))
    n_shared = sum(len(set(h)) == 2 for h in sides["n"].to_list())
    assert f"{n_shared} units have rows on both" in caught.value.message
    with pytest.raises(ViolationError, match=r"= 'p\d{4}'"):
        hold_out(cohort, "half=test", groups_of(cohort), rng, show_ids=True)
    with pytest.raises(ViolationError, match=r"= unit [0-9a-f]{16}"):
        hold_out(cohort, "half=test", groups_of(cohort), rng, key=b"k" * 32)
