"""Properties of molecules by the default model, beside a random forest on Morgan bits, on published splits where they exist.

    OSLER_DATA_MIRROR=... python benchmarks/molecules.py [--only tdc scaffold moleculeace] [--no-peer] [--log benchmarks/logs/molecules.txt]

tdc          TDC's test parts of endpoints whose training part can be rebuilt (the whole table without the test molecules, by
             canonical SMILES): MAE or AUROC beside MapLight's row of the leaderboard (Notwell and Wood 2023, table 1).
scaffold     sets without a published split: 80/20 by scaffold, scaffolds dealt by a fixed seed.
moleculeace  the 30 targets with their own splits (van Tilborg, Alenicheva and Grisoni 2022): RMSE, and RMSE on activity cliffs.

One thread. CPU seconds hold features, fit and answer. Nothing is chosen on a test part.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from osler import modalities, models
from osler.cohort.column import Column
from osler.evaluation.metrics import auroc
from osler.models.base import Encoded
from osler.tasks.base import Target

Say = Callable[[str], None]
#: What `osler fit` answers with where a table has a column of molecules and no model is named.
MODEL = "ensemble:members=boosting+gaussian_process"


@dataclass(frozen=True)
class Part:
    """Molecules and what was measured: `smiles` and `y`, n of each."""

    smiles: list[str]
    y: np.ndarray


def drugs() -> Path:
    """The folder of the data."""
    return Path(os.environ["OSLER_DATA_MIRROR"]) / "drugs"


def canonical(smiles: list[str]) -> list[str | None]:
    """Canonical SMILES, None where RDKit reads none."""
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")
    return [Chem.MolToSmiles(m) if (m := Chem.MolFromSmiles(s)) is not None else None for s in smiles]


# -- the two models ------------------------------------------------------------------------------------------------------


def osler(train: Part, test: Part, binary: bool, spec: str = MODEL) -> tuple[np.ndarray, float]:
    """(answers for the test part, CPU seconds)."""
    start = time.process_time()
    modality, column = modalities.get("molecule"), Column("smiles", "molecule")
    values, held = pl.Series(train.smiles), pl.Series(test.smiles)
    state = modality.fit(values, column)
    kind = ("binary", train.y.astype(np.int64), ("0", "1")) if binary else ("regression", train.y, ())
    target = Target(kind[0], ("y",), kind[1], classes=kind[2])
    groups = np.unique(modality.units("scaffold", values).fill_null("").to_numpy(), return_inverse=True)[1]
    estimator = models.get(spec)
    data = Encoded({"smiles": modality.encode(values, state)}, target, groups)
    params = estimator.fit(data, np.random.default_rng(0))
    answer = estimator.predict(params, {"smiles": modality.encode(held, state)}).value[:, -1]
    return answer, time.process_time() - start


def forest(train: Part, test: Part, binary: bool) -> tuple[np.ndarray, float]:
    """The field's plain baseline: 500 trees of scikit-learn on 2,048 Morgan counts of radius 2 and RDKit's descriptors."""
    from rdkit import Chem
    from rdkit.Chem import Descriptors
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    start = time.process_time()
    make = GetMorganGenerator(radius=2, fpSize=2048)

    def features(part: Part) -> np.ndarray:
        mols = [Chem.MolFromSmiles(s) for s in part.smiles]
        rest = np.array([[value for value in Descriptors.CalcMolDescriptors(m).values()] for m in mols], dtype=np.float64)
        counts = np.array([make.GetCountFingerprintAsNumPy(m) for m in mols])
        return np.hstack([counts, np.clip(np.nan_to_num(rest), -1e6, 1e6)])

    model = (RandomForestClassifier if binary else RandomForestRegressor)(500, random_state=0, n_jobs=1)
    if not binary:
        model.set_params(max_features=0.33)
    model.fit(features(train), train.y)
    X = features(test)
    return model.predict_proba(X)[:, 1] if binary else model.predict(X), time.process_time() - start


def compare(say: Say, name: str, train: Part, test: Part, binary: bool, more: str = "") -> None:
    """One line: both models on one split, the paired difference with its 95 % bootstrap interval."""
    ours, cpu = osler(train, test, binary)
    theirs, peer_cpu = forest(train, test, binary)
    score = (lambda y, a: auroc(y.astype(int), a)) if binary else (lambda y, a: float(np.abs(y - a).mean()))
    rng, gaps = np.random.default_rng(0), []
    for _ in range(1000):
        rows = rng.integers(0, len(test.y), len(test.y))
        if not binary or 0 < test.y[rows].sum() < len(rows):
            gaps.append(score(test.y[rows], ours[rows]) - score(test.y[rows], theirs[rows]))
    low, high = np.quantile(gaps, [0.025, 0.975])
    measure = "AUROC" if binary else "MAE  "
    say(
        f"  {name:<28} {len(train.y):>6}+{len(test.y):<5} {measure} osler {score(test.y, ours):.4f} ({cpu:6.1f} s)  forest "
        f"{score(test.y, theirs):.4f} ({peer_cpu:6.1f} s)  difference {low:+.4f} to {high:+.4f}  {more}"
    )


# -- the splits ----------------------------------------------------------------------------------------------------------


def readable(smiles: list[str], y: np.ndarray) -> Part:
    """Without the molecules that do not read."""
    kept = [c is not None and np.isfinite(v) for c, v in zip(canonical(smiles), y)]
    return Part([s for s, k in zip(smiles, kept) if k], y[np.array(kept)])


def tdc(say: Say) -> None:
    """TDC's test parts whose training part can be rebuilt."""
    every = pl.read_csv(drugs() / "tdc_admet_test_splits.csv.gz")
    sources = {
        "lipophilicity_astrazeneca": ("lipophilicity.csv", "smiles", "exp", "MapLight 0.539"),
        "caco2_wang": ("tdc_caco2_wang.csv", "Drug", "Y", "MapLight 0.276"),
        "bbb_martins": ("bbbp.csv", "smiles", "p_np", "MapLight 0.913"),
    }
    say("TDC test parts (training part rebuilt from the whole table; for other endpoints only the test part is at hand)")
    for endpoint, (file, smiles, y, more) in sources.items():
        held = every.filter(pl.col("endpoint") == endpoint)
        test = readable(held["smiles"].to_list(), held["y_true"].cast(pl.Float64).to_numpy())
        table = pl.read_csv(drugs() / file)
        whole = readable(table[smiles].to_list(), table[y].cast(pl.Float64).to_numpy())
        gone = set(canonical(test.smiles))
        rows = [i for i, c in enumerate(canonical(whole.smiles)) if c not in gone]
        train = Part([whole.smiles[i] for i in rows], whole.y[rows])
        compare(say, endpoint, train, test, endpoint == "bbb_martins", more)


def scaffold(say: Say) -> None:
    """Sets without a published split."""
    sources = {
        "hERG": ("admet2025_herg.csv.gz", "hERG"), "mutagenicity (Ames)": ("admet2025_mutagenicity.csv.gz", None),
        "HLM stability": ("admet2025_hlm_metabolic_stability.csv.gz", None),
        "oral bioavailability": ("admet2025_oral_bioavailability.csv.gz", None),
        "BACE": ("bace.csv.gz", "Class"), "ClinTox": ("clintox.csv", "CT_TOX"), "ESOL": ("esol_delaney.csv", "measured log solubility in mols per litre"),
    }  # fmt: skip
    say("80/20 by scaffold (Bemis and Murcko), dealt by seed 0; no published row has this split")
    for name, (file, y) in sources.items():
        table = pl.read_csv(drugs() / file)
        smiles = next(c for c in table.columns if c.lower() in ("smiles", "mol"))
        y = y or next(c for c in table.columns if c != smiles)
        whole = readable(table[smiles].to_list(), table[y].cast(pl.Float64).to_numpy())
        units = modalities.get("molecule").units("scaffold", pl.Series(whole.smiles)).fill_null("").to_numpy()
        codes = np.unique(units, return_inverse=True)[1]
        place = np.random.default_rng(0).permutation(codes.max() + 1)[codes]
        size = np.bincount(place)
        test_rows = np.cumsum(size)[place] <= 0.2 * len(codes)
        train, test = (Part([s for s, k in zip(whole.smiles, rows) if k], whole.y[rows]) for rows in (~test_rows, test_rows))
        compare(say, name, train, test, name != "ESOL")


def moleculeace(say: Say, peer: bool = True) -> None:
    """The 30 targets and their mean; without the peer only ours."""
    table = pl.read_csv(drugs() / "moleculeace.csv.gz")
    rows = []
    say("MoleculeACE, its own splits: RMSE of pKi or pEC50 (random forest on Morgan 0.694, CheMeleon 0.666 published)")
    for target in table["target"].unique().sort():
        part = table.filter(pl.col("target") == target)
        train, test = (part.filter(pl.col("split") == side) for side in ("train", "test"))
        sides = [Part(p["smiles"].to_list(), p["y [pEC50/pKi]"].to_numpy()) for p in (train, test)]
        cliff = test["cliff_mol"].to_numpy() == 1
        found = []
        for model in (osler, forest) if peer else (osler,):
            answer, cpu = model(*sides, False)
            error = (answer - sides[1].y) ** 2
            found += [float(np.sqrt(error.mean())), float(np.sqrt(error[cliff].mean())), cpu]
        rows.append(found)
        theirs = f"  forest {found[3]:.3f} cliffs {found[4]:.3f}" if peer else ""
        say(f"  {target:<18} {len(train):>5}+{len(test):<5} osler {found[0]:.3f} cliffs {found[1]:.3f}{theirs}")
    mean = np.mean(rows, axis=0)
    if not peer:
        say(f"  mean of {len(rows)}: osler {mean[0]:.4f} (cliffs {mean[1]:.4f}); CPU s {np.sum(rows, axis=0)[2]:.0f}")
        return
    better = int((np.array(rows)[:, 0] < np.array(rows)[:, 3]).sum())
    say(
        f"  mean of {len(rows)}: osler {mean[0]:.4f} (cliffs {mean[1]:.4f}), forest {mean[3]:.4f} (cliffs {mean[4]:.4f}); osler better on "
        f"{better}; CPU s {np.sum(rows, axis=0)[2]:.0f} and {np.sum(rows, axis=0)[5]:.0f}"
    )


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"tdc": tdc, "scaffold": scaffold, "moleculeace": moleculeace}
    parser.add_argument("--only", nargs="*", choices=list(parts), default=list(parts))
    parser.add_argument("--no-peer", action="store_true", help="moleculeace without the forest")
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    lines: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)
        if asked.log:
            asked.log.write_text("\n".join(lines) + "\n")

    for name in asked.only:
        if name == "moleculeace":
            moleculeace(say, peer=not asked.no_peer)
        else:
            parts[name](say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
