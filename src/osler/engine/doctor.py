"""What this installation can do: Python, cores, memory, libraries by extra, devices, data folder."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

#: Extra → (import name, distribution) of the libraries it brings.
EXTRAS: dict[str, tuple[tuple[str, str], ...]] = {
    "core": (
        ("numpy", "numpy"), ("polars", "polars"), ("scipy", "scipy"), ("sklearn", "scikit-learn"), ("lightgbm", "lightgbm"),
        ("safetensors", "safetensors"), ("matplotlib", "matplotlib"), ("fastexcel", "fastexcel"), ("yaml", "pyyaml"),
    ),
    "neural": (("torch", "torch"),),
    "tune": (("optuna", "optuna"),),
    "export": (("onnx", "onnx"), ("onnxruntime", "onnxruntime")),
    "clinical": (("duckdb", "duckdb"), ("sqlalchemy", "sqlalchemy"), ("lifelines", "lifelines")),
    "explain": (("shap", "shap"), ("lime", "lime"), ("interpret", "interpret-core"), ("umap", "umap-learn")),
    "serve": (("fastapi", "fastapi"), ("uvicorn", "uvicorn"), ("pydantic", "pydantic")),
    "molecules": (
        ("rdkit", "rdkit"), ("numba", "numba"), ("vina", "vina"), ("meeko", "meeko"), ("posebusters", "posebusters"),
        ("spyrmsd", "spyrmsd"), ("fcd_torch", "fcd-torch"), ("gemmi", "gemmi"),
    ),
    "imaging": (
        ("pydicom", "pydicom"), ("pynetdicom", "pynetdicom"), ("nibabel", "nibabel"), ("PIL", "pillow"), ("tifffile", "tifffile"),
        ("gdcm", "python-gdcm"), ("jpeg_ls", "pyjpegls"), ("openjpeg", "pylibjpeg-openjpeg"), ("skimage", "scikit-image"),
        ("trimesh", "trimesh"), ("highdicom", "highdicom"),
    ),
    "mri": (("SimpleITK", "simpleitk"),),
    "catboost": (("catboost", "catboost"),),
    "pretrained": (("transformers", "transformers"),),
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of the examination: what, its state (ok, absent, broken), and a detail."""

    what: str
    state: str
    detail: str


def examine() -> list[Line]:
    """Look at everything; libraries are found, not imported, except that torch is asked for its devices."""
    lines = [
        Line("osler", "ok", metadata.version("osler")),
        Line("python", "ok" if sys.version_info >= (3, 11) else "broken", platform.python_version()),
        Line("system", "ok", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_memory()}"),
    ]
    for extra, libraries in EXTRAS.items():
        held = {dist: _version(dist) for name, dist in libraries if importlib.util.find_spec(name) is not None}
        lost = [dist for _, dist in libraries if dist not in held]
        detail = ", ".join(f"{d} {v}" for d, v in held.items())
        if lost:
            hint = f"pip install 'osler[{extra}]' for {', '.join(lost)}"
            detail = f"{detail}; {hint}" if detail else hint
        state = "ok" if not lost else "broken" if extra == "core" else "absent"
        lines.append(Line(f"extra {extra}", state, detail))
    lines.append(_devices())
    lines.append(_lightgbm())
    lines.append(_mirror())
    return lines


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "?"


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "memory unknown"


def _devices() -> Line:
    if importlib.util.find_spec("torch") is None:
        return Line("devices", "absent", "torch is not installed: neural models do not run")
    ask = "import torch; print('cuda ' + torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'mps' if torch.backends.mps.is_available() else 'cpu')"
    answer = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=120)
    return Line("devices", "ok" if answer.returncode == 0 else "broken", answer.stdout.strip() or "torch does not load")


def _lightgbm() -> Line:
    """LightGBM loads a shared library of its own, which can be missing (libgomp on Linux, libomp on macOS)."""
    answer = subprocess.run([sys.executable, "-c", "import lightgbm"], capture_output=True, text=True, timeout=120)
    hint = "install libgomp1 (Linux) or libomp (macOS)"
    return Line("lightgbm loads", "ok" if answer.returncode == 0 else "broken", "" if answer.returncode == 0 else hint)


def _mirror() -> Line:
    folder = os.environ.get("OSLER_DATA_MIRROR", "")
    if not folder:
        return Line(
            "data folder", "absent", "OSLER_DATA_MIRROR is not set: only data sets inside the install are found"
        )
    return Line(
        "data folder",
        "ok" if Path(folder).is_dir() else "broken",
        "OSLER_DATA_MIRROR is a folder" if Path(folder).is_dir() else "OSLER_DATA_MIRROR is not a folder",
    )
