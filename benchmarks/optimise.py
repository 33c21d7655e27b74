"""hERG block down with lipophilicity kept: is the gain real, or only the searched model's?

    OSLER_DATA_MIRROR=FOLDER python benchmarks/optimise.py fit WORK
    OSLER_DATA_MIRROR=FOLDER python benchmarks/optimise.py search WORK [--budget 500] [--leads LEAD ...] [--ways WAY ...]

`fit`: the hERG table (9,673 molecules, block or not) is cut in two halves that share no scaffold; the leads are in neither. A boosting on
the first half is the one that is searched; a forest on the second half, another kind of model on other features that saw none of its
molecules, is the second opinion. Both, and a boosting of logD on Lipophilicity, are ordinary runs (`osler fit`, scaffold folds).

`search`: from each of six known blockers (two of them withdrawn for it) a search for a low probability of block, logD within 0.5 of the
lead's, Tanimoto similarity at least 0.4, SA at most 4.5. Ways: `both` (genetic and edits, with caution and domain, the defaults), `genetic`,
`edits`, and `careless` (both, without caution or domain); `forest` searches a forest on the first half;
`consensus` wants boosting and forest low together. Printed for the best molecule and for the mean of the 24 best: the searched model's
probability, the second opinion's, logD, similarity. The second opinion of 300 random near neighbours (similarity at least 0.4,
one to three random changes of the lead) stands beside it: what changing the lead at all would give.

Lines are added to benchmarks/logs/optimise.txt.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np
import polars as pl

import osler
from osler.adapters.rdkit import evolution
from osler.adapters.rdkit.fragments import canonical
from osler.adapters.rdkit.parse import parse
from osler.adapters.rdkit.scaffolds import scaffold
from osler.engine.optimising.judging import Judging
from osler.engine.optimising.optimise import optimise
from osler.engine.optimising.options import OptimiseOptions

DATA = Path(os.environ["OSLER_DATA_MIRROR"]) / "drugs"
LOG = Path(__file__).parent / "logs" / "optimise.txt"
LEADS = {
    "terfenadine": "OC(CCCN1CCC(CC1)C(O)(c1ccccc1)c1ccccc1)c1ccc(cc1)C(C)(C)C",
    "astemizole": "COc1ccc(CCN2CCC(Nc3nc4ccccc4n3Cc3ccc(F)cc3)CC2)cc1",
    "haloperidol": "O=C(CCCN1CCC(O)(c2ccc(Cl)cc2)CC1)c1ccc(F)cc1",
    "sertindole": "Fc1ccc(cc1)-n1cc(C2CCN(CCN3CCNC3=O)CC2)c2cc(Cl)ccc12",
    "pimozide": "Fc1ccc(cc1)C(CCCN1CCC(CC1)n1c(=O)[nH]c2ccccc12)c1ccc(F)cc1",
    "thioridazine": "CSc1ccc2Sc3ccccc3N(CCC3CCCCN3C)c2c1",
}
WAYS = {
    "both": {}, "genetic": {"method": ("genetic",)}, "edits": {"method": ("edits",)}, "careless": {"caution": 0.0, "domain": "ignore"},
    "forest": {}, "consensus": {},
}  # fmt: skip
BLOCK, LOGD = "hERG_prob_1", "exp_pred"


def say(text: str) -> None:
    """Print a line and add it to the log."""
    print(text, flush=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def flat(smiles: str) -> str:
    """The molecule without stereo, "" for none."""
    mol = parse(smiles).mol
    return "" if mol is None else canonical(parse(canonical(mol).replace("@", "").replace("/", "").replace("\\", "")).mol or mol)


def halves(work: Path) -> None:
    """Two tables without a shared scaffold and without the leads."""
    table = pl.read_csv(DATA / "admet2025_herg.csv.gz")
    leads = {flat(s) for s in LEADS.values()}
    own = np.array([flat(s) in leads for s in table["smiles"]])
    marks = np.array([scaffold(m) if (m := parse(s).mol) is not None else "" for s in table["smiles"]])
    names = np.unique(marks)
    first = np.isin(marks, names[np.random.default_rng(5).permutation(len(names))[: len(names) // 2]])
    for name, rows in (("herg_a", first & ~own), ("herg_b", ~first & ~own)):
        table.filter(pl.Series(rows)).write_csv(work / f"{name}.csv")
        say(f"{name}: {rows.sum():,} molecules, {table['hERG'].to_numpy()[rows].mean():.3f} of them block")
    say(f"left out as leads: {own.sum()} rows")


def fit(work: Path) -> None:
    """The three runs."""
    halves(work)
    asked = {"input": ("smiles",), "unit": ("scaffold",), "explain": False, "boot": 50, "folds": 2}
    for name, source, target, model, features in (
        ("run_herg", work / "herg_a.csv", "hERG", "boosting", "fast"), ("run_herg_b", work / "herg_b.csv", "hERG", "forest", "ecfp6+descriptors"),
        ("run_herg_forest", work / "herg_a.csv", "hERG", "forest", "fast"), ("run_logd", DATA / "lipophilicity.csv", "exp", "boosting", "fast"),
    ):  # fmt: skip
        if not (work / name).exists():
            start = time.process_time()
            column = (f"smiles=molecule:features={features}",)
            run = osler.fit(source, work / name, target=(target,), model=(model,), column=column, workers=1, silent=True, **asked)
            measures = run.scores["parts"]["cv"][model]
            found = {key: round(measures[key]["value"], 3) for key in ("auroc", "rmse", "mae") if key in measures}
            say(f"{name}: {model} on {features}, {time.process_time() - start:.0f} CPU s {found}")


def neighbours(lead: str, judging: Judging) -> list[str]:
    """300 random near neighbours of the lead."""
    rng, found = np.random.default_rng(11), dict[str, None]()
    while len(found) < 300:
        mol = parse(lead).mol
        for _ in range(int(rng.integers(1, 4))):
            made = evolution.mutate(mol, rng)
            mol = mol if made is None else made[0]
        if not judging.why_not(mol):
            found[canonical(mol)] = None
    return list(found)


def judges(work: Path, way: str) -> dict:
    """Runs and aim of a way."""
    logd, boosting, forest = (str(work / name) for name in ("run_logd", "run_herg", "run_herg_forest"))
    if way == "consensus":
        return {"run": (boosting, forest, logd), "minimise": (f"run_herg_{BLOCK}:1:0", f"run_herg_forest_{BLOCK}:1:0")}
    return {"run": (forest if "forest" in way else boosting, logd)}


def search(work: Path, budget: int, leads: list[str], ways: list[str]) -> None:
    """These leads, these ways."""
    say(f"{time.strftime('%Y-%m-%d')} {platform.machine()}, one thread, budget {budget} each; probability of block: searched model / second opinion")
    second = Judging(OptimiseOptions(run=(str(work / "run_herg_b"),), minimise=(BLOCK,), domain="ignore"))
    for name in leads:
        lead = LEADS[name]
        base = {"run": (str(work / "run_herg"), str(work / "run_logd")), "minimise": (BLOCK,), "lead": lead, "keep": (f"{LOGD}:0.5",),
                "keep_similar": 0.4, "budget": budget, "seed": 1}  # fmt: skip
        judging = Judging(OptimiseOptions(**base))
        own = judging.rows([lead])[0]
        around = neighbours(lead, judging)
        near = [np.mean([row[BLOCK] for row in judge.rows(around)]) for judge in (judging, second)]
        say(f"{name}: lead {own[BLOCK]:.2f} / {second.rows([lead])[0][BLOCK]:.2f}, logD {own[LOGD]:.2f}; "
            f"300 random neighbours {near[0]:.2f} / {near[1]:.2f}")  # fmt: skip
        for way in ways:
            start = time.process_time()
            out = work / f"{name}_{way.replace(', ', '_')}"
            found = optimise(out, OptimiseOptions(**base | judges(work, way) | WAYS[way]))
            best = found.best.filter(pl.col("unmet") == 0)
            spent = time.process_time() - start
            if not len(best):
                say(f"  {way}: no molecule meets every condition ({found.facts['scored']} scored, {spent:.0f} CPU s)")
                continue
            block = next(c for c in best.columns if c.endswith(BLOCK))
            doubted = np.array([row[BLOCK] for row in second.rows(best["smiles"].to_list())])
            top = best.row(0, named=True)
            say(f"  {way}: best {top[block]:.2f} / {doubted[0]:.2f}, logD {top[LOGD]:.2f}, similarity {top['similarity']:.2f}, SA {top['sa']:.1f} "
                f"({top['change']}); {len(best)} best: {best[block].mean():.2f} / {doubted.mean():.2f}, logD {best[LOGD].mean():.2f}, "
                f"similarity {best['similarity'].mean():.2f}; {found.facts['scored']} scored, "
                f"{found.facts['meet_every_condition']} meet all, {spent:.0f} CPU s")  # fmt: skip
            say(f"    {top['smiles']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", choices=("fit", "search"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--budget", type=int, default=500)
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--leads", nargs="*", choices=list(LEADS), default=list(LEADS))
    given = parser.parse_args()
    LOG.parent.mkdir(exist_ok=True)
    given.work.mkdir(parents=True, exist_ok=True)
    if given.stage == "fit":
        fit(given.work)
    else:
        search(given.work, given.budget, given.leads, given.ways)
