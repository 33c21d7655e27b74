"""One real server process for the tests of the service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

from tests.predictors import fitted


@dataclass(frozen=True)
class Server:
    """A running server: its address, its token, its files, its process."""

    address: str
    token: str
    audit: Path
    log: Path
    process: subprocess.Popen

    @property
    def port(self) -> int:
        """TCP port."""
        return int(self.address.rsplit(":", 1)[1])

    def client(self, **options: object) -> httpx.Client:
        """A client that shows the token."""
        return httpx.Client(
            base_url=self.address, headers={"authorization": f"Bearer {self.token}"}, timeout=30, **options
        )


Start = Callable[..., Server]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts servers of saved predictors and stops them at the end."""
    running: list[subprocess.Popen] = []

    def begin(*folders: Path, options: tuple[str, ...] = ()) -> Server:
        place = tmp_path_factory.mktemp("server")
        log, audit = place / "log.txt", place / "audit.jsonl"
        command = [
            sys.executable,
            "-m",
            "osler",
            "serve",
            *map(str, folders),
            "--port",
            "0",
            "--audit",
            str(audit),
            *options,
        ]
        process = subprocess.Popen(
            command, stdout=log.open("wb"), stderr=subprocess.STDOUT, env={**os.environ, "POLARS_MAX_THREADS": "1"}
        )
        running.append(process)
        for _ in range(600):
            said = log.read_text()
            found = re.search(r"serving on (https?://\S+?)/\s", said), re.search(r"shown once\): (\S+)", said)
            if found[0] and "token" in said and _answers(found[0].group(1)):
                return Server(found[0].group(1), found[1].group(1) if found[1] else "", audit, log, process)
            if process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {log.read_text()}")

    yield begin
    for process in running:
        process.terminate()
    for process in running:
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=2, verify=False).status_code in (401, 421)
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved predictors of three tasks."""
    place = tmp_path_factory.mktemp("models")
    specs = {
        "clinic": "ensemble:members=logistic+boosting,folds=2,repeats=1", "diabetes": "linear", "gbsg2": "cox", "three": "tree"
    }  # fmt: skip
    return {name: fitted(name, spec).predictor.save(place / name, "a card") for name, spec in specs.items()}


@pytest.fixture(scope="session")
def server(start: Start, homes: dict[str, Path]) -> Server:
    """All of them behind one server; the clinic is the default."""
    return start(*homes.values())
