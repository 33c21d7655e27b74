"""Single-row predictions over HTTP: the default ensemble on one core, 16 keep-alive clients on another.

    python benchmarks/serve.py --data FOLDER/heart_cleveland.csv.gz [--seconds 10] [--log benchmarks/logs/serve.txt]

The server process is pinned to one core and the clients to the others. Every request is one row of the table, with the
token, audited. Reported: requests per second, median and 99th percentile of the time to the whole answer, and the
server's CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ENSEMBLE = "ensemble:members=logistic+spline+forest+boosting"


def main() -> None:
    """Fit or take a run, start the server, ask, report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="a finished run; fitted here if not given")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = asked.run or fit(asked.data, Path(place) / "run")
        lines = measure(run, asked.data, asked.seconds, asked.clients, Path(place))
    text = "\n".join(lines)
    print(text)
    if asked.log:
        asked.log.parent.mkdir(parents=True, exist_ok=True)
        asked.log.write_text(text + "\n", encoding="utf-8")


def fit(data: Path, out: Path) -> Path:
    """The default ensemble on the whole table."""
    from osler.engine.fit import fit as fit_verb

    members = ("logistic", "spline", "forest", "boosting")
    fit_verb(data, out, target=("num",), positive=">0", model=(*members, ENSEMBLE), repeats=1, silent=True)
    return out


def rows_of(run: Path, data: Path) -> list[bytes]:
    """Request bodies: one row each, as a client would send it."""
    from osler.cohort.read import read
    from osler.engine.predict import as_trained
    from osler.engine.predictor import Predictor

    predictor = Predictor.load(run / "predictor")
    table = as_trained(predictor, read(data)).table.select([c.name for c in predictor.inputs])
    return [json.dumps(row, default=str).encode() for row in table.to_dicts()]


def measure(run: Path, data: Path, seconds: float, clients: int, place: Path) -> list[str]:
    """Lines of the report."""
    cores = sorted(os.sched_getaffinity(0))
    log = place / "server.txt"
    command = [sys.executable, "-m", "osler", "serve", str(run), "--port", "0", "--audit", str(place / "audit.jsonl")]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    bodies = rows_of(run, data)
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, env=env, preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]))
    try:
        port, token = wait_for(log)
        patience = time.perf_counter() + 20.0
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[1:])
        while len(asyncio.run(ask(port, token, bodies, 1.0, clients))) < 300 and time.perf_counter() < patience:
            pass  # warm: every path has run
        before = cpu_of(server.pid)
        load, began = os.getloadavg()[0], time.perf_counter()
        times = asyncio.run(ask(port, token, bodies, seconds, clients))
        wall, cpu = time.perf_counter() - began, cpu_of(server.pid) - before
    finally:
        server.terminate()
        server.wait(20)
    from osler.engine.predictor import Predictor

    p = Predictor.load(run / "predictor")
    spec = p.models[p.chosen][0]
    low, middle, high = np.percentile(times, [5, 50, 99]) * 1e3
    return [
        f"osler serve, {spec}, {len(p.inputs)} columns, one row per request, "
        f"{clients} keep-alive clients, server on one core",
        f"requests {len(times)} in {wall:.1f} s: {len(times) / wall:.0f}/s; "
        f"{len(times) / cpu:.0f} per CPU second of the server",
        f"time to the answer: median {middle:.1f} ms, 5th percentile {low:.1f} ms, 99th "
        f"{high:.1f} ms, longest {max(times) * 1e3:.1f} ms",
        f"server CPU {cpu:.1f} s of {wall:.1f} s; machine load before {load:.1f} on {len(cores)} cores",
    ]


def wait_for(log: Path) -> tuple[int, str]:
    """Port and token that the server printed."""
    for _ in range(600):
        text = log.read_text()
        port, token = re.search(r"127\.0\.0\.1:(\d+)", text), re.search(r"once\): (\S+)", text)
        if port and token:
            time.sleep(0.5)
            return int(port.group(1)), token.group(1)
        time.sleep(0.05)
    raise SystemExit(f"the server did not start: {log.read_text()}")


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def ask(port: int, token: str, bodies: list[bytes], seconds: float, clients: int) -> list[float]:
    """Times of all requests that were answered."""
    end, times = time.perf_counter() + seconds, []

    async def client(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        at = first
        while time.perf_counter() < end:
            body = bodies[at % len(bodies)]
            at += 7
            began = time.perf_counter()
            writer.write(
                b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (token.encode(), len(body), body)
            )
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"the server answered {answer[:100]!r}")
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", answer).group(1)))
            times.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client(i * 31) for i in range(clients)))
    return times


if __name__ == "__main__":
    main()
