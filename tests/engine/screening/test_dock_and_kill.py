"""What needs the real thing: docking the picks into a protein, and a process that is killed at work."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from osler.engine.screening.options import ScreenOptions
from osler.engine.screening.screen import screen
from osler.errors import InputError, OptionError
from tests.engine.screening.molecules import SMILES

pytest.importorskip("rdkit")
POCKET = ("center=83.640,69.684,-10.124", "size=14", "exhaustiveness=1", "checks=none", "poses=1")


def test_picks_are_docked_once_and_have_a_score(mirror: Path, tmp_path: Path):
    pytest.importorskip("vina")
    library = tmp_path / "library.smi"
    library.write_text("CCO ethanol\n")
    receptor = str(mirror / "drugs" / "docking" / "1uw6_receptorH.pdb.gz")
    found = screen(library, tmp_path / "out", ScreenOptions(dock=receptor, dock_option=POCKET))
    assert -5.0 < found.hits["dock_score"][0] < -1.0
    assert found.funnel[-1] == ("docked", 1)
    assert (tmp_path / "out" / "docked" / "1_poses.sdf").read_text().count("$$$$") == 1


@pytest.mark.parametrize(("option", "kind"), [("centre=1,2,3", OptionError), ("center", OptionError), ("poses=many", InputError),
                                            ("waters=perhaps", InputError)])
def test_docking_options_are_checked(tmp_path: Path, option: str, kind: type):
    library = tmp_path / "library.smi"
    library.write_text("CCO ethanol\n")
    with pytest.raises(kind, match="dock-option"):
        screen(library, tmp_path / "out", ScreenOptions(dock="none.pdb", dock_option=(option,)))


def test_a_killed_process_loses_nothing(tmp_path: Path):
    library = tmp_path / "library.smi"
    library.write_text("".join(f"{s} m{i}\n" for i, s in enumerate(SMILES * 150)))
    options = ["--filter", "pains", "--filter", "brenk", "--filter", "ro5", "--keep", "50", "--pick", "10", "--block", "50", "--quiet"]
    command = [sys.executable, "-m", "osler", "screen", str(library), *options, "--out"]
    running = subprocess.Popen([*command, str(tmp_path / "cut")], stdout=subprocess.DEVNULL)
    progress = tmp_path / ".cut.partial" / "progress.json"
    for _ in range(600):
        if progress.is_file() or running.poll() is not None:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    done = json.loads(progress.read_text())["done"]
    assert 0 < done < 150 * len(SMILES)
    again = subprocess.run([*command, str(tmp_path / "cut")], capture_output=True, text=True, timeout=120, check=True)
    assert f"{150 * len(SMILES):,}" in again.stdout
    screen(library, tmp_path / "whole", ScreenOptions(filter=("pains", "brenk", "ro5"), keep=50, pick=10, block=50))
    for name in ("hits.csv", "kept.parquet", "refused.csv", "funnel.json", "funnel.svg"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
