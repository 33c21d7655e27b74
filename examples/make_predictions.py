"""Write predictions.csv: two models' out-of-fold probabilities for 569 real breast masses.

The masses and the diagnosis are real (Wisconsin, in scikit-learn). Sex and site are made up, to have something to
split by.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    """Predict with both models out of fold and write the table."""
    data = load_breast_cancer()
    malignant = 1 - data.target
    rng = np.random.default_rng(7)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    models = {
        "p_logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)),
        "p_one_nucleus": RandomForestClassifier(60, random_state=0, n_jobs=1),
    }
    columns = {"p_logistic": slice(None), "p_one_nucleus": slice(0, 2)}
    table = {
        "patient_id": [f"W{i:04d}" for i in range(len(malignant))],
        "sex": rng.choice(["female", "male"], len(malignant), p=[0.98, 0.02]),
        "site": rng.choice(["Madison", "Milwaukee"], len(malignant), p=[0.7, 0.3]),
        "malignant": malignant,
    }
    for name, model in models.items():
        p = cross_val_predict(
            model, data.data[:, columns[name]], malignant, cv=folds, method="predict_proba"
        )[:, 1]
        table[name] = np.round(p, 4)
    frame = pl.DataFrame(table)
    frame = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 41).then(None).otherwise(pl.col("p_logistic")).alias("p_logistic")
    )
    frame.write_csv("predictions.csv")
    print(f"predictions.csv: {frame.height} rows, {frame.width} columns")


if __name__ == "__main__":
    main()
