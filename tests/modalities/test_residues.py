"""Amino acid sequences as numbers: values worked out by hand, or those that ProtParam gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.modalities import residues

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
CHAINS = st.text(alphabet=residues.RESIDUES + "UOBZJX", min_size=0, max_size=60)


def made(sequence: str, *kinds: str) -> dict[str, float]:
    """Features of a sequence by name."""
    values = residues.features(residues.codes(sequence), kinds)
    return dict(zip(residues.names(kinds), values.tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "held", "reason"),
    [
        ("MKV", "MKV", ""),
        (" mk v\n", "MKV", ""),
        (">sp|P1|NAME some protein\nMKV\nLAA\n", "MKVLAA", ""),
        ("MKV*", "MKV", ""),
        ("MUOXBZJ", "MUOXBZJ", ""),
        ("MK1V", "", "no letter of a residue at position 3"),
        ("MK*V", "", "no letter of a residue at position 3"),
        ("MKé", "", "no letter of a residue at position 3"),
        ("MK\0V", "", "no letter of a residue at position 3"),
        (">only a header", "", "no residue"),
        ("*", "", "no residue"),
        (">a\nMK\n>b\nMV", "", "more than one FASTA record"),
        ("A" * 100_001, "", "longer than 100,000 residues"),
    ],
)
def test_letters(text: str, held: str, reason: str) -> None:
    assert residues.letters(text) == (held, reason)


def test_codes_are_places_among_the_twenty() -> None:
    assert residues.codes("ACY").tolist() == [0, 1, 19]
    assert residues.codes("UO").tolist() == residues.codes("CK").tolist()
    assert residues.codes("UO", "unknown").tolist() == [-1, -1]
    assert residues.codes("BZJX").tolist() == [-1] * 4
    assert len(residues.codes("")) == 0


def test_every_set_has_its_width_and_its_own_names() -> None:
    for kind, width in residues.WIDTH.items():
        assert len(residues.features(residues.codes(UBIQUITIN), (kind,))) == width, kind
        assert len(set(residues.names((kind,)))) == width, kind
    every = tuple(residues.WIDTH)
    assert len(residues.names(every)) == sum(residues.WIDTH.values())


def test_properties_of_ubiquitin_are_protparams() -> None:
    found = made(UBIQUITIN, "properties")
    assert found["length"] == 76
    assert found["mass"] == pytest.approx(8564.8, abs=0.1)
    assert found["GRAVY"] == pytest.approx(-0.489, abs=0.0005)
    assert found["aromaticity"] == pytest.approx(3 / 76), "two phenylalanines and a tyrosine"
    assert found["charge"] == 0, "11 lysines and arginines, 11 aspartates and glutamates"


def test_mass_of_one_residue_and_of_an_unknown_one() -> None:
    assert made("G", "properties")["mass"] == pytest.approx(75.0666, abs=0.001)
    assert made("GX", "properties")["mass"] == pytest.approx(2 * 57.0513 + 18.0153, abs=1e-4)
    assert made("X", "properties")["GRAVY"] == 0.0


def test_composition_is_the_share_of_known_residues() -> None:
    found = made("AAXC", "composition")
    assert found["AAC A"] == pytest.approx(2 / 3)
    assert found["AAC C"] == pytest.approx(1 / 3)
    assert sum(found.values()) == pytest.approx(1.0)
    assert set(made("XX", "composition").values()) == {0.0}


def test_composition_transition_distribution_by_hand() -> None:
    """Charge classes: positive KR, neutral, negative DE. KAEAK is 1 2 3 2 1."""
    found = made("KAEAK", "ctd")
    assert [found[f"CTDC charge {i}"] for i in (1, 2, 3)] == [0.4, 0.4, 0.2]
    assert found["CTDT charge 12"] == 0.5, "KA and AK of four neighbours"
    assert found["CTDT charge 13"] == 0.0
    assert found["CTDT charge 23"] == 0.5
    assert [found[f"CTDD charge 1 {q}%"] for q in (0, 25, 50, 75, 100)] == [20.0, 20.0, 20.0, 20.0, 100.0]
    assert [found[f"CTDD charge 3 {q}%"] for q in (0, 50, 100)] == [60.0, 60.0, 60.0]
    assert set(made("", "ctd").values()) == {0.0}


def test_dipeptides_and_triads_are_counted_where_they_are_known() -> None:
    found = made("AAAC", "dipeptides")
    assert (found["dipeptide AA"], found["dipeptide AC"]) == (2.0, 1.0)
    assert sum(found.values()) == 3.0
    assert sum(made("AAXAC", "dipeptides").values()) == 2.0, "no pair goes through X"
    triads = made("AGVKD", "triads")
    assert triads["triad 111"] == 1.0, "A, G and V are of the first class"
    assert triads["triad 115"] == 1.0
    assert triads["triad 156"] == 1.0
    assert sum(triads.values()) == 3.0


def test_hashed_kmers_are_as_many_as_the_stretches() -> None:
    assert sum(made(UBIQUITIN, "kmers").values()) == 76 - 2
    assert sum(made("MK", "kmers").values()) == 0.0


def test_kmers_are_numbers_of_base_twenty() -> None:
    assert residues.kmers(residues.codes("ACD"), 2).tolist() == [0 * 20 + 1, 1 * 20 + 2]
    assert residues.kmers(residues.codes("AC"), 3).tolist() == []


@given(sequence=CHAINS)
def test_features_are_finite_and_shares_add_up(sequence: str) -> None:
    values = residues.features(residues.codes(sequence), tuple(residues.WIDTH))
    assert np.isfinite(values).all()
    shares = made(sequence, "ctd")
    known = any(c in residues.RESIDUES + "UO" for c in sequence)
    for kind in ("hydrophobicity", "charge", "solvent access"):
        assert sum(shares[f"CTDC {kind} {i}"] for i in (1, 2, 3)) == pytest.approx(float(known))


def test_families_are_joined_by_shared_stretches() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 20, 300) for _ in range(2))
    mutant = first.copy()
    mutant[::30] = (mutant[::30] + 1) % 20
    codes = residues.families([first, second, mutant, first[:3]])
    assert codes[0] == codes[2] != codes[1]
    assert codes[3] not in codes[:3], "three residues share no stretch of five with anything"
    order = [2, 3, 0, 1]
    again = residues.families([[first, second, mutant, first[:3]][i] for i in order])
    assert again[0] == again[2] and len(set(again)) == len(set(codes)) == 3


def test_families_by_a_worked_example() -> None:
    """ABCDEF and BCDEFG share one of three stretches of five: a Jaccard index of 1/3."""
    one, two = np.arange(6), np.arange(1, 7)
    assert residues.families([one, two], least=0.34).tolist() == [0, 1]
    assert residues.families([one, two], least=0.33).tolist() == [0, 0]
