"""The page of ADMET profiles: what it says, where its dots lie, that it holds nothing that acts, and how a browser
takes it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from osler.report.profile import dot_plot, page
from tests.report.test_browser import CHROMIUM, asked_for, chromium

pytest.importorskip("rdkit")


def _line(**changes: Any) -> dict[str, Any]:
    line = {
        "run": "herg",
        "group": "toxicity",
        "endpoint": "hERG block",
        "label": "hERG",
        "kind": "probability",
        "unit": "",
        "wanted": "low",
        "n": 9673,
        "certificate": "clean",
        "value": 0.3214,
        "low": 0.28,
        "high": 0.37,
        "in_domain": True,
        "percentile": 40.0,
        "in_training": False,
        "out_of_fold": None,
    }
    return {**line, **changes}


def _found(*lines: dict[str, Any], smiles: str = "CC(=O)Oc1ccccc1C(=O)O", name: str = "aspirin") -> dict[str, Any]:
    molecule = {
        "place": 1,
        "name": name,
        "smiles": smiles,
        "lines": list(lines),
        "numbers": [{"name": "weight", "what": "molecular weight", "unit": "Da", "value": 180.16, "percentile": 10.0}],
        "verdicts": [
            {"name": "ro5", "what": "Lipinski", "kind": "rule", "passes": True, "met": ""},
            {"name": "brenk", "what": "groups", "kind": "alert", "passes": False, "met": "phenol_ester"},
        ],
    }
    return {"reference": {"what": "approved drugs (ClinTox)", "n": 1384}, "molecules": [molecule], "not_read": []}


def test_the_page_says_every_line():
    text = page(
        _found(
            _line(),
            _line(
                endpoint="logD",
                kind="number",
                unit="log",
                value=1.234,
                low=0.5,
                high=2.0,
                in_domain=False,
                percentile=None,
            ),
        )
    )
    for words in (
        "hERG block",
        "0.321",
        "0.280 to 0.370",
        "9,673",
        "1.23 log",
        "0.50 to 2.00",
        "outside",
        "inside",
        "phenol_ester",
        "180.16 Da",
    ):
        assert words in text
    assert "1,384 approved drugs (ClinTox)" in text
    assert text.count("<h1") == 1
    assert "<dt>molecular weight</dt><dd>180.16 Da</dd>" in text


def test_what_was_learnt_from_is_said():
    assert "in its table; left out, the answer was 0.111" in page(_found(_line(in_training=True, out_of_fold=0.111)))
    assert "in its table" not in page(_found(_line()))


def test_dots_lie_at_their_percentiles():
    figure = dot_plot(_found(_line(percentile=0.0), _line(percentile=100.0, in_domain=False))["molecules"][0])
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="5.5" class="([^"]+)"', figure.body)
    assert [float(x) for x, _, _ in dots] == [268.0, 236.0, 556.0]  # 10, 0 and 100 % between 236 and 556
    assert [c for *_, c in dots] == ["f1", "f1", "axis s1"]
    assert "hERG block: 100" in figure.description
    assert "lower wanted" in figure.body


def test_no_reference_no_dots():
    found = _found(_line(percentile=None))
    found["molecules"][0]["numbers"][0]["percentile"] = None
    assert dot_plot(found["molecules"][0]) is None
    assert "dots-1" not in page(found)


def test_hostile_names_stay_text():
    text = page(_found(_line(endpoint="<img src=x onerror=alert(1)>"), name="<script>alert(1)</script>"))
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text


def test_refused_entries_and_many_molecules():
    found = _found(_line())
    found["not_read"] = [{"place": 3, "name": "x", "reason": "syntax error"}]
    found["molecules"] = found["molecules"] * 60
    text = page(found)
    assert "syntax error" in text
    assert "The first 50 are shown" in text
    assert text.count("<h2") == 51
    assert len(set(re.findall(r'id="(dots-\d+-title)"', text))) == 50


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_browser_runs_nothing_and_asks_for_nothing(tmp_path: Path):
    path = tmp_path / "admet.html"
    path.write_text(page(_found(_line(), _line(in_domain=False, percentile=80.0))), encoding="utf-8")
    dom, console, remote = asked_for(tmp_path, path)
    assert dom.named("script") == []
    assert (console, remote) == ([], set())
    chromium(tmp_path, f"--screenshot={tmp_path / 'page.png'}", "--window-size=390,900", target=path)
    assert (tmp_path / "page.png").stat().st_size > 5000
