"""The catalogue: names, places, hashes, downloads that may not lie, and recipes."""

from __future__ import annotations

import hashlib
import io
import urllib.error
from dataclasses import replace

import polars as pl
import pytest

from osler import catalogue
from osler.catalogue import build, places, tables
from osler.catalogue.index import DOMAINS, Entry
from osler.catalogue.recipes import RECIPES, Recipe
from osler.errors import CODES, InputError, LimitError, ReadError


def made_up(data: bytes = b"a,b\n1,2\n", **changes) -> Entry:
    known = Entry(
        name="made_up",
        domain="clinical",
        package="",
        file="clinical/made_up.csv",
        title="Made up",
        licence="CC0",
        rows=1,
        task="none",
        official_url="https://example.org/made_up.csv",
        source="",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )
    return replace(known, **changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty mirror and an empty cache."""
    monkeypatch.setenv("OSLER_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "mirror" / "clinical").mkdir(parents=True)
    return tmp_path / "mirror"


def test_every_entry_is_whole():
    names = [e.name for e in catalogue.entries()]
    assert len(names) == len(set(names)) >= 200
    for e in catalogue.entries():
        assert e.domain in DOMAINS
        assert len(e.sha256) == 64
        assert int(e.sha256, 16) >= 0
        assert e.bytes > 0
        assert e.licence
        assert e.title
        assert e.source
        assert e.official_url.startswith("http")
        assert ".." not in e.file
        assert not e.file.startswith("/")


def test_the_index_says_what_the_manifests_say(mirror):
    assert tuple(build.build(mirror)) == catalogue.entries()


def test_no_data_inside():
    held = sorted(p.suffix for p in build.Path(places.__file__).parent.iterdir() if p.is_file())
    assert [s for s in held if s not in (".py",)] == [".csv"]


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'heart_cleveland'") as refused:
        catalogue.entry("heart_clevland")
    assert refused.value.code == "data-unknown"


def test_packages_come_first_and_are_checked():
    path = catalogue.path("breast_cancer")
    assert path.name == "breast_cancer.csv"
    assert "sklearn" in path.parts
    assert {name for name, _ in catalogue.packages()} == {"sklearn", "lifelines"}


def test_found_in_the_mirror(folder):
    (folder / "clinical" / "made_up.csv").write_bytes(b"a,b\n1,2\n")
    assert places.find(made_up()) == folder / "clinical" / "made_up.csv"


def test_wrong_bytes_are_refused(folder):
    (folder / "clinical" / "made_up.csv").write_bytes(b"a,b\n1,3\n")
    with pytest.raises(ReadError, match="other bytes") as refused:
        places.find(made_up())
    assert refused.value.code == "data-hash"


def test_absent_says_where_it_looked_and_uses_no_network(folder, monkeypatch):
    monkeypatch.setattr(
        places, "_open", lambda url: pytest.fail("the network was used without being allowed")
    )
    with pytest.raises(InputError, match=str(folder)) as refused:
        places.find(made_up())
    assert refused.value.code == "data-absent"


def test_a_link_out_of_the_mirror_is_not_followed(folder, tmp_path):
    (tmp_path / "secret.csv").write_bytes(b"a,b\n1,2\n")
    (folder / "clinical" / "made_up.csv").symlink_to(tmp_path / "secret.csv")
    assert places.locate(made_up()) is None


def test_download_is_checked_before_it_gets_its_name(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(places, "_open", lambda url: io.BytesIO(b"a,b\n1,2\n"))
    path = places.find(made_up(), allow_network=True)
    assert path == tmp_path / "cache" / "osler" / "data" / "clinical" / "made_up.csv"
    assert path.read_bytes() == b"a,b\n1,2\n"
    assert [p.name for p in path.parent.iterdir()] == ["made_up.csv"]


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (b"a,b\n1,9\n", ReadError, "data-hash"),
        (b"a,b\n1,2\n" * 9, LimitError, "limit-size"),
        (b"", ReadError, "data-hash"),
    ],
)
def test_a_download_that_lies_leaves_nothing(folder, monkeypatch, tmp_path, answer, error, code):
    monkeypatch.setattr(places, "_open", lambda url: io.BytesIO(answer))
    with pytest.raises(error) as refused:
        places.find(made_up(), allow_network=True)
    assert refused.value.code == code
    assert list((tmp_path / "cache" / "osler" / "data" / "clinical").iterdir()) == []


def test_a_server_that_does_not_answer_is_an_input_error(folder, monkeypatch):
    def down(url):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(places, "_open", down)
    with pytest.raises(InputError, match="must answer") as refused:
        places.find(made_up(), allow_network=True)
    assert refused.value.code == "data-absent"


def test_a_page_is_never_downloaded_as_a_file(folder, monkeypatch):
    monkeypatch.setattr(places, "_open", lambda url: pytest.fail("a page was fetched"))
    page = made_up(official_url="https://example.org/about")
    with pytest.raises(InputError, match="by hand"):
        places.find(page, allow_network=True)


def test_only_https():
    with pytest.raises(InputError) as refused:
        places._open("http://example.org/made_up.csv")
    assert refused.value.code == "address"
    with pytest.raises(InputError) as refused:
        places._OnlyHttps().redirect_request(None, None, 302, "", {}, "http://10.0.0.1/made_up.csv")
    assert refused.value.code == "address"
    assert {"data-unknown", "data-hash", "data-absent", "address"} <= set(CODES)


def test_every_recipe_makes_its_table(mirror):
    for name, recipe in RECIPES.items():
        if name in ("diabetes130", "sider4_all_se"):
            continue
        raw = tables.table(name)
        frame, ledger = tables.prepare(raw, recipe)
        for role in tables.ROLES:
            column = getattr(recipe, role)
            assert not column or column in frame.columns, (name, role)
        assert set(recipe.ignore) - set(frame.columns) == set(), name
        assert set(ledger["row"]) <= set(frame["_row"]), name


@pytest.mark.parametrize(
    ("name", "rows", "positive"),
    [
        ("heart_cleveland", 303, 139),
        ("heart", 920, 509),
        ("pima_diabetes", 768, 268),
        ("breast_cancer_wisconsin_original", 699, 241),
    ],
)
def test_published_counts(mirror, name, rows, positive):
    """Counts of the UCI pages: 139 of 303, 509 of 920, 268 of 768, 241 of 699."""
    frame, _ = tables.prepare(tables.table(name), RECIPES[name])
    assert (frame.height, frame[RECIPES[name].target].sum()) == (rows, positive)


def test_rotterdam_recurrence_free_survival(mirror):
    """Royston and Altman 2013: 1,713 of 2,982 have a recurrence or die."""
    frame, _ = tables.prepare(tables.table("rotterdam"), RECIPES["rotterdam"])
    assert frame["rfs"].sum() == 1713
    recurred = frame.filter(pl.col("recur") == 1)
    assert (recurred["rfs_days"] == recurred["rtime"]).all()


def test_missing_codes_are_emptied_and_entered_in_the_ledger():
    raw = pl.DataFrame({"chol": [0, 210, 0, None], "kept": [0, 1, 2, 3], "lab": ["?", "1.5", " 2 ", ""]})
    recipe = Recipe(missing={"chol": (0,), "*": ("?",)}, where=lambda: pl.col("kept") > 0)
    frame, ledger = tables.prepare(raw, recipe)
    assert frame["_row"].to_list() == [2, 3, 4]
    assert frame["chol"].to_list() == [210, None, None]
    assert frame["lab"].to_list() == ["1.5", "2", None]
    assert ledger.select("row", "column", "action").rows() == [(3, "chol", "set missing")]
    whole, ledger = tables.prepare(raw, Recipe(missing={"*": ("?",)}))
    assert whole["lab"].to_list() == [None, 1.5, 2.0, None]
    assert ledger["row"].to_list() == [1]


def test_a_file_that_is_no_table_is_not_read_as_one():
    with pytest.raises(ReadError, match="use its path"):
        catalogue.table("mnist-train-images-idx3-ubyte")


def test_a_cohort_has_roles_and_the_raw_row_numbers(mirror):
    pytest.importorskip("osler.cohort.read")
    cohort = catalogue.read("colon")
    assert len(cohort) == 929
    assert [c.name for c in cohort.role("unit")] == ["id"]
    assert [c.name for c in cohort.role("duration")] == ["time"]
    assert [c.name for c in cohort.role("event")] == ["status"]
    assert cohort.column("etype").role == "ignore"
    assert cohort.lineage[0].rows_before == 1858
    raw = catalogue.table("colon")
    assert raw["etype"].gather(cohort.rows - 1).unique().to_list() == [2]


def test_no_recipe_is_said():
    pytest.importorskip("osler.cohort.read")
    with pytest.raises(InputError, match="no"):
        catalogue.read("tox21")
