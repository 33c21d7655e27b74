"""Text encodings are decided only where it is safe, whatever way the bytes are cut into steps."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from osler.cohort.encoding import by_mark, decide, is_western, to_utf8
from osler.errors import ReadError

TABLE = "name,größe\nJosé,1\n"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (codecs.BOM_UTF8 + b"a,b", "utf-8-sig"),
        (codecs.BOM_UTF16_LE + "a,b".encode("utf-16-le"), "utf-16"),
        (codecs.BOM_UTF16_BE + "a,b".encode("utf-16-be"), "utf-16"),
        (codecs.BOM_UTF32_LE + "a,b".encode("utf-32-le"), "utf-32"),
        (codecs.BOM_UTF32_BE + "a,b".encode("utf-32-be"), "utf-32"),
        ("a,b,c,d\n1".encode("utf-16-le"), "utf-16-le"),
        ("a,b,c,d\n1".encode("utf-16-be"), "utf-16-be"),
        (b"a,b\n", ""),
        (b"", ""),
    ],
)
def test_marks_and_patterns(data: bytes, name: str) -> None:
    assert by_mark(data) == name


@pytest.mark.parametrize(
    ("data", "safe"),
    [
        ("José °C µmol".encode("cp1252"), True),
        (b"plain", False),
        (b"\x81", False),
        ("é".encode(), False),
        ("é".encode() + "é".encode("cp1252"), False),
        (b"", False),
    ],
)
def test_what_reads_safely_as_western(data: bytes, safe: bool) -> None:
    assert is_western(data) is safe


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_whole_text_comes_back(encoding: str, size: int) -> None:
    data = TABLE.encode(encoding)
    steps = [data[at : at + size] for at in range(0, len(data), size)]
    found = decide([data], "t.csv")
    assert b"".join(to_utf8(iter(steps), found, "t.csv")).decode() == TABLE


@given(st.integers(1, 9), st.text("aé€ß\n,", min_size=1, max_size=30))
@example(1, "é")
@example(1, "€a")
def test_utf8_is_told_however_it_is_cut(size: int, text: str) -> None:
    data = text.encode()
    assert decide([data[at : at + size] for at in range(0, len(data), size)], "t.csv") == "utf-8"


@pytest.mark.parametrize(
    "steps",
    [
        [b"a\nJos\xe9"],
        [b"a\nJos\xe9\n"],
        [b"a\nJos\xe9", b"\nb\n"],
        [b"a\nJos", b"\xe9\nb\n"],
        [b"a\nJos\xe9", b"", b"b\n"],
        [b"a\n", b"Jos\xe9"],
    ],
)
def test_one_western_letter_is_told_wherever_the_steps_end(steps: list[bytes]) -> None:
    """A letter above 127 as the last byte of a step or of the file is no half of a UTF-8 character."""
    assert decide(steps, "t.csv") == "cp1252"


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ([b"a\nb\n\x81\xfe\n"], 3),
        ([b"a\n", b"b\n", b"\x81\x8d\n"], 3),
        ([b"\x81\n", b"b\n"], 1),
        ([b"a\nb\n\x81"], 3),
        ([b"a\n\xe2", b"\x82\n\n\xff"], 2),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_line(steps: list[bytes], line: int) -> None:
    with pytest.raises(ReadError, match=f"line {line} ") as error:
        decide(steps, "t.csv")
    assert error.value.code == "read-encoding"


def test_a_binary_file_is_refused() -> None:
    with pytest.raises(ReadError, match="binary file") as error:
        decide([bytes(range(1, 32)) * 10], "t.csv")
    assert error.value.code == "read-format"


@pytest.mark.parametrize(
    ("steps", "encoding", "line"),
    [
        ([b"a\nb\n\xff"], "utf-8", 3),
        ([b"a\n", b"\xc3"], "utf-8", 2),
        ([codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + b"\x00"], "utf-16", 2),
    ],
)
def test_a_text_that_breaks_off_is_refused(steps: list[bytes], encoding: str, line: int) -> None:
    with pytest.raises(ReadError, match=f"line {line} ") as error:
        list(to_utf8(iter(steps), encoding, "t.csv"))
    assert error.value.code == "read-encoding"


def test_a_refusal_holds_no_cell() -> None:
    with pytest.raises(ReadError) as error:
        decide([b"name\nSmith\x81\n"], "t.csv")
    assert "Smith" not in error.value.message
