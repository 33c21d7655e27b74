"""A real browser opens the report: no message in the console, no request, no script, no text over text."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from osler.report.build import build
from tests.report.runs import KINDS, Dom, dangers, members, write

CHROMIUM = next((p for p in ("chromium", "chromium-browser", "google-chrome") if shutil.which(p)), None)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]


def chromium(folder: Path, *flags: str, target: Path) -> subprocess.CompletedProcess[str]:
    """Run a headless browser on a file, with a log of its own."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-component-update",
        "--disable-sync", "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--v=0", *flags, target.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def asked_for(folder: Path, target: Path) -> tuple[Dom, list[str], set[str]]:
    """The document after loading, console lines, and every remote address but the browser maker's own."""
    net = folder / "net.json"
    shown = chromium(folder, "--dump-dom", f"--log-net-log={net}", target=target)
    text = net.read_text().rstrip()
    events = json.loads(text if text.endswith("}") else text.rstrip(",") + "]}")["events"]
    urls = {e["params"]["url"] for e in events if "url" in e.get("params", {})}
    remote = {u for u in urls if u.startswith(("http", "ftp", "ws")) and "google" not in u and "gstatic" not in u}
    return Dom(shown.stdout), [line for line in shown.stderr.splitlines() if "CONSOLE" in line], remote


@pytest.mark.parametrize("kind", ["binary", "survival"])
def test_the_browser_runs_nothing_and_asks_for_nothing(tmp_path: Path, kind: str):
    run = write(tmp_path / "run", KINDS[kind](members()))
    build(run)
    dom, console, remote = asked_for(tmp_path, run / "report.html")
    assert dangers(dom) == []
    assert dom.named("script") == []
    assert len(dom.named("h1")) == 1
    assert console == []
    assert remote == set()


def test_this_test_would_see_a_script_and_a_request(tmp_path: Path):
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><h1>x</h1><script>console.log('ran')</script><img src='http://127.0.0.1:9/canary.png'>"
    )
    dom, console, remote = asked_for(tmp_path, page)
    assert (
        "<script>" in dangers(dom)
    )
    assert (
        any("ran" in line for line in console)
    )
    assert (
        remote == {"http://127.0.0.1:9/canary.png"}
    )


def test_it_prints(tmp_path: Path):
    run = write(tmp_path / "run")
    build(run)
    out = tmp_path / "report.pdf"
    chromium(tmp_path, f"--print-to-pdf={out}", "--no-pdf-header-footer", target=run / "report.html")
    data = out.read_bytes()
    assert (
        data.startswith(b"%PDF")
    )
    assert (
        4 <= data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") + data.count(b"/Type /Page/") <= 40
    )
