"""The pointing game: does the hottest voxel of a heat map lie on what the answer hangs on (Zhang et al., ECCV 2016)?

    OSLER_DATA_MIRROR=... python benchmarks/pointing.py [--only chest chest-dense brain hippocampus] [--methods gradients ...] [--log FILE]

What decides is known because it was planted: soft bright discs in real chest X-rays (112 x 112), soft bright balls in real MRI
of heads (OASIS, 46 x 55 x 46) and of the hippocampus (about 35 x 50 x 35). A network learns planted or not; half of the rows
are planted, at random places, sizes and strengths; people are kept apart. Asked are the planted rows of people that it never saw.
A hit is strict: the hottest voxel lies inside of the disc or ball, no tolerance. Intervals are 95 %, bootstrap over people. A planted
row that the network does not call planted is asked all the same. Networks and methods were settled with `--seed 1`, which plants
other lesions and asks other people.

Beside it: the same network with all weights random (what is hit by the shape of the network alone), the share of the picture
that the lesions cover (what a blind guess hits), and the rank correlation of trained and random maps.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osler import models
from osler.blocks import Block
from osler.evaluation import intervals, metrics
from osler.models.base import Encoded
from osler.tasks.base import Target

DATA = Path(os.environ.get("OSLER_DATA_MIRROR", ".")) / "imaging"
SPECS = {
    "chest": "cnn:kind=plain,filters=8,blocks=2,stages=4,epochs=16,batch_size=32,dropout=0,precision=bf16",
    "chest-dense": "cnn:kind=densenet,filters=8,stages=3,epochs=16,batch_size=32,dropout=0,precision=bf16",
    "brain": "cnn:kind=densenet,filters=8,blocks=1,stages=2,epochs=18,batch_size=8,learning_rate=0.005,dropout=0,augment=none,precision=bf16",
    "hippocampus": "cnn:kind=densenet,filters=8,blocks=1,stages=3,epochs=16,batch_size=8,learning_rate=0.005,dropout=0,augment=none,precision=bf16",
}
METHODS = ("gradients", "smooth", "path-cam", "fused", "layer-cam", "grad-cam", "grad-cam++")
#: Planted rows that are asked at most; fewer of volumes, whose maps take longer.
MOST = {2: 200, 3: 60}
#: Rows of each person, half of them planted; share of people who are asked and not learnt from.
VERSIONS = {"chest": 1, "brain": 4, "hippocampus": 6}
ASKED = 0.3
SIDE = 112


@dataclass(frozen=True)
class Planted:
    """Rows with and without a lesion: values (n, 1, [z,] y, x), labels, people (codes) and the lesions (n, [z,] y, x) bool."""

    values: np.ndarray
    y: np.ndarray
    people: np.ndarray
    lesions: np.ndarray

    def encoded(self, rows: np.ndarray) -> Encoded:
        """Some rows as a model sees them."""
        block = Block("grid", {"values": self.values[rows]}, np.ones(len(rows), dtype=bool), ("grey",))
        target = Target("binary", ("planted",), self.y[rows].astype(np.int64), classes=("no", "yes"))
        return Encoded({"scan": block}, target, self.people[rows])


def chest() -> tuple[list[np.ndarray], np.ndarray]:
    """X-rays and people."""
    from PIL import Image

    with zipfile.ZipFile(DATA / "cxr_pneumonia_kermany_224.zip") as archive:
        listed = next(n for n in archive.namelist() if n.endswith("labels.csv"))
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(listed), "utf-8")))
        folder = listed.removesuffix("labels.csv")
        whole = [Image.open(io.BytesIO(archive.read(folder + r["path"]))).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for r in rows]
    return [np.asarray(p, dtype=np.float32) for p in whole], np.unique([r["patient"] for r in rows], return_inverse=True)[1]


def brain() -> tuple[list[np.ndarray], np.ndarray]:
    """Heads of the OASIS study, one each."""
    with np.load(DATA / "oasis1_mri_4mm.npz", allow_pickle=False) as held:
        return list(held["image"].astype(np.float32)), np.arange(len(held["image"]))


def hippocampus() -> tuple[list[np.ndarray], np.ndarray]:
    """The crops, put in the middle of (32, 48, 32), in the axes of their files."""
    import nibabel

    found = []
    with zipfile.ZipFile(DATA / "msd_task04_hippocampus_90.zip") as archive:
        for name in sorted(n for n in archive.namelist() if "imagesTr" in n and n.endswith(".nii.gz")):
            import gzip

            values = nibabel.Nifti1Image.from_bytes(gzip.decompress(archive.read(name))).get_fdata(dtype=np.float32).T
            found.append(_middle(255 * values / np.percentile(values, 99.5), (32, 48, 32)))
    return found, np.arange(len(found))


def _middle(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, np.float32)
    spans = [(max(0, (a - b) // 2), max(0, (b - a) // 2), min(a, b)) for a, b in zip(values.shape, shape)]
    out[tuple(slice(t, t + n) for _, t, n in spans)] = values[tuple(slice(f, f + n) for f, _, n in spans)]
    return out


def planted(name: str, rng: np.random.Generator) -> Planted:
    """Every person's rows, planted and not."""
    kind = name.partition("-")[0]
    scans, people = {"chest": chest, "brain": brain, "hippocampus": hippocampus}[kind]()
    values, y, who, lesions = [], [], [], []
    for scan, person in zip(scans, people):
        for version in range(VERSIONS[kind]):
            sick = bool(rng.random() < 0.5) if VERSIONS[kind] == 1 else version % 2 == 0
            made, lesion = _plant(scan, rng) if sick else (scan, np.zeros(scan.shape, dtype=bool))
            values.append(np.clip(made, 0, 255)[None])
            y.append(sick)
            who.append(person)
            lesions.append(lesion)
    return Planted(np.stack(values).astype(np.float32), np.array(y), np.array(who), np.stack(lesions))


def _plant(scan: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A scan with a soft bright ball where there is tissue in its middle half, and where it is."""
    inner = np.zeros(scan.shape, dtype=bool)
    inner[tuple(slice(n // 5, n - n // 5) for n in scan.shape)] = True
    places = np.argwhere(inner & (scan > 0.25 * np.percentile(scan, 99)) & (scan < (180 if scan.ndim == 2 else 130)))
    middle = places[rng.integers(len(places))]
    radius = rng.uniform(4, 7) if scan.ndim == 2 else rng.uniform(3, 4.5)
    away = np.sqrt(sum((axis - m) ** 2 for axis, m in zip(np.ogrid[tuple(map(slice, scan.shape))], middle)))
    strength = rng.uniform(50, 90) if scan.ndim == 2 else rng.uniform(100, 140)
    bright = strength * np.clip((radius + 1 - away) / 2, 0, 1)
    return scan + bright, away <= radius


def _rate(hit: np.ndarray, people: np.ndarray) -> str:
    rng = np.random.default_rng(0)
    value = float(metrics.average(hit, None))
    drawn = np.concatenate([metrics.average(hit, w) for w in intervals.bootstrap_weights(people, len(people), 1000, rng)])
    low, high = intervals.percentile(value, drawn)
    return f"{100 * value:5.1f} % ({100 * low:.1f}-{100 * high:.1f})"


def game(name: str, seed: int, methods: Sequence[str] = METHODS) -> Iterator[str]:
    """The lines of one kind of scan."""
    from osler.explanation.heat import PictureNets, heat_maps
    from osler.explanation.sanity import check, layers, randomise, rank_correlation
    from osler.explanation.scales import Scale

    rng, start = np.random.default_rng(seed), time.process_time()
    rows = planted(name, rng)
    kept = rng.permutation(np.unique(rows.people))
    asked = np.isin(rows.people, kept[: round(ASKED * len(kept))])
    model = models.get(SPECS[name])
    params = model.fit(rows.encoded(np.flatnonzero(~asked)), np.random.default_rng(seed))
    test = rows.encoded(np.flatnonzero(asked))
    auroc = float(metrics.auroc(test.target.y, model.predict(params, test.blocks).value[:, 1]))
    yield f"{name}: {SPECS[name]}"
    yield f"  {int((~asked).sum())} rows to learn from, {int(asked.sum())} held out of other people, AUROC {auroc:.3f}, {time.process_time() - start:.0f} CPU s"
    sick = np.flatnonzero(asked & rows.y)[: MOST[rows.lesions.ndim - 1]]
    lesions, people = rows.lesions[sick], rows.people[sick]
    blocks = rows.encoded(sick).blocks
    yield f"  asked: {len(sick)} planted rows; a blind guess hits {100 * float(lesions.mean()):.2f} %"
    for method in methods:
        start = time.process_time()
        nets = PictureNets(params, blocks, "scan", Scale("log-odds", 1))
        maps = heat_maps(nets, method, np.random.default_rng(seed))
        seconds = time.process_time() - start
        for net, encoder in zip(nets.nets, (nets.encoder(i) for i in range(len(nets.nets)))):
            for _, layer in layers(net, encoder):
                randomise(layer, rng)
        floor = heat_maps(nets, method, np.random.default_rng(seed))
        like = np.mean([rank_correlation(a, b) for a, b in zip(maps, floor)])
        said = [_rate(_hits(m, lesions), people) for m in (maps, floor)]
        inside = np.mean([m[l].sum() / max(m.sum(), 1e-9) for m, l in zip(maps, lesions)])
        yield (
            f"  {method:10} hits {said[0]}   random weights {said[1]}   heat inside {100 * inside:4.1f} %   "
            f"rank correlation {like:+.2f}   {1000 * seconds / len(sick):.0f} CPU ms a scan"
        )
    few = {"scan": blocks["scan"].take(np.arange(8))}
    found = check(PictureNets(params, few, "scan", Scale("log-odds", 1)), "gradients", rng)
    yield "  layer by layer: " + ", ".join(f"{name} {value:+.2f}" for name, value in zip(found.layers, found.correlations))


def _hits(maps: np.ndarray, lesions: np.ndarray) -> np.ndarray:
    flat = maps.reshape(len(maps), -1)
    on = lesions.reshape(len(maps), -1)[np.arange(len(maps)), flat.argmax(axis=1)]
    return (on & (flat.max(axis=1) > 0)).astype(float)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(SPECS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    for which in given.only:
        for line in game(which, given.seed, given.methods):
            print(line, flush=True)
            if given.log:
                with given.log.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
