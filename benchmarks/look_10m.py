"""`osler look` on a large CSV: wall time, CPU time and peak memory of a fresh process.

    python benchmarks/look_10m.py [--rows 10000000]

The table has 20 columns as a hospital's extract has them: identifiers that repeat, a date, codes, words, numbers with
and without missing cells, some wrong cells and a few ragged rows. It is made in a temporary folder, which is removed
again.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

CHUNK = 500_000


def chunk(start: int, n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Rows start..start+n of the table."""
    day = np.datetime64("2015-01-01") + rng.integers(0, 3650, n)
    ward = np.array(["cardiology", "medicine", "surgery", "oncology", "intensive care"])
    code = np.array([f"{c}{i:02d}.{j}" for c in "EIJKN" for i in range(40) for j in range(5)])
    columns = {
        "patient_id": rng.integers(1, 3_000_000, n), "visit_id": np.arange(start, start + n), "hospital": rng.integers(1, 60, n),
        "visit_date": day.astype(str), "age_years": rng.integers(18, 100, n), "sex": np.array(["f", "m"])[rng.integers(0, 2, n)],
        "ward": ward[rng.integers(0, 5, n)], "icd10": code[rng.integers(0, len(code), n)],
        "systolic_bp": np.round(rng.normal(130, 18, n)), "diastolic_bp": np.round(rng.normal(78, 11, n)),
        "heart_rate": np.round(rng.normal(80, 14, n)), "creatinine_mg_dl": np.round(rng.lognormal(0, 0.35, n), 2),
        "sodium": np.round(rng.normal(139, 3.5, n), 1), "potassium": np.round(rng.normal(4.2, 0.5, n), 2),
        "glucose": np.round(rng.lognormal(4.7, 0.3, n)), "bmi": np.round(rng.normal(27, 5, n), 1),
        "n_medications": rng.poisson(6, n), "smoker": rng.integers(0, 2, n), "score": np.round(rng.uniform(0, 1, n), 4),
        "died": (rng.uniform(0, 1, n) < 0.08).astype(np.int64),
    }  # fmt: skip
    table = pl.DataFrame(
        {k: pl.Series(k, v).cast(pl.String) if k == "glucose" else pl.Series(k, v) for k, v in columns.items()}
    )
    gaps = pl.Series(rng.uniform(0, 1, n))
    bad = pl.Series(rng.uniform(0, 1, n) < 1e-4)
    return table.with_columns(
        pl.when(gaps > 0.2).then("creatinine_mg_dl").alias("creatinine_mg_dl"),
        pl.when(gaps < 0.9).then("bmi").alias("bmi"),
        pl.when(bad).then(pl.lit("haemolysed")).otherwise("glucose").alias("glucose"),
    )


def make(path: Path, rows: int) -> None:
    """Write the table; every millionth row has a cell too few."""
    rng = np.random.default_rng(1)
    with path.open("wb") as out:
        for start in range(0, rows, CHUNK):
            n = min(CHUNK, rows - start)
            text = chunk(start, n, rng).write_csv(include_header=start == 0)
            out.write(text.encode())
            if start % (2 * CHUNK) == CHUNK:
                out.write(b"1,2,3\n")


def main() -> None:
    """Make, look, print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=10_000_000)
    rows = arguments.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "visits.csv"
        make(path, rows)
        print(f"{rows:,} rows x 20 columns, {path.stat().st_size / 2**20:,.0f} MiB, {os.cpu_count()} cores", flush=True)
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "osler", "look", str(path), "--json"], stdout=subprocess.PIPE, check=True
        )
        wall = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"wall {wall:.1f} s, CPU {used.ru_utime + used.ru_stime:.1f} s, peak "
            f"memory {used.ru_maxrss / 2**20:.2f} GiB"
        )
        import json

        found = json.loads(done.stdout)
        print(f"rows read {found['rows_read']:,} = used {found['rows_used']:,} + refused {found['rows_refused']:,}")
        print(f"findings: {', '.join(sorted({f['code'] for f in found['findings']}))}")


if __name__ == "__main__":
    main()
