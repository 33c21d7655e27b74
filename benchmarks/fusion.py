"""Scans and a table together: dementia from OASIS-1, and pneumonia from X-rays with made-up records, through `osler fit`.

    OSLER_DATA_MIRROR=... python benchmarks/fusion.py [--only oasis pulled record all gone kinds kinds_gone pneumonia] [--repeats 2] [--log FILE]

oasis      CDR > 0 in 198 people of 60 years or more: MRI (46 x 55 x 46 voxels of 4 mm), MMSE, nWBV, age, education (a scale of 1 to 5,
           read as a number). 5 folds, `fusion` and each kind of columns and each column by itself.
pulled     as `oasis`, with weights that are pulled towards the best kind of columns as 200 rows would (`PULLED`).
record     MRI, MMSE, age and education: no column that was itself measured on the scan, as nWBV is.
all        as `oasis` with every clinical column: sex, socioeconomic status, eTIV and ASF too.
gone       the columns of `oasis` with 30 % of the scans removed at random, before anything is split.
kinds      the columns of `oasis`, scans shrunk to 23 x 28 x 23: late, joint and gated fusion on the same folds, one repeat.
kinds_gone the same with 30 % of the scans removed.
pneumonia  children's chest X-rays of the training part (Kermany et al. 2018) with temperature, CRP and age that are SIMULATED: drawn
           here from the label (see `records`), so that the two halves are known to add up. Nothing about medicine follows from it.

CDR is the target and never an input. Kinds of fusion: `fusion` (late: a model per kind of columns, stacked), `cnn` with
fusion=concat (joint) and fusion=gated, both trained with 30 % of the branches hidden. Values are means over the repeats of the
cross-validation; intervals 95 %, bootstrap over people; differences by DeLong's test on the same people.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import osler
from osler.engine.study import Study

DATA = Path(os.environ.get("OSLER_DATA_MIRROR", ".")) / "imaging"
FEW = ("MMSE", "nWBV", "Age", "Educ")
RECORD = ("MMSE", "Age", "Educ")
ALL = (*FEW, "SES", "eTIV", "ASF", "M/F")
NET = "cnn:filters=8,epochs=20,batch_size=16,augment=full,dropout=0.3,hide=0.3,width=32"
PICTURES = "cnn:blocks=2,epochs=15,batch_size=32,augment=full,normalise=equalise,precision=bf16,hide=0.3"
#: Of 5, 20, 60, 200 and 1,000 rows' worth of pull, what answered about best by inner folds of the 10 training parts (log).
PULLED = "fusion:prior=200"
#: Share of scans removed in `gone`.
GONE = 0.3


def oasis(folder: Path, gone: float = 0.0) -> Path:
    """The table of the 198 people, each with a reference to a scan; a share of the references removed."""
    shutil.copy(DATA / "oasis1_mri_4mm.npz", folder / "mri.npz")
    with np.load(DATA / "oasis1_mri_4mm.npz", allow_pickle=False) as held:
        ids = [str(i) for i in held["ids"]]
    left = np.random.default_rng(0).random(len(ids)) >= gone
    scans = pl.DataFrame({"ID": ids, "mri": [f"mri.npz#image/{k}" if there else None for k, there in enumerate(left)]})
    clinical = pl.read_csv(DATA / "oasis1_cross_sectional.csv", null_values=["N/A"])
    path = folder / "oasis.csv"
    scans.join(clinical, on="ID", how="left", maintain_order="left").write_csv(path)
    return path


def pneumonia(folder: Path) -> Path:
    """The training pictures as files, with simulated records."""
    with zipfile.ZipFile(DATA / "cxr_pneumonia_kermany_224.zip") as archive:
        listed = next(n for n in archive.namelist() if n.endswith("labels.csv"))
        rows = [r for r in csv.DictReader(io.TextIOWrapper(archive.open(listed), "utf-8")) if r["split"] == "train"]
        for k, row in enumerate(rows):
            (folder / f"{k}.jpg").write_bytes(archive.read(listed.removesuffix("labels.csv") + row["path"]))
    sick = np.array([int(r["label"]) for r in rows])
    table = {"patient": [r["patient"] for r in rows], "xray": [f"{k}.jpg" for k in range(len(rows))], "sick": sick}
    path = folder / "xrays.csv"
    pl.DataFrame(table | records(sick, np.random.default_rng(0))).write_csv(path)
    return path


def records(sick: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Made-up records: degrees Celsius and log CRP half and three quarters of a standard deviation higher in the sick, age unrelated."""
    n = len(sick)
    return {
        "temperature": (37.4 + 0.8 * (0.5 * sick + rng.normal(size=n))).round(1),
        "crp": np.exp(2.5 + 0.75 * sick + rng.normal(size=n)).round(1),
        "age": rng.uniform(1, 6, n).round(1),
    }


def oasis_study(columns: tuple[str, ...], repeats: int, nets: bool, late: str = "fusion") -> Study:
    """CDR > 0 from the scan and these columns."""
    numbers = tuple(f"{c}=number" for c in ("Educ", "SES") if c in columns)
    size = "size=23+28+23," if nets else ""
    return Study(
        target=("CDR",), positive=">0", unit=("ID",), input=("mri", *columns), repeats=repeats, folds=5,
        column=(f"mri=volume:{size}shape=stretch,orientation=stored", *numbers),
        model=(late, *((NET, f"{NET},fusion=gated") if nets else ())), explain=False,
    )  # fmt: skip


def pneumonia_study(repeats: int) -> Study:
    """Pneumonia from the picture and the made-up records."""
    members = "logistic:inputs=table+spline:inputs=table+cnn:inputs=xray;" + PICTURES.partition(":")[2].replace(",", ";").replace(";hide=0.3", "")
    return Study(
        target=("sick",), unit=("patient",), column=("xray=image:size=28+28",), repeats=repeats, folds=3,
        model=(f"fusion:folds=3,repeats=1,members={members}", PICTURES, f"{PICTURES},fusion=gated"), explain=False,
    )  # fmt: skip


def told(name: str, path: Path, study: Study, folder: Path) -> Iterator[str]:
    """A fit's lines: every model, the paired differences of the best fused one, and which is kept."""
    start = time.process_time()
    run = osler.fit(path, folder / "run", study=study, workers=1, silent=True)
    scores, facts = run.scores["parts"]["cv"], run.scores["fusion"]
    yield f"{name}: {len(osler.read(path))} rows, {study.folds} folds x {study.repeats}, {time.process_time() - start:.0f} CPU s"
    for model in (m for m in scores if m != "baseline"):
        yield f"  {'fused ' if model not in facts['singles'] else 'alone '} {model}: AUROC {_shown(scores[model]['auroc'])}"
    for single, entry in facts["singles"].items():
        yield f"    {facts['fused']} minus {single}: {_shown(entry)}  p {entry['p_value']:.3g}"
    yield f"  nearest alone: {facts['best_single']}; kept: {facts['kept']}"


def _shown(entry: dict[str, Any]) -> str:
    return f"{entry['value']:.4f} ({entry['low']:.4f} to {entry['high']:.4f})"


def lines(name: str, repeats: int) -> Iterator[str]:
    """The lines of one part."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if name == "pneumonia":
            yield from told("pneumonia, records SIMULATED from the label", pneumonia(folder), pneumonia_study(1), folder)
            return
        nets = name.startswith("kinds")
        path = oasis(folder, GONE if name.endswith("gone") else 0.0)
        columns, late = {"all": ALL, "record": RECORD}.get(name, FEW), PULLED if name == "pulled" else "fusion"
        study = oasis_study(columns, 1 if nets else repeats, nets, late)
        yield from told(name, path, study, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=["oasis", "pulled", "record", "all", "gone", "kinds", "kinds_gone", "pneumonia"])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    for asked in given.only:
        for line in lines(asked, given.repeats):
            print(line, flush=True)
            if given.log:
                with given.log.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
