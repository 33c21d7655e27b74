"""The libraries behind docking, each through its door: structures in, PDBQT out, poses back, checks that fail where they must."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler.errors import InputError, OptionError, ReadError
from tests.instruments.peptides import atom, peptide

Chem = pytest.importorskip("rdkit.Chem")
pytest.importorskip("gemmi")
pytest.importorskip("meeko")
pytest.importorskip("vina")
pytest.importorskip("posebusters")

from osler.adapters import gemmi, meeko, posebusters, vina
from osler.adapters.rdkit import conformers, poses


@pytest.fixture(scope="module")
def receptor() -> meeko.ReceptorText:
    return meeko.receptor(peptide("GKWSHRDYFG"))


@pytest.fixture(scope="module")
def phenol():
    return conformers.embed(Chem.MolFromSmiles("Oc1ccccc1"), 1)


# -- structures ------------------------------------------------------------------------------------------------


def test_an_atom_table_has_one_line_per_atom_with_its_kind():
    text = (
        peptide("AS")
        + atom("ZN", "ZN", 50, (1, 2, 3), kind="HETATM", element="ZN")
        + atom("O", "HOH", 51, (4, 5, 6), kind="HETATM")
        + atom("C1", "LIG", 52, (7, 8, 9), kind="HETATM")
        + atom("P", "DA", 53, (9, 9, 9), chain="B")
    )
    atoms, models = gemmi.read_atoms(text, "made", False)
    assert dict(atoms.schema) == gemmi.ATOMS
    assert models == 1
    assert atoms.height == len(text.splitlines())
    kinds = dict(atoms.select("residue", "kind").iter_rows())
    assert kinds == {
        "ALA": "amino",
        "SER": "amino",
        "ZN": "metal",
        "HOH": "water",
        "LIG": "other",
        "DA": "nucleic",
    }
    zinc = atoms.filter(pl.col("residue") == "ZN").row(0, named=True)
    assert (zinc["chain"], zinc["number"], zinc["x"], zinc["y"], zinc["z"]) == ("A", 50, 1.0, 2.0, 3.0)


def test_only_the_first_model_is_read_and_deuterium_is_hydrogen():
    one = atom("N", "GLY", 1, (0, 0, 0)) + atom("D", "GLY", 1, (1, 0, 0), element="D")
    atoms, models = gemmi.read_atoms(
        f"MODEL        1\n{one}ENDMDL\nMODEL        2\n{one}ENDMDL\n", "made", False
    )
    assert models == 2
    assert atoms["element"].to_list() == ["N", "H"]


def test_parents_of_modified_residues_are_known():
    atoms, _ = gemmi.read_atoms(
        atom("CA", "MSE", 1, (0, 0, 0)) + atom("CA", "SEP", 2, (4, 0, 0)), "made", False
    )
    assert atoms["parent"].to_list() == ["M", "S"]


@pytest.mark.parametrize(
    ("text", "is_mmcif"), [("", False), ("", True), ("data_a\n_b 'c\n", True), ("junk\n", False)]
)
def test_what_is_no_structure_is_refused(text: str, is_mmcif: bool):
    with pytest.raises(ReadError) as refused:
        gemmi.read_atoms(text, "made", is_mmcif)
    assert refused.value.code == "structure"


# -- receptors -------------------------------------------------------------------------------------------------


def test_known_residues_hold_the_twenty_and_no_ligand():
    known = meeko.known_residues()
    assert {"ALA", "HIS", "TRP", "HOH", "SEP"} <= known
    assert not {"HEM", "STI", "LIG"} & known


def test_a_residue_that_fits_no_template_is_named_and_the_others_stay():
    text = "".join(
        v for v in peptide("AKSHDW").splitlines(True) if not (int(v[22:26]) == 2 and v[12:16].strip() == "CE")
    )
    made = meeko.receptor(text)
    assert made.refused == ("A:2",)
    assert "SER" in made.pdbqt
    assert "LYS" not in made.pdbqt


def test_a_receptor_has_a_hydrogen_on_every_polar_atom_that_needs_one(receptor):
    atoms, _ = gemmi.read_atoms(receptor.pdb, "made", False)
    xyz = atoms.select("x", "y", "z").to_numpy()
    hydrogens = xyz[(atoms["element"] == "H").to_numpy()]
    count = {}
    for residue, name, *place in atoms.select("residue", "atom", "x", "y", "z").iter_rows():
        count[residue, name] = int((np.linalg.norm(hydrogens - place, axis=1) < 1.15).sum())
    assert count["LYS", "NZ"] == 3
    assert count["SER", "OG"] == count["TYR", "OH"] == 1
    assert count["ASP", "OD1"] == count["ASP", "OD2"] == 0
    assert count["ARG", "NH1"] + count["ARG", "NH2"] + count["ARG", "NE"] == 5
    assert count["HIS", "ND1"] + count["HIS", "NE2"] == 1
    assert count["PHE", "CZ"] == 1


# -- ligands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("smiles", "torsions", "hydrogens"),
    [
        ("c1ccccc1", 0, 0),
        ("Oc1ccccc1", 1, 1),
        ("CCO", 1, 1),
        ("CC(=O)NC", 0, 1),
        ("CCCCC", 2, 0),
        ("C[NH2+]CC", 1, 2),
    ],
)
def test_a_torsion_tree_by_hand(smiles: str, torsions: int, hydrogens: int):
    """Bonds to methyl do not count, amides do not turn; hydrogens on carbon are merged into it."""
    molecule = conformers.embed(Chem.MolFromSmiles(smiles), 1)
    text = meeko.ligand(molecule)
    elements = [molecule.GetAtomWithIdx(int(i)).GetSymbol() for i in text.atoms]
    assert text.torsions == torsions
    assert elements.count("H") == hydrogens
    assert len(elements) == molecule.GetNumHeavyAtoms() + hydrogens
    assert len(set(text.atoms.tolist())) == len(elements)
    total = sum(float(v[70:76]) for v in text.pdbqt.splitlines() if v.startswith("ATOM"))
    assert total == pytest.approx(Chem.GetFormalCharge(molecule), abs=0.02)


def test_a_large_ring_is_cut_and_comes_back_whole():
    """A ring of twelve is opened for the search with two helper atoms, which are no atoms of the molecule."""
    molecule = conformers.embed(Chem.MolFromSmiles("O=C1CCCCCCCCCCN1C"), 1)
    text = meeko.ligand(molecule)
    lines = [v for v in text.pdbqt.splitlines() if v.startswith("ATOM")]
    xyz = np.array([[float(v[a : a + 8]) for a in (30, 38, 46)] for v in lines])
    assert (text.atoms == -1).sum() == 2
    again = poses.place(molecule, text.atoms, xyz)
    assert Chem.MolToSmiles(Chem.RemoveHs(again)) == Chem.MolToSmiles(Chem.RemoveHs(molecule))


def test_an_atom_without_charge_parameters_is_refused_in_one_sentence():
    molecule = Chem.AddHs(Chem.MolFromSmiles("C[Pt]C"))
    conformer = Chem.Conformer(molecule.GetNumAtoms())
    for i in range(molecule.GetNumAtoms()):
        conformer.SetAtomPosition(i, (float(i), float(i % 3), 0.0))
    molecule.AddConformer(conformer)
    with pytest.raises(InputError) as refused:
        vina._check_types(meeko.ligand(molecule).pdbqt, "ligand")
    assert "\n" not in refused.value.message


# -- molecules in space ----------------------------------------------------------------------------------------


def test_a_mol_block_keeps_its_coordinates_and_hydrogens(phenol):
    again = poses.read(Chem.MolToMolBlock(phenol))
    assert again.GetNumAtoms() == phenol.GetNumAtoms() == 13
    assert np.allclose(poses.positions(again), poses.positions(phenol), atol=1e-4)


def test_an_early_mol_block_without_its_version_is_read(phenol):
    block = Chem.MolToMolBlock(phenol).replace("999 V2000", "0")
    assert "V2000" not in block
    assert poses.read(block).GetNumAtoms() == 13


@pytest.mark.parametrize("text", ["C1CC", "xyz", "\n\n\nno counts\n", "CC(C)(C)(C)C"])
def test_what_is_no_molecule_is_refused_without_its_text(text: str):
    with pytest.raises(ReadError) as refused:
        poses.read(text)
    assert refused.value.code == "structure"
    assert text.strip() not in refused.value.message


def test_an_sdf_comes_back_with_its_properties(phenol):
    text = poses.to_sdf([phenol, phenol], [{"score": -5.1, "empty": "", "none": None}, {"score": 0}])
    found = poses.read_sdf(text, "made")
    assert [m.GetProp("score") for m in found] == ["-5.1", "0"]
    assert list(found[0].GetPropNames()) == ["score"]
    assert np.allclose(poses.positions(found[1]), poses.positions(phenol), atol=1e-4)


def test_a_damaged_sdf_is_refused(phenol):
    good = poses.to_sdf([phenol], [{}])
    for text in ("", good + "\n\n\nbroken\n$$$$\n"):
        with pytest.raises(ReadError, match="'made' must hold whole molecules"):
            poses.read_sdf(text, "made")


def test_the_largest_part_of_a_salt_and_open_stereo_are_found():
    part, parts = poses.largest_part(Chem.MolFromSmiles("[Na+].[O-]C(=O)c1ccccc1.O"))
    assert (Chem.MolToSmiles(part), parts) == ("O=C([O-])c1ccccc1", 3)
    assert poses.open_centres(Chem.MolFromSmiles("CC(O)N")) == 1
    assert poses.open_centres(Chem.MolFromSmiles("C[C@H](O)N")) == 0
    assert poses.open_centres(Chem.MolFromSmiles("CC=CC")) == 1


def test_a_molecule_that_cannot_stand_in_space_is_refused(monkeypatch):
    """Two rings of three that share a bond must be joined cis: as trans there is no conformer."""
    monkeypatch.setattr(conformers, "MOST_SECONDS", 2)
    with pytest.raises(InputError, match="structure in space"):
        conformers.embed(Chem.MolFromSmiles("C[C@@]12C[C@]1(C)C2"), 1)


# -- engine and checks -----------------------------------------------------------------------------------------


def test_vina_docks_into_its_box_and_repeats_itself(receptor, phenol):
    engine = vina.VinaEngine(receptor.pdbqt, (0, 0, 0), (12, 12, 12), "vina", 7, 1)
    text = meeko.ligand(phenol)
    first, second = (engine.dock(text.pdbqt, 2, 3, 5.0) for _ in range(2))
    assert [s for s, _ in first] == [s for s, _ in second]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(first, second, strict=True))
    assert [s for s, _ in first] == sorted(s for s, _ in first)
    assert all(np.abs(xyz).max() <= 6.5 for _, xyz in first)
    assert first[0][0] < 0
    assert len(first) <= 3


def test_another_scoring_gives_other_scores(receptor, phenol):
    text = meeko.ligand(phenol).pdbqt
    scores = [
        vina.VinaEngine(receptor.pdbqt, (0, 0, 0), (12, 12, 12), name, 7, 1).dock(text, 1, 1, 3.0)[0][0]
        for name in ("vina", "vinardo")
    ]
    assert scores[0] != scores[1]
    with pytest.raises(OptionError, match="one of vina, vinardo"):
        vina.VinaEngine(receptor.pdbqt, (0, 0, 0), (12, 12, 12), "gnina", 7, 1)


def test_checks_pass_a_free_pose_and_name_what_is_wrong_with_others(receptor, phenol):
    """By construction: 3.5 Å outside of the protein's surface is fine, on top of its atoms is a clash, a bond of 3 Å is too long."""
    protein = poses.read_receptor(receptor.pdb)
    xyz = poses.positions(protein)
    moved = lambda to: _at(phenol, poses.positions(phenol) - poses.positions(phenol).mean(axis=0) + to)  # noqa: E731
    outer = xyz[:, 0].argmax()
    free = moved(xyz[outer] + [6.0, 0, 0])
    clash = moved(xyz[outer])
    stretched = poses.positions(free).copy()
    stretched[0] += [3.0, 0, 0]
    good, bad, long = posebusters.checks([free, clash, _at(phenol, stretched)], protein)
    assert good["minimum_distance_to_protein"]
    assert not bad["minimum_distance_to_protein"]
    assert good["bond_lengths"]
    assert not long["bond_lengths"]
    assert all(isinstance(v, bool) for v in good.values())
    assert len(good) >= 15


def _at(molecule, xyz: np.ndarray):
    made = Chem.Mol(molecule)
    for i, place in enumerate(xyz):
        made.GetConformer().SetAtomPosition(i, [float(v) for v in place])
    return made
