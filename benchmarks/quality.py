"""How often `osler quality` finds what was planted, and how often it speaks of scans as they are.

    OSLER_DATA_MIRROR=... OMP_NUM_THREADS=1 python benchmarks/quality.py [--most 60] [--log benchmarks/logs/quality.txt]

Three sets: hippocampus MR crops, chest X-rays and retinas (the first of each in the order of names), and five larger volumes (two brains, a
breast, a body CT and a CT crop). Each scan is judged as it is and after one planted fault: Gaussian noise of a third of the contrast, a Gaussian blur
of 4 pixels, one slice in the middle moved by a tenth of the picture, a crop to the middle half, each channel's largest values cut, of as many pixels as a
fifth of the foreground.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from osler.adapters.imaging.scan import Scan, read
from osler.instruments.quality.indices import THRESHOLDS, indices, judged, parts

SETS = {
    "hippocampus MR crops": ("msd_task04_hippocampus_90.zip", "imagesTr/"),
    "chest X-rays": ("cxr_pneumonia_kermany_224.zip", "test/"),
    "retinas": ("drive_retina_half.zip", "/images/"),
    "larger volumes": ("radiomics_tumour_nrrd.zip", "_image.nrrd"),
    "body CT": ("ct_body_totalseg_examples.zip", "example_ct"),
}
WORDS = [t.word for t in THRESHOLDS]


def spoiled(scan: Scan, rng: np.random.Generator) -> dict[str, Scan]:
    """The word that should be found → the scan with that fault."""
    found = parts(scan)
    low, high = found.level
    v = scan.values
    middle = tuple(slice(n // 4, n - n // 4) for n in v.shape[-2:])
    top = np.percentile(v, 100 - 20 * float(found.foreground.mean()), axis=tuple(range(1, v.ndim)), keepdims=True)
    out = {
        "noisy": v + rng.normal(0, (high - low) / 3, v.shape[1:]), "blurred": gaussian_filter(v, (0,) * (v.ndim - 2) + (4, 4)),
        "cut": v[(..., *middle)], "clipped": np.minimum(v, top),
    }  # fmt: skip
    if scan.dims == 3 and v.shape[1] >= 5:
        moved = v.copy()
        k = v.shape[1] // 2
        moved[:, k] = np.roll(moved[:, k], v.shape[-1] // 10, axis=-1)
        out["motion"] = moved
    return {word: replace(scan, values=np.asarray(values, dtype=np.float32)) for word, values in out.items()}


def one_set(folder: Path, names: list[str]) -> tuple[Counter, dict[str, list[bool]], float]:
    """Words said of the scans as they are, whether each planted fault was found, and CPU seconds per scan as it is."""
    said, planted, spent = Counter(), {}, 0.0
    rng = np.random.default_rng(0)
    for name in names:
        scan = read(name, folder)
        start = time.process_time()
        words = {t.word for t in judged(indices(scan))}
        spent += time.process_time() - start
        said.update(words)
        for word, worse in spoiled(scan, rng).items():
            if word not in words:
                planted.setdefault(word, []).append(word in {t.word for t in judged(indices(worse))})
    return said, planted, spent / max(len(names), 1)


def main() -> None:
    """Measure, print, write the log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=60, help="scans of a set")
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    lines = [f"osler quality on scans as they are and with planted faults; one thread, Python {platform.python_version()}, {platform.machine()}", ""]
    for title, (archive, part) in SETS.items():
        with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(Path(os.environ["OSLER_DATA_MIRROR"]) / "imaging" / archive) as held:
            ends = (".nii.gz", ".nrrd", ".jpeg", ".jpg", ".png")
            names = sorted(m for m in held.namelist() if part in f"/{m}" and m.endswith(ends))
            names = names[:: max(1, len(names) // given.most)][: given.most]
            for member in names:
                held.extract(member, name)
            said, planted, seconds = one_set(Path(name), names)
        lines.append(f"{title}: {len(names)} scans, {seconds:.3f} CPU s each")
        lines.append("  said as they are:       " + (", ".join(f"{w} {said[w]}" for w in WORDS if said[w]) or "nothing"))
        lines.append("  planted faults found:   " + ", ".join(f"{w} {sum(planted[w])} of {len(planted[w])}" for w in WORDS if w in planted))
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if given.log:
        given.log.write_text(text)


if __name__ == "__main__":
    main()
