"""Measurements of five tumours beside the values that pyradiomics' authors publish for them, with the CPU time of each.

    OSLER_DATA_MIRROR=... OMP_NUM_THREADS=1 python benchmarks/measure.py [--peer PYTHON] [--log benchmarks/logs/measure.txt]

The masks, three images and both tables of expected values are in `imaging/radiomics_tumour_nrrd.zip`. For each feature: the largest relative
difference over the cases, and what differs where a definition does. pyradiomics adds 2000 to every value before energy and root mean square
in these tables (its setting voxelArrayShift), and so does this script for those two. CPU seconds are of measuring alone (files are read before),
the least of three; with --peer, pyradiomics' shape and first-order features of the same cases are timed the same way.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from osler.adapters.imaging.scan import read
from osler.instruments import scans
from osler.instruments.measure.instrument import measured
from osler.instruments.measure.intensity import intensity_features
from osler.instruments.mesh import Mesh, MeshOptions

CASES = ("brain1", "brain2", "breast1", "lung1", "lung2")
BIN_WIDTH, SHIFT = 25.0, 2000.0
SHAPE = {
    "volume_mm3": "MeshVolume", "volume_voxels_mm3": "VoxelVolume", "surface_area_mm2": "SurfaceArea",
    "surface_volume_ratio_per_mm": "SurfaceVolumeRatio", "sphericity": "Sphericity", "diameter_3d_mm": "Maximum3DDiameter",
    "diameter_xy_mm": "Maximum2DDiameterSlice", "diameter_xz_mm": "Maximum2DDiameterColumn", "diameter_yz_mm": "Maximum2DDiameterRow",
    "axis_major_mm": "MajorAxisLength", "axis_minor_mm": "MinorAxisLength", "axis_least_mm": "LeastAxisLength", "elongation": "Elongation",
    "flatness": "Flatness",
}  # fmt: skip
INTENSITY = {
    "mean": "Mean", "variance": "Variance", "skewness": "Skewness", "excess_kurtosis": "Kurtosis", "median": "Median", "minimum": "Minimum",
    "percentile_10": "10Percentile", "percentile_90": "90Percentile", "maximum": "Maximum", "interquartile_range": "InterquartileRange",
    "range": "Range", "mean_absolute_deviation": "MeanAbsoluteDeviation", "robust_mean_absolute_deviation": "RobustMeanAbsoluteDeviation",
    "energy": "Energy", "root_mean_square": "RootMeanSquared", "entropy": "Entropy", "uniformity": "Uniformity",
}  # fmt: skip
WHY = {
    "volume_mm3": "other table of cases where voxels touch by a corner or an edge", "surface_area_mm2": "the same",
    "surface_volume_ratio_per_mm": "the same", "sphericity": "the same", "axis_major_mm": "divides by n - 1 (IBSI's reference values), there by n",
    "axis_minor_mm": "the same", "axis_least_mm": "the same", "excess_kurtosis": "less 3 (IBSI); compared after adding 3",
    "energy": f"values plus {SHIFT:g} on both sides", "root_mean_square": "the same",
}  # fmt: skip


def expected(held: zipfile.ZipFile, kind: str) -> dict[str, dict[str, float]]:
    """Case → feature → value of one table of expected values, original images only."""
    rows = list(csv.reader(io.StringIO(held.read(f"baseline/baseline_{kind}.csv").decode())))
    mark = f"original_{kind}_"
    return {c: {r[0].removeprefix(mark): float(r[rows[0].index(c)]) for r in rows if r[0].startswith(mark)} for c in CASES}


def timed(mask: object, image: object) -> tuple[dict, float]:
    """The features and the least CPU time of three runs."""
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        found = measured(mask, 1, image, BIN_WIDTH)
        best = min(best, time.process_time() - start)
    return found, best


def peers(python: str | None, folder: Path) -> dict[str, float]:
    """Case → CPU seconds of pyradiomics in an environment of its own; empty where none is named."""
    if python is None:
        return {}
    script = Path(__file__).parent / "peers" / "pyradiomics_cases.py"
    one = {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    done = subprocess.run([python, str(script), str(folder), *CASES], capture_output=True, text=True, check=True, env={**os.environ, **one})
    return {found["case"]: found["seconds"] for found in map(json.loads, done.stdout.splitlines())}


def compared(folder: Path, held: zipfile.ZipFile, theirs: dict[str, float]) -> list[str]:
    """The lines of the log; `theirs` are CPU seconds of pyradiomics."""
    shapes, firsts = expected(held, "shape"), expected(held, "firstorder")
    off: dict[str, list[tuple[float, str]]] = {}
    lines = ["case      voxels  image  CPU s of all features  pyradiomics CPU s"]
    for case in CASES:
        mask = read(f"{case}_label.nrrd", folder)
        image = read(f"{case}_image.nrrd", folder) if (folder / f"{case}_image.nrrd").is_file() else None
        found, seconds = timed(mask, image)
        beside = f"{theirs[case]:.3f}" if theirs else "not installed"
        lines.append(f"{case:<9} {found['voxels']:>6}  {'yes' if image else 'no':<5}  {seconds:>21.3f}  {beside:>17}")
        for ours, name in SHAPE.items():
            off.setdefault(ours, []).append((abs(found[ours] / shapes[case][name] - 1), case))
        if image is not None:
            shifted = intensity_features(image.values[0][mask.values[0] == 1] + SHIFT, BIN_WIDTH)
            found |= {k: shifted[k] for k in ("energy", "root_mean_square")} | {"excess_kurtosis": found["excess_kurtosis"] + 3}
            for ours, name in INTENSITY.items():
                off.setdefault(ours, []).append((abs(found[ours] / firsts[case][name] - 1), case))
    lines += ["", f"{'feature':<32} {'cases':>5}  {'largest relative difference':>27}  where    why"]
    for name, all_off in off.items():
        worst, case = max(all_off)
        shown = f"{100 * worst:.4f} %" if worst > 1e-9 else "none"
        lines.append(f"{name:<32} {len(all_off):>5}  {shown:>27}  {case if worst > 1e-9 else '':<7}  {WHY.get(name, '')}".rstrip())
    return lines


def meshed(folder: Path) -> list[str]:
    """What smoothing and decimation cost, in CPU seconds, volume and holes."""
    lines = ["", "surface of           faces wanted   faces  volume change  watertight  CPU s"]
    for case in ("brain1", "lung2"):
        for faces in (0, 5000, 500):
            start = time.process_time()
            found = Mesh().run(scans.files([{"mask": str(folder / f"{case}_label.nrrd")}]), MeshOptions(label=1, faces=faces))
            one = found.cohort.table.to_dicts()[0]
            spent = time.process_time() - start
            change = f"{one['volume_change_percent']:+.4f} %"
            lines.append(f"{case:<20} {faces or 'all':>12} {one['faces']:>7} {change:>14}  {'yes' if one['watertight'] else 'no':<10} {spent:>6.2f}")
    return lines


def main() -> None:
    """Measure, print, write the log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="python of an environment that has pyradiomics")
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    source = Path(os.environ["OSLER_DATA_MIRROR"]) / "imaging" / "radiomics_tumour_nrrd.zip"
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(source) as held:
        folder = Path(name)
        for member in held.namelist():
            if member.endswith(".nrrd") and "/" not in member:
                held.extract(member, folder)
        head = f"Measurements beside pyradiomics' expected values; one thread, Python {platform.python_version()}, {platform.machine()}"
        text = "\n".join([head, "", *compared(folder, held, peers(given.peer, folder)), *meshed(folder)]) + "\n"
    print(text, end="")
    if given.log:
        given.log.write_text(text)


if __name__ == "__main__":
    main()
