"""Shared fixtures: one thread, kept bytecode, no network, and the folder of real data where the machine has one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Hundreds of tests start a Python of their own; without kept bytecode each would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "osler", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("osler")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder OSLER_DATA_MIRROR with real public data sets."""
    folder = os.environ.get("OSLER_DATA_MIRROR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("OSLER_DATA_MIRROR names no folder of data sets")
    return Path(folder)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20240229)
