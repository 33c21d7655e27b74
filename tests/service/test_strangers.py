"""What strangers, guessers and senders of bad input get from a real server: refusals, quickly, and never a 500."""

from __future__ import annotations

import json
import random
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.service.conftest import Server, Start

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ROUTES = [
    f"{place}{call}"
    for place in ("", "/models/clinic", "/models/gbsg2", "/models/nobody")
    for call in ("/", "/predict", "/explain", "/card", "/health", "/nothing")
] + ["/models", "/openapi.json", "/docs", "/logout", "/..%2f..%2fetc/passwd", "//predict"]


@pytest.fixture(scope="module")
def victim(start: Start, homes: dict[str, Path]) -> Server:
    """A server of its own, so that its throttle does not meet the other tests."""
    return start(homes["clinic"], homes["gbsg2"])


def test_every_route_and_verb_is_401_without_a_token(victim: Server):
    with httpx.Client(base_url=victim.address) as client:
        found = {(v, r): client.request(v, r).status_code for r in ROUTES for v in VERBS}
        login = client.post("/login", data={})
    assert {k: v for k, v in found.items() if v != 401} == {}
    assert login.status_code == 401


def test_every_route_and_verb_is_401_or_429_with_a_wrong_token(start: Start, homes: dict[str, Path]):
    server = start(homes["clinic"], homes["gbsg2"])
    seen: list[int] = []
    with httpx.Client(base_url=server.address) as client:
        for i, (verb, route) in enumerate((v, r) for r in ROUTES for v in VERBS):
            kind = ("Bearer wrong", f"Basic {server.token}", "Bearer", f"Bearer {server.token[:-1]}")[i % 4]
            seen.append(client.request(verb, route, headers={"authorization": kind}).status_code)
    assert set(seen) == {401, 429}


def test_guesses_are_throttled_and_the_holder_is_not_locked_out(victim: Server):
    with victim.client() as right:
        assert right.get("/health").status_code == 200
    with httpx.Client(base_url=victim.address) as client:
        answers = [client.get("/health", headers={"authorization": f"Bearer guess{i}"}).status_code for i in range(100)]
    assert 200 not in answers
    with victim.client() as right:  # this address has shown the right token, so it is still heard
        assert right.get("/health").status_code == 200


def test_a_stranger_address_is_throttled_after_ten_wrong_tokens(start: Start, homes: dict[str, Path]):
    server = start(homes["clinic"])
    with httpx.Client(base_url=server.address) as client:
        answers = [client.get("/health", headers={"authorization": f"Bearer guess{i}"}) for i in range(300)]
        logins = [client.post("/login", data={"token": f"guess{i}"}) for i in range(20)]
    assert [a.status_code for a in answers] == [401] * 10 + [429] * 290
    assert answers[-1].headers["retry-after"] == "60"
    assert {a.status_code for a in logins} == {429}
    lines = server.audit.read_text().splitlines()
    assert len(lines) <= 12  # throttled guesses cannot fill the disk


MANY_KEYS = json.dumps({f"k{i}": 1 for i in range(10_001)}).encode()


def hostile_json(rng: random.Random) -> bytes:
    """One body that is not strict JSON, or not of the right shape before any column is looked at."""
    deep, many = rng.randint(65, 5000), rng.randint(31, 4000)
    number = rng.choice(
        [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e400", b"9" * many, b"0x10", b"+1", b".5", b"01"]
    )
    noise = bytes(rng.randint(0, 255) for _ in range(rng.randint(1, 60)))
    return rng.choice([
        b"[" * deep + b"]" * deep,
        b'{"rows":' * deep + b"1" + b"}" * deep,
        b'{"rows":[{"age":1,"age":2}]}',
        b'{"rows":[],"rows":[{"age":1}]}',
        b'{"rows":[{"age":%s}]}' % number,
        b'{"rows":[{"ward":"\\ud800"}]}',
        b'{"rows":[{"ward":"' + bytes([rng.randint(0x80, 0xFF)]) * 3 + b'"}]}',
        b'{"rows":[{"age":1}' + noise,
        b'{"rows":[{"age":1,}]}',
        b"\xef\xbb\xbf" + b"{",
        b'"' + b'\\"' * many,
        noise + b"\x00",
        MANY_KEYS,
        b"",
    ])  # fmt: skip


def test_a_thousand_bad_bodies_are_400_and_quick(victim: Server):
    rng, slowest, odd = random.Random(3), 0.0, []
    with victim.client() as client:
        for _ in range(1000):
            body = hostile_json(rng)
            began = time.perf_counter()
            answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
            slowest = max(slowest, time.perf_counter() - began)
            if answer.status_code != 400 or answer.json()["code"] not in ("json", "limit-depth"):
                odd.append((body[:60], answer.status_code))
        assert client.get("/health").status_code == 200
    assert odd == []
    assert slowest < 2.0


@pytest.mark.parametrize(
    "body", ["[]", "1", "null", '"text"', '{"rows": 5}', '{"rows": []}', '{"rows": [1]}', '{"rows": [[]]}']
)
def test_json_of_another_shape_is_422(victim: Server, body: str):
    with victim.client() as client:
        answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "input"


def test_too_many_rows_are_413(victim: Server):
    with victim.client() as client:
        answer = client.post("/predict", json={"rows": [{"age": 1}] * 10_001})
    assert answer.status_code == 413
    assert "10000 rows" in answer.json()["detail"]


def talk(server: Server, *parts: bytes, wait: float = 5.0) -> bytes:
    """Send raw bytes and read what comes back until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as link:
        try:
            for part in parts:
                link.sendall(part)
        except OSError:
            pass  # the server may close before all is sent
        got = b""
        try:
            while chunk := link.recv(65536):
                got += chunk
                if b"\r\n\r\n" in got and b"HTTP/1.1 4" in got:
                    break
        except OSError:
            pass
        return got


def head(server: Server, *lines: str, path: str = "/predict") -> bytes:
    """The head of a POST with the token."""
    own = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Authorization: Bearer {server.token}"]
    return "\r\n".join([*own, "Content-Type: application/json", *lines, "", ""]).encode()


def test_a_declared_giant_is_413_before_it_is_sent(victim: Server):
    began = time.perf_counter()
    got = talk(victim, head(victim, "Content-Length: 10737418240"))
    assert got.startswith(b"HTTP/1.1 413")
    assert time.perf_counter() - began < 1.0


def test_a_chunked_giant_is_413_and_memory_stays(victim: Server):
    before = resident_mib(victim)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert talk(victim, head(victim, "Transfer-Encoding: chunked"), *[chunk] * 800).startswith(b"HTTP/1.1 413")
    small = b"6\r\nxxxxxx\r\n" * 2000
    assert talk(victim, head(victim, "Transfer-Encoding: chunked"), *[small] * 250).startswith(b"HTTP/1.1 413")
    assert resident_mib(victim) - before <= 32


def resident_mib(server: Server) -> float:
    """Resident memory of the server."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.is_file():
        pytest.skip("no /proc here")
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def test_endless_headers_are_cut_off(victim: Server):
    got = talk(victim, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n", *[b"X-Long: " + b"y" * 1000 + b"\r\n"] * 100)
    assert got.startswith(b"HTTP/1.1 431")
    many = b"".join(b"X-%d: y\r\n" % i for i in range(200))
    assert talk(victim, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + many + b"\r\n").startswith(b"HTTP/1.1 431")


def test_dawdlers_are_closed_and_others_are_served(victim: Server):
    slow = [socket.create_connection(("127.0.0.1", victim.port), timeout=20) for _ in range(200)]
    try:
        for link in slow[:100]:
            link.sendall(b"GET /health HT")
        with victim.client() as client:
            began = time.perf_counter()
            assert all(client.get("/health").status_code == 200 for _ in range(20))
            assert time.perf_counter() - began < 5.0
        got = [link.recv(200) for link in slow]
        assert all(g.startswith(b"HTTP/1.1 408") or g == b"" for g in got)
    finally:
        for link in slow:
            link.close()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "[::1]x", "10.0.0.1:8000"]
)
def test_another_host_name_is_refused(victim: Server, host: str):
    got = talk(
        victim,
        f"GET /health HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {victim.token}\r\nConnection: close\r\n\r\n".encode(),
    )
    assert got.startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))


def test_doubled_authority_headers_and_web_sockets_are_refused(victim: Server):
    twice = (
        f"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {victim.token}\r\n\r\n"
    )
    assert talk(victim, twice.encode()).startswith(b"HTTP/1.1 400")
    upgrade = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert talk(victim, upgrade.encode()).startswith(b"HTTP/1.1 401")


def test_every_response_has_the_headers_that_browsers_heed(victim: Server):
    with victim.client() as client:
        answers = [
            client.get("/health"),
            client.get("/nothing"),
            client.put("/predict"),
            client.post("/predict", content=b"{"),
        ]
    answers.append(httpx.get(f"{victim.address}/"))
    assert [a.status_code for a in answers] == [200, 404, 405, 415, 401]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers
    assert [a.json()["code"] for a in answers[1:]] == ["route", "method", "media-type", "token"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_open_addresses_need_tls(homes: dict[str, Path], host: str):
    command = [sys.executable, "-m", "osler", "serve", str(homes["clinic"]), "--host", host, "--port", "0"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert "[address]" in ran.stderr
    assert "--cert" in ran.stderr


def test_tls_serves_an_open_address(start: Start, homes: dict[str, Path], tmp_path: Path):
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")], capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl here")
    tls = ("--cert", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem"), "--host", "0.0.0.0")
    server = start(homes["clinic"], options=tls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with httpx.Client(verify=context) as client:
        address = f"https://127.0.0.1:{server.port}/health"
        assert client.get(address).status_code == 401
        assert client.get(address, headers={"authorization": f"Bearer {server.token}"}).status_code == 200
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with httpx.Client(verify=context) as client, pytest.raises(httpx.TransportError):
        client.get(address)
