"""Every modality on small tables: what each written value becomes, what is learnt, what is hidden, which options are
refused.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler import modalities
from osler.cohort.column import Column
from osler.errors import OptionError
from osler.modalities.category import OTHER, natural, texts
from osler.modalities.number import rounded
from osler.modalities.text import terms

NAN = float("nan")
KINDS = tuple(modalities.INDEX)

SAMPLE = {
    "number": pl.Series("x", [1.0, 2.5, None, 4.0, 7.0, -1.0] * 4),
    "category": pl.Series("x", ["a", "b", None, "a", "c", "b"] * 6),
    "boolean": pl.Series("x", ["yes", "no", None, "yes"] * 5),
    "date": pl.Series("x", ["2020-01-02", None, "2021-05-06", "1999-12-31"] * 5),
    "text": pl.Series("x", ["chest pain today", None, "no pain since", "chest clear today"] * 8),
    "molecule": pl.Series("x", ["CC(=O)Oc1ccccc1C(=O)O", None, "CCO", "CN1CCC[C@H]1c1cccnc1"] * 5),
    "protein": pl.Series("x", ["MKTAYIAKQRQISFVKSHFSRQ", None, "GSHMLEDPVDAFKEWLDAYNQC", "mstnpkpqrktkrntnrrpqdv"] * 5),
    "image": pl.Series("x", ["tests/modalities/scans/p0.png", None, "tests/modalities/scans/p1.png", "tests/modalities/scans/p2.png"] * 5),
    "mask": pl.Series("x", ["tests/modalities/scans/m0.png", None, "tests/modalities/scans/m1.png", "tests/modalities/scans/m2.png"] * 5),
    "boxes": pl.Series("x", ["[]", None, "tests/modalities/scans/cells.xml", '[{"box": [1, 2, 3, 4], "class": "cell"}]'] * 5),
    "volume": pl.Series("x", ["tests/modalities/scans/v0.nii.gz", None, "tests/modalities/scans/v1.nii.gz", "tests/modalities/scans/v2.nii.gz"] * 5),
}
#: The library that a modality cannot do without.
NEEDS = {"molecule": "rdkit", "image": "PIL", "mask": "PIL", "volume": "nibabel"}


@pytest.fixture(autouse=True)
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])  # references to files start there
    params = getattr(getattr(request.node, "callspec", None), "params", {})
    if params.get("kind") in NEEDS:
        pytest.importorskip(NEEDS[params["kind"]])


def encoded(kind: str, values: pl.Series, train: pl.Series | None = None, **options) -> np.ndarray:
    modality, column = modalities.get(kind), Column("x", kind, options=options)
    return modality.encode(values, modality.fit(values if train is None else train, column)).values


@pytest.mark.parametrize("kind", KINDS)
@given(rows=st.lists(st.integers(0, 19), min_size=1, max_size=12))
def test_a_row_is_encoded_by_itself(kind: str, rows: list[int]) -> None:
    modality, values = modalities.get(kind), SAMPLE[kind]
    state = modality.fit(values, Column("x", kind))
    whole = modality.encode(values, state)
    part = modality.encode(values[rows], json.loads(json.dumps(state)))
    np.testing.assert_allclose(part.values, whole.values[rows], rtol=1e-12)
    assert part.present.tolist() == whole.present[rows].tolist()
    assert part.names == whole.names


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_training_rows_teaches_the_same(kind: str) -> None:
    modality, values = modalities.get(kind), SAMPLE[kind]
    order = np.random.default_rng(0).permutation(len(values))
    column = Column("x", kind)
    assert modality.fit(values[order], column) == modality.fit(values, column)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "missing", [pl.Series("x", [None, None], dtype=pl.String), pl.Series("x", [], dtype=pl.String)]
)
def test_nothing_can_be_learnt_from_nothing_and_nothing_breaks(kind: str, missing: pl.Series) -> None:
    modality, column = modalities.get(kind), Column("x", kind)
    block = modality.encode(missing, modality.fit(missing, column))
    assert len(block) == len(missing)
    assert not block.present.any()
    assert modality.summarise(missing, column)["n"] == len(missing)
    assert modality.sniff(missing) == 0.0
    assert not modality.check(missing, column).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("option", "known"),
    [("missing_codez", False), ("colour", False), ("positive", True), ("quantity", True), ("possible", True)],
)
def test_foreign_options_are_refused_unless_inferred(kind: str, option: str, known: bool) -> None:
    modality = modalities.get(kind)
    column = Column("x", kind, options={option: ()})
    if known:
        modality.options_of(column)
        return
    with pytest.raises(OptionError, match=f"was '{option}'") as error:
        modality.options_of(column)
    assert "'x'" in error.value.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("value", "text"), [(None, ""), (3, "3"), ("a" * 100, "a" * 80)])
def test_preview_is_short(kind: str, value: object, text: str) -> None:
    assert modalities.get(kind).preview(value) == text


@pytest.mark.parametrize("kind", KINDS)
def test_few_values_are_not_summarised(kind: str) -> None:
    facts = modalities.get(kind).summarise(SAMPLE[kind].head(5), Column("x", kind))
    assert set(facts) <= {"n", "missing", "yes", "levels", "counts", "hidden_levels"}
    assert not facts.get("counts")
    assert facts.get("yes") is None


@pytest.mark.parametrize("kind", [k for k in KINDS if modalities.get(k).emits == "dense"])
def test_augmenting_a_table_changes_nothing(kind: str) -> None:
    modality = modalities.get(kind)
    block = modality.encode(SAMPLE[kind], modality.fit(SAMPLE[kind], Column("x", kind)))
    assert modality.augment(block, np.random.default_rng(0)) is block


# -- how well values fit -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values", "fit"),
    [
        ("number", pl.Series(["1", "2", "x", "NA"]), 2 / 3),
        ("number", pl.Series([1, 2]), 1.0),
        ("category", pl.Series(["a"] * 8 + ["b"] * 2), 0.6),
        ("category", pl.Series(["a", "b", "c"]), 0.0),
        ("category", pl.Series([[1]]), 0.0),
        ("boolean", pl.Series(["yes", "NO", "t", "maybe"]), 0.75),
        ("boolean", pl.Series([True, False]), 1.0),
        ("boolean", pl.Series([0, 1, 2, 1]), 0.75),
        ("date", pl.Series([dt.date(2020, 1, 1)]), 1.0),
        ("date", pl.Series([dt.time(1, 1)]), 0.0),
        ("date", pl.Series(["2020-01-01", "soon"]), 0.5),
        ("date", pl.Series([1, 2]), 0.0),
        ("text", pl.Series(["one two three four five six", "a b c d e f g h"]), 1.0),
        ("text", pl.Series(["word", "other"]), 0.0),
        ("text", pl.Series([1, 2]), 0.0),
    ],
)
def test_sniffing(kind: str, values: pl.Series, fit: float) -> None:
    assert modalities.get(kind).sniff(values) == pytest.approx(fit)


@pytest.mark.parametrize(
    ("kind", "values", "wrong", "options"),
    [
        ("number", pl.Series(["1", "x", None, "NA", "inf", ""]), [0, 1, 0, 0, 1, 0], {}),
        ("number", pl.Series(["1,5", "1.5"]), [1, 0], {"decimal": "."}),
        ("number", pl.Series(["1,5", "1.5"]), [0, 0], {"decimal": ","}),
        ("number", pl.Series([1.0, NAN, float("inf")]), [0, 0, 1], {}),
        ("boolean", pl.Series(["yes", "maybe", "NA", None]), [0, 1, 0, 0], {}),
        ("boolean", pl.Series(["yes", "maybe"]), [0, 0], {"positive": "Maybe"}),
        ("boolean", pl.Series([0, 1, 2, 9]), [0, 0, 1, 0], {"missing_codes": (9,)}),
        ("boolean", pl.Series([0.0, 9.0, NAN]), [0, 0, 0], {"missing_codes": ("9",)}),
        ("boolean", pl.Series([[1], None]), [1, 0], {}),
        ("category", pl.Series([[1], None]), [1, 0], {}),
        ("category", pl.Series(["a", None]), [0, 0], {}),
        ("date", pl.Series(["2020-01-01", "soon", "NA", None]), [0, 1, 0, 0], {}),
        ("date", pl.Series(["01/02/2020", "2020-01-01"]), [0, 1], {"formats": ("%d/%m/%Y",)}),
        ("text", pl.Series(["a"]), [0], {}),
        ("text", pl.Series([1, None]), [1, 0], {}),
    ],
)
def test_values_of_another_kind(kind: str, values: pl.Series, wrong: list[int], options: dict) -> None:
    found = modalities.get(kind).check(values, Column("x", kind, options=options))
    assert found.to_list() == [bool(w) for w in wrong]


# -- numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "options", "found"),
    [
        ([1.0, 0.0, 999.0], {"missing_codes": (0, 999)}, [1.0, NAN, NAN]),
        ([1.0, -5.0, 300.0], {"possible": (0, 250)}, [1.0, NAN, NAN]),
        ([1.0, -5.0, 300.0], {"possible": (0, 250), "impossible": "keep"}, [1.0, -5.0, 300.0]),
        ([1.0, float("inf"), NAN], {}, [1.0, NAN, NAN]),
        (["1,5", "2.000,5", "x"], {"decimal": ","}, [1.5, 2000.5, NAN]),
    ],
)
def test_numbers(values: list, options: dict, found: list) -> None:
    np.testing.assert_array_equal(encoded("number", pl.Series("x", values), **options)[:, 0], found)


def test_winsorising_limits_new_values_too() -> None:
    train = pl.Series("x", np.arange(101.0))
    assert encoded("number", pl.Series("x", [-50.0, 50.0, 500.0]), train, winsor=0.05)[:, 0].tolist() == [
        5.0,
        50.0,
        95.0,
    ]


@pytest.mark.parametrize("given_", [{"missing_codes": ("x",)}, {"possible": ("low", 3)}, {"missing_codes": 9}])
def test_options_of_numbers_must_be_numbers(given_: dict) -> None:
    with pytest.raises(OptionError, match="must be numbers"):
        modalities.get("number").fit(pl.Series("x", [1.0]), Column("x", "number", options=given_))


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_what_is_kept_of_a_number_is_near_it(value: float) -> None:
    low, high = rounded(value, decimal.ROUND_FLOOR), rounded(value, decimal.ROUND_CEILING)
    assert low <= value <= high
    assert rounded(value) == pytest.approx(value, rel=5.1e-4)
    assert rounded(rounded(value)) == rounded(value)


# -- categories ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pl.Series([1.0, 2.0, None, NAN]), ["1", "2", None, None]),
        (pl.Series([1.5, 2.0]), ["1.5", "2"]),
        (pl.Series([1, 2]), ["1", "2"]),
        (pl.Series(["1.0", " a  b ", "NA", ""]), ["1", "a b", None, None]),
        (pl.Series([True, None]), ["true", None]),
        (pl.Series([[1], None]), [None, None]),
        (pl.Series([float("inf"), 0.25]), [None, "0.25"]),
        (pl.Series([-0.0, 0.0]), ["0", "0"]),
    ],
)
def test_any_column_as_text(values: pl.Series, found: list) -> None:
    assert texts(values).to_list() == found


@pytest.mark.parametrize(
    ("new", "options", "codes"),
    [
        (["a", "A ", "b", None, "zzz", "rare"], {}, [0, 0, 1, NAN, 2, 2]),
        (["a", "A", "b"], {"fold_case": False}, [0, 2, 1]),
        (["a", "b", "rare"], {"min_count": 1}, [0, 1, 2]),
        (["a", "b"], {"max_levels": 1}, [0, 1]),
        (["a", "b", "B"], {"missing_codes": ("b",), "fold_case": False}, [0, NAN, 1]),
        ([OTHER, "a"], {}, [2, 0]),
    ],
)
def test_codes_of_levels(new: list, options: dict, codes: list) -> None:
    train = pl.Series("x", ["a"] * 10 + ["b"] * 6 + ["rare"] * 2 + [None])
    found = encoded("category", pl.Series("x", new, dtype=pl.String), train, **options)[:, 0]
    np.testing.assert_array_equal(found, codes)


def test_levels_in_natural_order_and_with_labels() -> None:
    column = Column("x", "category", coding={"10": "ten", "2": "two"})
    state = modalities.get("category").fit(pl.Series("x", [10, 2, 1] * 5), column)
    assert state["levels"] == ["1", "2", "10", OTHER]
    assert state["labels"] == {"2": "two", "10": "ten"}
    assert sorted(["b", "10", "9", "a"], key=natural) == ["9", "10", "a", "b"]


@given(st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=8, max_size=60))
def test_the_quick_way_of_many_repeats_gives_the_same_codes(values: list) -> None:
    train = pl.Series("x", ["a"] * 9 + ["b"] * 7 + ["c"] * 5)
    many = encoded("category", pl.Series("x", values * 5, dtype=pl.String), train)[: len(values)]
    one_by_one = [encoded("category", pl.Series("x", [v], dtype=pl.String), train)[0] for v in values]
    np.testing.assert_array_equal(many, np.array(one_by_one))


# -- dates and texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "years"),
    [(dt.date(2000, 1, 1), 0.0), (dt.date(2001, 1, 1), 366 / 365.2425), (dt.date(1999, 12, 31), -1 / 365.2425)],
)
def test_years_since_2000(day: dt.date, years: float) -> None:
    for values in (
        pl.Series("x", [day]),
        pl.Series("x", [day.isoformat()]),
        pl.Series("x", [dt.datetime.combine(day, dt.time())]),
    ):
        found = encoded("date", values)
        assert found[0, 0] == pytest.approx(years, abs=1e-9)
        assert found[0, 1] ** 2 + found[0, 2] ** 2 == pytest.approx(1.0)
        assert encoded("date", values, season=False).shape == (1, 1)


@pytest.mark.parametrize(
    ("record", "pairs", "found"),
    [
        ("Chest PAIN, today!", True, ["chest", "pain", "today", "chest pain", "pain today"]),
        ("Chest pain", False, ["chest", "pain"]),
        ("a b c", True, []),
        ("", True, []),
        ("under_score", False, ["under", "score"]),
    ],
)
def test_terms(record: str, pairs: bool, found: list[str]) -> None:
    assert terms(record, pairs) == found


def test_rare_common_and_private_terms_are_not_learnt() -> None:
    records = [
        "fever smith" if i < 4 else "fever cough 19690513 tel5551234" if i < 14 else "fever rest" for i in range(30)
    ]
    state = modalities.get("text").fit(pl.Series("x", records), Column("x", "text"))
    assert set(state["terms"]) == {"cough", "rest", "fever cough", "fever rest"}


def test_weights_of_texts_by_hand() -> None:
    records = pl.Series("x", ["fever cough"] * 5 + ["cough rest"] * 5 + ["other"] * 10)
    state = modalities.get("text").fit(records, Column("x", "text", options={"pairs": False}))
    assert state["terms"] == ["cough", "fever", "other", "rest"]
    idf = {t: np.log(21 / (1 + c)) + 1 for t, c in (("cough", 10), ("fever", 5))}
    values = modalities.get("text").encode(pl.Series("x", ["fever fever cough", "unknown words"]), state).values
    length = np.hypot(2 * idf["fever"], idf["cough"])
    np.testing.assert_allclose(values[0], [idf["cough"] / length, 2 * idf["fever"] / length, 0, 0], rtol=1e-8)
    assert values[1].tolist() == [0, 0, 0, 0]
