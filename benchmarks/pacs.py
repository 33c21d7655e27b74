"""Objects per second into `osler pacs listen`, and what a kill in the middle costs.

    python benchmarks/pacs.py [--files 10000]

One sender (pynetdicom, one association) sends CT slices of 512 × 512 with new UIDs over 127.0.0.1; in the middle the listener gets
SIGKILL and is started again, and the sender repeats what was not acknowledged. Counted: objects acknowledged but lost,
objects doubled, objects per second of the wall clock without the restart, CPU seconds of the listener.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

from osler.adapters.imaging.dicom_net import Peer, associated

CT, SYNTAX = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def slice_of(number: int, pixels: bytes) -> Dataset:
    """A CT slice with a UID of its own."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = SYNTAX
    ds.SOPClassUID, ds.SOPInstanceUID = CT, f"1.2.826.0.1.3680043.10.98.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality, ds.PatientID = "1.2.3", "1.2.3.4", "CT", "MADE-UP"
    ds.Rows = ds.Columns = 512
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 16, 16, 15, 0, 1
    ds.PhotometricInterpretation, ds.PixelData = "MONOCHROME2", pixels
    return ds


def started(folder: Path) -> tuple[subprocess.Popen, int]:
    """A listener and its port."""
    command = [sys.executable, "-m", "osler", "pacs", "listen", str(folder), "--allow", "BENCH", "--port", "0"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return child, int(child.stdout.readline().rpartition(":")[2])


def sent(port: int, numbers: list[int], pixels: bytes, kill: tuple[subprocess.Popen, int] | None) -> set[int]:
    """Numbers that were acknowledged over one association."""
    done: set[int] = set()
    try:
        with associated(Peer("127.0.0.1", port, "OSLER", "BENCH"), [(CT, [SYNTAX])], None) as association:
            for number in numbers:
                status = association.send_c_store(slice_of(number, pixels))
                if getattr(status, "Status", None) != 0:
                    raise ConnectionError("no answer")
                done.add(number)
                if kill is not None and len(done) == kill[1]:
                    kill[0].send_signal(signal.SIGKILL)
                    kill[0].wait()
                    raise ConnectionError("killed")
    except (ConnectionError, RuntimeError):
        pass
    return done


def main() -> None:
    """Send, kill, send the rest, count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10_000)
    files = parser.parse_args().files
    pixels = np.random.default_rng(1).integers(0, 4096, 512 * 512, dtype=np.uint16).tobytes()
    with tempfile.TemporaryDirectory() as name:
        inbox, todo = Path(name) / "inbox", list(range(files))
        done, wall, broken = set(), 0.0, -1
        for half in (files // 2, files):
            child, port = started(inbox)
            began = time.monotonic()
            while len(done) < half:
                kill = (child, half - len(done)) if half < files else None
                done |= sent(port, [n for n in todo if n not in done], pixels, kill)
                broken += 1
            wall += time.monotonic() - began
        child.send_signal(signal.SIGTERM)
        child.wait()
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = [
            int(str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID).rpartition(".")[2])
            for p in inbox.rglob("*.dcm")
        ]
        print(
            f"{files:,} slices of 512 x 512, one SIGKILL after {files // 2:,}: acknowledged {len(done):,}, on disk {len(found):,}, "
            f"lost {len(done - set(found))}, doubled {len(found) - len(set(found))}, {files / wall:.0f} files/s of wall clock, "
            f"{broken - 1} associations broken besides, "
            f"listener {1000 * (spent.ru_utime + spent.ru_stime) / files:.1f} CPU ms a file; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
