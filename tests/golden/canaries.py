"""Two tables on which an honest evaluation finds nothing and a careless one finds almost everything.

`identity`: 200 patients with 5 rows each; the label belongs to the patient and is drawn at random, the features
recognise the patient. Rows dealt out one by one put every patient on both sides: AUROC 0.985 or so for nothing.

`noise`: 100 rows of 5,000 noise features with 50 random labels of each kind. The 20 features that differ most between
the classes, chosen on all rows, separate them in any cross-validation that follows: AUROC 0.97 or so for nothing.
"""

from __future__ import annotations

import numpy as np
import polars as pl


def identity(rng: np.random.Generator, patients: int = 200, rows: int = 5, features: int = 10) -> pl.DataFrame:
    """Columns patient, x0 ... x9, label ("no" or "yes"); one row per visit."""
    who = np.repeat(np.arange(patients), rows)
    label = rng.permutation(np.arange(patients) % 2)[who]
    x = rng.normal(size=(patients, features))[who] + rng.normal(0, 0.2, (patients * rows, features))
    order = rng.permutation(patients * rows)
    table = {"patient": [f"p{w:04d}" for w in who[order]]}
    table |= {f"x{j}": x[order, j] for j in range(features)}
    return pl.DataFrame({**table, "label": np.array(["no", "yes"])[label[order]]})


def noise(rng: np.random.Generator, rows: int = 100, features: int = 5_000) -> pl.DataFrame:
    """Columns g0 ... g4999, label ("no" or "yes", as many of each)."""
    x = rng.normal(size=(rows, features))
    label = rng.permutation(np.arange(rows) % 2)
    return pl.DataFrame({**{f"g{j}": x[:, j] for j in range(features)}, "label": np.array(["no", "yes"])[label]})
