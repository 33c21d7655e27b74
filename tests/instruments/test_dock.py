"""Docking end to end: nicotine in a pocket of the acetylcholine binding protein (1UW6, from the mirror), and
refusals.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.adapters import meeko, spyrmsd, vina
from osler.adapters.rdkit import conformers, poses
from osler.cohort import ROW, Cohort, Column
from osler.errors import ColumnError, InputError, LimitError, OptionError, ReadError
from osler.instruments.base import Findings
from osler.instruments.dock import Dock, DockOptions, engine, ligand
from tests.instruments.peptides import peptide

Chem = pytest.importorskip("rdkit.Chem")
pytest.importorskip("vina")
pytest.importorskip("meeko")

NICOTINE = "C[NH+]1CCC[C@H]1c1cccnc1"


def table(*smiles: str | None) -> Cohort:
    return Cohort(
        pl.DataFrame({"smiles": list(smiles)}, schema={"smiles": pl.String}), (Column("smiles", "text"),)
    )


def smiles_in_space(molecule) -> str:
    """SMILES with the stereo that the coordinates show; that of a protonated nitrogen, which SMILES leaves open, is
    left out.
    """
    seen = Chem.Mol(molecule)
    Chem.AssignStereochemistryFrom3D(seen)
    for atom in seen.GetAtoms():
        if atom.GetAtomicNum() == 7:
            atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    return Chem.MolToSmiles(Chem.RemoveHs(seen))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict:
    """Options for a made-up peptide, with ethanol beside it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "made.pdb").write_text(peptide("GKWSHRDYFG"))
    (folder / "ethanol.sdf").write_text(poses.to_sdf([conformers.embed(Chem.MolFromSmiles("CCO"), 1)], [{}]))
    return {
        "receptor": str(folder / "made.pdb"),
        "reference": str(folder / "ethanol.sdf"),
        "exhaustiveness": 1,
        "poses": 1,
        "checks": "none",
    }


@pytest.fixture(scope="module")
def folder(mirror: Path, tmp_path_factory) -> Path:
    """The pocket: residues of 1UW6 within 12 Å of nicotine, the crystal pose beside it."""
    made = tmp_path_factory.mktemp("pocket")
    source = mirror / "drugs" / "docking"
    known = (source / "1uw6_ligand.sdf").read_text()
    center = poses.positions(poses.read_sdf(known, "known")[0])
    lines = [
        v
        for v in gzip.decompress((source / "1uw6_receptorH.pdb.gz").read_bytes()).decode().splitlines()
        if v.startswith("ATOM")
    ]
    xyz = np.array([[float(v[a : a + 8]) for a in (30, 38, 46)] for v in lines])
    near = np.linalg.norm(xyz[:, None] - center[None], axis=2).min(axis=1) < 12
    residues = {v[21:27] for v, keep in zip(lines, near, strict=True) if keep}
    (made / "pocket.pdb").write_text("\n".join(v for v in lines if v[21:27] in residues) + "\n")
    (made / "known.sdf").write_text(known)
    return made


@pytest.fixture(scope="module")
def options(folder: Path) -> dict:
    return {
        "receptor": str(folder / "pocket.pdb"),
        "reference": str(folder / "known.sdf"),
        "exhaustiveness": 3,
        "poses": 4,
    }


@pytest.fixture(scope="module")
def docked(options: dict) -> Findings:
    return Dock().run(table(NICOTINE), DockOptions(**options))


def test_nicotine_is_found_where_the_crystal_has_it(docked: Findings):
    best = docked.cohort.table.row(0, named=True)
    assert best["pose"] == 1
    assert best["rmsd"] < 2
    assert best["checks_passed"] is True
    assert best["checks_failed"] == ""
    # Celie and others (Neuron 2004): the charged nitrogen lies on Trp 143 and gives its hydrogen to that residue's carbonyl
    assert "TRP143" in best["hydrogen_bonds"] + best["hydrophobic"]
    scores = docked.cohort.table["score"]
    assert scores.is_sorted()
    assert -9 < scores[0] < -5
    assert best["score_per_heavy_atom"] == pytest.approx(best["score"] / 12, abs=1e-4)


def test_the_contract_of_instruments_is_kept(docked: Findings):
    assert ROW in docked.cohort.table.columns
    assert docked.cohort.lineage[-1].name == "dock"
    assert {c.role for c in docked.cohort.columns} == {"prediction"}
    json.dumps(docked.facts, allow_nan=False)
    assert NICOTINE not in json.dumps(docked.facts)
    assert list(docked.figures) == ["interactions_row_1"]
    assert set(docked.files) == {"poses.sdf", "receptor.pdb", "receptor.pdbqt"}
    assert docked.facts["box"]["source"] == "around the reference pose"
    assert docked.facts["protonation"].startswith("as given")
    assert docked.facts["ligand_start"].startswith("a new conformer")


def test_the_sdf_keeps_bond_orders_charges_stereo_and_hydrogens(docked: Findings):
    found = poses.read_sdf(docked.files["poses.sdf"], "poses")
    assert len(found) == docked.cohort.table.height
    for pose, row in zip(found, docked.cohort.table.iter_rows(named=True), strict=True):
        assert pose.GetNumAtoms() == 12 + 15
        assert float(pose.GetProp("score")) == row["score"]
        assert smiles_in_space(pose) == Chem.CanonSmiles(NICOTINE)
        lengths = [
            np.linalg.norm(np.diff(poses.positions(pose)[[b.GetBeginAtomIdx(), b.GetEndAtomIdx()]], axis=0))
            for b in pose.GetBonds()
        ]
        assert 0.9 < min(lengths) < max(lengths) < 1.65


def test_the_same_seed_gives_the_same_poses_whatever_was_docked_before(docked: Findings, options: dict):
    """Nicotine as the second row, after ethanol; and with two threads."""
    again = Dock().run(table("CCO", NICOTINE), DockOptions(**options, cpu=2, checks="none"))
    mine = again.cohort.table.filter(pl.col("row") == 2).drop("row", ROW, "checks_passed", "checks_failed")
    assert mine.equals(docked.cohort.table.drop("row", ROW, "checks_passed", "checks_failed"))
    assert (
        again.cohort.table.filter(pl.col("row") == 1)["rmsd"].null_count()
        == again.cohort.table.filter(pl.col("row") == 1).height
    )


def test_rows_that_cannot_be_docked_say_why_and_the_others_are_docked(made: dict):
    refused = ("not a molecule", None, "C" * 151, "C1=CC=CC=C1.B", "C" * 36, "CC(O)N.[Na+].[Cl-]")
    found = Dock().run(table(*refused), DockOptions(**made))
    notes = found.cohort.table.unique("row", keep="first").sort("row")["notes"].to_list()
    assert "no valid SMILES" in notes[0]
    assert "one is empty" in notes[1]
    assert "1 to 150 heavy atoms, one has 151" in notes[2]
    assert notes[3] == "largest of 2 parts"
    assert "at most 32 bonds that turn, one has 3" in notes[4]
    assert notes[5] == "largest of 3 parts; 1 stereo centres not given, drawn by the seed"
    assert found.facts["ligands_docked"] == 2
    assert found.facts["ligands_refused"] == 4
    assert not any(text in " ".join(notes) for text in refused if text)


def test_one_row_that_cannot_be_docked_is_an_error(made: dict):
    with pytest.raises(LimitError, match="at most 32 bonds that turn"):
        Dock().run(table("C" * 36), DockOptions(**made))
    with pytest.raises(InputError, match=r"atoms (with known|that Vina knows)"):
        Dock().run(table("C[Pt](C)(C)C"), DockOptions(**made))


def test_every_box_option_makes_its_box(made: dict):
    plain = {k: v for k, v in made.items() if k != "reference"}
    run = lambda **box: Dock().run(table("CCO"), DockOptions(**plain, **box)).facts  # noqa: E731
    assert run(residues=("A:3,A:5",))["box"]["source"] == "residues A:3, A:5"
    assert run(center="0,0,0", size="15")["box"]["size"] == [15.0, 15.0, 15.0]
    assert run(box_ligand=made["reference"])["box"]["source"] == "around a ligand"
    assert any("the whole protein was searched" in w for w in run(blind=True)["warnings"])


def test_options_that_contradict_are_refused(made: dict):
    for wrong, match in (
        ({"blind": True, "center": "1,2,3"}, "named once, it was named by center and blind"), ({"reference": ""}, "the box must be named"),
        ({"receptor": ""}, "--receptor FILE"), ({"seed": 0}, "option 'seed' must be between 1"), ({"engine": "vinna"}, "did you mean 'vina'"),
        ({"scoring": "ad4"}, "one of vina, vinardo"), ({"start": "crystal"}, "one of new, given"), ({"checks": "some"}, "one of best, all, none"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=match):
            Dock().run(table(NICOTINE), DockOptions(**made | wrong))
    with pytest.raises(InputError, match="none is in it"):
        Dock().run(table(NICOTINE), DockOptions(**made, center="500,0,0"))
    with pytest.raises(ColumnError, match="column of molecules"):
        Dock().run(Cohort(pl.DataFrame({"age": [1]}), (Column("age", "number"),)), DockOptions(**made))
    with pytest.raises(ReadError, match="coordinates in space"):
        Dock().run(table(NICOTINE), DockOptions(**made, start="given"))


def test_given_coordinates_are_the_start(folder: Path):
    text = (folder / "known.sdf").read_text()
    one = ligand.ready(text, 1, "given")
    assert np.allclose(
        poses.positions(one.molecule)[:12], poses.positions(poses.read_sdf(text, "known")[0]), atol=1e-4
    )
    fresh = ligand.ready(text, 1, "new")
    assert not np.allclose(poses.positions(fresh.molecule)[:12], poses.positions(one.molecule)[:12], atol=1)


def test_symmetric_rmsd_by_hand():
    """A benzene turned by 60 degrees lies on itself; moved by 3-4-0 it is 5 Å away; another molecule has no RMSD."""
    one = conformers.embed(Chem.MolFromSmiles("c1ccccc1"), 1)
    xyz, numbers, bonds = poses.heavy(one)
    turned = np.roll(xyz, 1, axis=0)
    assert spyrmsd.symmetric_rmsd((xyz, numbers, bonds), (turned, numbers, bonds)) == pytest.approx(
        0, abs=1e-6
    )
    assert np.sqrt(((xyz - turned) ** 2).sum(axis=1).mean()) > 1
    assert spyrmsd.symmetric_rmsd((xyz, numbers, bonds), (xyz + np.array([3, 4, 0]), numbers, bonds)) == pytest.approx(
        5
    )
    other = poses.heavy(conformers.embed(Chem.MolFromSmiles("CC=CC=CC"), 1))
    assert spyrmsd.symmetric_rmsd((xyz, numbers, bonds), other) is None


def test_symmetry_of_a_tail_alone():
    """Acetate: its oxygens trade places. Without symmetry their 2.0 Å would count, with it nothing moved."""
    xyz = np.array([[0.0, 0, 0], [1.5, 0, 0], [2.0, 1.0, 0], [2.0, -1.0, 0]])
    numbers = np.array([6, 6, 8, 8])
    bonds = np.array([[0, 1, 0, 0], [1, 0, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]])
    assert spyrmsd.symmetric_rmsd(
        (xyz, numbers, bonds), (xyz[[0, 1, 3, 2]], numbers, bonds)
    ) == pytest.approx(0, abs=1e-9)


def test_conformers_repeat_and_keep_stereo():
    molecule = Chem.MolFromSmiles(NICOTINE)
    a, b, c = (poses.positions(conformers.embed(molecule, seed)) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.allclose(a, c)
    made = conformers.embed(molecule, 1)
    assert smiles_in_space(made) == Chem.CanonSmiles(NICOTINE)


def test_docked_atoms_return_to_their_place_in_the_molecule():
    """Placing a ligand at its own coordinates moves no heavy atom and no hydrogen that is docked; the others stand at
    a bond's length.
    """
    made = conformers.embed(Chem.MolFromSmiles("C[NH+](C)CC(=O)Nc1ccc(O)cc1"), 4)
    text = meeko.ligand(made)
    lines = [v for v in text.pdbqt.splitlines() if v.startswith("ATOM")]
    xyz = np.array([[float(v[a : a + 8]) for a in (30, 38, 46)] for v in lines])
    assert text.torsions == 4
    again = poses.place(made, text.atoms, xyz)
    assert again.GetNumAtoms() == made.GetNumAtoms()
    assert np.allclose(poses.heavy(again)[0], poses.heavy(made)[0], atol=0.001)
    polar = [i for i in text.atoms if made.GetAtomWithIdx(int(i)).GetAtomicNum() == 1]
    assert len(polar) == 3
    moved = np.linalg.norm(poses.positions(again)[:, None] - poses.positions(made)[polar][None], axis=2).min(
        axis=0
    )
    assert moved.max() < 0.001


def test_a_grid_that_would_be_too_large_is_made_coarser():
    assert vina.spacing_of((20, 20, 20)) == 0.375
    wide = vina.spacing_of((80, 80, 80))
    assert 0.6 < wide < 0.7
    assert np.ceil(80 / wide + 1) ** 3 <= vina.MOST_POINTS


def test_poses_are_read_from_pdbqt_and_none_is_an_error():
    line = "ATOM      1  C   UNL     1      16.714  51.912  14.876  1.00  0.00    -0.322 C \n"
    text = f"MODEL 1\nREMARK VINA RESULT:   -13.234      0.000      0.000\n{line}ENDMDL\nMODEL 2\nREMARK VINA RESULT:     0.500  1 2\n{line}ENDMDL\n"
    found = vina.read_poses(text)
    assert [s for s, _ in found] == [-13.234, 0.5]
    assert found[0][1].tolist() == [[16.714, 51.912, 14.876]]
    with pytest.raises(InputError, match="it found none"):
        vina.read_poses("MODEL 1\nENDMDL\n")
    with pytest.raises(InputError, match="it holds Xx"):
        vina._check_types(line.replace(" C \n", " Xx\n"), "ligand")


def test_every_engine_of_the_index_keeps_the_protocol():
    from osler.registry import load

    for name in engine.INDEX:
        made = load(engine.INDEX, "engines", name)
        assert made.name == name
        assert callable(made.dock)


def test_a_peptide_of_no_data_bank_can_be_docked_into(made: dict):
    """Nothing is fitted to known structures: a made-up peptide with lysine and arginine, and an acid."""
    found = Dock().run(
        table("CC(=O)[O-]"), DockOptions(receptor=made["receptor"], blind=True, exhaustiveness=2)
    )
    best = found.cohort.table.row(0, named=True)
    assert best["score"] < 0
    assert best["salt_bridges"] + best["hydrogen_bonds"]
    assert found.facts["receptor"]["residues"] == 10
