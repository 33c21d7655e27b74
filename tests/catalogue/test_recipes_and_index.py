"""Recipes on made-up tables, a catalogue of a made-up mirror, and how the index is built."""

from __future__ import annotations

import csv
import gzip
import hashlib
from dataclasses import fields, replace

import polars as pl
import pytest

from osler import catalogue
from osler.catalogue import build, index, places, tables
from osler.catalogue.recipes import RECIPES, Recipe
from osler.errors import InputError, OslerError, ReadError

RAW = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "chol": [200, 0, 180, 0],
        "num": [0, 2, 1, 0],
        "sex": [" m", "?", "f", ""],
        "bp": ["120", "?", "130", "110"],
    }
)


@pytest.mark.parametrize(
    ("recipe", "column", "values", "emptied"),
    [
        (Recipe(), "chol", [200, 0, 180, 0], []),
        (Recipe(missing={"chol": (0,)}), "chol", [200, None, 180, None], [(2, "chol"), (4, "chol")]),
        (Recipe(missing={"*": ("?",)}), "sex", ["m", None, "f", None], [(2, "sex"), (2, "bp")]),
        (Recipe(missing={"bp": ("?",)}), "bp", [120.0, None, 130.0, 110.0], [(2, "bp")]),
        (Recipe(missing={"sex": ("?",)}), "sex", ["m", None, "f", None], [(2, "sex")]),
        (Recipe(derive={"ill": lambda: (pl.col("num") > 0).cast(pl.Int64)}), "ill", [0, 1, 1, 0], []),
        (Recipe(where=lambda: pl.col("num") > 0), "id", [2, 3], []),
        (Recipe(where=lambda: pl.col("num") > 0, missing={"chol": (0,)}), "chol", [None, 180], [(2, "chol")]),
        (Recipe(derive={"a": lambda: pl.col("num") + 1, "b": lambda: pl.col("a") * 2}), "b", [2, 6, 4, 2], []),
    ],
)
def test_what_a_recipe_does(recipe: Recipe, column: str, values: list, emptied: list) -> None:
    frame, ledger = tables.prepare(RAW, recipe)
    assert frame[column].to_list() == values
    assert list(zip(ledger["row"], ledger["column"])) == emptied
    assert set(ledger["action"]) <= {"set missing"}


def test_row_numbers_are_those_of_the_raw_table() -> None:
    frame, _ = tables.prepare(RAW, Recipe(where=lambda: pl.col("chol") > 0))
    assert frame["_row"].to_list() == [1, 3]


def test_named_inputs_are_all_that_stays() -> None:
    frame, _ = tables.prepare(RAW, Recipe(inputs=("chol", "sex"), target="num", unit="id"))
    assert frame.columns == ["_row", "id", "num", "chol", "sex"]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_names_entries_and_roles(name: str) -> None:
    recipe = RECIPES[name]
    known = {e.name for e in catalogue.entries()}
    assert set(recipe.parts or (name,)) <= known
    assert bool(recipe.duration) == bool(recipe.event)
    assert recipe.target or recipe.duration or recipe.note
    named = [getattr(recipe, r) for r in tables.ROLES if getattr(recipe, r)]
    assert len(named) == len(set(named))
    assert not set(named) & set(recipe.ignore)


# -- a made-up mirror ----------------------------------------------------------------------------------------


@pytest.fixture
def mirror_of_one(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """A mirror whose one data set is named "heart" in the catalogue."""

    def make(data: bytes, file: str = "clinical/heart.csv", recipe: Recipe | None = None) -> index.Entry:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sha = hashlib.sha256(data).hexdigest()
        entry = index.Entry(
            "heart",
            "clinical",
            "",
            file,
            "Heart",
            "CC0",
            3,
            "binary",
            "https://example.org/page",
            "here",
            sha,
            len(data),
        )
        monkeypatch.setenv("OSLER_DATA_MIRROR", str(tmp_path))
        monkeypatch.setattr(tables, "entry", lambda name: entry)
        monkeypatch.setattr(tables, "RECIPES", {"heart": recipe} if recipe else {})
        return entry

    return make


CSV = b"id,age,ill\n1,50,0\n1,51,1\n2,NA,1\n3,,0\n"


@pytest.mark.parametrize(
    ("data", "file"),
    [
        (CSV, "clinical/heart.csv"),
        (gzip.compress(CSV, mtime=0), "clinical/heart.csv.gz"),
        (CSV.replace(b",", b"\t"), "clinical/heart.tsv"),
    ],
)
def test_tables_in_each_form(mirror_of_one, data: bytes, file: str) -> None:
    mirror_of_one(data, file)
    table = catalogue.table("heart")
    assert table["age"].to_list() == [50, 51, None, None]
    assert table.columns == ["id", "age", "ill"]


def test_a_file_without_a_header_gets_its_recipe_s(mirror_of_one) -> None:
    mirror_of_one(b"1,50\n2,60\n", recipe=Recipe(header=("id", "age"), target="age"))
    assert catalogue.table("heart").to_dict(as_series=False) == {"id": [1, 2], "age": [50, 60]}


def test_a_cohort_of_a_recipe(mirror_of_one) -> None:
    mirror_of_one(
        CSV,
        recipe=Recipe(unit="id", target="ill", missing={"age": (51,)}, where=lambda: pl.col("id") < 3, note="made up"),
    )
    cohort = catalogue.read("heart")
    assert cohort.rows.tolist() == [1, 2, 3]
    assert [c.name for c in cohort.role("unit")] == ["id"]
    assert [c.name for c in cohort.role("target")] == ["ill"]
    assert cohort.values("age").to_list() == [50, None, None]
    assert cohort.refusals.filter(pl.col("column") == "age")["row"].to_list() == [2]
    assert (cohort.lineage[0].rows_before, cohort.lineage[0].rows_after) == (4, 3)
    assert cohort.lineage[0].detail["note"] == "made up"


@pytest.mark.parametrize("change", [lambda b: b + b"9,9,9\n", lambda b: b.replace(b"50", b"51"), lambda b: b""])
def test_other_bytes_are_refused(mirror_of_one, tmp_path, change) -> None:
    mirror_of_one(CSV)
    (tmp_path / "clinical/heart.csv").write_bytes(change(CSV))
    with pytest.raises(ReadError) as error:
        catalogue.table("heart")
    assert error.value.code == "data-hash"


def test_a_data_set_that_is_nowhere(mirror_of_one, tmp_path) -> None:
    entry = mirror_of_one(CSV)
    (tmp_path / "clinical/heart.csv").unlink()
    for network in (False, True):
        with pytest.raises(InputError, match=r"example\.org/page") as error:
            places.find(entry, allow_network=network)
        assert error.value.code == "data-absent"
    with pytest.raises(InputError, match="'no_such_package'"):
        places.find(replace(entry, package="no_such_package"))


@pytest.mark.parametrize(
    ("address", "file", "expected"),
    [
        ("https://x.org/a/heart.csv", "clinical/heart.csv", True),
        ("http://x.org/a/heart.csv", "clinical/heart.csv", False),
        ("https://x.org/a/", "clinical/heart.csv", False),
        ("https://x.org/other.csv", "clinical/heart.csv", False),
    ],
)
def test_which_addresses_are_the_file(mirror_of_one, address: str, file: str, expected: bool) -> None:
    assert replace(mirror_of_one(CSV), official_url=address, file=file).has_file_address is expected


def test_a_redirect_off_https_is_refused() -> None:
    with pytest.raises(InputError) as error:
        places._OnlyHttps().redirect_request(None, None, 302, "", {}, "http://x.org/a")
    assert error.value.code == "address"
    with pytest.raises(OslerError):
        places._open("file:///etc/passwd")


# -- the index -----------------------------------------------------------------------------------------------

LINE = {
    "file": "a.csv", "name": "A", "licence": "CC0", "rows": "12", "task": "binary", "official_url": "", "source_repo": "o/r",
    "source_commit": "abc", "source_path": "p/a.csv", "sha256": "0" * 64, "bytes": "10",
}  # fmt: skip


def manifests(folder, **lines: list[dict[str, str]]) -> None:
    for domain in index.DOMAINS:
        (folder / domain).mkdir()
        with (folder / domain / "MANIFEST.csv").open("w", newline="") as out:
            writer = csv.DictWriter(out, list(LINE))
            writer.writeheader()
            writer.writerows({**LINE, **line} for line in lines.get(domain, []))


def test_names_come_from_files_and_differ(tmp_path) -> None:
    manifests(
        tmp_path,
        clinical=[{"file": "Heart.csv.gz"}, {"file": "set/x.csv"}, {"file": "lung.csv"}],
        drugs=[{"file": "x.smi"}, {"file": "twice.csv"}, {"file": "twice.tsv", "rows": "many"}],
    )
    made = [e for e in build.build(tmp_path) if not e.package]
    assert [e.name for e in made] == ["clinical-lung", "heart", "set-x", "twice.csv", "twice.tsv", "x"]
    by_name = {e.name: e for e in made}
    assert (by_name["twice.csv"].rows, by_name["twice.tsv"].rows) == (12, 0)
    assert by_name["heart"].official_url == "https://github.com/o/r/tree/abc"
    assert by_name["set-x"].file == "clinical/set/x.csv"
    assert next(f.name for f in fields(index.Entry)) == "name"


def test_installed_sets_are_what_the_index_says(tmp_path) -> None:
    manifests(tmp_path)
    for made in build.build(tmp_path):
        known = catalogue.entry(made.name)
        assert (made.package, made.file, made.rows) == (known.package, known.file, known.rows)


@pytest.mark.parametrize(
    ("name", "rows", "target"), [("breast_cancer", 569, "diagnosis"), ("diabetes", 442, "progression")]
)
def test_sets_that_come_with_scikit_learn(name: str, rows: int, target: str) -> None:
    table = catalogue.table(name)
    assert table.height == rows
    assert table.columns[-1] == target
    assert table[target].null_count() == 0
