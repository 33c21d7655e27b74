"""Networks over molecules against chemprop: Lipophilicity and blood-brain-barrier penetration, same rows, one thread.

    OSLER_DATA_MIRROR=... python benchmarks/dmpnn.py --peer /path/to/peer/bin/python [--log benchmarks/logs/dmpnn.txt]
    OSLER_DATA_MIRROR=... python benchmarks/dmpnn.py --only esol lipophilicity --models smiles_rnn    (without the peer)

The peer's environment: pip install chemprop==2.2.4. Lipophilicity: the 840 test molecules of TDC's split, trained on
the others of the set (told apart by canonical SMILES); chemprop keeps a random tenth of the training rows to choose its
epoch. BBBP: chemprop's own scaffold-balanced 80:10:10 deal. The training and validation rows are one set for our
models. CPU seconds are those of features, training and prediction, imports not counted. Options were chosen on a
fifth of the scaffolds of Lipophilicity's training rows, for yes-or-no labels on those of BBBP's training parts; one
early look at Lipophilicity's test rows was taken while the code was written, and no option was chosen by it. Behind the
share of CPU seconds stands the 95 % bootstrap interval of our score minus the peer's.

Without --peer there are our lines only, and no BBBP, whose deal is the peer's. ESOL (--only esol, without the peer): rows of
a fifth of the scaffolds, drawn by the seed, are the test rows.

MoleculeACE (--only moleculeace): its 30 targets on their own splits, without the peer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from osler import modalities, models
from osler.adapters.rdkit.parse import parse_all
from osler.cohort.column import Column
from osler.evaluation.metrics import auroc
from osler.models.base import Encoded
from osler.tasks.base import Target

PEER = Path(__file__).parent / "peers" / "chemprop_fit.py"
SPECS = {
    "lipophilicity": ("boosting", "dmpnn", "dmpnn:members=2", "dmpnn:members=5"),
    "bbbp": ("boosting", "dmpnn", "dmpnn:members=3"),
    "esol": ("dmpnn", "smiles_rnn"),
}
BASE = "chemprop 2.2.4, 25 epochs"
DRUGS = Path(os.environ.get("OSLER_DATA_MIRROR", ".")) / "drugs"


def canonical(texts: list[str]) -> list[str | None]:
    """RDKit's canonical SMILES; None where a text is no molecule."""
    from rdkit import Chem

    return [None if p.mol is None else Chem.MolToSmiles(p.mol) for p in parse_all(texts)]


def lipophilicity(seed: int) -> tuple[dict, dict]:
    """The task, and TDC's split of it with a random tenth of the training rows for validation."""
    whole = pl.read_csv(DRUGS / "lipophilicity.csv")
    test = pl.read_csv(DRUGS / "tdc_admet_test_splits.csv.gz").filter(pl.col("endpoint") == "lipophilicity_astrazeneca")
    held = set(canonical(test["smiles"].to_list()))
    smiles = canonical(whole["smiles"].to_list())
    inside = np.array([s in held for s in smiles])
    others = np.random.default_rng(seed).permutation(np.flatnonzero(~inside))
    tenth = len(others) // 10
    split = {"train": others[tenth:], "validation": others[:tenth], "test": np.flatnonzero(inside)}
    task = {"smiles": smiles, "y": whole["exp"].to_list(), "kind": "regression", "seed": seed, "epochs": 25}
    return task, {k: np.sort(v).tolist() for k, v in split.items()}


def esol(seed: int) -> tuple[dict, dict]:
    """The task, and a fifth of its scaffolds as test rows."""
    whole = pl.read_csv(DRUGS / "esol_delaney.csv")
    smiles = canonical(whole["smiles"].to_list())
    scaffolds = modalities.get("molecule").units("scaffold", pl.Series("smiles", smiles)).fill_null("").to_numpy()
    known, which, counts = np.unique(scaffolds, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(known))
    inside = np.isin(which, order[counts[order].cumsum() <= len(smiles) / 5])
    y = whole["measured log solubility in mols per litre"].to_list()
    task = {"smiles": smiles, "y": y, "kind": "regression", "seed": seed, "epochs": 25}
    return task, {"train": np.flatnonzero(~inside).tolist(), "validation": [], "test": np.flatnonzero(inside).tolist()}


def bbbp(seed: int, peer: str, folder: Path) -> tuple[dict, dict]:
    """The task, and the peer's deal of it."""
    whole = pl.read_csv(DRUGS / "bbbp.csv")
    found = [(s, y) for s, y in zip(canonical(whole["smiles"].to_list()), whole["p_np"].to_list()) if s]
    task = {"smiles": [s for s, _ in found], "y": [y for _, y in found], "kind": "binary", "seed": seed, "epochs": 25}
    (folder / "task.json").write_text(json.dumps(task))
    run_peer(peer, "split", folder)
    return task, json.loads((folder / "split.json").read_text())


def run_peer(peer: str, what: str, folder: Path) -> None:
    """One call of the peer's script, one thread, its chatter dropped."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([peer, PEER, what, folder], check=True, cwd=folder, env=environment, capture_output=True)


def ours(spec: str, task: dict, split: dict) -> dict:
    """Our answer for the test rows, and its CPU seconds."""
    molecule, model, start = modalities.get("molecule"), models.get(spec), time.process_time()
    rows = np.array(split["train"] + split["validation"])
    text, y = np.array(task["smiles"]), np.array(task["y"])
    state = molecule.fit(pl.Series("smiles", text[rows].tolist()), Column("smiles", "molecule"))
    layout = model.prefers[0] if model.prefers else "dense"
    train, test = (
        {"smiles": molecule.encode_as(layout, pl.Series("smiles", text[part].tolist()), state)}
        for part in (rows, split["test"])
    )
    classes = ("0", "1") if task["kind"] == "binary" else ()
    target = Target(task["kind"], ("y",), y[rows], classes=classes)
    scaffolds = molecule.units("scaffold", pl.Series("smiles", text[rows].tolist())).fill_null("").to_numpy()
    groups = np.unique(scaffolds, return_inverse=True)[1]
    params = model.fit(Encoded(train, target, groups), np.random.default_rng(task["seed"]))
    value = model.predict(params, test).value[:, -1]
    return {"value": value.tolist(), "cpu_s": time.process_time() - start}


def score(task: dict, split: dict, answer: dict) -> float:
    """Mean absolute error, or AUROC."""
    y, value = np.array(task["y"])[split["test"]], np.array(answer["value"])
    if task["kind"] == "binary":
        return float(auroc(y.astype(int), value))
    return float(np.abs(y - value).mean())


def compared(name: str, seed: int, peer: str, specs: Sequence[str]) -> Iterator[str]:
    """The peer's line of one set, then one for each of our models, with its difference to the peer's; ours only without
    a peer.
    """
    with tempfile.TemporaryDirectory() as place:
        folder, base = Path(place), {}
        task, split = bbbp(seed, peer, folder) if name == "bbbp" else {"lipophilicity": lipophilicity, "esol": esol}[name](seed)
        if peer and name != "esol":
            (folder / "task.json").write_text(json.dumps(task))
            (folder / "split.json").write_text(json.dumps(split))
            run_peer(peer, "fit", folder)
            base = json.loads((folder / "answers.json").read_text())
            yield f"{name:14s} {seed:4d} {BASE:28s} {score(task, split, base):7.4f} {base['cpu_s']:7.1f}  1.00"
    for label in specs:
        answer = ours(label, task, split)
        line = f"{name:14s} {seed:4d} {label:28s} {score(task, split, answer):7.4f} {answer['cpu_s']:7.1f}"
        if base:
            line += "  {:.2f}  {:+.4f} to {:+.4f}".format(
                answer["cpu_s"] / base["cpu_s"], *difference(task, split, answer, base)
            )
        yield line


def difference(task: dict, split: dict, answer: dict, base: dict) -> tuple[float, float]:
    """95 % bootstrap interval of our score minus the peer's, over test rows."""
    rng, gaps = np.random.default_rng(0), []
    test = np.array(split["test"])
    while len(gaps) < 1000:
        at = rng.integers(0, len(test), len(test))
        drawn = {"test": test[at]}
        if task["kind"] == "binary" and len(set(np.array(task["y"])[drawn["test"]])) < 2:
            continue
        one, other = ({"value": np.array(a["value"])[at]} for a in (answer, base))
        gaps.append(score(task, drawn, one) - score(task, drawn, other))
    low, high = np.quantile(gaps, [0.025, 0.975])
    return float(low), float(high)


def moleculeace(spec: str, seed: int, first: int, last: int) -> Iterator[str]:
    """The 30 targets of MoleculeACE on their own splits (van Tilborg, Alenicheva and Grisoni 2022), then their mean.

    Published for chemprop's network trained from scratch: 0.832 (RMSE of pKi or pEC50).
    """
    table, found = pl.read_csv(DRUGS / "moleculeace.csv.gz"), []
    for target in table["target"].unique().sort()[first - 1 : last]:
        part = table.filter(pl.col("target") == target)
        side, y = part["split"].to_numpy(), part["y [pEC50/pKi]"].to_numpy()
        cliff = part["cliff_mol"].to_numpy()[side == "test"] == 1
        train, test = (np.flatnonzero(side == name).tolist() for name in ("train", "test"))
        split = {"train": train, "validation": [], "test": test}
        task = {"smiles": part["smiles"].to_list(), "y": y, "kind": "regression", "seed": seed}
        answer = ours(spec, task, split)
        error = (np.array(answer["value"]) - y[side == "test"]) ** 2
        found.append((np.sqrt(error.mean()), np.sqrt(error[cliff].mean()), answer["cpu_s"]))
        yield f"{target:18s} {seed:4d} {spec:28s} {found[-1][0]:7.4f} {found[-1][2]:7.1f}  cliffs {found[-1][1]:.4f}"
    mean = np.mean(found, axis=0)
    total = len(found) * mean[2]
    yield f"{f'mean of {len(found)}':18s} {seed:4d} {spec:28s} {mean[0]:7.4f} {total:7.1f}  cliffs {mean[1]:.4f}"


def main() -> None:
    """The sets; a line per model and seed, written as it comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", default="", help="python of an environment with chemprop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", choices=[*SPECS, "moleculeace"], default=["lipophilicity", "bbbp"])
    parser.add_argument("--models", nargs="+", help="instead of the usual ones")
    parser.add_argument("--targets", type=int, nargs=2, default=(1, 30), help="first and last of MoleculeACE, by name")
    parser.add_argument("--log", type=Path, help="lines are added at its end")
    given = parser.parse_args()
    if "bbbp" in given.only and not given.peer:
        parser.error("the deal of bbbp is the peer's: name --peer, or leave bbbp out")
    head = f"{'set':14s} {'seed':>4s} {'model':28s} {'score':>7s} {'CPU s':>7s}  CPU s / chemprop, difference (95 %)"
    lines = ["Score: mean absolute error of Lipophilicity and ESOL, AUROC of BBBP.", "", head]
    if given.log and given.log.exists():
        lines = given.log.read_text(encoding="utf-8").splitlines()
    else:
        print(*lines, sep="\n")
    for name in given.only:
        for seed in given.seeds:
            specs = given.models or SPECS.get(name, ("dmpnn",))
            each = compared(name, seed, given.peer, specs)
            if name == "moleculeace":
                each = moleculeace(specs[0], seed, *given.targets)
            for line in each:
                lines.append(line)
                print(line, flush=True)
                if given.log:
                    given.log.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
