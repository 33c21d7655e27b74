"""Multipart messages by hand, in steps of every size, and what is none."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from osler.adapters.imaging.multipart import MAX_HEADERS, bodies, boundary_of
from osler.errors import LimitError, ReadError

MESSAGE = (
    b"a preamble\r\n--edge\r\nContent-Type: application/dicom\r\nContent-Disposition: attachment; filename=\"../../etc/passwd\"\r\n\r\n"
    b"first\r\n--edg\r\n\r\n--edge\r\n\r\nsecond has no headers\r\n--edge\r\nA: b\r\n\r\n\r\n--edge--\r\nepilogue"
)  # fmt: skip


def by(step: int, data: bytes) -> Callable[[int], bytes]:
    """A reader that gives at most `step` bytes at once."""
    raw = io.BytesIO(data)
    return lambda n: raw.read(min(n, step))


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1 << 20])
def test_bodies_in_order_whatever_the_steps(step: int):
    assert list(bodies(by(step, MESSAGE), b"edge", 100)) == [b"first\r\n--edg\r\n", b"second has no headers", b""]


@pytest.mark.parametrize("end", range(0, len(MESSAGE) - 12, 7))
def test_a_message_that_ends_early_is_said(end: int):
    with pytest.raises(ReadError, match="ends before") as refused:
        list(bodies(by(5, MESSAGE[:end]), b"edge", 100))
    assert refused.value.code == "read-truncated"


def test_limits_hold_before_everything_is_read():
    read = by(1 << 16, b"--e\r\n\r\n" + b"x" * (4 << 20))
    with pytest.raises(LimitError, match="at most 1,000 bytes"):
        list(bodies(read, b"e", 1000))
    assert len(read(8 << 20)) > 0
    with pytest.raises(LimitError, match="longer"):
        list(bodies(by(1 << 16, b"x" * (MAX_HEADERS + 70_000)), b"e", 1000))
    with pytest.raises(LimitError, match="longer"):
        list(bodies(by(1 << 16, b"--e\r\nA: " + b"x" * 200_000), b"e", 1000))
    assert list(bodies(by(9, b"--e\r\n\r\n" + b"x" * 1000 + b"\r\n--e--"), b"e", 1000)) == [b"x" * 1000]
    with pytest.raises(LimitError):
        list(bodies(by(9, b"--e\r\n\r\n" + b"x" * 1001 + b"\r\n--e--"), b"e", 1000))


def test_boundaries_of_content_types():
    assert boundary_of('multipart/related; type="application/dicom"; boundary="a b:c"') == b"a b:c"
    assert boundary_of("Multipart/Related;boundary=x-1;type=y") == b"x-1"
    for none in ("", "text/html", "multipart/related", "application/dicom; boundary=x", f"multipart/related; boundary={'x' * 201}"):
        with pytest.raises(ReadError, match="multipart"):
            boundary_of(none)
