"""Text: weights against scikit-learn, and that nothing rare or numeric is ever learnt."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort.column import Column
from osler.modalities.text import Text, terms

text = Text()
WORDS = ["chest", "pain", "fever", "cough", "left", "right", "arm", "since", "week", "no", "mild", "severe"]


def column(**options):
    """A text column with options."""
    return Column("note", "text", options=options)


def notes(n=200, seed=0):
    """Notes of three to nine words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(3, 10))) for _ in range(n)]


def test_the_same_weights_as_scikit_learn():
    from sklearn.feature_extraction.text import TfidfVectorizer

    records = notes()
    state = text.fit(pl.Series(records), column(max_terms=1000, max_share=1.0))
    peer = TfidfVectorizer(ngram_range=(1, 2), min_df=5, token_pattern=r"[^\W_]{2,}")
    expected = peer.fit_transform(records).toarray()
    assert state["terms"] == peer.get_feature_names_out().tolist()
    assert text.encode(pl.Series(records), state).values == pytest.approx(expected, abs=1e-9)


def test_weights_by_hand():
    records = ["fever fever cough"] * 5 + ["cough"] * 5
    state = text.fit(pl.Series(records), column(pairs=False, max_share=1.0))
    assert state["terms"] == ["cough", "fever"]
    fever = 1 + np.log(11 / 6)
    assert state["idf"] == pytest.approx([1.0, fever])
    row = text.encode(pl.Series(["fever, FEVER; cough!"]), state).values[0]
    assert row == pytest.approx(np.array([1.0, 2 * fever]) / np.hypot(1.0, 2 * fever))


def test_terms():
    assert terms("No chest-pain, a BP of 120", pairs=True) == [
        "no", "chest", "pain", "bp", "of", "120", "no chest", "chest pain", "pain bp", "bp of", "of 120",
    ]  # fmt: skip
    assert terms("", pairs=True) == []


def test_a_text_without_known_words_is_present_and_zero():
    state = text.fit(pl.Series(notes()), column())
    block = text.encode(pl.Series(["zebra", None, "  "]), state)
    assert block.present.tolist() == [True, False, False]
    assert (block.values[0] == 0).all()
    assert np.isnan(block.values[1:]).all()


def test_no_rare_word_enters_the_state():
    records = [f"{note} name{i // 4:03d}x" for i, note in enumerate(notes())]
    state = text.fit(pl.Series(records), column(min_count=1))
    assert "name" not in json.dumps(state["terms"])


def test_no_number_enters_the_state():
    records = [f"{note} 5551234 tel 080 id20211 covid19" for note in notes()[:20]] * 5 + notes()
    learnt = text.fit(pl.Series(records), column(max_terms=1000))["terms"]
    assert "covid19" in learnt
    assert "tel" in learnt
    for term in learnt:
        assert not any(word.isdigit() for word in term.split())
        assert "20211" not in term


def test_the_commonest_words_say_nothing():
    records = [f"patient {note}" for note in notes()]
    assert "patient" not in text.fit(pl.Series(records), column(pairs=False))["terms"]


def test_vocabulary_is_limited():
    records = [" ".join(f"word{chr(97 + i)}{chr(97 + j)}" for i in range(20)) for j in range(26) for _ in range(6)]
    assert len(text.fit(pl.Series(records), column(max_terms=50))["terms"]) == 50
    assert len(text.fit(pl.Series(records), column(max_terms=5000, pairs=True))["terms"]) <= 1000


@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=30))
def test_any_text_gives_rows_of_length_one_or_zero(records):
    series = pl.Series("note", records, dtype=pl.String)
    values = text.encode(series, text.fit(series, column(max_share=1.0))).values
    lengths = np.sqrt(np.nansum(values**2, axis=1))
    assert np.all((np.abs(lengths - 1) < 1e-9) | (lengths == 0))


def test_summary_shows_no_word():
    facts = text.summarise(pl.Series([*notes(40), None]), column())
    assert (facts["n"], facts["missing"]) == (41, 1)
    assert not any(word in json.dumps(facts) for word in WORDS if word not in ("no", "week"))
