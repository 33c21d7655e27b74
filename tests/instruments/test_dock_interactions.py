"""Contacts by hand-made geometry: each definition on both sides of its limit."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler.adapters import gemmi
from osler.adapters.rdkit.interactions import Features, depict, features
from osler.adapters.rdkit.poses import with_hydrogens
from osler.instruments.dock import interactions, picture
from osler.instruments.dock.interactions import Contact, angle, find
from tests.instruments.peptides import atom

Chem = pytest.importorskip("rdkit.Chem")
pytest.importorskip("gemmi")


def protein(*lines: str) -> pl.DataFrame:
    """An atom table from lines of PDB."""
    return gemmi.read_atoms("".join(lines), "protein", False)[0]


def only(kind: str, found: list[Contact]) -> list[Contact]:
    return [c for c in found if c.kind == kind]


def ring(center: tuple[float, float, float], tilt: float = 0) -> np.ndarray:
    """A regular hexagon of side 1.4 Å, its plane turned about x by `tilt` degrees."""
    turn = np.arange(6) * np.pi / 3
    flat = 1.4 * np.column_stack([np.cos(turn), np.sin(turn), np.zeros(6)])
    a = np.radians(tilt)
    return flat @ np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]]) + center


def test_the_angle_is_that_of_the_middle_point():
    assert angle(np.array([1.0, 0, 0]), np.zeros(3), np.array([0.0, 2, 0])) == pytest.approx(90)
    assert angle(np.array([1.0, 0, 0]), np.zeros(3), np.array([-3.0, 0, 0])) == pytest.approx(180)


@pytest.mark.parametrize(
    ("distance", "hydrogen", "there"),
    [
        (2.9, (1.0, 0, 0), True),
        (3.5, (1.0, 0, 0), True),
        (3.6, (1.0, 0, 0), False),
        (2.9, (0, 1.0, 0), False),
    ],
)
def test_a_backbone_amide_gives_its_hydrogen_to_an_acceptor(distance: float, hydrogen: tuple, there: bool):
    """The carbonyl oxygen of the ligand lies on the x axis; with the hydrogen on y the angle at it is 71 degrees."""
    site = protein(
        atom("N", "GLY", 5, (0, 0, 0)), atom("H", "GLY", 5, hydrogen), atom("CA", "GLY", 5, (-1.4, 0.3, 0))
    )
    found = only("hydrogen bond", find(Features(np.array([[distance, 0, 0]]), acceptors=[0]), site))
    assert bool(found) is there
    if there:
        assert (found[0].residue, found[0].atoms, found[0].detail) == ("A:GLY5", (0,), "protein gives H")
        assert found[0].distance == pytest.approx(distance)
        assert str(found[0]) == f"A:GLY5 {distance:.1f} (protein gives H)"


def test_a_hydroxyl_that_can_turn_is_judged_by_its_heavy_atoms():
    """CB-OG-acceptor of 110 degrees is possible wherever the file has put the hydrogen; 60 degrees is not."""
    at = lambda degrees: np.array([[2.8 * np.cos(np.radians(degrees)), 2.8 * np.sin(np.radians(degrees)), 0]])  # noqa: E731
    site = protein(
        atom("CB", "SER", 7, (1.4, 0, 0)),
        atom("OG", "SER", 7, (0, 0, 0)),
        atom("HG", "SER", 7, (-0.3, -0.9, 0), element="H"),
    )
    assert len(only("hydrogen bond", find(Features(at(110), acceptors=[0]), site))) == 1
    assert only("hydrogen bond", find(Features(at(60), acceptors=[0]), site)) == []


def test_the_ligand_gives_its_hydrogen_to_a_carbonyl():
    site = protein(atom("O", "ALA", 3, (2.9, 0, 0)), atom("C", "ALA", 3, (4.1, 0, 0)))
    donor = Features(np.array([[0, 0, 0], [1.0, 0, 0]]), donors=[(0, 1, -1, False)])
    found = only("hydrogen bond", find(donor, site))
    assert [(c.residue, c.detail) for c in found] == [("A:ALA3", "ligand gives H")]


def test_histidine_accepts_only_where_it_has_no_hydrogen():
    bare = [
        atom("ND1", "HIS", 9, (0, 0, 0)),
        atom("CG", "HIS", 9, (-1.3, 0, 0)),
        atom("NE2", "HIS", 9, (0, 2.2, 0)),
    ]
    donor = Features(np.array([[3.0, 0, 0], [2.0, 0, 0]]), donors=[(0, 1, -1, False)])
    assert len(only("hydrogen bond", find(donor, protein(*bare)))) == 1
    with_h = protein(*bare, atom("HD1", "HIS", 9, (0.7, 0.7, 0), element="H"))
    assert only("hydrogen bond", find(donor, with_h)) == []


def test_carbons_among_carbons_are_hydrophobic_and_the_shortest_per_residue_counts():
    site = protein(
        atom("CB", "LEU", 4, (0, 0, 0)), atom("CG", "LEU", 4, (1.5, 0, 0)), atom("CD1", "LEU", 4, (2.2, 1.3, 0)),
        atom("CB", "SER", 8, (10, 0, 0)), atom("OG", "SER", 8, (11.4, 0, 0)),
    )  # fmt: skip
    found = only(
        "hydrophobic",
        find(Features(np.array([[0, 3.9, 0], [0, 3.6, 0], [10, 3.6, 0]]), hydrophobic=[0, 1, 2]), site),
    )
    assert [(c.residue, c.atoms) for c in found] == [("A:LEU4", (1,))]
    assert found[0].distance == pytest.approx(np.hypot(2.2, 3.6 - 1.3))
    assert only("hydrophobic", find(Features(np.array([[0, -4.1, 0]]), hydrophobic=[0]), site)) == []


@pytest.mark.parametrize(
    ("center", "tilt", "detail"),
    [
        ((0, 0, 3.6), 0, "parallel"), ((1.5, 0, 3.6), 10, "parallel"), ((2.5, 0, 3.6), 0, ""), ((0, 0, 5.0), 90, "edge to face"),
        ((0, 0, 5.6), 0, ""), ((0, 0, 4.0), 45, ""),
    ],
)  # fmt: skip
def test_rings_stack_parallel_or_edge_to_face(center: tuple, tilt: float, detail: str):
    names = ("CG", "CD1", "CE1", "CZ", "CE2", "CD2")
    site = protein(*(atom(n, "PHE", 12, tuple(p)) for n, p in zip(names, ring((0, 0, 0)), strict=True)))
    found = only("pi stacking", find(Features(ring(center, tilt), rings=[tuple(range(6))]), site))
    assert [c.detail for c in found] == ([detail] if detail else [])
    if detail:
        assert found[0].distance == pytest.approx(np.linalg.norm(center), abs=0.002)


def test_opposite_charges_bridge_and_equal_ones_do_not():
    acid = protein(
        atom("OD1", "ASP", 2, (0, 0, 0)),
        atom("OD2", "ASP", 2, (2.2, 0, 0)),
        atom("CG", "ASP", 2, (1.1, 0.6, 0)),
    )
    base = protein(atom("NZ", "LYS", 6, (0, 0, 0)))
    at = np.array([[-3.9, 0, 0]])
    assert [c.detail for c in only("salt bridge", find(Features(at, positive=[(0,)]), acid))] == ["ligand +"]
    assert [c.detail for c in only("salt bridge", find(Features(at, negative=[(0,)]), base))] == ["ligand -"]
    assert only("salt bridge", find(Features(at, negative=[(0,)]), acid)) == []
    assert only("salt bridge", find(Features(np.array([[-4.1, 0, 0]]), positive=[(0,)]), acid)) == []
    protonated = pl.concat(
        [
            acid,
            protein(
                atom("HD1", "ASP", 2, (-0.9, 0, 0), element="H"),
                atom("HD2", "ASP", 2, (3, 0, 0), element="H"),
            ),
        ]
    )
    assert only("salt bridge", find(Features(at, positive=[(0,)]), protonated)) == []


def test_a_protein_that_is_far_away_has_no_contacts():
    assert (
        find(
            Features(np.array([[50.0, 0, 0]]), acceptors=[0], hydrophobic=[0]),
            protein(atom("CB", "ALA", 1, (0, 0, 0))),
        )
        == []
    )


def spatial(smiles: str):
    from rdkit.Chem import rdDistGeom

    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(molecule, randomSeed=3) == 0
    return with_hydrogens(molecule)


def test_features_of_known_molecules():
    """By hand: the amide's N gives, its O takes; imatinib's piperazine N+ gives and is positive; an acid shares its
    charge.
    """
    amide = features(spatial("CC(=O)NC"))
    assert [(d, t) for d, _, _, t in amide.donors] == [(3, False)]
    assert amide.acceptors == [2]
    acid = features(spatial("OC(=O)CC[NH3+]"))
    assert acid.positive == [(5,)]
    assert {d for d, *_ in acid.donors} == {0, 5}
    assert [t for d, _, _, t in acid.donors if d == 5] == [True] * 3
    assert features(spatial("[O-]C(=O)C")).negative == [(0, 2)]
    assert features(spatial("NC(=[NH2+])C")).positive == [(0, 2)]
    aromatic = features(spatial("Cc1cccnc1Cl"))
    assert [len(r) for r in aromatic.rings] == [6]
    assert aromatic.acceptors == [5]
    assert set(aromatic.hydrophobic) == {0, 1, 2, 3, 7}
    nitro = features(spatial("C[N+](=O)[O-]"))
    assert (nitro.positive, nitro.negative) == ([], [])
    assert features(spatial("c1cc[nH]c1")).acceptors == []


def test_the_picture_shows_every_residue_apart_and_escapes_text():
    molecule = spatial("Cc1ccccc1C(=O)NCC")
    contacts = [Contact("hydrophobic", f"A:LEU{i}", (0,), 3.8) for i in range(14)] + [
        Contact("salt bridge", "A:<b>1", (3, 4), 3.0)
    ]
    svg = picture.interactions_svg(molecule, contacts, "a < b")
    assert svg.startswith("<svg")
    assert svg.count("</svg>") == 1
    assert "A:&lt;b&gt;1" in svg
    assert "<title>a &lt; b</title>" in svg
    assert svg.count('rx="13"') == 15
    assert "<script" not in svg
    import xml.etree.ElementTree as ET

    assert ET.fromstring(svg).tag.endswith("svg")
    places = picture._around([c.residue for c in contacts], [(c, np.array([100.0, 100])) for c in contacts])
    held = np.array(list(places.values()))
    apart = np.linalg.norm(held[:, None] - held[None], axis=2) + 1e9 * np.eye(15)
    assert apart.min() > 60
    assert picture.interactions_svg(molecule, [], "none").count('rx="13"') == 0


def test_a_drawing_has_one_point_per_heavy_atom():
    svg, points = depict(spatial("CCO"), 300, 200, 0.1)
    assert "<svg" in svg
    assert points.shape == (3, 2)
    assert (points >= 0).all()
    assert (points <= [300, 200]).all()


def test_the_kinds_all_have_a_colour():
    assert set(picture.STYLE) == set(interactions.KINDS)
    assert len({colour for colour, _ in picture.STYLE.values()}) == 4
