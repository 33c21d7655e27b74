"""The parts of the service on their own: strict JSON, tokens, addresses, the audit chain, the batcher."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from osler.errors import CODES, InputError
from osler.service.addresses import allowed_hosts, check_address, is_loopback, same_origin, split_host
from osler.service.audit import Audit, broken_line
from osler.service.batching import Batcher
from osler.service.problems import Problem
from osler.service.served import name_of, open_runs
from osler.service.strict_json import depth, parse
from osler.service.tokens import MOST_FAILURES, Doorkeeper, digest, new_token, token_of


def test_depth_counts_brackets_outside_of_texts():
    assert depth(b'{"a": [1, {"b": "]]]}}}[[["}]}') == 3
    assert depth(b'"[[[[[[" ') == 0
    assert depth(b'["\\"[[[", [[]]]') == 3
    assert depth(b'"' + b'\\"' * 200_000 + b"[[") == 0
    assert depth(b"[" * 70 + b"]" * 70) == 70


def test_strict_json_takes_what_json_is():
    assert parse('{"a": [1, 2.5, -0.0, null, true, "é", "\\u00e9", "\\ud83d\\ude00"]}'.encode()) == {
        "a": [1, 2.5, -0.0, None, True, "é", "é", "😀"]
    }
    assert parse(b"[" * 64 + b"]" * 64)


@pytest.mark.parametrize(
    "body",
    [b'{"a":1,"a":2}', b"NaN", b"[1e999]", b"1" * 31, b'"\\ud800"', b"\xff", b"", b"[" * 65 + b"]" * 65, b"{'a': 1}"],
)
def test_strict_json_refuses_the_rest(body: bytes):
    with pytest.raises(Problem) as caught:
        parse(body)
    assert caught.value.status == 400


def test_a_token_has_256_bits_and_its_file_only_the_digest(tmp_path: Path):
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) == 43
    file = tmp_path / "token"
    kept, token = token_of(file)
    assert kept == digest(token)
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert token_of(file) == (kept, "")
    file.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        token_of(file)
    file.write_text("a plain token")
    file.chmod(0o600)
    with pytest.raises(InputError, match="sha256:HEX"):
        token_of(file)


def test_ten_wrong_tokens_close_an_address_for_a_minute():
    now = [0.0]
    token = new_token()
    door = Doorkeeper(digest(token), lambda: now[0])
    for _ in range(MOST_FAILURES):
        assert not door.throttled("a")
        assert not door.accepts("guess", "a")
    assert door.throttled("a")
    assert not door.throttled("b")
    now[0] = 59.0
    assert door.throttled("a")
    now[0] = 61.0
    assert not door.throttled("a")
    assert door.accepts(token, "a")
    for _ in range(50):
        door.accepts("guess", "a")
    assert not door.throttled("a")  # it has shown the right token
    now[0] += 3601.0
    for _ in range(MOST_FAILURES):
        door.accepts("guess", "a")
    assert door.throttled("a")


def test_the_doorkeeper_forgets_the_oldest_strangers():
    door = Doorkeeper(digest(new_token()), lambda: 0.0)
    for i in range(10_050):
        door.accepts("guess", f"address {i}")
    assert len(door._failures) == 10_000


def test_sessions_expire_and_forms_belong_to_one():
    now = [0.0]
    door = Doorkeeper(digest("x"), lambda: now[0])
    first, second = door.open_session(), door.open_session()
    assert door.knows_session(first)
    assert not door.knows_session("other")
    assert door.is_form_key(first, door.form_key(first))
    assert not door.is_form_key(first, door.form_key(second))
    assert not door.is_form_key(first, "é")
    door.close_session(first)
    assert not door.knows_session(first)
    now[0] = 13 * 3600.0
    assert not door.knows_session(second)


def test_only_loopback_is_open_without_tls(tmp_path: Path):
    assert all(is_loopback(h) for h in ("127.0.0.1", "127.8.9.1", "::1", "localhost"))
    assert not any(is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "localhost.evil", "127.0.0.1.evil"))
    check_address("127.0.0.1", None, None)
    key = tmp_path / "key.pem"
    key.write_text("")
    for host, cert, private in (("0.0.0.0", None, None), ("127.0.0.1", key, None), ("0.0.0.0", key, tmp_path / "none")):
        with pytest.raises(InputError) as caught:
            check_address(host, cert, private)
        assert caught.value.code == "address"
    check_address("0.0.0.0", key, key)


def test_hosts_and_origins_are_compared_as_a_whole():
    assert split_host("Example.org:8000") == ("example.org", "8000")
    assert split_host("[::1]:80") == ("::1", "80")
    assert split_host("a b") is None
    assert split_host("user@host") is None
    assert "::1" in allowed_hosts("127.0.0.1", ("clinic.local",))
    assert "0.0.0.0" not in allowed_hosts("0.0.0.0", ())
    assert same_origin("http://127.0.0.1:8000", "http", "127.0.0.1:8000")
    assert same_origin("https://clinic.local", "https", "clinic.local:443")
    for other in (
        "http://127.0.0.1:80001",
        "http://127.0.0.1",
        "https://127.0.0.1:8000",
        "http://127.0.0.1:8000.evil",
        "null",
    ):
        assert not same_origin(other, "http", "127.0.0.1:8000")


def test_the_audit_chain_finds_every_kind_of_tampering(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    audit = Audit(path)
    for i in range(20):
        audit.write(request=f"r{i}", route="predict", model="m", rows=i, status=200, code="")
    with pytest.raises(InputError, match="not in use"):
        Audit(path)
    audit.close()
    assert broken_line(path) == 0
    lines = path.read_text().splitlines(keepends=True)
    tampered = [
        lines[:5] + lines[6:], [*lines[:5], lines[6], lines[5], *lines[7:]], [*lines[:3], lines[3].replace('"rows":3', '"rows":4'), *lines[4:]],
        [lines[0], *lines], [*lines[:-1], lines[-1][:-10]], lines[1:],
    ]  # fmt: skip
    for changed in tampered:
        (tmp_path / "changed").write_text("".join(changed))
        assert broken_line(tmp_path / "changed") > 0
    again = Audit(path)
    again.write(request="later")
    again.close()
    assert broken_line(path) == 0
    path.write_text("".join(lines[1:]))
    with pytest.raises(InputError, match="was changed at line 1"):
        Audit(path)


def test_no_answer_without_its_audit_line(tmp_path: Path):
    audit = Audit(tmp_path / "audit.jsonl")
    handle = audit._handle
    audit._handle = os.open("/dev/full", os.O_WRONLY) if Path("/dev/full").exists() else -1
    with pytest.raises(Problem) as caught:
        audit.write(request="r")
    assert (caught.value.status, caught.value.code) == (503, "audit")
    os.close(handle)


def test_the_batcher_answers_everyone_and_shares_one_error():
    calls: list[int] = []

    def answer(rows: list[dict]) -> list[int]:
        calls.append(len(rows))
        if any(r["x"] < 0 for r in rows):
            raise ValueError("bad")
        return [r["x"] * 2 for r in rows]

    async def work() -> None:
        batcher: Batcher[int] = Batcher(answer)
        found = await asyncio.gather(*(batcher.submit([{"x": i}]) for i in range(200)))
        assert found == [[2 * i] for i in range(200)]
        assert max(calls) <= 64
        assert len(calls) <= 8
        assert await batcher.submit([{"x": i} for i in range(500)]) == [2 * i for i in range(500)]
        both = await asyncio.gather(batcher.submit([{"x": -1}]), batcher.submit([{"x": 1}]), return_exceptions=True)
        assert [type(b) for b in both] == [ValueError, ValueError]
        with pytest.raises(Problem) as caught:
            await batcher.submit([{"x": 1}] * 60_000)
        assert caught.value.code == "busy"
        assert await batcher.submit([{"x": 4}]) == [8]
        batcher.close()

    asyncio.run(work())


def test_problem_documents_carry_codes_that_are_documented():
    problem = Problem(413, "limit-size", "too large")
    document = json.loads(problem.body("abc"))
    assert document == {
        "type": "about:blank", "title": "Request Entity Too Large", "status": 413, "code": "limit-size", "detail": "too large",
        "request": "abc",
    }  # fmt: skip
    assert document["code"] in CODES
    with pytest.raises(AssertionError):
        Problem(400, "no-such-code", "")


def test_names_of_folders_become_parts_of_an_address(tmp_path: Path, homes: dict[str, Path]):
    assert name_of(tmp_path / "Herz & Nieren ..%2f") == "herz-nieren-..-2f"
    assert name_of(tmp_path / "__") == "model"
    twice = open_runs([homes["clinic"], homes["clinic"]])
    assert [s.name for s in twice] == ["clinic", "clinic-2"]
    with pytest.raises(InputError) as caught:
        open_runs([tmp_path])
    assert caught.value.code == "run-missing"
