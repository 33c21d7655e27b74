"""A modality with several layouts, a derived unit and twins, through the engine: what molecules and scans rely on."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from osler import modalities
from osler.cohort.grouping import groups_of, identities_of
from osler.cohort.read import read
from osler.engine import familiar
from osler.engine.batches import encode, fit_states
from osler.engine.fit import fit
from osler.engine.study import Study
from osler.engine.units import with_units
from osler.engine.verify import verify
from osler.errors import ColumnError, OptionError

HERE = "tests.engine.sameness_modality:Letters"


@pytest.fixture(autouse=True)
def letters(monkeypatch):
    monkeypatch.setitem(modalities.INDEX, "letters", HERE)


def words(n=120, seed=0):
    """n words of six letters; the outcome is the count of 'a' plus noise; every tenth word is an anagram of the one before (same first letter)."""
    rng = np.random.default_rng(seed)
    found = ["".join(rng.choice(list("abcdefghij"), 6)) for _ in range(n)]
    for i in range(10, n, 10):
        found[i] = found[i - 1][0] + found[i - 1][:0:-1]
    y = np.array([w.count("a") for w in found]) + rng.normal(0, 0.1, n)
    return pl.DataFrame({"word": found, "y": y, "z": rng.normal(size=n)})


def cohort(**roles):
    return read(words(), columns={"word": "letters"}, target="y", **roles)


def test_a_view_is_encoded_only_where_some_model_wants_it_and_follows_take_and_concat():
    c = cohort()
    plain, both = encode(c, fit_states(c))["word"], encode(c, fit_states(c, ("graph", "sequence")))["word"]
    assert plain.views == {}
    assert list(both.views) == ["sequence"]
    part = both.take(np.array([5, 2]))
    assert part.views["sequence"].values.argmax(axis=1).tolist() == [
        "abcdefghij".index(ch) for r in (5, 2) for ch in c.table["word"][r]
    ]
    again = type(both).concat([both.take(np.arange(3)), both.take(np.arange(3, 120))])
    assert np.array_equal(again.views["sequence"].values, both.views["sequence"].values)
    assert both.seen_as(("grid", "sequence")).layout == "sequence"
    assert both.seen_as(("grid",)).layout == "dense"
    assert both.seen_as(("dense",)).views == {}


def test_twins_share_a_group_and_every_sense_is_a_check_of_the_certificate():
    c = cohort()
    assert list(identities_of(c)) == ["word: anagram"]
    groups = groups_of(c)
    assert all(groups[i] == groups[i - 1] for i in range(10, 120, 10))
    assert len(np.unique(groups)) == len({"".join(sorted(w)) for w in c.table["word"]})


def test_two_columns_with_twins_are_the_same_only_together():
    table = pl.DataFrame({"one": ["ab", "ba", "ab", None], "two": ["cd", "cd", "ef", "cd"], "y": [1.0, 2.0, 3.0, 4.0]})
    c = read(table, columns={"one": "letters", "two": "letters"}, target="y")
    keys = identities_of(c)
    assert list(keys) == ["one + two"]
    assert keys["one + two"].is_null().to_list() == [False, False, False, True]
    assert groups_of(c).tolist() == [0, 0, 1, 2]


def test_a_kind_of_unit_becomes_a_unit_column_and_an_unknown_one_is_refused():
    c, names = with_units(cohort(), Study(unit=("first",), target=("y",)))
    assert names == ("word first",)
    assert c.column("word first").modality == "category"
    assert c.table["word first"][3] == c.table["word"][3][0]
    _, names = with_units(cohort(), Study(unit=("word.first",), target=("y",)))
    assert names == ("word first",)
    with pytest.raises(ColumnError, match="did you mean 'first'"):
        with_units(cohort(), Study(unit=("frist",)))
    table = words().with_columns(pl.col("word").alias("second"))
    two = read(table, columns={"word": "letters", "second": "letters"}, target="y")
    with pytest.raises(ColumnError, match=r"word\.first, second\.first"):
        with_units(two, Study(unit=("first",)))
    with pytest.raises(OptionError, match="kind"):
        modalities.get("number").units("first", pl.Series([1.0]))


def test_fit_by_a_derived_unit_is_clean_verifies_and_predicts(tmp_path):
    path = tmp_path / "words.csv"
    words(160).write_csv(path)
    study = Study(target=("y",), column=("word=letters",), unit=("first",), repeats=1, folds=4, explain=False)
    run = fit(path, tmp_path / "run", study, workers=1, silent=True)
    certificate = json.loads((tmp_path / "run/certificate.json").read_text())
    assert certificate["verdict"] == "clean"
    assert certificate["unit"] == "word first"
    checks = {c["name"]: c for c in certificate["checks"]}
    assert (
        checks["same word: anagram"]["verdict"] == "clean"
    )
    assert (
        "repeat another row" in checks["same word: anagram"]["detail"]
    )
    assert set(run.scores["parts"]["cv"]) == {"baseline", "boosting"}, "the modality suggests what is fitted"
    assert run.scores["parts"]["cv"]["boosting"]["r2"]["value"] > 0.5
    assert verify(tmp_path / "run").verdict == "clean"
    answered = run.predictor.predict(read(words(20, seed=1), columns={"word": "letters"}))
    assert "y_pred" in answered.table.columns


def test_a_forced_twin_across_a_split_violates():
    from osler.cohort.certificate import certify
    from osler.cohort.split import Split

    c = cohort()
    rows = np.arange(len(c))
    split = Split("cv", 0, 0, rows[rows % 2 == 0], rows[rows % 2 == 1])  # row 9 against its anagram, row 10
    certificate = certify(c, [split], [], b"k" * 32)
    assert certificate.check("same word: anagram").verdict == "violated"
    keys = ["".join(sorted(w)) for w in c.table["word"]]
    assert certificate.check("same word: anagram").n == sum(k in keys[::2] for k in keys[1::2]) >= 11


def test_familiar_by_hand():
    from osler.blocks import dense

    rows = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 3.0]])
    block = dense(rows, list("abcd"), kinds=["count"] * 4)
    bits = familiar.packed(block)
    assert familiar.nearest(bits[:1], bits[1:]).tolist() == pytest.approx([2 / 3])  # two shared of three
    assert familiar.nearest(bits, bits, skip_self=True).tolist() == pytest.approx([2 / 3, 2 / 3, 0.0])
    learnt = familiar.learn(dense(np.repeat(rows[:2], 50, axis=0), list("abcd"), kinds=["count"] * 4))
    assert learnt["least"] == 1.0  # every training row has an equal one
    assert familiar.seen(block, learnt).tolist() == [True, True, False]
    gone = dense(np.full((1, 4), np.nan), list("abcd"), kinds=["count"] * 4)
    assert familiar.seen(gone, learnt).tolist() == [True]
    assert familiar.is_whole(learnt)
    assert familiar.is_whole({})
    for broken in (
        {"bits": "!"},
        {"bits": learnt["bits"][:-8]},
        {"width": 0},
        {"width": True, "least": 2},
        {"least": "x"},
        {"more": 1},
    ):
        assert not familiar.is_whole({**learnt, **broken}), broken
