"""The main job in Python: read, fit, look at the scores and the certificate, answer for new rows."""

from __future__ import annotations

import osler
from osler import catalogue


def main() -> None:
    """569 breast masses: one model, one repeat, to be quick."""
    cohort = catalogue.read("breast_cancer")
    run = osler.fit(
        cohort,
        out="runs/breast",
        positive="malignant",
        model="logistic",
        repeats=1,
        explain=False,
        silent=True,
    )
    auroc = run.scores["parts"]["cv"]["logistic"]["auroc"]
    print(f"AUROC {auroc['value']:.3f} ({auroc['low']:.3f} to {auroc['high']:.3f}), n = {auroc['n']}")
    print("certificate:", run.certificate["verdict"])
    answers = run.predictor.predict(cohort.take([0, 1, 2]))
    print(answers.table.select("diagnosis_pred", "diagnosis_prob_malignant", "in_domain"))


if __name__ == "__main__":
    main()
