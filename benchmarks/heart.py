"""UCI heart disease: repeated 5 × 10 cross-validation on Cleveland, and Cleveland's model at the three other hospitals.

    OSLER_DATA_MIRROR=... python benchmarks/heart.py [--log benchmarks/logs/heart.txt] [--only cv|external]

Cross-validation: scikit-learn's RepeatedStratifiedKFold(10, 5, seed 0), mean of the 50 fold AUROCs, every model on the same folds; the
peers are scikit-learn's logistic regression and forest and LightGBM with their usual settings, imputed and one-hot coded inside the folds.
External: `osler fit` on Cleveland, `osler evaluate` at each hospital; the untouched result, and recalibrated on a stated half.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from osler import models, tasks
from osler.catalogue import tables
from osler.cohort import check
from osler.cohort.cohort import Cohort
from osler.engine.batches import CohortBatches, encode, fit_states
from osler.engine.external import evaluate
from osler.engine.fit import fit
from osler.evaluation.metrics import auroc

ENSEMBLE = "ensemble:members=logistic+spline+forest+boosting"
OURS = ("logistic", "spline", "forest", "boosting", ENSEMBLE)
REACH = {"cv": 0.914, "heart_hungarian": 0.894, "heart_switzerland": 0.757, "heart_va": 0.741}


def our_answer(spec: str) -> Callable[[Cohort, Cohort, np.ndarray], np.ndarray]:
    """Probabilities for test rows by one of our estimators, states fitted on the training rows."""

    def answer(train: Cohort, test: Cohort, y: np.ndarray) -> np.ndarray:
        target = tasks.get("binary").target_of(train)
        states = fit_states(train)
        data = CohortBatches(train, states, target, np.arange(len(train))).all()
        estimator = models.get(spec)
        params = estimator.fit(data, np.random.default_rng(0))
        return estimator.predict(params, encode(test, states)).value[:, 1]

    return answer


def peer_answer(name: str) -> Callable[[Cohort, Cohort, np.ndarray], np.ndarray]:
    """The same by a plain scikit-learn pipeline."""

    def answer(train: Cohort, test: Cohort, y: np.ndarray) -> np.ndarray:
        from lightgbm import LGBMClassifier
        from sklearn.compose import make_column_transformer
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        names = [c.name for c in train.role("input")]
        codes = [i for i, n in enumerate(names) if n in ("cp", "restecg", "slope", "ca", "thal")]
        rest = [i for i in range(len(names)) if i not in codes]
        model = {
            "logistic": LogisticRegression(max_iter=2000),
            "forest": RandomForestClassifier(500, min_samples_leaf=3, random_state=0, n_jobs=1),
            "lightgbm": LGBMClassifier(n_jobs=1, verbose=-1, random_state=0),
        }[name]
        prepare = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), rest),
            (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), codes),
        )
        x = [np.column_stack([c.table[n].cast(float).to_numpy() for n in names]) for c in (train, test)]
        return make_pipeline(prepare, model).fit(x[0], y).predict_proba(x[1])[:, 1]

    return answer


def cross_validated(say: Callable[[str], None]) -> None:
    """Mean fold AUROC, pooled Brier and CPU of every model on the same 50 folds."""
    from sklearn.model_selection import RepeatedStratifiedKFold

    cohort = check.clean(tables.read("heart_cleveland"))
    y = tasks.get("binary").target_of(cohort).y
    folds = list(RepeatedStratifiedKFold(n_splits=10, n_repeats=5, random_state=0).split(y, y))
    answers = {f"osler {s.partition(':')[0]}": our_answer(s) for s in OURS}
    answers |= {f"scikit-learn {n}": peer_answer(n) for n in ("logistic", "forest")} | {"lightgbm": peer_answer("lightgbm")}
    say("Cleveland, 303 rows, 5 x 10 cross-validation: mean of 50 fold AUROCs (standard deviation), Brier, CPU s")
    kept = {}
    for name, answer in answers.items():
        start, each, brier = time.process_time(), [], []
        for train, test in folds:
            p = answer(cohort.take(train), cohort.take(test), y[train])
            each.append(float(auroc(y[test], p)))
            brier.append(float(np.mean((p - y[test]) ** 2)))
        kept[name] = np.array(each)
        cpu = time.process_time() - start
        say(f"  {name:<22} {np.mean(each):.4f} ({np.std(each):.3f})  {np.mean(brier):.4f}  {cpu:6.1f}")
    ours, best = kept["osler ensemble"], kept["scikit-learn logistic"]
    by_repeat = (ours - best).reshape(5, 10).mean(axis=1)
    say(f"  osler ensemble - scikit-learn logistic: {by_repeat.mean():+.4f} (repeats {by_repeat.min():+.4f} to {by_repeat.max():+.4f}); wanted >= {REACH['cv']}")


def external(say: Callable[[str], None]) -> None:
    """Cleveland's predictor elsewhere: untouched, recalibrated, refitted on what both measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cohort = tables.read("heart_cleveland")
        cohort = replace(cohort, columns=tuple(c.with_(role="ignore") if c.role == "site" else c for c in cohort.columns))
        source = folder / "cleveland.csv"
        cohort.table.drop("_row").write_csv(source)
        start = time.process_time()
        run = fit(source, folder / "run", target="disease", positive="1", ignore=("num",), repeats=1, silent=True)
        say(f"Cleveland -> elsewhere; fit {time.process_time() - start:.1f} CPU s in this process, certificate {run.certificate['verdict']}")
        for site in ("heart_hungarian", "heart_switzerland", "heart_va"):
            found = evaluate(run, tables.read(site), folder / site)
            say(f"  {site}: {found.facts['rows']} rows; {found.facts['message']}; wanted AUROC >= {REACH[site]}")
            for part, by_model in found.scores["parts"].items():
                m = next(iter(by_model.values()))
                say("    {:<28} AUROC {}  O/E {}  n {}".format(part, _shown(m["auroc"]), _shown(m["observed_expected"]), m["auroc"]["n"]))


def _shown(entry: dict) -> str:
    return "-" if entry["value"] is None else f"{entry['value']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})"


def main() -> None:
    """Run both and log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", default="")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    if asked.only in ("", "external"):
        external(say)
    if asked.only in ("", "cv"):
        cross_validated(say)
    if asked.log:
        Path(asked.log).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
