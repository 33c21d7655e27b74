"""The molecule modality: its three layouts, its options, and what the table does with columns of molecules."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

import osler
from osler import modalities
from osler.blocks import Block
from osler.cohort.column import Column
from osler.errors import OptionError
from osler.modalities.molecule import tokens

MOLECULE = modalities.get("molecule")
VALUES = pl.Series("smiles", [
    "CC(=O)Oc1ccccc1C(=O)O", None, "C1CC", "CN1CCC[C@H]1c1cccnc1", " CCN(CC)CC.Cl ", "n/a", "OC(=O)c1ccccc1O",
    "InChI=1S/C2H6O/c1-2-3/h3H,2H2,1H3", "CCO",
])  # fmt: skip
PRESENT = [True, False, False, True, True, False, True, True, True]


def column(**options) -> Column:
    """A molecule column with these options."""
    return Column("smiles", "molecule", options=options)


def test_default_features_are_counts_and_descriptors():
    state = MOLECULE.fit(VALUES, column())
    block = MOLECULE.encode(VALUES, state)
    assert block.present.tolist() == PRESENT
    assert block.values.shape == (9, 1024 + 1024 + 315 + 152)
    assert block.kinds.count("count") == 1024 + 1024 + 315
    assert block.names[0] == "smiles: ecfp 0"
    weight = block.values[:, block.names.index("smiles: MolWt")]
    assert weight[0] == pytest.approx(180.159, abs=0.01)
    assert weight[4] == pytest.approx(101.193, abs=0.01), "without its hydrochloride"
    assert np.array_equal(block.values[7], block.values[8]), "ethanol as InChI and as SMILES"


def test_features_can_be_chosen():
    state = MOLECULE.fit(VALUES, column(features=["maccs"]))
    assert MOLECULE.encode(VALUES, state).values.shape == (9, 167)
    with pytest.raises(OptionError, match="did you mean 'maccs'"):
        MOLECULE.fit(VALUES, column(features=["macs"]))
    with pytest.raises(OptionError, match="notation of molecules must be auto, smiles or inchi, was 'iupac'"):
        MOLECULE.fit(VALUES, column(notation="iupac"))
    with pytest.raises(OptionError, match="salts of molecules must be strip or keep"):
        MOLECULE.fit(VALUES, column(salts="yes"))


def test_reasons_of_cells():
    reasons = MOLECULE.reasons(VALUES, column()).to_list()
    assert [i for i, r in enumerate(reasons) if r] == [2]
    assert reasons[2] == "unclosed ring"
    strict = MOLECULE.reasons(pl.Series(["CCCCC.c1ccccc1C", "CCN.Cl"]), column(mixtures="refuse"))
    assert strict.to_list() == ["a mixture of several molecules, which the option mixtures=refuse does not take", ""]
    assert MOLECULE.reasons(pl.Series([1.5, None]), column()).to_list() == ["not text", ""]


@pytest.mark.parametrize("layout", ["dense", "graph", "sequence"])
def test_every_layout_is_row_wise(layout):
    state = MOLECULE.fit(VALUES, column())
    whole = MOLECULE.encode_as(layout, VALUES, state)
    assert whole.layout == layout
    assert whole.present.tolist() == PRESENT
    order = np.random.default_rng(1).permutation(9)
    shuffled, taken = MOLECULE.encode_as(layout, VALUES[order.tolist()], state), whole.take(order)
    for name, array in taken.arrays.items():
        assert np.array_equal(array, shuffled.arrays[name], equal_nan=True), name
    parts = Block.concat([MOLECULE.encode_as(layout, VALUES[i : i + 3], state) for i in (0, 3, 6)])
    for name, array in whole.arrays.items():
        assert np.array_equal(array, parts.arrays[name], equal_nan=True), name
    assert len(MOLECULE.encode_as(layout, VALUES[:0], state)) == 0


def test_other_layouts_are_refused():
    with pytest.raises(OptionError, match="must be dense or graph or sequence, was 'grid'"):
        MOLECULE.encode_as("grid", VALUES, MOLECULE.fit(VALUES, column()))


def test_tokens_are_whole_and_unknown_ones_are_zero():
    smiles = "C[N+](C)(C)c1ccc(Br)cc1/C=C/Cl.[13CH4]%10"
    assert "".join(tokens(smiles)) == smiles
    assert {"[N+]", "Br", "Cl", "[13CH4]", "%10", "/"} <= set(tokens(smiles))
    state = MOLECULE.fit(pl.Series("smiles", ["CCO", "CCO", "CCN"]), column(spellings=1))
    assert state["tokens"] == ["C", "O"]
    block = MOLECULE.encode_as("sequence", pl.Series("smiles", ["OCC", "CCN", None]), state)
    assert block.values[:, 0].tolist() == [1, 1, 2, 1, 1, 0]
    assert block.arrays["offsets"].tolist() == [0, 3, 6, 6]


def test_a_molecule_is_written_in_several_ways_side_by_side():
    values = pl.Series("smiles", ["CC(C)Cc1ccc(C(C)C(=O)O)cc1", None, "OCC", "O=C(O)c1ccccc1", "CCO"])
    state = MOLECULE.fit(values, column(spellings=5))
    block = MOLECULE.encode_as("sequence", values, state)
    assert block.values.shape == (block.arrays["offsets"][-1], 5)
    assert block.present.tolist() == [True, False, True, True, True]
    places = ["?", *state["tokens"]]
    for row, canonical in ((0, "CC(C)Cc1ccc(C(C)C(=O)O)cc1"), (2, "CCO"), (4, "CCO")):
        codes = block.take(np.array([row])).values
        texts = ["".join(places[int(c)] for c in column if c >= 0) for column in codes.T]
        assert "?" not in "".join(texts)
        assert [Chem.CanonSmiles(t) for t in texts] == [canonical] * 5
    np.testing.assert_array_equal(block.take(np.array([2])).values, block.take(np.array([4])).values)
    with pytest.raises(OptionError, match="spellings of molecules must be at least 1, was 0"):
        MOLECULE.fit(values, column(spellings=0))


def test_summary_counts_what_the_policy_changed():
    values = pl.Series("smiles", ["CCN.Cl", "CC(=O)[O-].[Na+]", "C1CC", None, *["CCO"] * 8])
    facts = MOLECULE.summarise(values, column())
    assert (facts["n"], facts["missing"], facts["unreadable"]) == (12, 1, 1)
    assert facts["changed"] == {"charge neutralised": 1, "counter-ion or solvent removed": 2}
    assert facts["heavy_atoms_median"] == 3.0


def test_units_are_scaffolds_or_clusters():
    values = pl.Series("smiles", ["Cc1ccccc1", "CCc1ccccc1", "CCO", None, "C1CC", "CCCCCCCCO", "CCCCCCCCCO"])
    assert MOLECULE.units("scaffold", values).to_list() == [
        "c1ccccc1", "c1ccccc1", "CCO", None, None, "CCCCCCCCO", "CCCCCCCCCO",
    ]  # fmt: skip
    clusters = MOLECULE.units("cluster", values).to_list()
    assert clusters[5] == clusters[6]
    assert clusters[3] is None
    assert len({clusters[0], clusters[2], clusters[5]}) == 3
    with pytest.raises(OptionError, match="scaffold, cluster, was 'family'"):
        MOLECULE.units("family", values)


def test_identities_join_salts_and_stereo():
    values = pl.Series("smiles", ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "C[C@H](N)C(=O)O.Cl", None])
    found = MOLECULE.identities(values)
    assert found["smiles"].n_unique() == 4
    assert found["parent"][0] == found["parent"][2] != found["parent"][1]
    assert found["connectivity"][:3].n_unique() == 1
    assert all(keys[3] is None for keys in found.values())


@pytest.mark.parametrize(
    ("header", "values", "modality"),
    [
        ("smiles", ["CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "OC(=O)c1ccccc1O"] * 10, "molecule"),
        ("x", ["CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "OC(=O)c1ccccc1O"] * 10, "molecule"),
        ("molecule", ["aspirin", "nicotine", "ibuprofen"] * 10, "category"),
        ("code", ["I21.4", "C50.1", "N18.5"] * 10, "category"),
        ("ward", ["CCU", "ICU", "NICU", "PICU"] * 10, "category"),
        ("smiles", ["CCO", "CC", "CCC"] * 10, "category"),
    ],
)
def test_inference(header, values, modality):
    table = pl.DataFrame({header: values, "y": range(len(values))})
    assert osler.read(table).column(header).modality == modality


def test_unreadable_cells_reach_the_ledger_with_their_row():
    good = ["CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "OC(=O)c1ccccc1O"] * 10
    table = pl.DataFrame({"smiles": [*good, "C1CCCC(=O)", "CN(C)(C)(C)C=O"], "y": range(32)})
    cohort = osler.read(table)
    assert cohort.refusals.rows() == [
        (31, "smiles", "not a molecule: unclosed ring", "set missing"),
        (32, "smiles", "not a molecule: Explicit valence for atom # 1 N, 5, is greater than permitted", "set missing"),
    ]
    assert cohort.table["smiles"].null_count() == 2
    assert len(cohort) == 32


def test_declared_columns_are_read_as_molecules_too():
    table = pl.DataFrame({"drug": ["CCO", "CCN", "C1C", "CC"] * 5, "y": range(20)})
    cohort = osler.read(table, columns={"drug": "molecule"})
    assert cohort.column("drug").modality == "molecule"
    assert cohort.refusals["reason"].unique().to_list() == ["not a molecule: unclosed ring"]
    assert cohort.refusals.height == 5


def test_a_clinical_table_does_not_load_the_library():
    code = (
        "import sys, polars as pl, osler\n"
        "notes = ['pain in the left chest since'] * 40\n"
        "osler.read(pl.DataFrame({'icd': ['I21.4', 'C50.1'] * 20, 'note': notes, 'n': range(40)}))\n"
        "print([m for m in sys.modules if m.startswith('rdkit')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_bbbp_has_eleven_molecules_that_cannot_be_read(mirror):
    cohort = osler.read(mirror / "drugs" / "bbbp.csv")
    assert len(cohort) == 2050
    assert cohort.column("smiles").modality == "molecule"
    assert cohort.refusals.height == 11
    assert cohort.refusals["reason"].str.starts_with("not a molecule: Explicit valence for atom").all()
    assert cohort.table["smiles"].null_count() == 11
