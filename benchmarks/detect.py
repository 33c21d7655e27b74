"""Things found in pictures and volumes, on one thread: blood cells, nuclei with their masks, and lesions planted in real CTs.

    OSLER_DATA_MIRROR=... python benchmarks/detect.py [--only cells lesions nuclei] [--log FILE]
    OSLER_DATA_MIRROR=... python benchmarks/detect.py --only cells --spec SPEC      (another model)

Cells: BCCD, the first 120 smears by name (360 in the whole set), Pascal VOC boxes of red cells, white cells and platelets; 90 learn and 30 are asked,
by the SHA-256 of their names. Its annotators left red cells unmarked, which no detector can know. While the code was written the 30 test pictures were
asked five times, to compare the grid (20 % or 36 % of the pixels) and the rule of assignment (ATSS with and without its spread, which stayed as published).

Nuclei: 140 fluorescence pictures of the Data Science Bowl 2018, 100 learn, 40 are asked, by the SHA-256 of their names (the same as in segmentation.py).
Mean over pictures of found / (found + missed + invented) at an overlap of masks of 0.5, as in the challenge, beside Otsu's threshold with a watershed.
With `--inner` the last quarter of the 100 is asked instead and the others learn: what options were chosen by.

Lesions: two real body CTs, one of 30 slices at 3 mm, the other of 20 slices at 1 x 1 x 2 mm (a DICOM series); ellipsoids of 6 to 18 mm with blurred edges
are planted at random where TotalSegmentator's masks say lung (-450 to 120 HU), liver or spleen (50 to 120 HU above or below what is there), up to four
per scan, and noise of 12 HU is laid over all. **They are planted**, and each part has one background: 120 scans made from the first CT learn, 60 made from
the other are asked, so no background, resolution or slice of a test scan was learnt from; nobody says whether both are of one patient. A found box
is a hit as in LUNA16: its centre lies in the thing. Also counted: what is found on the second CT without anything planted, and how many are found in 30 other
plantings on the first CT, whose background was learnt. The first CT was taken without a contrast agent, the second with one: its vessels are brighter than
its liver, as many a planted thing is. Such a figure says that the method finds blurred balls in organs; it says nothing about nodules or tumours of patients.

Intervals are 95 %, bootstrap over pictures or scans.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from osler import models
from osler.adapters.imaging import labels, scan
from osler.adapters.imaging.scan import Scan
from osler.evaluation import froc
from osler.modalities import boxforms
from osler.scenes import Asked, Boxes, Drawing, HeldScenes, Scene, boxes_of

DATA = Path(os.environ.get("OSLER_DATA_MIRROR", ".")) / "imaging"
SPECS = {
    "cells": "retina:epochs=12,precision=bf16",
    "lesions": "retina",
    "nuclei": "rcnn:steps=680,learning_rate=0.003,precision=bf16",
}
CELLS = ("Platelets", "RBC", "WBC")
#: TotalSegmentator's numbers of spleen, liver and the lobes of the lungs.
ORGANS = (1, 5, 10, 11, 12, 13, 14)


def hashed(names: list[str], n: int) -> tuple[list[str], list[str]]:
    """The first n names by their SHA-256, and the others."""
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return order[:n], order[n:]


def picture(data: bytes) -> np.ndarray:
    """(c, y, x) float32."""
    from PIL import Image

    values = np.asarray(Image.open(io.BytesIO(data)))
    return (values[None] if values.ndim == 2 else values.transpose(2, 0, 1)).astype(np.float32)


def cells(folder: Path) -> tuple[HeldScenes, HeldScenes]:
    """Blood smears with their boxes."""
    with zipfile.ZipFile(DATA / "bccd_boxes_120.zip") as archive:
        archive.extractall(folder)
    root = folder / "BCCD"
    asked = Asked("detection", CELLS, 2, ("red", "green", "blue"))

    def scene(name: str) -> Scene:
        written = boxforms.voc(root / "Annotations" / f"{name}.xml")
        values = picture((root / "JPEGImages" / f"{name}.jpg").read_bytes())
        corners = np.clip(written.corners, 0, np.tile(values.shape[1:], 2))
        fine = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        codes = np.array([CELLS.index(c) for c in written.classes])
        return Scene(values, np.full(2, np.nan), np.eye(4), Drawing(boxes=Boxes(corners[fine], codes[fine], np.ones(fine.sum()))))

    parts = hashed([p.stem for p in (root / "Annotations").glob("*.xml")], 90)
    return tuple(HeldScenes(tuple(scene(n) for n in part), asked) for part in parts)


def nuclei() -> tuple[HeldScenes, HeldScenes]:
    """Fluorescence pictures with numbered masks."""
    asked = Asked("segmentation", ("background", "nucleus"), 2, ("grey",), instances=True)
    with zipfile.ZipFile(DATA / "dsb2018_nuclei_140.zip") as archive:
        names = {Path(n).name: n for n in archive.namelist() if "/images/" in f"/{n}" and n.endswith(".png")}
        found = {}
        for short, name in names.items():
            mask = picture(archive.read(name.replace("images/", "labels/")))[0].astype(np.uint16)
            mask = np.searchsorted(np.unique(mask), mask).astype(np.uint16)
            found[short] = Scene(picture(archive.read(name))[:1], np.full(2, np.nan), np.eye(4), Drawing(mask, boxes_of(mask)[0], instances=True))
    return tuple(HeldScenes(tuple(found[n] for n in part), asked) for part in hashed(list(found), 100))


# -- planted lesions --------------------------------------------------------------------------------------------------


def backgrounds(folder: Path) -> list[tuple[Scan, np.ndarray]]:
    """Two CTs, cut out round their organs, and where in them the organs are, 3 mm from their walls."""
    from scipy import ndimage

    with zipfile.ZipFile(DATA / "ct_body_totalseg_examples.zip") as archive:
        archive.extractall(folder)
    found = []
    for image, mask in (("example_ct_sm.nii.gz", "example_seg.nii.gz"), ("example_ct_dicom", "example_seg_dicom.nii.gz")):
        seen = scan.read(image, folder, 3)
        organs = np.isin(labels.upon(mask, seen, folder), ORGANS)
        inside = ndimage.distance_transform_edt(organs, sampling=seen.spacing) >= 3.0
        box = tuple(slice(max(0, s.start - 4), s.stop + 4) for s in ndimage.find_objects(organs.astype(int))[0])
        found.append((Scan(seen.values[(slice(None), *box)], seen.spacing, seen.affine), inside[box]))
    return found


def planted(background: Scan, organs: np.ndarray, most: int, rng: np.random.Generator) -> Scene:
    """A scan with up to `most` ellipsoids of 6 to 18 mm in its organs, blurred at their edges, and noise of 12 HU over all."""
    from scipy import ndimage

    values, places, corners = background.values[0].copy(), np.argwhere(organs), []
    taken = np.zeros(values.shape, bool)
    for _ in range(int(rng.integers(0, most + 1))):
        radii = 0.5 * rng.uniform(6, 18) * rng.uniform(0.85, 1.15, 3) / background.spacing
        middle = places[int(rng.integers(len(places)))] + rng.uniform(-0.5, 0.5, 3)
        box = tuple(slice(max(0, int(m - 2 * r)), int(m + 2 * r) + 2) for m, r in zip(middle, radii))
        at = np.stack(np.meshgrid(*(np.arange(n)[s] for n, s in zip(values.shape, box)), indexing="ij"))
        far = np.sqrt((((at - middle.reshape(3, 1, 1, 1)) / radii.reshape(3, 1, 1, 1)) ** 2).sum(axis=0))
        if taken[box][far < 1.5].any():
            continue
        taken[box] |= far < 1.2
        share = ndimage.gaussian_filter(np.clip((1.0 - far) * radii.min() + 0.5, 0, 1), 1.5 / background.spacing)
        here = float(np.median(values[box][far < 1]))
        density = float(rng.uniform(-450, 120)) if here < -400 else here + float(rng.choice([-1, 1]) * rng.uniform(50, 120))
        values[box] = values[box] * (1 - share) + density * share
        corners.append([*(middle + 0.5 - radii), *(middle + 0.5 + radii)])
    values = values + rng.normal(0, 12, values.shape).astype(np.float32)
    made = np.clip(np.array(corners).reshape(-1, 6), 0, np.tile(values.shape, 2))
    drawn = Drawing(boxes=Boxes(made, np.zeros(len(made), np.int64), np.ones(len(made))))
    return Scene(values[None].astype(np.float32), background.spacing, background.affine, drawn)


def lesions(folder: Path, seed: int) -> tuple[HeldScenes, ...]:
    """Training scans made from one CT, test scans made from the other, the other without anything planted, and other plantings on the first."""
    first, second = backgrounds(folder)
    rng = np.random.default_rng([seed, 7])
    asked = Asked("detection", ("lesion",), 3, ("HU",))
    groups = ((first, 120, 4), (second, 60, 4), (second, 20, 0), (first, 30, 4))
    return tuple(HeldScenes(tuple(planted(*made, most, rng) for _ in range(n)), asked) for made, n, most in groups)


# -- what came out ----------------------------------------------------------------------------------------------------


def fitted(spec: str, train: HeldScenes, seed: int) -> tuple[Callable[[Scene], Drawing], float]:
    """A trained drawer, and its CPU seconds."""
    model, start = models.drawer(spec), time.process_time()
    params = model.fit(train, np.random.default_rng(seed))
    return lambda scene: model.draw(params, scene), time.process_time() - start


def told(scores: dict[str, dict[str, float]], names: list[str]) -> Iterator[str]:
    """A line per measure."""
    for name in names:
        row = scores[name]
        yield f"    {name}: {row['value']:.3f} ({row['low']:.3f}-{row['high']:.3f})  things {row['n']}"


def boxed(name: str, spec: str, folder: Path, seed: int) -> Iterator[str]:
    """Blood cells or planted lesions."""
    parts = cells(folder) if name == "cells" else lesions(folder, seed)
    train, test = parts[:2]
    rule = froc.Rule() if name == "cells" else froc.Rule("centre")
    n_things = [sum(len(s.drawn.boxes) for s in part) for part in (train, test)]
    yield f"{name}: {len(train)} training, {len(test)} test scans, {n_things[0]} and {n_things[1]} things"
    draw, seconds = fitted(spec, train, seed)
    start = time.process_time()
    notes = [froc.noted(draw(s).boxes, s.drawn.boxes, len(test.asked.classes), rule) for s in test]
    yield f"  {spec}: {seconds:.0f} CPU s to learn, {(time.process_time() - start) / len(test):.2f} CPU s per scan"
    scores = froc.scores(notes, test.asked.classes, np.arange(len(test)), np.random.default_rng(0))
    if name == "cells":
        yield from told(scores, ["map_50", *(f"map_50[{c}]" for c in CELLS), "map", "cpm"])
        return
    yield from told(scores, ["cpm", *(f"sensitivity_at_{r:g}" for r in froc.RATES), "map_50", "map"])
    at = froc.curve(froc.ranked(notes, [0]))
    score = next((s for s, f in zip(reversed(at["score"]), reversed(at["false_per_scan"])) if f <= 0.125), 1.0)
    empty = [int((draw(s).boxes.scores >= score).sum()) for s in parts[2]]
    known = [froc.noted(draw(s).boxes, s.drawn.boxes, len(test.asked.classes), rule) for s in parts[3]]
    yield "    30 other plantings on the CT that was learnt from:"
    yield from told(froc.scores(known, test.asked.classes, np.arange(len(known)), np.random.default_rng(0)), ["cpm", "sensitivity_at_1", "map_50"])
    yield f"    scans without anything planted: {sum(empty)} boxes in {len(empty)} of at least the score that gives 1/8 false boxes on the others ({score:.3f})"


def masked(spec: str, seed: int, inner: bool) -> Iterator[str]:
    """Nuclei by their masks."""
    from osler.evaluation.masks import Masks

    train, test = nuclei()
    if inner:
        train, test = train.take(np.arange(75)), train.take(np.arange(75, 100))
    n_things = [sum(len(s.drawn.boxes) for s in part) for part in (train, test)]
    yield f"nuclei: {len(train)} training, {len(test)} {'held-back' if inner else 'test'} pictures, {n_things[0]} and {n_things[1]} nuclei"
    for one in (spec, "threshold"):
        draw, seconds = fitted(one, train, seed)
        judge, start = Masks(), time.process_time()
        records = [judge.record(s.drawn, draw(s), s.spacing, test.asked, {}) for s in test]
        yield f"  {one}: {seconds:.0f} CPU s to learn, {(time.process_time() - start) / len(test):.2f} CPU s per picture"
        scores = judge.score(records, np.arange(len(test)), test.asked, np.random.default_rng(0), 1000)
        yield from told(scores, ["ap_50", "f1_50", "ap"])


if __name__ == "__main__":
    import tempfile

    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(SPECS))
    parser.add_argument("--spec", default="")
    parser.add_argument("--inner", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    for asked_for in given.only:
        with tempfile.TemporaryDirectory() as place:
            used = given.spec or SPECS[asked_for]
            report = masked(used, given.seed, given.inner) if asked_for == "nuclei" else boxed(asked_for, used, Path(place), given.seed)
            for text in report:
                print(text, flush=True)
                if given.log:
                    with given.log.open("a", encoding="utf-8") as file:
                        file.write(text + "\n")
