"""The peer's half of benchmarks/survival.py: runs under an environment with scikit-survival (GPL), one thread.

    python sksurv_fit.py whas500 OUT.csv          write the data set that the package ships
    python sksurv_fit.py fit FOLDER               fit FOLDER/x.csv, y.csv on FOLDER/folds.json; write
    FOLDER/answers.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd


def whas500(out: str) -> None:
    """The Worcester Heart Attack Study's 500 rows with duration `lenfol` and event `fstat` (0 or 1)."""
    from sksurv.datasets import load_whas500

    x, y = load_whas500()
    x.assign(lenfol=y["lenfol"], fstat=y["fstat"].astype(int)).to_csv(out, index=False)


def fit(folder: Path) -> None:
    """Risks of the test rows and CPU seconds of each model on each fold."""
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis, RandomSurvivalForest
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    models = {
        "sksurv forest": lambda seed: RandomSurvivalForest(
            n_estimators=1000, min_samples_split=10, min_samples_leaf=15, n_jobs=1, random_state=seed
        ),
        "sksurv boosting": lambda seed: GradientBoostingSurvivalAnalysis(
            n_estimators=1000, learning_rate=0.05, max_depth=2, subsample=0.5, random_state=seed
        ),
        "sksurv boosting, defaults": lambda seed: GradientBoostingSurvivalAnalysis(random_state=seed),
        "sksurv cox": lambda seed: CoxPHSurvivalAnalysis(),
    }
    x = pd.get_dummies(pd.read_csv(folder / "x.csv"), drop_first=True).astype(float).to_numpy()
    y = pd.read_csv(folder / "y.csv")
    target = Surv.from_arrays(y["event"] > 0, y["time"])
    answers = {name: [] for name in models}
    for seed, fold in enumerate(json.loads((folder / "folds.json").read_text())):
        for name, make in models.items():
            start = time.process_time()
            risk = make(seed).fit(x[fold["train"]], target[fold["train"]]).predict(x[fold["test"]])
            answers[name].append({"risk": risk.tolist(), "cpu_s": time.process_time() - start})
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    whas500(sys.argv[2]) if sys.argv[1] == "whas500" else fit(Path(sys.argv[2]))
