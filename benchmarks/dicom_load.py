"""Slices per second of a DICOM series loaded into one float32 volume, beside pydicom's own loop and SimpleITK.

    python benchmarks/dicom_load.py [--slices 200] [--sitk PYTHON]

An uncompressed CT series of 512 by 512 is written into a temporary folder from one file of the robustness set with its private and
nested elements as they are, then read three times by each, one thread, CPU seconds, best of three. With the data set of body CT beside it, its
JPEG 2000 series is read too, and by several processes at once (wall time, which other work on the machine disturbs). SimpleITK runs in an
interpreter of its own (`--sitk`), where it is installed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

_SITK = """
import sys, time, SimpleITK as s
s.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
best = 1e9
for _ in range(3):
    at = time.process_time()
    names = s.ImageSeriesReader.GetGDCMSeriesFileNames(sys.argv[1])
    reader = s.ImageSeriesReader(); reader.SetFileNames(names); reader.SetOutputPixelType(s.sitkFloat32)
    values = s.GetArrayFromImage(reader.Execute())
    best = min(best, time.process_time() - at)
print(best, len(values))
"""


def main() -> None:
    """Write the series, read it by each, print slices per CPU second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--sitk", default="")
    given = parser.parse_args()
    data = Path(os.environ["OSLER_DATA_MIRROR"]) / "imaging"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "open"
        folder.mkdir()
        written(data / "dicom_robustness.zip", folder, given.slices)
        compare("512 x 512 CT, uncompressed", folder, given.sitk)
        packed = Path(temporary) / "packed"
        with zipfile.ZipFile(data / "ct_body_totalseg_examples.zip") as archive:
            names = [n for n in archive.namelist() if "/CT." in n]
            archive.extractall(packed, names)
        where = {(packed / n).parent for n in names}
        for one in sorted(where):
            compare("512 x 512 CT, JPEG 2000", one, given.sitk)
            scaling(one)


def written(archive: Path, folder: Path, n: int) -> None:
    """Write n slices 1 mm apart from one file."""
    import io

    import pydicom

    with zipfile.ZipFile(archive) as held:
        name = next(m for m in held.namelist() if m.endswith("single-frame/CT1_UNC.explicit_little_endian.dcm"))
        one = pydicom.dcmread(io.BytesIO(held.read(name)))
    start = [float(x) for x in one.ImagePositionPatient]
    uid = pydicom.uid.generate_uid(entropy_srcs=["series"])
    for i in range(n):
        one.SeriesInstanceUID = uid
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"{uid[:50]}.{i + 1}"
        one.ImagePositionPatient = [start[0], start[1], start[2] + i]
        one.InstanceNumber = i + 1
        one.save_as(folder / f"{i:04d}.dcm")


def compare(label: str, folder: Path, sitk: str) -> None:
    """Print one table."""
    print(f"{label}, {len(list(folder.iterdir()))} slices")
    kept = {}
    for name, load in (("Osler", by_osler), ("pydicom's loop", by_pydicom)):
        best = np.inf
        for _ in range(3):
            at = spent()
            kept[name] = load(folder)
            best = min(best, spent() - at)
        print(f"  {name:16s} {len(kept[name]) / best:8.0f} slices/s  {best:7.3f} CPU s")
    if sitk:
        ran = subprocess.run([sitk, "-c", _SITK, str(folder)], capture_output=True, text=True, timeout=280, check=False)
        if ran.returncode == 0:
            best, n = ran.stdout.split()
            print(f"  {'SimpleITK':16s} {int(n) / float(best):8.0f} slices/s  {float(best):7.3f} CPU s")
        else:
            print(f"  SimpleITK         no result: {ran.stderr.strip().splitlines()[-1:]}")
    ours, theirs = kept.values()
    print(f"  largest difference between the two volumes: {np.abs(ours - theirs).max()}")


def scaling(folder: Path, copies: int = 10) -> None:
    """Print wall seconds of a packed series by 1, 2, 4, ... processes: the series `copies` times over, decoders running already."""
    from osler.adapters.imaging import decoder, dicom_pixels, dicom_read

    slices = [(path, dicom_read.attributes(path)) for path in sorted(folder.iterdir())] * copies
    available, alone = decoder._cores(), 0.0
    for cores in [n for n in (1, 2, 4, 8, 16) if n <= available]:
        decoder._cores = lambda n=cores: n
        decoder.each(lambda one: dicom_pixels.frames(*one), slices[: decoder.SEVERAL * cores])
        at = time.perf_counter()
        decoder.each(lambda one: dicom_pixels.frames(*one), slices)
        wall = time.perf_counter() - at
        alone = alone or wall
        print(f"  {cores:2d} of {available} cores     {len(slices) / wall:8.0f} slices/s of wall time, {alone / wall:.2f} times one core")
    decoder._cores = lambda: available


def spent() -> float:
    """CPU seconds of this process and of those in which Osler unpacks frames."""
    from osler.adapters.imaging import decoder

    total = time.process_time()
    for process in decoder._DECODERS.running:
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def by_osler(folder: Path) -> np.ndarray:
    """The volume (z, y, x), geometry checked."""
    from osler.adapters.imaging import scan

    return scan.read(str(folder), None).values[0]


def by_pydicom(folder: Path) -> np.ndarray:
    """The volume by the loop of pydicom's own examples."""
    import pydicom

    files = [pydicom.dcmread(path) for path in folder.iterdir()]
    files.sort(key=lambda f: float(f.ImagePositionPatient[2]))
    return np.stack([f.pixel_array.astype(np.float32) * float(f.RescaleSlope) + float(f.RescaleIntercept) for f in files])


if __name__ == "__main__":
    sys.exit(main())
