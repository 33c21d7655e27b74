"""Masks drawn by networks, on one thread: hippocampus, nuclei, retinal vessels, a glioma's series, and how fast a volume is drawn on.

    OSLER_DATA_MIRROR=... python benchmarks/segmentation.py [--only hippocampus nuclei vessels glioma speed] [--spec SPEC ...] [--inner] [--log FILE]

Hippocampus (Medical Segmentation Decathlon, task 4): the first 70 of 90 volumes by name teach, the last 20 are asked.
Nuclei (Data Science Bowl 2018, grey): names in the order of their SHA-256; the first 100 pictures teach, the last 40 are asked. Beside the
network the classical way, `threshold`. Of things: ap_50 is found / (found + missed + invented) at an overlap of 0.5, mean over pictures and
of all things together; f1_50 of all things together.
Vessels (DRIVE, half resolution): its own 20 training and 20 test pictures; inside the field of view. Another camera is simulated on the test pictures
(colour cast, darker with another gamma, out of focus, other magnifications): no second camera with true masks is at hand. scikit-image's
retina.jpg comes without truth: the share drawn is said and nothing else.
Glioma: three sequences of one patient as channels of `deepmedic`. No mask comes with them: bright FLAIR voxels are made one. It shows that the
path works and nothing about tumours.
Speed: voxels of a real CT (122 x 101 x 112) drawn per CPU second with a network that learnt organs on another CT in patches of 48: whole, and
in windows of at most 96 and 64 voxels cubed that share a quarter of a patch; and how many labels are those of the usual way, windows of a patch
that share half of it, in float32.

`--inner` asks training scans that are held back instead of the test scans: what options were chosen by. Intervals are 95 %, bootstrap over scans.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from osler import models
from osler.adapters.imaging import scan
from osler.evaluation.masks import Masks
from osler.models.base import Params
from osler.models.drawing import Drawer
from osler.scenes import Asked, Drawing, HeldScenes, Scene

DATA = Path(os.environ.get("OSLER_DATA_MIRROR", ".")) / "imaging"
SPECS = {
    "hippocampus": ["unet:minutes=2", "unet:minutes=6,views=shifted"],
    "nuclei": ["unet:steps=2000,patch=128,batch_size=4,levels=4,views=mirrored", "threshold"],
    "vessels": ["unet:minutes=3,mirror=all,foreground=0"],
    "speed": ["unet:steps=300,patch=48,cleaning=none"],
    "glioma": ["deepmedic:steps=20,width=16,patch=3+27+27"],
}
Lines = Iterator[str]


def timed(made: Callable[[], Any]) -> tuple[Any, float]:
    """The answer and its CPU seconds."""
    start = time.process_time()
    return made(), time.process_time() - start


def parts(scenes: HeldScenes, n_train: int, inner: bool) -> tuple[HeldScenes, HeldScenes]:
    """Training and asked scans; with `inner` the last quarter of the training scans is asked."""
    if inner:
        return scenes.take(np.arange(n_train * 3 // 4)), scenes.take(np.arange(n_train * 3 // 4, n_train))
    return scenes.take(np.arange(n_train)), scenes.take(np.arange(n_train, len(scenes)))


def judged(model: Drawer, params: Params, scenes: HeldScenes) -> str:
    """Mean measures with their intervals."""
    judge = Masks()
    records = [judge.record(s.drawn, model.draw(params, s), s.spacing, scenes.asked, {}) for s in scenes]
    scores = judge.score(records, scenes.groups, scenes.asked, np.random.default_rng(0), 1000)
    said = "  ".join(f"{name} {one['value']:.4f} ({one['low']:.4f}-{one['high']:.4f})" for name, one in scores.items())
    if scenes.asked.instances:
        hits, sizes = sum(r["hits"][0] for r in records), sum(r["things"] + r["drawn"] for r in records)
        said += f"  ap_50 of all things together {hits / (sizes - hits):.4f}"
    return said


def learnt(spec: str, train: HeldScenes, seed: int) -> tuple[Drawer, Params, float]:
    """A model and what it learnt, with its CPU seconds."""
    model = models.drawer(spec)
    params, seconds = timed(lambda: model.fit(train, np.random.default_rng(seed)))
    return model, params, seconds


def planned(params: Params) -> str:
    """What was planned, in one line."""
    if "plan" not in params.meta:
        return ", ".join(f"{k} {v}" for k, v in params.meta.items())
    plan = params.meta["plan"]
    return (
        f"patch {plan['patch']}, batch {plan['batch_size']}, steps {plan['steps']}, widths {plan['network']['widths']}, {plan['precision']}, "
        f"cleaning {params.meta.get('cleaning')}, rule {params.meta.get('rule')}"
    )


# -- data -------------------------------------------------------------------------------------------------------------


def hippocampus() -> HeldScenes:
    """90 volumes by name."""
    scenes = []
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(DATA / "msd_task04_hippocampus_90.zip") as archive:
        archive.extractall(place)
        for path in sorted(Path(place).rglob("imagesTr/*.nii.gz")):
            image = scan.read(str(path), None)
            mask = scan.read(str(path.parent.with_name("labelsTr") / path.name), None).values[0]
            scenes.append(Scene(image.values, image.spacing, image.affine, Drawing(mask.astype(np.uint16))))
    return HeldScenes(tuple(scenes), Asked("segmentation", ("background", "anterior", "posterior"), 3, ("t1",)))


def nuclei() -> HeldScenes:
    """140 pictures in the order of the SHA-256 of their names."""
    from PIL import Image

    scenes = []
    with zipfile.ZipFile(DATA / "dsb2018_nuclei_140.zip") as archive:
        names = [Path(n).name for n in archive.namelist() if n.startswith("images/") and n.endswith(".png")]
        for name in sorted(names, key=lambda n: hashlib.sha256(n.encode()).hexdigest()):
            image, labels = (np.asarray(Image.open(io.BytesIO(archive.read(f"{part}/{name}")))) for part in ("images", "labels"))
            image = image[..., 0] if image.ndim == 3 else image
            scenes.append(Scene(image[None].astype(np.float32), np.full(2, np.nan), np.eye(4), Drawing(labels.astype(np.uint16), instances=True)))
    return HeldScenes(tuple(scenes), Asked("segmentation", ("background", "nucleus"), 2, ("grey",), True))


def vessels() -> tuple[HeldScenes, list[np.ndarray]]:
    """20 training and 20 test pictures, and the field of view of each."""
    from PIL import Image

    scenes, fields = [], []
    with zipfile.ZipFile(DATA / "drive_retina_half.zip") as archive:
        names = sorted(n for n in archive.namelist() if "/images/" in n)
        for name in sorted(names, key=lambda n: (not n.startswith("training"), n)):
            image = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"), np.float32)
            vessel, field = (
                np.asarray(Image.open(io.BytesIO(archive.read(name.replace("images", part).replace("jpg", "png")))).convert("L")) > 127
                for part in ("vessel", "fov")
            )
            scenes.append(Scene(np.moveaxis(image, -1, 0).copy(), np.full(2, np.nan), np.eye(4), Drawing(vessel.astype(np.uint16))))
            fields.append(field)
    return HeldScenes(tuple(scenes), Asked("segmentation", ("background", "vessel"), 2, ("red", "green", "blue"))), fields


# -- what is measured -------------------------------------------------------------------------------------------------


def drawn(name: str, specs: list[str], inner: bool, seed: int) -> Lines:
    """The lines of hippocampus or nuclei."""
    scenes, n_train = (hippocampus(), 70) if name == "hippocampus" else (nuclei(), 100)
    train, test = parts(scenes, n_train, inner)
    yield f"{name}: {len(train)} training, {len(test)} {'held back' if inner else 'test'} scans"
    for spec in specs:
        model, params, seconds = learnt(spec, train, seed)
        said, asking = timed(lambda model=model, params=params: judged(model, params, test))
        _, drawing = timed(lambda model=model, params=params: [model.draw(params, s) for s in test])
        yield f"  {spec}: {said}  n {len(test)}\n    {seconds:.0f} CPU s to learn, {drawing:.1f} to draw ({asking:.1f} with measuring); {planned(params)}"


def other_cameras(values: np.ndarray) -> dict[str, np.ndarray]:
    """(3, y, x) as other cameras might have taken it."""
    from scipy import ndimage

    cast = values * np.array([0.75, 1.1, 1.4], np.float32)[:, None, None]
    dark = 255 * (values / 255) ** 1.6 * 0.7
    blurred = ndimage.gaussian_filter(values, (0, 0.8, 0.8))
    return {"as taken": values, "colour cast": np.clip(cast, 0, 255), "darker, gamma 1.6": dark, "out of focus": blurred}


def vessel_lines(specs: list[str], inner: bool, seed: int) -> Lines:
    """DRIVE's lines."""
    from scipy import ndimage
    from sklearn.metrics import roc_auc_score

    scenes, fields = vessels()
    train, test = parts(scenes, 20, inner)
    at = 15 if inner else 20
    yield f"vessels: {len(train)} training, {len(test)} {'held back' if inner else 'test'} pictures"
    for spec in specs:
        model, params, seconds = learnt(spec, train, seed)
        yield f"  {spec}: {seconds:.0f} CPU s to learn; {planned(params)}"
        for way in [*other_cameras(test[0].values), "0.75 of the magnification", "1.33 of the magnification"]:
            dices, truth, said = [], [], []
            for row, one in enumerate(test):
                field, values, mask = fields[at + row], one.values, one.drawn.labels > 0
                if "of the magnification" in way:
                    by = float(way.split()[0])
                    values = ndimage.zoom(values, (1, by, by), order=1)
                    field, mask = (ndimage.zoom(m.astype(np.float32), by, order=1) > 0.5 for m in (field, mask))
                else:
                    values = other_cameras(values)[way]
                found = model.draw(params, replace(one, values=values.astype(np.float32)), probability=True)
                called = (found.labels > 0)[field]
                dices.append(2 * (called & mask[field]).sum() / (called.sum() + mask[field].sum()))
                truth.append(mask[field])
                said.append(found.probability[1][field])
            area = roc_auc_score(np.concatenate(truth), np.concatenate(said))
            yield f"    {way}: Dice {np.mean(dices):.4f} (least {np.min(dices):.3f})  AUROC of pixels {area:.4f}  n {len(dices)}"
        share = 100 * _other_picture(model, params)
        yield f"    scikit-image's retina.jpg, no truth: {share:.1f} % of the field drawn ({_usual(train, fields):.1f} % in DRIVE)"


def _other_picture(model: Drawer, params: Params) -> float:
    from skimage import data, transform

    image = transform.resize(data.retina(), (290, 290), anti_aliasing=True).astype(np.float32) * 255
    found = model.draw(params, Scene(np.moveaxis(image, -1, 0).copy(), np.full(2, np.nan), np.eye(4)))
    field = image.max(axis=2) > 30
    return float((found.labels[field] > 0).mean())


def _usual(train: HeldScenes, fields: list[np.ndarray]) -> float:
    return 100 * float(np.mean([(s.drawn.labels > 0)[f].mean() for s, f in zip(train, fields)]))


def glioma(specs: list[str], seed: int) -> Lines:
    """Plumbing: series in, a mask on their grid out."""
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(DATA / "dicom_mr_glioma_multisequence.zip") as archive:
        archive.extractall(place)
        folders = sorted({p.parent for p in Path(place).rglob("*.dcm")})
        series = [scan.read(str(f), None, 3) for f in folders]
    same = [s for s in series if s.values.shape[1:] == (22, 320, 280)]
    values = np.concatenate([s.values for s in same])
    flair = values[1]
    made = (flair > np.percentile(flair, 99)).astype(np.uint16)
    scene = Scene(values, same[0].spacing, same[0].affine, Drawing(made))
    scenes = HeldScenes((scene,), Asked("segmentation", ("background", "bright"), 3, tuple(f"series {k + 1}" for k in range(len(same)))))
    yield f"glioma: {len(same)} series of {values.shape[1:]} voxels, spacing {np.round(same[0].spacing, 2)}; the mask is made (brightest 1 %): no claim"
    for spec in specs:
        model, params, seconds = learnt(spec, scenes, seed)
        found, drawing = timed(lambda model=model, params=params: model.draw(params, scene))
        margin = params.meta["plan"]["network"]["margin"]
        yield f"  {spec}: {seconds:.0f} CPU s to learn, {drawing:.1f} to draw; labels {found.labels.shape}, margin {margin}; {planned(params)}"


def organs() -> tuple[HeldScenes, Scene]:
    """A CT of 30 slices with spleen, liver and lungs by TotalSegmentator, and a CT of 112 slices without masks, both at 3 mm."""
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(DATA / "ct_body_totalseg_examples.zip") as archive:
        archive.extractall(place)
        near, mask, far = (scan.read(f"{name}.nii.gz", Path(place), 3) for name in ("example_ct_sm", "example_seg", "example_ct"))
    labels = np.zeros(mask.values.shape[1:], np.uint16)
    for code, numbers in enumerate(((1,), (5,), (10, 11, 12, 13, 14)), start=1):
        labels[np.isin(mask.values[0], numbers)] = code
    learnt_from = Scene(near.values, near.spacing, near.affine, Drawing(labels))
    asked = Asked("segmentation", ("background", "spleen", "liver", "lungs"), 3, ("HU",))
    return HeldScenes((learnt_from,), asked), Scene(far.values, far.spacing, far.affine)


def speed(spec: str, seed: int) -> Lines:
    """Voxels per CPU second and kept labels, by the voxels that a window may hold and precision."""
    train, scene = organs()
    _, params, seconds = learnt(spec, train, seed)
    plan = params.meta["plan"]
    yield f"speed: a CT of {scene.shape} voxels, a network of organs ({spec}, norm {plan['network']['norm']}, {seconds:.0f} CPU s), all of `draw` counted"

    def drawn(precision: str, overlap: float, window: list[int]) -> np.ndarray:
        asked = Params(params.meta | {"plan": plan | {"window": window}}, params.arrays)
        return models.drawer(f"unet:precision={precision},overlap={overlap}").draw(asked, scene).labels

    truth, seconds = timed(lambda: drawn("float32", 0.5, plan["patch"]))
    whole, rate = drawn("float32", 0.25, [128] * 3), truth.size / seconds / 1e6
    yield f"  beside it: windows of a patch ({plan['patch']}) that share half of it, float32: {rate:.2f} Mvox per CPU s; {(truth > 0).mean():.1%} drawn"
    for side in (128, 96, 64):
        for precision in ("float32", "bf16"):
            made = lambda precision=precision, side=side: drawn(precision, 0.25, [side] * 3)  # noqa: E731
            found, _ = timed(made)
            seconds = min(timed(made)[1] for _ in range(3))
            same, marked, one = (100 * v.mean() for v in (found == truth, (found == truth)[truth > 0], found == whole))
            yield (
                f"  windows of at most {side}^3 voxels, {precision}: {truth.size / seconds / 1e6:.2f} Mvox per CPU s, {same:.3f} % of the labels as those "
                f"({marked:.2f} % of what is drawn), {one:.3f} % as in one float32 window"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=["hippocampus", "nuclei", "vessels", "glioma", "speed"])
    parser.add_argument("--spec", nargs="*", default=[])
    parser.add_argument("--inner", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    for asked_for in given.only:
        chosen = given.spec or SPECS.get(asked_for, [])
        report = {
            "vessels": lambda specs: vessel_lines(specs, given.inner, given.seed),
            "glioma": lambda specs: glioma(specs, given.seed),
            "speed": lambda specs: speed(specs[0], given.seed),
        }.get(asked_for, lambda specs, name=asked_for: drawn(name, specs, given.inner, given.seed))
        for line in report(chosen):
            print(line, flush=True)
            if given.log:
                with given.log.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
