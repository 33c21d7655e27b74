"""Receptor preparation: what is chosen, cut, kept and left out, on peptides made here."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.errors import InputError, LimitError, OptionError, ReadError
from osler.instruments.dock import box, receptor, sidechains
from tests.instruments.peptides import atom, lines_of, peptide

pytest.importorskip("meeko")
gemmi = pytest.importorskip("gemmi")
SEQUENCE = "AKSHDW"


@pytest.fixture
def prepared(tmp_path):
    """A function: PDB text → Receptor."""

    def make(text: str, name: str = "protein.pdb", **options) -> receptor.Receptor:
        (tmp_path / name).write_text(text)
        return receptor.prepare(str(tmp_path / name), **options)

    return make


def heavy(target: receptor.Receptor) -> list[str]:
    return [
        f"{r}{n}:{a}"
        for r, n, a, e in target.atoms.select("residue", "number", "atom", "element").iter_rows()
        if e != "H"
    ]


def test_every_heavy_atom_stays_where_it_is_and_hydrogens_are_added(prepared):
    text = peptide(SEQUENCE)
    target = prepared(text)
    assert len(heavy(target)) == len(text.splitlines())
    # equivalent atoms (OD1 and OD2) may trade names, so that places are compared by element
    before = sorted(
        (line[76:78].strip(), *(float(line[a : a + 8]) for a in (30, 38, 46))) for line in text.splitlines()
    )
    after = sorted(target.atoms.filter(pl.col("element") != "H").select("element", "x", "y", "z").iter_rows())
    assert [a[0] for a in after] == [b[0] for b in before]
    assert np.allclose([a[1:] for a in after], [b[1:] for b in before], atol=0.0011)
    # by hand: ALA 5 (a first residue without hydrogens is the end of the model: NH), LYS 13, SER 5, HIS 7 (neutral), ASP 4, TRP 10
    assert target.facts["hydrogens"] == {"in the file": 0, "now": 5 + 13 + 5 + 7 + 4 + 10}
    assert target.facts["side_chains_cut"] == {}
    assert target.facts["chain_breaks"] == []


def test_the_pdbqt_merges_hydrogens_of_carbon_and_sums_to_the_charge(prepared):
    target = prepared(peptide(SEQUENCE))
    lines = [line for line in target.pdbqt.splitlines() if line.startswith("ATOM")]
    assert {line[77:].strip() for line in lines} <= {"C", "A", "N", "NA", "OA", "HD", "SA", "O", "S"}
    # LYS +1, ASP -1, C-terminus (it has OXT) -1
    assert sum(float(line[70:76]) for line in lines) == pytest.approx(-1, abs=0.01)
    assert (
        sum(line[77:].strip() == "HD" for line in lines) == 3 + 1 + 1 + 1 + 6
    )  # NH3+, OH, His NH, Trp NH, six amide


def test_the_place_with_the_higher_occupancy_is_chosen_and_named(prepared):
    text = peptide(SEQUENCE)
    both = "".join(
        line if line[12:16].strip() != "OG" else
        f"{line[:16]}A{line[17:54]}  0.40{line[60:]}" + f"{line[:16]}B{line[17:30]}{float(line[30:38]) + 0.1:8.3f}{line[38:54]}  0.60{line[60:]}"
        for line in text.splitlines(True)
    )  # fmt: skip
    og = next(line for line in text.splitlines() if line[12:16].strip() == "OG")
    x = {
        name: prepared(both, **o).atoms.filter(pl.col("atom") == "OG")["x"][0]
        for name, o in (("best", {}), ("asked", {"altlocs": ("A:3=A",)}))
    }
    assert x["best"] == pytest.approx(float(og[30:38]) + 0.1)
    assert x["asked"] == pytest.approx(float(og[30:38]))
    assert prepared(both).facts["alternate_places_chosen"] == ["A:3 B of A, B"]
    with pytest.raises(OptionError, match=r"has A, B"):
        prepared(both, altlocs=("A:3=C",))


def test_an_incomplete_side_chain_is_cut_and_named(prepared):
    text = "".join(
        line
        for line in peptide(SEQUENCE).splitlines(True)
        if not (int(line[22:26]) == 2 and line[12:16].strip() in ("CE", "NZ"))
    )
    target = prepared(text)
    assert target.facts["side_chains_cut"] == {"A:2": "LYS without CE NZ"}
    assert {a for a in heavy(target) if "2:" in a} == {"ALA2:N", "ALA2:CA", "ALA2:C", "ALA2:O", "ALA2:CB"}


def test_without_cb_it_becomes_glycine_and_without_backbone_it_is_left_out(prepared):
    text = peptide(SEQUENCE)
    no_cb = "".join(
        line
        for line in text.splitlines(True)
        if not (int(line[22:26]) == 3 and line[12:16].strip() in ("CB", "OG"))
    )
    assert {a for a in heavy(prepared(no_cb)) if a[3:].startswith("3:")} == {
        "GLY3:N",
        "GLY3:CA",
        "GLY3:C",
        "GLY3:O",
    }
    no_backbone = "".join(
        line
        for line in text.splitlines(True)
        if not (int(line[22:26]) == 6 and line[12:16].strip() in ("C", "O", "OXT"))
    )
    target = prepared(no_backbone)
    assert target.facts["residues_left_out"] == ["A:6"]
    assert 6 not in set(target.atoms["number"])


def test_selenomethionine_is_read_as_methionine(prepared):
    text = peptide("AMA")
    selenium = "".join(
        line.replace("MET", "MSE").replace(" SD ", "SE  ")[:76] + ("SE\n" if " SD " in line else line[76:])
        if "MET" in line
        else line
        for line in text.splitlines(True)
    )
    target = prepared(selenium)
    assert target.facts["modified_residues"] == ["A:2 MSE to MET"]
    assert "MET2:SD" in heavy(target)


def test_ligands_and_waters_are_left_out_and_metals_stay(prepared):
    text = peptide(SEQUENCE)
    extra = (
        atom("C1", "LIG", 90, (5, 5, 5), kind="HETATM") + atom("O", "HOH", 91, (9, 9, 9), kind="HETATM")
        + atom("ZN", "ZN", 92, (12, 2, 3), kind="HETATM", element="ZN") + atom("NA", "NA", 93, (2, 12, 3), kind="HETATM", element="NA")
    )  # fmt: skip
    target = prepared(text + extra)
    assert target.facts["hetero_left_out"] == ["A:LIG90", "A:NA93"]
    assert target.facts["waters_left_out"] == 1
    assert target.facts["metals_kept"] == ["A:ZN92"]
    last = target.pdbqt.strip().splitlines()[-1]
    assert last[77:].strip() == "Zn"
    assert [float(last[a : a + 8]) for a in (30, 38, 46)] == [12, 2, 3]
    wet = prepared(text + extra, waters=True, metals=False)
    assert (wet.facts["waters_kept"], wet.facts["metals_kept"]) == (1, [])
    assert wet.atoms.filter(pl.col("residue") == "HOH").height == 3
    assert "A:ZN92" in wet.facts["hetero_left_out"]


def test_a_gap_is_named(prepared):
    text = peptide("AKSHDWG")
    gone = "".join(line for line in text.splitlines(True) if int(line[22:26]) not in (3, 4))
    target = prepared(gone)
    assert target.facts["chain_breaks"] == ["A:2 to A:5 (2 numbers missing)"]
    assert target.facts["residues"] == 5


def test_mmcif_gives_the_same_receptor_as_pdb_and_long_chain_names_are_kept(prepared):
    text = peptide(SEQUENCE)
    structure = gemmi.read_pdb_string(text)
    structure.setup_entities()
    same = prepared(structure.make_mmcif_document().as_string(), "protein.cif")
    assert same.pdbqt == prepared(text).pdbqt
    structure[0][0].name = "Axp"
    named = prepared(structure.make_mmcif_document().as_string(), "protein.cif")
    assert named.facts["chains"] == ["Axp"]
    assert named.pdbqt.count("ATOM") == same.pdbqt.count("ATOM")


def test_a_packed_file_is_read_in_memory(tmp_path, prepared):
    path = tmp_path / "protein.pdb.gz"
    path.write_bytes(gzip.compress(peptide(SEQUENCE).encode()))
    assert receptor.prepare(str(path)).pdbqt == prepared(peptide(SEQUENCE)).pdbqt
    assert sorted(p.name for p in tmp_path.iterdir()) == ["protein.pdb", "protein.pdb.gz"]


def test_what_is_no_protein_is_refused(tmp_path, prepared):
    with pytest.raises(ReadError, match="it holds no amino acid") as refused:
        prepared(atom("C1", "LIG", 1, (0, 0, 0), kind="HETATM"))
    assert refused.value.code == "structure"
    with pytest.raises(ReadError, match="it holds no atoms"):
        prepared("a letter\nof nothing\n")
    with pytest.raises(ReadError, match="must be a mmCIF file"):
        prepared("data_x\nloop_ nothing\n", "bad.cif")
    with pytest.raises(ReadError, match="path must exist"):
        receptor.prepare(str(tmp_path / "absent.pdb"))
    many = gemmi.read_pdb_string(peptide("AKS"))
    many[0][0][2].seqid = gemmi.SeqId(12345, " ")
    many.setup_entities()
    with pytest.raises(LimitError, match="residue numbers must be -999 to 9999"):
        prepared(many.make_mmcif_document().as_string(), "many.cif")


def test_a_box_is_around_what_it_names(prepared):
    target = prepared(peptide(SEQUENCE) + atom("C1", "LIG", 90, (50, 5, 5), kind="HETATM"))
    own = np.array(
        [[float(line[a : a + 8]) for a in (30, 38, 46)] for line in lines_of(peptide(SEQUENCE), 6)]
    )
    found = box.residues(("A:6",), target.structure, 4.0)
    assert np.allclose(found.center, (own.min(axis=0) + own.max(axis=0)) / 2, atol=0.001)
    assert np.allclose(found.size, np.maximum(np.ptp(own, axis=0) + 8, 18), atol=0.001)
    assert box.residues(("A:90",), target.structure, 4.0).center == (50, 5, 5)
    assert box.residues(("A:6, A:90",), target.structure, 0).size[0] > 40
    with pytest.raises(OptionError, match=r"it has no 'A:999'; chains and numbers: A 1-90"):
        box.residues(("A:6,A:999",), target.structure, 4.0)


def test_a_box_beside_the_receptor_is_refused():
    xyz = np.array([[0.0, 0, 0], [10, 10, 10]])
    box.check(box.explicit("1,1,1", "20"), xyz)
    with pytest.raises(
        InputError, match=r"none is in it; the receptor spans x 0 to 10, y 0 to 10, z 0 to 10 Å"
    ):
        box.check(box.explicit("100,0,0", "20,20,20"), xyz)


@pytest.mark.parametrize(
    ("center", "size"),
    [("1,2", "20"), ("a,b,c", "20"), ("1,2,3", "20,20"), ("1,2,nan", "20"), ("1,2,3", "4"), ("1,2,3", "500")],
)
def test_a_box_must_be_numbers_in_range(center: str, size: str):
    with pytest.raises(OptionError, match="must be"):
        box.explicit(center, size)


def test_a_box_holds_what_lies_in_it():
    made = box.explicit("0,0,0", "10,20,30")
    assert made.holds(np.array([[5, 10, 15], [5.1, 0, 0], [0, -10, 0], [0, 0, 16]])).tolist() == [
        True,
        False,
        True,
        False,
    ]


def test_side_chains_are_those_of_the_twenty():
    assert len(sidechains.SIDE_CHAIN) == 20
    # heavy atoms beyond the backbone, by hand from the formulae
    assert {k: len(v.split()) for k, v in sidechains.SIDE_CHAIN.items() if k in ("GLY", "ALA", "TRP", "ARG", "PRO")} == {
        "GLY": 0, "ALA": 1, "TRP": 10, "ARG": 7, "PRO": 3,
    }  # fmt: skip


def test_crystal_files_of_the_mirror_are_whole(mirror: Path):
    target = receptor.prepare(str(mirror / "drugs" / "docking" / "1fpu_receptorH.pdb.gz"))
    assert len(target.facts["side_chains_cut"]) == 27
    assert target.facts["side_chains_cut"]["A:274"] == "LYS without CG CD CE NZ"
    assert target.facts["residues_left_out"] == []
    assert target.facts["residues"] == 275


def table_of(text: str) -> pl.DataFrame:
    """An atom table with keys."""
    from osler.adapters import gemmi as adapter

    key = pl.concat_str("chain", pl.lit(":"), pl.col("number").cast(pl.String), "insertion")
    return adapter.read_atoms(text, "made", False)[0].with_columns(key=key)


def test_cutting_keeps_the_backbone_of_one_residue_and_nothing_else_changes():
    atoms = table_of(peptide(SEQUENCE))
    short = sidechains.cut(atoms, "A:6")
    assert short is not None
    mine = short.filter(pl.col("key") == "A:6")
    assert set(mine["atom"]) == {"N", "CA", "C", "O", "CB", "OXT"}
    assert set(mine["residue"]) == {"ALA"}
    assert short.filter(pl.col("key") != "A:6").equals(atoms.filter(pl.col("key") != "A:6"))
    assert sidechains.cut(atoms.filter(~((pl.col("key") == "A:6") & (pl.col("atom") == "CA"))), "A:6") is None


def test_a_modified_residue_without_a_template_keeps_its_backbone():
    text = peptide("AKA").replace("LYS", "LLP")
    told, atoms = sidechains.modified(table_of(text), frozenset({"ALA", "GLY", "LYS"}))
    assert told == ["A:2 LLP to ALA"]
    assert atoms.filter(pl.col("key") == "A:2")["residue"].unique().to_list() == ["ALA"]
    told, same = sidechains.modified(table_of(peptide("AKA")), frozenset({"ALA", "LYS"}))
    assert told == []
    assert same.height == table_of(peptide("AKA")).height


def test_a_residue_of_two_kinds_takes_the_one_with_the_higher_occupancy(prepared):
    """Number 2 is both ALA (0.3) and SER (0.7), as in structures with mixed sequence."""
    text = peptide("GSG")
    serine = "".join(f"{v[:16]}B{v[17:54]}  0.70{v[60:]}" for v in lines_of(text, 2))
    alanine = "".join(
        f"{v[:16]}A{v[17:].replace('SER', 'ALA', 1)[:37]}  0.30{v[60:]}"
        for v in lines_of(text, 2)
        if v[12:16].strip() != "OG"
    )
    target = prepared("".join(lines_of(text, 1)) + alanine + serine + "".join(lines_of(text, 3)))
    assert [r for r in target.atoms["residue"].unique(maintain_order=True)] == ["GLY", "SER"]


def test_hydrogens_that_fit_no_template_are_replaced(prepared):
    """A fourth hydrogen on an alanine's CB cannot be; the residue's own hydrogens go and come anew."""
    x, y, z = (
        float(next(v for v in lines_of(peptide("AAA"), 2) if v[12:16].strip() == "CB")[a : a + 8])
        for a in (30, 38, 46)
    )
    extra = "".join(
        atom(f"HX{i}", "ALA", 2, (x + dx, y + dy, z + dz), element="H")
        for i, (dx, dy, dz) in enumerate([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)])
    )
    text = (
        "".join(lines_of(peptide("AAA"), 1) + lines_of(peptide("AAA"), 2))
        + extra
        + "".join(lines_of(peptide("AAA"), 3))
    )
    target = prepared(text)
    assert target.facts["own_hydrogens_replaced"] == ["A:2"]
    assert target.facts["side_chains_cut"] == {}
    assert target.atoms.filter((pl.col("number") == 2) & (pl.col("element") == "H")).height == 5


def test_insertion_codes_and_blank_chains_are_kept(prepared):
    text = "".join(f"{v[:21]} {v[22:]}" for v in peptide("AKS").splitlines(True))
    text = "".join(v if int(v[22:26]) != 3 else f"{v[:22]}   2A{v[27:]}" for v in text.splitlines(True))
    target = prepared(text)
    assert set(target.atoms.select("number", "insertion").iter_rows()) == {(1, ""), (2, ""), (2, "A")}
    assert box.residues(("2A",), target.structure, 0).source == "residues 2A"
    with pytest.raises(OptionError, match="no letter 1-2"):
        box.residues(("9",), target.structure, 0)


def test_a_disulphide_bridge_has_no_hydrogens_on_its_sulphurs(prepared):
    """Two cysteines whose sulphurs are put 2.05 Å apart by moving one whole peptide."""
    one = peptide("GCG")
    place = lambda text: np.array([float(lines_of(text, 2)[-1][a : a + 8]) for a in (30, 38, 46)])  # noqa: E731
    assert lines_of(one, 2)[-1][12:16].strip() == "SG"
    away = place(one) - np.mean(
        [[float(v[a : a + 8]) for a in (30, 38, 46)] for v in one.splitlines()], axis=0
    )
    away = away / np.linalg.norm(away)
    center = place(one) + 1.025 * away
    other = "".join(
        f"{v[:21]}B{v[22:30]}" + "".join(f"{2 * center[i] - float(v[a : a + 8]):8.3f}" for i, a in enumerate((30, 38, 46))) + v[54:]
        for v in one.splitlines(True)
    )  # fmt: skip
    bridged = prepared(one + other)
    free = prepared(one)
    sulphur = lambda target: [  # noqa: E731
        n
        for n in target.atoms.filter((pl.col("residue") == "CYS") & (pl.col("element") == "H"))["atom"]
        if n.startswith("HG")
    ]
    assert len(sulphur(free)) == 1
    assert sulphur(bridged) == []
