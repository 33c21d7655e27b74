"""SMILES lists, SDF and MOL2 as tables: what is read, what is refused with its record, and files that are broken."""

from __future__ import annotations

import gzip
import random
import time

import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

import osler
from osler.adapters.rdkit import files
from osler.errors import LimitError, ReadError


def record(smiles: str, name: str = "", v3000: bool = False, **fields: str) -> str:
    """One record of an SDF."""
    mol = Chem.MolFromSmiles(smiles)
    mol.SetProp("_Name", name)
    data = "".join(f">  <{k}>\n{v}\n\n" for k, v in fields.items())
    return f"{Chem.MolToMolBlock(mol, forceV3000=v3000)}{data}$$$$\n"


def written(path, text: str):
    """The path, with this text in it."""
    path.write_bytes(text.encode())
    return path


def test_a_list_of_smiles(tmp_path):
    path = written(tmp_path / "library.smi", "smiles name\nCCO ethanol\n\nC1CC\r\nc1ccccc1\tbenzene of old\rCCN\n")
    cohort = osler.read(path, columns={"smiles": "molecule"})
    assert cohort.table.rows() == [(1, "CCO", "ethanol"), (3, "c1ccccc1", "benzene of old"), (4, "CCN", None)]
    assert cohort.refusals.rows() == [(2, "", "not a molecule: unclosed ring", "row refused")]
    assert cohort.lineage[0].rows_before == 4
    assert cohort.lineage[0].detail == {"source": "library.smi", "format": "molecules", "kind": "smi"}


@pytest.mark.parametrize("v3000", [False, True])
def test_an_sdf_with_fields_and_one_bad_record(tmp_path, v3000):
    bad = record("CCO", "bad", v3000).replace(" C ", " Xx ", 1)
    first = record("CCO", "one", v3000, activity="1.5", site="x").replace("<site>", "<smiles>")
    text = first + bad + record("CCN", "", v3000, activity="2.5")
    cohort = osler.read(written(tmp_path / "a.sdf", text))
    assert cohort.table.columns == ["_row", "smiles", "name", "activity", "smiles (field)"]
    assert cohort.table.rows() == [(1, "CCO", "one", 1.5, "x"), (3, "CCN", None, 2.5, None)]
    assert cohort.refusals["row"].to_list() == [2]
    assert cohort.refusals["reason"][0].startswith("not a molecule: ")


def test_a_packed_sdf_with_other_line_ends(tmp_path):
    text = (record("CCO", "one", dose="3") + record("CC=O", "two", dose="4")).replace("\n", "\r\n")
    path = tmp_path / "a.sdf.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert osler.read(path).table.rows() == [(1, "CCO", "one", 3), (2, "CC=O", "two", 4)]


def test_fields_over_several_lines_and_the_first_of_two(tmp_path):
    text = record("CCO", "one", note="a\nb").replace("$$$$", ">  <note>\nlater\n\n>  <empty>\n\n$$$$")
    assert osler.read(written(tmp_path / "a.sdf", text)).table.rows() == [(1, "CCO", "one", "a\nb", None)]


def test_a_library_cut_in_the_middle_of_a_line(tmp_path):
    text = record("CCO", "one") + record("CCN", "two")
    cut = text[: text.rindex("M  END") - 20]
    cohort = osler.read(written(tmp_path / "a.sdf", cut))
    assert cohort.table["name"].to_list() == ["one"]
    assert cohort.refusals.rows() == [(2, "", "not a molecule: ends in the middle of a record", "row refused")]


def test_a_last_record_without_separator_is_read(tmp_path):
    text = record("CCO", "one") + record("CCN", "two").replace("$$$$\n", "")
    assert osler.read(written(tmp_path / "a.sdf", text)).table["name"].to_list() == ["one", "two"]


def test_mol2(tmp_path):
    water = (
        "# made by hand\n@<TRIPOS>MOLECULE\nwater\n3 2\nSMALL\nNO_CHARGES\n\n@<TRIPOS>ATOM\n1 O1 0.0 0.0 0.0 O.3\n"
        "2 H1 0.9 0.0 0.0 H\n3 H2 -0.2 0.9 0.0 H\n@<TRIPOS>BOND\n1 1 2 1\n2 1 3 1\n"
    )
    cohort = osler.read(written(tmp_path / "a.mol2", water + water.replace("3 2\n", "0 0\n") + water))
    assert cohort.table.rows() == [(1, "O", "water"), (3, "O", "water")]
    assert cohort.refusals.rows() == [(2, "", "not a molecule: holds no atom", "row refused")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.smi", "\n\n", "'a.smi' must hold molecules, it holds no record: check that it was exported whole"),
        ("a.smi", "hello x\nC1CC x\n", "none of its 2 records can be read; record 1 is not a molecule: syntax error"),
        ("a.sdf", "just a text\n", "record 1 is not a molecule: ends in the middle of a record"),
        ("a.sdf", "   \n", "it holds no record"),
        ("a.mol2", "nothing\n", "it holds no record"),
    ],
)
def test_files_without_molecules_are_refused_in_one_sentence(tmp_path, name, text, message):
    with pytest.raises(ReadError) as caught:
        osler.read(written(tmp_path / name, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_record_without_end_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_RECORD", 4000)
    long = record("CCO", "long", note="x" * 5000)
    found, refused, _ = files.read_molecules(written(tmp_path / "a.sdf", long + record("CCN", "two")))
    assert found["name"].to_list() == ["two"]
    assert refused == [(1, f"not a molecule: {files._LONG}")]
    found, refused, _ = files.read_molecules(written(tmp_path / "a.smi", "C" * 9000 + "\nCCO\n"))
    assert found["smiles"].to_list() == ["CCO"]
    assert [r for r, _ in refused] == [1]


def test_a_bomb_is_refused(tmp_path):
    path = tmp_path / "a.smi.gz"
    path.write_bytes(gzip.compress((b" " * 999 + b"\n") * 40_000))
    with pytest.raises(LimitError):
        osler.read(path)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "a.smi"
    path.write_bytes(b"\xff\xfe\x00\nCCO ok\n\x80\x81 x\nCC\x00C nul\n")
    cohort = osler.read(path, columns={"smiles": "molecule"})
    assert cohort.table["_row"].to_list() == [2]
    assert cohort.refusals["row"].to_list() == [1, 3, 4]
    assert "CC" not in " ".join(cohort.refusals["reason"])


def test_spoilt_libraries_keep_their_count(tmp_path):
    """Whatever is done inside of records, every separator ends one: read + refused = records."""
    rng = random.Random(4)
    good = [record(s, s) for s in ("CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "C[N+](C)(C)C")]
    start = time.perf_counter()
    for i in range(60):
        parts = []
        for _ in range(5):
            lines = rng.choice(good).split("\n")[:-2]
            k = rng.randrange(len(lines))
            line = lines[k]
            lines[k] = rng.choice((line[:7], "", line + "\0", "  nan  nan", line.replace("0", "9"), "é" * 5))
            parts.append("\n".join(lines) + "\n$$$$\n")
        path = written(tmp_path / f"{i}.sdf", record("CCO", "whole") + "".join(parts))
        found, refused, _ = files.read_molecules(path)
        assert found.height + len(refused) == 6
        assert found["_row"][0] == 1
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_blocks_put_together_are_the_whole_file(tmp_path, monkeypatch, size):
    smi = "smiles name\nCCO ethanol\n\nC1CC\r\nc1ccccc1\tbenzene of old\rCCN\nC" + "C" * 30
    sdf = record("CCO", "one", dose="3") + record("CCN", "").replace(" C ", " Xx ", 1) + record("CCC", "", site="x")
    for name, text, columns in (("a.smi", smi, ["_row", "smiles", "name"]), ("a.sdf", sdf, ["_row", "smiles", "name", "dose", "site"])):
        path = written(tmp_path / name, text)
        whole, lost, _ = files.read_molecules(path)
        monkeypatch.setattr(files, "BLOCK", size)
        said = []
        parts, refused, _ = files.read_molecules(path, lambda *told, said=said: said.append(told))
        assert parts.equals(whole)
        assert parts.columns == columns
        assert refused == lost == [(2, lost[0][1])]
        assert said == [("molecules", done, 0) for done in range(size, whole.height + 2, size)]
        blocks = list(files.molecule_blocks(path))
        assert max(table.height + len(bad) for table, bad in blocks) <= size
        monkeypatch.undo()


def test_a_list_of_smiles_is_read_once(tmp_path, monkeypatch):
    """The reader of the file has asked every line: the table's columns are not asked again."""
    path = written(tmp_path / "a.smi", "CCO one\nC1CC two\nCCN three\n")
    monkeypatch.setattr("osler.modalities.molecule.Molecule.reasons", lambda *_: pytest.fail("asked again"))
    cohort = osler.read(path, columns={"smiles": "molecule"})
    assert cohort.table["smiles"].to_list() == ["CCO", "CCN"]
    sdf = written(tmp_path / "a.sdf", record("CCO", "one") + record("CCN", "two"))
    with pytest.raises(pytest.fail.Exception):
        osler.read(sdf, columns={"smiles": "molecule"})


def test_the_name_decides_the_kind(tmp_path):
    for name, kind in (("a.smi.gz", "smi"), ("a.SDF", "sdf"), ("b.mol", "sdf"), ("c.mol2", "mol2"), ("d.sd", "sdf")):
        assert files.kind_of(tmp_path / name) == kind


def test_imatinib_and_a_list_of_zinc(mirror):
    cohort = osler.read(mirror / "drugs" / "docking" / "1iep_ligand.sdf")
    assert cohort.table["name"].to_list() == ["STI"]
    assert Chem.MolFromSmiles(cohort.table["smiles"][0]).GetNumHeavyAtoms() == 37
    found, refused, _ = files.read_molecules(mirror / "drugs" / "zinc250k_test.smi.gz")
    assert (found.height, refused) == (5000, [])
