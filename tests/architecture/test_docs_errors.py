"""Every error code has a cause and a cure, in the source and on the page."""

from __future__ import annotations

from pathlib import Path

from osler.errors import CODES, CURES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")


def test_every_code_has_a_cause_and_a_cure():
    assert list(CURES) == list(CODES)
    assert [code for code in CODES if len(CODES[code].split()) < 4 or len(CURES[code].split()) < 3] == []


def test_the_page_shows_both():
    lost = [code for code in CODES if f"| `{code}` | {CODES[code]} | {CURES[code]} |" not in PAGE]
    assert lost == []


def test_no_code_is_on_the_page_that_is_not_raised():
    shown = {line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")}
    assert shown == set(CODES)
