"""Time to recurrence of 686 women with breast cancer (GBSG2, in lifelines): a Cox model."""

from __future__ import annotations

import osler
from osler import catalogue


def main() -> None:
    """Fit and print concordance, calibration and the event probability of three women."""
    cohort = catalogue.read("gbsg2")
    run = osler.fit(
        cohort, out="runs/gbsg2", model="cox:spline=no", repeats=1, boot=200, explain=False, silent=True
    )
    scores = next(iter(run.scores["parts"]["cv"].values()))
    for name in ("c_harrell", "c_uno", "ibs", "calibration_slope"):
        score = scores[name]
        print(f"{name}: {score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})")
    answers = run.predictor.predict(cohort.take([0, 1, 2]))
    print(answers.table.select([c.name for c in answers.role("prediction")]))


if __name__ == "__main__":
    main()
