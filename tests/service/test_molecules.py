"""Molecules through a real server: atoms in the answer of /explain, a drawing on the page, and what cannot be drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("rdkit")

from tests.molecule_predictors import small
from tests.service.conftest import Server, Start


@pytest.fixture(scope="module")
def server(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of one model of molecules."""
    home: Path = tmp_path_factory.mktemp("served") / "logd"
    small("boosting:rounds=20")[0].save(home)
    return start(home)


def test_explanations_hold_atoms_that_add_up_and_their_drawing(server: Server):
    with server.client() as client:
        answer = client.post("/explain", json={"rows": [{"smiles": "CC(=O)O"}, {"smiles": None}]})
        too_many = client.post("/explain", json={"rows": [{"smiles": "CCO"}] * 11})
    first, second = answer.json()["explanations"]
    told = first["parts"]["smiles"]
    total = told["base"] + told["rest"] + sum(told["values"]) + sum(told["bond_values"])
    assert total == pytest.approx(first["prediction"], abs=1e-6) and first["adds_up"]
    assert told["svg"].startswith("<svg xmlns=") and "<title" in told["svg"] and "<script" not in told["svg"]
    assert second["parts"] == {}
    assert too_many.status_code == 422 and "at most 10 molecules" in too_many.text


def test_the_page_shows_the_molecule_with_its_atoms(server: Server):
    with server.client(follow_redirects=True) as client:
        page = client.get("/").text
        assert "SMILES or InChI" in page and "<svg" not in page
        key = re.search(r'name="form key" value="([^"]+)"', page).group(1)
        shown = client.post("/", data={"form key": key, "c1": "CC(=O)O"})
        refused = client.post("/", data={"form key": key, "c1": "nonsense"})
    assert shown.status_code == 200
    assert shown.text.count("<svg") == 1 and 'class="letter"' in shown.text and "on the scale mean" in shown.text
    assert "<style" not in re.search(r"<svg.*?</svg>", shown.text, re.DOTALL).group(0)
    assert refused.status_code == 422 and "<svg" not in refused.text and 'role="alert"' in refused.text
