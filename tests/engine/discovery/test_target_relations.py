"""Relations that rankings of targets must keep, whatever the molecules: order of the table, added ligands, seeds,
hostile input.
"""

from __future__ import annotations

import contextlib
from collections import Counter

import numpy as np
import polars as pl
import pytest

from osler.engine.discovery.known import Known, gather
from osler.engine.discovery.ligands import METHODS, Reference
from osler.engine.discovery.molecules import asked
from osler.engine.discovery.targets import TargetOptions, evaluate, rank
from osler.errors import OslerError, ReadError
from tests.engine.discovery.families import FAMILIES, ROWS, known

pytest.importorskip("rdkit")
NEW = "CCCc1ccc(CNCCO)cc1"


def _known(rows: list[tuple[str, str]]) -> Known:
    frame = pl.DataFrame(rows, schema=["smiles", "target"], orient="row").with_columns(name=pl.lit(""))
    return gather([frame.select("smiles", "name", "target")], Counter(), len(rows))


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_table_does_not_matter(method: str):
    options = TargetOptions(method=method)
    shuffled = [ROWS[i] for i in np.random.default_rng(5).permutation(len(ROWS))]
    first, second = (rank(asked(NEW)[0], k, options) for k in (known(), _known(shuffled)))
    same = [
        {r["target"]: (r["similarity"], r["ligands"], r["already_known"]) for r in rows} for rows in (first, second)
    ]
    assert same[0] == same[1]
    if method != "ensemble":  # whose random sets are drawn by place in the table
        assert {r["target"]: round(r["score"], 9) for r in first} == {r["target"]: round(r["score"], 9) for r in second}


@pytest.mark.parametrize("method", ["neighbours", "nearest"])
def test_another_ligand_never_lowers_its_target(method: str):
    before = {r["target"]: r["score"] for r in rank(asked(NEW)[0], known(), TargetOptions(method=method))}
    after = {
        r["target"]: r["score"]
        for r in rank(asked(NEW)[0], _known([*ROWS, ("CCCc1ccc(CNCC)cc1", "dna")]), TargetOptions(method=method))
    }
    assert after["dna"] > before["dna"]
    assert all(after[t] == pytest.approx(before[t]) for t in before if t != "dna")


def test_a_new_target_leaves_the_evidence_for_others_alone():
    more = _known([*ROWS, ("CCCCCCCCCC", "new")])
    plain = Reference(known().bits, known().molecule, known().target, 4, np.random.default_rng(0))
    wider = Reference(more.bits, more.molecule, more.target, 5, np.random.default_rng(0))
    query = known().bits[7]
    at = [more.targets.index(t) for t in known().targets]
    for name in ("votes", "similarity"):
        assert getattr(wider.evidence(query), name)[at] == pytest.approx(getattr(plain.evidence(query), name))


def test_the_most_similar_ligand_is_the_most_similar():
    reference = Reference(known().bits, known().molecule, known().target, 4, np.random.default_rng(0))
    for query in known().bits[::13]:
        found, similarity = reference.evidence(query), reference.similarities(query)
        for t in range(4):
            own = known().molecule[known().target == t]
            assert found.similarity[t] == similarity[own].max()
            assert similarity[found.nearest[t]] == found.similarity[t]
            assert found.nearest[t] in own


def test_p_values_depend_on_the_seed_only_a_little():
    values = []
    for seed in range(4):
        rows = rank(asked(FAMILIES["dna"][0])[0], known(), TargetOptions(seed=seed))
        values.append({r["target"]: r["p_value"] for r in rows})
    for target in known().targets:
        logs = np.log10([max(v[target], 1e-12) for v in values])
        assert np.ptp(logs) < max(0.25 * abs(logs.mean()), 0.3)
    again = [rank(asked(NEW)[0], known(), TargetOptions(seed=3)) for _ in range(2)]
    assert again[0] == again[1]


def test_longer_lists_hit_more_often():
    scores = evaluate(known(), folds=4).scores
    for method in METHODS:
        hits = [scores[method][f"hit_{k}"]["value"] for k in (1, 5, 10)]
        assert hits == sorted(hits)
        assert hits[1] == 1.0  # there are four targets


def test_a_target_whose_ligands_are_all_left_out_is_missed():
    lonely = _known([*ROWS, ("O=C1CCCCCCCCCCCCCC1", "musk")])
    found = evaluate(lonely, folds=3)
    assert found.facts["every_target_left_out"] == 1
    assert found.scores["nearest"]["hit_10"]["value"] == pytest.approx(64 / 65)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        "C" * 9_999,
        "C1" * 400,
        "[H]",
        "*CC*",
        "CC>>CC",
        "c1ccccc1" * 60,
        "N" * 300,
        "InChI=1S/",
        "C(C)(C)(C)(C)C",
        "\u202eCCO",
        "../../etc",
        "=HYPERLINK(1)",
        "((((((",
        "[Na+].[Cl-]",
        "%(99999)",
        "C%99",
        "😀",
    ],
)
def test_hostile_texts_are_answered_or_refused_in_one_sentence(text: str):
    rows = []
    with contextlib.suppress(OslerError):
        rows = rank(asked(text)[0], known(), TargetOptions(top=4))
    if rows:
        assert len(rows) == 4
        assert all(0 <= r["similarity"] <= 1 and 0 <= r["q_value"] <= 1 for r in rows)
        return
    with pytest.raises(ReadError) as refused:
        asked(text)
    assert "\n" not in refused.value.message
    assert text not in refused.value.message or len(text) < 3
