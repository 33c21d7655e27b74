"""`osler look` on molecules: a file that is looked at in blocks gives the counts and refusals of one that is held whole."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("rdkit")

from osler.adapters.rdkit import files
from osler.cli import main
from osler.cohort import profile_stream
from osler.cohort.profile import Profile, profile
from osler.errors import ReadError

N = 600
#: Cells of the table by row: four that are no molecule, one that is missing.
BAD = {100: "C1CC", 200: "C(C)(C)(C)(C)C", 300: "C1CC", 400: "CC>>CO", 500: ""}


def smiles(i: int) -> str:
    """The molecule of a row; every one comes twice."""
    return BAD.get(i, "C" * (i // 2 % 40 + 1) + "N" * (i // 80) + "c1ccccc1")


def looked(path: Path, monkeypatch: pytest.MonkeyPatch, blocks: bool, **options) -> Profile:
    """The profile in blocks of a few rows, or of the whole file."""
    with monkeypatch.context() as patch:
        if blocks:
            patch.setattr(profile_stream.profile, "STREAM_BYTES", 10)
            patch.setattr(profile_stream.profile, "STREAM_PACKED", 10)
            patch.setattr(profile_stream, "_ROWS", 70)
            patch.setattr(profile_stream, "SAMPLE", 400)
            patch.setattr(files, "BLOCK", 70)
        return profile(path, **options)


def counts(found: Profile) -> list[tuple]:
    """What must be the same however a file is read: rows, and per column its kind, role, and missing cells."""
    rows = [(found.rows_read, found.rows_used, found.rows_refused)]
    return rows + [(c.column.name, c.column.modality, c.column.role, c.n, c.missing, c.distinct) for c in found.columns]


@pytest.mark.parametrize("declared", [{}, {"smiles": "molecule"}])
def test_a_table_of_molecules(tmp_path, monkeypatch, declared):
    path = tmp_path / "a.csv"
    path.write_text("smiles,y\n" + "".join(f"{smiles(i)},{i % 7}.5\n" for i in range(1, N + 1)) + "cut,1,2\n")
    whole, parts = (looked(path, monkeypatch, blocks, columns=declared) for blocks in (False, True))
    assert counts(parts) == counts(whole)
    assert counts(whole)[:2] == [(601, 600, 1), ("smiles", "molecule", "input", 600, 5, whole.columns[0].distinct)]
    assert parts.refusals.sort("reason").equals(whole.refusals.sort("reason"))
    assert whole.refusals.sort("reason").select("reason", "n", "first_row").rows() == [
        ("not a molecule: Explicit valence for atom # 0 C, 5, is greater than permitted", 1, 200),
        ("not a molecule: a reaction, not one molecule", 1, 400), ("not a molecule: unclosed ring", 2, 100),
        ("the row has 3 cells where the header has 2", 1, 601),
    ]  # fmt: skip
    for found in (whole, parts):
        told = [f for f in found.findings if f.code == "mixed-types"]
        assert [(f.column, f.n) for f in told] == [("smiles", 4)]
        assert "not a molecule, in a column of molecules" in told[0].message
    assert (whole.sampled, parts.sampled) == (0, 400)


def packed(kind: str, text: bytes) -> bytes:
    """The text in one of the packings that are read."""
    if kind == "zip":
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("a.smi", text)
        return held.getvalue()
    return {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[kind](text)


@pytest.mark.parametrize("kind", ["", "gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "mixed"])
def test_a_list_of_molecules_whatever_its_line_ends_and_packing(tmp_path, monkeypatch, kind, end):
    ends = ["\n", "\r\n", "\r"] if end == "mixed" else [end]
    lines = [f"{smiles(i) or 'CC'} m{i}{ends[i % len(ends)]}" for i in range(1, N + 1)]
    path = tmp_path / ("a.smi" + (f".{kind}" if kind else ""))
    path.write_bytes(packed(kind, "".join(lines).encode() + b"c1cc"))
    whole, parts = (looked(path, monkeypatch, blocks) for blocks in (False, True))
    assert counts(parts) == counts(whole)
    assert counts(whole)[0] == (601, 596, 5)
    assert sorted(whole.refusals.select("reason", "n", "first_row").rows()) == [
        ("not a molecule: Explicit valence for atom # 0 C, 5, is greater than permitted", 1, 200),
        ("not a molecule: a reaction, not one molecule", 1, 400), ("not a molecule: unclosed ring", 3, 100),
    ]  # fmt: skip
    assert parts.refusals.sort("reason").equals(whole.refusals.sort("reason"))


def test_a_list_of_molecules_is_not_read_again_for_the_sample(tmp_path, monkeypatch):
    path = tmp_path / "a.smi"
    path.write_text("".join(f"{smiles(i) or 'CC'} m{i}\n" for i in range(1, N + 1)))
    asked = []
    known = files.readable.reasons
    monkeypatch.setattr(files.readable, "reasons", lambda texts, kind: asked.extend(texts := list(texts)) or known(texts, kind))
    monkeypatch.setattr("osler.modalities.molecule.Molecule.reasons", lambda *_: pytest.fail("read again"))
    looked(path, monkeypatch, blocks=True)
    assert len(asked) == N


def test_fields_that_only_later_records_have(tmp_path, monkeypatch):
    from rdkit import Chem

    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    records = [block + (f"> <dose>\n{i}\n\n" if i > 150 else "") + (f"> <lab>\nl{i % 3}\n\n" if i <= 80 else "") for i in range(1, 201)]
    path = tmp_path / "a.sdf"
    path.write_text("$$$$\n".join(records) + "$$$$\n")
    found = looked(path, monkeypatch, blocks=True)
    assert {c.column.name: (c.n, c.missing) for c in found.columns} == {
        "smiles": (200, 0), "name": (200, 200), "lab": (200, 120), "dose": (200, 150),
    }  # fmt: skip


def test_files_without_molecules_are_refused_in_one_sentence(tmp_path, monkeypatch):
    bad = tmp_path / "bad.smi"
    bad.write_text("hello x\nC1CC x\n" * 20)
    with pytest.raises(ReadError, match=r"'bad.smi' must have at least one row"):
        looked(bad, monkeypatch, blocks=True)
    cut = tmp_path / "cut.smi.gz"
    cut.write_bytes(gzip.compress(b"".join(b"CCO m%d\n" % i for i in range(5000)))[:-9])
    for blocks in (False, True):
        with pytest.raises(ReadError, match=r"'cut.smi.gz' must be a whole gzip file, it ends too early or is damaged"):
            looked(cut, monkeypatch, blocks)


def test_the_command_tells_how_far_it_is(tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.smi"
    path.write_text("".join(f"{smiles(i) or 'CC'} m{i}\n" for i in range(1, N + 1)))
    monkeypatch.setattr(files, "BLOCK", 200)
    assert main(["look", str(path), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["rows_refused"] == 4
    assert said.err == "molecules: 200\n", "the next ones came within five seconds"
