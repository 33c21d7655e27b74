"""A headless Chromium driven over a pipe (the DevTools protocol): pages are opened, moved and photographed, and all that they ask for is seen."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CHROMIUM = next((p for p in ("chromium", "chromium-browser", "google-chrome") if shutil.which(p)), None)
FLAGS = (
    "--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page of a browser.

    Attributes:
        asked: address of every request, in order. said: what the console and uncaught errors said.
    """

    def __init__(self, to: int, back: int) -> None:
        self.to, self.back, self.rest, self.number = to, back, b"", 0
        self.asked: list[str] = []
        self.said: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = ""
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its answer; events that come meanwhile are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if getattr(self, "session", ""):
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(60)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self, seconds: float) -> dict[str, Any]:
        import select

        end = time.monotonic() + seconds
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.back], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            self.rest += os.read(self.back, 1 << 20)
        line, _, self.rest = self.rest.partition(b"\0")
        message = json.loads(line)
        event, params = message.get("method", ""), message.get("params", {})
        if event == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif event == "Runtime.consoleAPICalled":
            self.said.append(f"{params['type']}: " + " ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif event == "Runtime.exceptionThrown":
            self.said.append("exception: " + json.dumps(params["exceptionDetails"])[:500])
        elif event == "Log.entryAdded":
            self.said.append(f"{params['entry']['level']}: {params['entry']['text']}")
        return message

    def open(self, address: str, width: int = 1280, height: int = 800) -> None:
        """Go to a page."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=address)
        self.until(f"document.readyState === 'complete' && location.href === {json.dumps(address)}")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression (promises are waited for)."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, seconds: float = 60) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}; {self.said}"
            time.sleep(0.1)

    def shot(self, path: Path | None = None) -> np.ndarray:
        """(y, x, 3) uint8 of what a person sees."""
        from PIL import Image

        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path is not None:
            path.write_bytes(data)
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def of(self, selector: str) -> np.ndarray:
        """What a person sees of one element."""
        box = self.run(f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom] }})()")
        left, top, right, bottom = (max(0, round(v)) for v in box)
        return self.shot()[top:bottom, left:right]

    def set(self, identifier: str, value: str | float) -> None:
        """Move a slider or choose from a list, as a person does."""
        self.run(
            f"(() => {{ const e = document.getElementById('{identifier}'); e.value = {json.dumps(str(value))};"
            " e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true}));"
            " return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))) })()"
        )
        time.sleep(0.1)


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, gone at the end."""
    to_read, to = os.pipe()
    back, back_write = os.pipe()
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}"]

    def placed() -> None:
        os.dup2(to_read, 3)
        os.dup2(back_write, 4)

    process = subprocess.Popen(
        command, pass_fds=(3, 4), preexec_fn=placed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for end in (to_read, back_write):
            os.close(end)
        yield Browser(to, back)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait(10)
        for end in (to, back):
            os.close(end)
