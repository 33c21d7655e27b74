"""The peer's half of benchmarks/dmpnn.py: runs under an environment with chemprop 2, one thread.

    python chemprop_fit.py split FOLDER     FOLDER/task.json: deal rows by balanced scaffolds, write FOLDER/split.json
    python chemprop_fit.py fit FOLDER       fit FOLDER/task.json on FOLDER/split.json; write FOLDER/answers.json

Chemprop's defaults (300 wide, three states, sum over 100, one layer of 300, batches of 64, rate 1e-4 to 1e-3 to 1e-4),
the epoch with the best validation loss kept, graphs made once.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from chemprop import data, featurizers, models, nn
from lightning import pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint


def split(folder: Path) -> None:
    """Training, validation and test rows by chemprop's `scaffold_balanced`, 80:10:10."""
    task = json.loads((folder / "task.json").read_text())
    mols = [data.MoleculeDatapoint.from_smi(s).mol for s in task["smiles"]]
    parts = data.make_split_indices(mols, "scaffold_balanced", (0.8, 0.1, 0.1), seed=task["seed"])
    names = ("train", "validation", "test")
    (folder / "split.json").write_text(json.dumps({k: [int(i) for i in p[0]] for k, p in zip(names, parts)}))


def fit(folder: Path) -> None:
    """Answers for the test rows, and CPU seconds of graphs, training and prediction."""
    task, parts = (json.loads((folder / f"{name}.json").read_text()) for name in ("task", "split"))
    torch.set_num_threads(1)
    pl.seed_everything(task["seed"])
    start = time.process_time()
    points = [data.MoleculeDatapoint.from_smi(s, [y]) for s, y in zip(task["smiles"], task["y"])]
    sets = {}
    for name, rows in parts.items():
        sets[name] = data.MoleculeDataset([points[i] for i in rows], featurizers.SimpleMoleculeMolGraphFeaturizer())
    transform = None
    if task["kind"] == "regression":
        scaler = sets["train"].normalize_targets()
        sets["validation"].normalize_targets(scaler)
        transform = nn.UnscaleTransform.from_standard_scaler(scaler)
    for one in sets.values():
        one.cache = True
    loaders = {k: data.build_dataloader(s, 64, num_workers=0, shuffle=k == "train") for k, s in sets.items()}
    head = nn.RegressionFFN if task["kind"] == "regression" else nn.BinaryClassificationFFN
    given = {"output_transform": transform} if transform is not None else {}
    net = models.MPNN(nn.BondMessagePassing(), nn.NormAggregation(), head(**given))
    keep = ModelCheckpoint(folder / "kept", "best", "val_loss", mode="min")
    trainer = pl.Trainer(
        max_epochs=task["epochs"], accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[keep]
    )
    trainer.fit(net, loaders["train"], loaders["validation"])
    found = trainer.predict(net, loaders["test"], ckpt_path=keep.best_model_path, weights_only=False)
    answer = torch.cat(found).numpy()
    cpu = time.process_time() - start
    (folder / "answers.json").write_text(json.dumps({"value": np.ravel(answer).tolist(), "cpu_s": cpu}))


if __name__ == "__main__":
    {"split": split, "fit": fit}[sys.argv[1]](Path(sys.argv[2]))
