"""Rules and numbers against published values and RDKit's own; tables of every format; profiles of many molecules."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cli.show_discovery import show_profiles
from osler.engine.discovery.known import Columns, gather, open_table, pairs_of
from osler.engine.discovery.molecules import asked
from osler.engine.discovery.panel import open_panel
from osler.engine.discovery.plain import BBB_TPSA, BBB_WEIGHT, NUMBERS, numbers, verdicts
from osler.engine.discovery.profile import profile, write
from osler.engine.discovery.reference import Reference
from osler.errors import LimitError, ReadError
from tests.engine.discovery.families import ROWS
from tests.engine.discovery.panels import SMILES, panel

pytest.importorskip("rdkit")
#: SMILES, weight and TPSA as PubChem states them (CID 2244, 54670067, 5288826, 54454, 1983).
PUBCHEM = [
    ("CC(=O)Oc1ccccc1C(=O)O", 180.16, 63.6),
    ("OCC(O)C1OC(=O)C(O)=C1O", 176.12, 107.2),
    ("CN1CC[C@]23[C@@H]4[C@H]1Cc5c2c(c(cc5)O)O[C@H]3[C@H](C=C4)O", 285.34, 52.9),
    ("CCC(C)(C)C(=O)O[C@H]1C[C@@H](C)C=C2C=C[C@H](C)[C@H](CC[C@@H]3C[C@@H](O)CC(=O)O3)[C@@H]12", 418.57, 72.8),
    ("CC(=O)Nc1ccc(O)cc1", 151.16, 49.3),
]


def _one(smiles: str):
    return asked(smiles)[0][0].mol


@pytest.mark.parametrize(("smiles", "weight", "tpsa"), PUBCHEM)
def test_weight_and_polar_surface_are_pubchems(smiles: str, weight: float, tpsa: float):
    values = dict(zip(NUMBERS, numbers([_one(smiles)])[0]))
    assert values["weight"] == pytest.approx(weight, abs=0.02)
    assert values["tpsa"] == pytest.approx(tpsa, abs=0.2)


def test_numbers_of_many_are_those_of_each():
    mols = [_one(s) for s, *_ in PUBCHEM]
    together = numbers(mols)
    assert together.shape == (5, len(NUMBERS))
    assert np.array_equal(together, np.concatenate([numbers([m]) for m in mols]))
    assert numbers([]).shape == (0, len(NUMBERS))


@pytest.mark.parametrize(
    ("smiles", "broken"),
    [
        ("CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21", ""),  # diazepam: 284.7 Da, 32.7
        ("OCC(O)C1OC(=O)C(O)=C1O", "tpsa"),  # ascorbic acid: 107
        ("CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", "weight"),
    ],
)
def test_the_rule_for_the_brain(smiles: str, broken: str):
    rule = next(v for v in verdicts(_one(smiles)) if v["name"] == "bbb")
    assert rule["met"] == broken
    assert rule["passes"] == (broken == "")
    assert (BBB_TPSA, BBB_WEIGHT) == (90.0, 450.0)


def test_alerts_say_which():
    told = {v["name"]: v for v in verdicts(_one("O=C1C=CC(=O)C=C1"))}  # benzoquinone
    assert told["pains"]["met"].startswith("quinone")
    assert {v["kind"] for v in told.values()} == {"alert", "rule"}
    assert {n for n, v in told.items() if v["kind"] == "alert"} == {"pains", "brenk", "nih"}


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".csv.gz", ".ndjson"])
def test_tables_of_every_format_give_the_same_pairs(tmp_path: Path, ending: str):
    frame = pl.DataFrame(ROWS, schema=["smiles", "target"], orient="row")
    path = tmp_path / f"known{ending}"
    if ending == ".parquet":
        frame.write_parquet(path)
    elif ending == ".ndjson":
        frame.write_ndjson(path)
    else:
        text = frame.write_csv(separator="\t" if ending == ".tsv" else ",").encode()
        import gzip

        path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    assert open_table(path).height == len(ROWS)
    found, refused, n = pairs_of(path, Columns(), {})
    assert (n, dict(refused)) == (len(ROWS), {})
    assert gather([found], refused, n).targets == ("adrenoceptor", "anhydrase", "dna", "reductase")


def test_a_table_that_is_cut_is_refused(tmp_path: Path):
    import gzip

    path = tmp_path / "known.csv.gz"
    path.write_bytes(
        gzip.compress(pl.DataFrame(ROWS, schema=["smiles", "target"], orient="row").write_csv().encode())[:-20]
    )
    with pytest.raises((ReadError, LimitError)):
        pairs_of(path, Columns(), {})


def test_numbers_as_names_of_targets(tmp_path: Path):
    path = tmp_path / "known.csv"
    path.write_text("smiles,target,id\nCCO,25,x1\nCCN,3815,x2\nCCO,25,x3\n")
    frame, refused, n = pairs_of(path, Columns(name="id"), {})
    known = gather([frame], refused, n)
    assert known.targets == ("25", "3815")
    assert known.names == ("x1", "x2")  # the first name of a molecule
    assert known.refused == {"the same pair as in an earlier line": 1}


def test_the_largest_part_of_a_mixture_counts():
    frame = pl.DataFrame({"smiles": ["CCCCCCO.CCN", "CCO"], "name": ["", ""], "target": ["a", "b"]})
    assert gather([frame], Counter(), 2).smiles == ("CCCCCCO", "CCO")


def test_profiles_of_many_are_those_of_each():
    members, _ = open_panel(panel())
    queries = [asked(s)[0][0] for s in SMILES[1::20]]
    together = profile(queries, members, Reference("", 0, {}))
    alone = [profile([q], members, Reference("", 0, {}))[0] for q in queries]
    for one, other in zip(together, alone, strict=True):
        for first, second in zip(one.lines, other.lines, strict=True):
            assert first == {
                **second,
                "value": pytest.approx(second["value"]),
                "low": pytest.approx(second["low"]),
                "high": pytest.approx(second["high"]),
            }


def test_only_a_few_profiles_are_printed(capsys: pytest.CaptureFixture[str]):
    members, _ = open_panel(panel() / "size")
    queries = [asked(s)[0][0] for s in SMILES[:8]]
    show_profiles(profile(queries, members, Reference("approved", 3, {})), Reference("approved", 3, {}))
    out = capsys.readouterr().out
    assert out.count("endpoint") == 5
    assert "3 more: see --out" in out
    assert "among 3 approved" in out


def test_files_are_private_and_whole(tmp_path: Path):
    members, _ = open_panel(panel() / "size")
    found = profile(asked(SMILES[0])[0], members, Reference("", 0, {}))
    write(found, tmp_path / "out", Reference("", 0, {}))
    assert {oct(p.stat().st_mode & 0o777) for p in (tmp_path / "out").iterdir()} == {"0o600"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]  # no partial folder, no lock
    assert json.loads((tmp_path / "out" / "admet.json").read_text())["format"] == "osler.admet/1"
