"""The protein modality: its two layouts, its options, its senses of sameness, and what the table does with it."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import osler
from osler import modalities
from osler.blocks import Block
from osler.cohort.column import Column
from osler.errors import OptionError
from osler.modalities import residues

PROTEIN = modalities.get("protein")
KINASE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
VALUES = pl.Series("p", [KINASE, None, "MK1V", f">one kinase\n{KINASE[:20]}\n{KINASE[20:]}", "n/a", "GGXGG", " ggsgg* "])
PRESENT = [True, False, False, True, False, True, True]


def column(**options) -> Column:
    """A protein column with these options."""
    return Column("p", "protein", options=options)


def test_default_features_and_their_kinds() -> None:
    block = PROTEIN.encode(VALUES, PROTEIN.fit(VALUES, column()))
    assert block.present.tolist() == PRESENT
    assert block.values.shape == (7, 5 + 20 + 147 + 1024)
    assert block.kinds == ("continuous",) * 172 + ("count",) * 1024
    assert np.array_equal(block.values[0], block.values[3]), "a FASTA record and its bare sequence"
    assert block.values[0, block.names.index("p: length")] == len(KINASE)
    assert np.isnan(block.values[2]).all()


def test_a_sequence_is_codes_of_its_residues() -> None:
    state = PROTEIN.fit(VALUES, column())
    block = PROTEIN.encode_as("sequence", VALUES, state)
    assert block.layout == "sequence"
    assert block.present.tolist() == PRESENT
    assert block.arrays["offsets"].tolist() == [0, 33, 33, 33, 66, 66, 71, 76]
    assert block.take(np.array([5])).values[:, 0].tolist() == [6, 6, 0, 6, 6], "G is the sixth letter, X is unknown"
    assert "".join(residues.RESIDUES[int(c) - 1] for c in block.take(np.array([0])).values[:, 0]) == KINASE


@pytest.mark.parametrize("layout", ["dense", "sequence"])
def test_every_layout_is_row_wise(layout: str) -> None:
    state = PROTEIN.fit(VALUES, column())
    whole = PROTEIN.encode_as(layout, VALUES, state)
    parts = Block.concat([PROTEIN.encode_as(layout, VALUES[i : i + 2], state) for i in (0, 2, 4, 6)])
    for name, array in whole.arrays.items():
        assert np.array_equal(array, parts.arrays[name], equal_nan=True), name
    assert len(PROTEIN.encode_as(layout, VALUES[:0], state)) == 0


def test_other_layouts_are_refused() -> None:
    with pytest.raises(OptionError, match="must be dense or sequence, was 'graph'"):
        PROTEIN.encode_as("graph", VALUES, PROTEIN.fit(VALUES, column()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["ctdd"]}, "did you mean 'ctd'"),
        ({"features": []}, "must be one or more of properties"),
        ({"rare": "far"}, "rare of proteins must be near or unknown, was 'far'"),
        ({"ambiguous": "drop"}, "ambiguous of proteins must be unknown or refuse, was 'drop'"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        PROTEIN.fit(VALUES, column(**options))


def test_options_change_what_is_read() -> None:
    values = pl.Series("p", ["MUX"])
    near = PROTEIN.encode_as("sequence", values, PROTEIN.fit(values, column()))
    unknown = PROTEIN.encode_as("sequence", values, PROTEIN.fit(values, column(rare="unknown")))
    assert near.values[:, 0].tolist() == [11, 2, 0]
    assert unknown.values[:, 0].tolist() == [11, 0, 0]
    strict = column(ambiguous="refuse")
    assert PROTEIN.reasons(values, strict).to_list() == ["an ambiguous residue at position 3"]
    assert not PROTEIN.encode(values, PROTEIN.fit(values, strict)).present.any()
    assert PROTEIN.encode(values, PROTEIN.fit(values, column(features=["composition"]))).values.shape == (1, 20)


def test_reasons_of_cells() -> None:
    assert PROTEIN.reasons(VALUES, column()).to_list() == ["", "", "no letter of a residue at position 3", *[""] * 4]
    assert PROTEIN.reasons(pl.Series([1.5, None]), column()).to_list() == ["not text", ""]


def test_units_are_sequences_or_families() -> None:
    values = pl.Series("p", [KINASE, KINASE.lower(), KINASE[:-2] + "AA", "G" * 40, None, "M?"])
    assert PROTEIN.units("sequence", values).to_list() == [KINASE, KINASE, KINASE[:-2] + "AA", "G" * 40, None, None]
    found = PROTEIN.units("family", values).to_list()
    assert found[0] == found[1] == found[2] != found[3]
    assert found[4:] == [None, None]
    with pytest.raises(OptionError, match="sequence, family, was 'scaffold'"):
        PROTEIN.units("scaffold", values)


def test_the_same_protein_is_the_same_sequence() -> None:
    found = PROTEIN.identities(VALUES)
    assert list(found) == ["sequence"]
    assert found["sequence"][0] == found["sequence"][3] == KINASE


def test_summary_has_lengths_and_unreadable_cells() -> None:
    values = pl.Series("p", [*[KINASE] * 9, "G" * 100, "M1", None])
    facts = PROTEIN.summarise(values, column())
    assert (facts["n"], facts["missing"], facts["unreadable"], facts["distinct"]) == (12, 1, 1, 2)
    assert facts["length_median"] == 33
    assert PROTEIN.summarise(pl.Series([1, 2]), column()) == {"n": 2, "missing": 0}


def test_sniffing_tells_proteins_from_genes() -> None:
    assert PROTEIN.sniff(pl.Series([KINASE] * 5)) == 1.0
    assert PROTEIN.sniff(pl.Series([KINASE, "M1" * 20, KINASE, KINASE])) == 0.75
    assert PROTEIN.sniff(pl.Series(["ACGTACGTACGTACGTACGTACGTACGT"] * 5)) == 0.0
    assert PROTEIN.sniff(pl.Series(["MKV"] * 5)) == 0.0
    assert PROTEIN.sniff(pl.Series([1, 2])) == 0.0


def test_unit_of_a_study_may_be_the_family(tmp_path) -> None:
    rng = np.random.default_rng(0)
    wild = ["".join(rng.choice(list(residues.RESIDUES), 60)) for _ in range(8)]
    rows = [(wild[i % 8][: 60 - i // 8] + "G" * (i // 8), float(i % 8) + 0.1 * rng.normal()) for i in range(64)]
    table = pl.DataFrame(rows, schema=["protein", "y"], orient="row")
    run = osler.fit(
        osler.read(table), tmp_path / "run", target="y", unit="family", model="boosting:rounds=5",
        explain=False, boot=200, silent=True, workers=1,
    )  # fmt: skip
    assert json.loads((run.folder / "facts.json").read_text())["units"] == 8
    certificate = json.loads((run.folder / "certificate.json").read_text())
    assert certificate["verdict"] == "clean"
    assert {c["name"]: c["verdict"] for c in certificate["checks"]}["same protein: sequence"] == "clean"
