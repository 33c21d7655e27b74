"""Does conformal prediction keep its promise? 90 % wanted, coverage measured on 200 random splits of real
tables.

    python benchmarks/conformal.py

Data come with scikit-learn: diabetes (442 patients, a number) and breast cancer (569 tumours, two classes).
One line per method with mean coverage over the splits, its standard error, the spread over splits and the
mean size of the answer. The table is also written to benchmarks/logs/conformal.txt.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression

from osler.evaluation import conformal

SPLITS, LEVEL, FOLDS = 200, 0.9, 10


def line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ridge coefficients with an intercept."""
    design = np.column_stack([np.ones(len(x)), x])
    return np.linalg.solve(design.T @ design + 1e-6 * np.eye(design.shape[1]), design.T @ y)


def mean(beta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Predicted numbers."""
    return beta[0] + x @ beta[1:]


def numbers(rng: np.random.Generator) -> dict[str, list[tuple[float, float]]]:
    """Coverage and mean width per split on the diabetes table."""
    x, y = load_diabetes(return_X_y=True)
    sex = (x[:, 1] > 0).astype(int)
    out: dict[str, list[tuple[float, float]]] = {
        k: [] for k in ("split", "split normalised", "split by sex", "CV+")
    }

    def keep(name: str, low: np.ndarray, high: np.ndarray, truth: np.ndarray) -> None:
        out[name].append((float(np.mean((low <= truth) & (truth <= high))), float(np.mean(high - low))))

    for _ in range(SPLITS):
        order = rng.permutation(len(y))
        train, cal, test = order[:180], order[180:320], order[320:]
        beta = line(x[train], y[train])
        on_cal, on_test = mean(beta, x[cal]), mean(beta, x[test])
        keep("split", *conformal.fit_number(on_cal, y[cal], LEVEL).interval(on_test), y[test])
        size = line(x[train], np.abs(y[train] - mean(beta, x[train])))
        scale = [np.maximum(mean(size, x[rows]), 5.0) for rows in (cal, test)]
        fitted = conformal.fit_number(on_cal, y[cal], LEVEL, scale=scale[0])
        keep("split normalised", *fitted.interval(on_test, scale=scale[1]), y[test])
        fitted = conformal.fit_number(on_cal, y[cal], LEVEL, by="group", groups=sex[cal])
        keep("split by sex", *fitted.interval(on_test, sex[test]), y[test])
        both = order[:320]
        fold = rng.permutation(len(both)) % FOLDS
        betas = [line(x[both][fold != k], y[both][fold != k]) for k in range(FOLDS)]
        fitted_rows = np.stack([mean(b, x[both]) for b in betas], axis=1)[np.arange(len(both)), fold]
        new = np.stack([mean(b, x[test]) for b in betas], axis=1)
        keep("CV+", *conformal.cv_plus_interval(np.abs(y[both] - fitted_rows), fold, new, LEVEL), y[test])
    return out


def classes(rng: np.random.Generator) -> dict[str, list[tuple[float, float]]]:
    """Coverage and mean set size per split on the breast cancer table, with four weak columns so that the
    classes overlap.
    """
    x, y = load_breast_cancer(return_X_y=True)
    x = x[:, [1, 4, 8, 9]]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    out: dict[str, list[tuple[float, float]]] = {k: [] for k in ("lac", "aps", "lac by class", "CV+ sets")}

    def keep(name: str, sets: np.ndarray, truth: np.ndarray) -> None:
        out[name].append((float(sets[np.arange(len(truth)), truth].mean()), float(sets.sum(axis=1).mean())))

    for _ in range(SPLITS):
        order = rng.permutation(len(y))
        train, cal, test = order[:220], order[220:400], order[400:]
        model = LogisticRegression().fit(x[train], y[train])
        on_cal, on_test = model.predict_proba(x[cal]), model.predict_proba(x[test])
        keep("lac", conformal.fit_classes(on_cal, y[cal], LEVEL).sets(on_test), y[test])
        keep(
            "aps",
            conformal.fit_classes(on_cal, y[cal], LEVEL, method="aps", rng=rng).sets(on_test, rng=rng),
            y[test],
        )
        keep("lac by class", conformal.fit_classes(on_cal, y[cal], LEVEL, by="class").sets(on_test), y[test])
        both = order[:400]
        fold = rng.permutation(len(both)) % FOLDS
        models = [LogisticRegression().fit(x[both][fold != k], y[both][fold != k]) for k in range(FOLDS)]
        own = np.stack([m.predict_proba(x[both]) for m in models], axis=1)[np.arange(len(both)), fold]
        scores = 1 - own[np.arange(len(both)), y[both]]
        new = np.stack([m.predict_proba(x[test]) for m in models], axis=1)
        keep("CV+ sets", conformal.cv_plus_sets(scores, fold, new, LEVEL), y[test])
    return out


def report() -> str:
    """The table as text."""
    start = time.process_time()
    lines = [f"wanted coverage {LEVEL:.3f}, {SPLITS} random splits", ""]
    lines.append(
        f"{'table':<15} {'method':<18} {'coverage':>9} {'s.e.':>7} {'sd':>7} {'size':>8}  within 1.5 points"
    )
    for table, measured in (("diabetes", numbers), ("breast cancer", classes)):
        for method, rows in measured(np.random.default_rng(20240229)).items():
            hit, size = np.array(rows).T
            error = hit.std(ddof=1) / np.sqrt(len(hit))
            verdict = "yes" if abs(hit.mean() - LEVEL) <= 0.015 else "NO"
            lines.append(
                f"{table:<15} {method:<18} {hit.mean():>9.4f} {error:>7.4f} {hit.std(ddof=1):>7.4f} "
                f"{size.mean():>8.2f}  {verdict}"
            )
    lines += ["", f"{time.process_time() - start:.0f} CPU seconds"]
    return "\n".join(lines)


if __name__ == "__main__":
    text = report()
    log = Path(__file__).parent / "logs" / "conformal.txt"
    log.parent.mkdir(exist_ok=True)
    log.write_text(text + "\n", encoding="utf-8")
    print(text)
