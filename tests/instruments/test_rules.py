"""Association rules: sets against brute force, numbers by hand, false discoveries by shuffling."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from osler.cohort import Cohort, Column
from osler.cohort.grouping import groups_of
from osler.errors import ColumnError, LimitError, OptionError
from osler.instruments import itemsets
from osler.instruments.itemsets import eclat, fp_growth
from osler.instruments.rules import Rules, RulesOptions
from osler.instruments.ruletests import adjust, improvement_p, lift_interval, wilson


def by_brute_force(baskets, least, longest):
    items = sorted({i for b in baskets for i in b})
    sets = (s for k in range(1, longest + 1) for s in itertools.combinations(items, k))
    counts = {s: sum(set(s) <= set(b) for b in baskets) for s in sets}
    return {s: n for s, n in counts.items() if n >= least}


@given(st.lists(st.sets(st.integers(0, 7)), max_size=25), st.integers(1, 6), st.integers(1, 5))
def test_both_algorithms_are_brute_force(baskets, least, longest):
    baskets = [sorted(b) for b in baskets]
    expected = by_brute_force(baskets, least, longest)
    assert fp_growth(baskets, least, longest) == expected
    assert eclat(baskets, least, longest) == expected


def test_too_many_sets_are_refused(monkeypatch):
    monkeypatch.setattr(itemsets, "MOST_SETS", 50)
    for mine in (fp_growth, eclat):
        with pytest.raises(LimitError, match="min-support"):
            mine([list(range(12))] * 20, 10, 6)


def wide(seed: int = 0, n: int = 400) -> Cohort:
    """a and b go together, c is independent, d is a class."""
    rng = np.random.default_rng(seed)
    a = rng.random(n) < 0.4
    b = np.where(rng.random(n) < 0.8, a, rng.random(n) < 0.4)
    frame = pl.DataFrame({"a": a, "b": b, "c": rng.random(n) < 0.5, "d": rng.choice(["x", "y"], n)})
    return Cohort(frame, (*(Column(c, "boolean") for c in "abc"), Column("d", "category")))


def test_numbers_by_hand():
    """100 baskets: a in 40, b in 50, both in 30."""
    frame = pl.DataFrame({"a": [1] * 40 + [0] * 60, "b": [1] * 30 + [0] * 10 + [1] * 20 + [0] * 40})
    cohort = Cohort(frame, (Column("a", "boolean"), Column("b", "boolean")))
    found = Rules().run(cohort, RulesOptions())
    row = found.cohort.table.filter(pl.col("antecedent") == "a").row(0, named=True)
    assert (row["n_both"], row["n_antecedent"], row["n_consequent"]) == (30, 40, 50)
    assert (row["support"], row["confidence"], row["lift"]) == (0.3, 0.75, 1.5)
    assert row["p"] == pytest.approx(stats.fisher_exact([[30, 10], [20, 40]], alternative="greater").pvalue)
    assert row["q"] == pytest.approx(row["p"])
    assert (row["confidence_low"], row["confidence_high"]) == pytest.approx((0.5981, 0.8581), abs=1e-4)
    assert found.facts["rules_tested"] == 2


def test_intervals_of_share_and_lift_cover():
    """Wilson for 10 of 50 is 0.1124 to 0.3304 (Newcombe's formula by hand); the lift's interval agrees with
    a bootstrap."""
    low, high = wilson(np.array([10]), np.array([50]))
    assert (low[0], high[0]) == pytest.approx((0.1124, 0.3304), abs=1e-4)
    rng = np.random.default_rng(5)
    cells = rng.multinomial(500, [0.2, 0.2, 0.2, 0.4], 4000)
    both, left, right = cells[:, 0], cells[:, 0] + cells[:, 1], cells[:, 0] + cells[:, 2]
    low, high = lift_interval(both, left, right, 500)
    truth = 0.2 / (0.4 * 0.4)
    assert 0.935 < ((low <= truth) & (truth <= high)).mean() < 0.965


def test_adjustment_is_scipys_and_counts_untested_hypotheses(rng):
    p = rng.random(30) ** 3
    assert adjust(p, 30, "bh") == pytest.approx(stats.false_discovery_control(p, method="bh"))
    assert adjust(p, 30, "by") == pytest.approx(stats.false_discovery_control(p, method="by"))
    assert adjust(p, 50, "bh") == pytest.approx(
        stats.false_discovery_control(np.concatenate([p, np.ones(20)]), method="bh")[:30]
    )


def test_a_planted_rule_is_found_and_chance_is_not():
    found = Rules().run(wide(), RulesOptions()).cohort.table
    assert set(zip(found["antecedent"], found["consequent"])) == {("a", "b"), ("b", "a")}
    assert (found["lift_low"] > 1).all()


def test_a_rule_that_follows_from_a_part_is_dropped():
    """c is independent of b given a: a & c → b adds nothing to a → b, although its lift is large."""
    counts = {(0,): 200, (1,): 200, (2,): 200, (0, 1): 160, (0, 2): 100, (1, 2): 100, (0, 1, 2): 80}
    p = improvement_p([((0,), 1, 160), ((0, 2), 1, 80)], counts, 400)
    assert p[0] < 1e-20
    assert p[1] > 0.4
    both = Rules().run(wide(n=2000), RulesOptions(keep_redundant=True)).cohort.table
    assert all("&" not in a for a in both["antecedent"])


def test_false_discoveries_on_shuffled_tables():
    """Nothing is true in a table whose columns are shuffled: at most the bound of the tables may report
    anything."""
    rng = np.random.default_rng(11)
    reported = 0
    for _ in range(60):
        frame = pl.DataFrame({f"i{j}": rng.random(200) < rng.uniform(0.2, 0.6) for j in range(8)})
        cohort = Cohort(frame, tuple(Column(c, "boolean") for c in frame.columns))
        reported += Rules().run(cohort, RulesOptions()).facts["rules_reported"] > 0
    assert reported <= 7


def test_long_form_counts_units_not_rows():
    """A patient with an item twenty times is one basket."""
    unit = [f"p{i % 40}" for i in range(200)]
    item = ["aspirin" if i % 2 == 0 else "statin" if i % 3 else "aspirin" for i in range(200)]
    cohort = Cohort(
        pl.DataFrame({"who": unit, "drug": item}),
        (Column("who", "category", "unit"), Column("drug", "category")),
    )
    found = Rules().run(cohort, RulesOptions(items="drug", fdr=1.0))
    assert found.facts["units"] == 40
    both = len(
        {u for u, i in zip(unit, item) if i == "aspirin"} & {u for u, i in zip(unit, item) if i == "statin"}
    )
    assert set(found.cohort.table["n_both"]) == {both}
    with pytest.raises(ColumnError, match="unit"):
        Rules().run(cohort.declare(columns={"who": {"role": "input"}}), RulesOptions(items="drug"))


def test_rows_that_share_any_of_two_unit_columns_are_one_basket():
    """40 patients, each with a hospital number (first and second visit) and a card (second and third): the second visit
    joins all three, as in every split. Visits without either are baskets of their own."""
    number = [f"h{i}" if visit < 2 else None for i in range(40) for visit in range(3)] + [None] * 5
    card = [f"c{i}" if visit > 0 else " " for i in range(40) for visit in range(3)] + [None] * 5
    drug = ["aspirin", "statin", "aspirin"] * 40 + ["aspirin"] * 5
    columns = (Column("number", "category", "unit"), Column("card", "category", "unit"), Column("drug", "category"))
    cohort = Cohort(pl.DataFrame({"number": number, "card": card, "drug": drug}), columns)
    found = Rules().run(cohort, RulesOptions(items="drug", fdr=1.0))
    assert found.facts["units"] == 45
    assert len(np.unique(groups_of(cohort))) == 45
    assert set(found.cohort.table["n_both"]) == {40}


def test_the_unit_can_be_named_as_an_option():
    who = [f"p{i % 50}" for i in range(100)]
    frame = pl.DataFrame({"who": who, "drug": ["x", "y"] * 50})
    cohort = Cohort(frame, (Column("who", "category"), Column("drug", "category")))
    assert Rules().run(cohort, RulesOptions(items="drug", unit="who")).facts["units"] == 50


def test_both_algorithms_and_a_consequent_give_the_same_rules():
    grown = Rules().run(wide(), RulesOptions()).cohort.table
    assert grown.equals(Rules().run(wide(), RulesOptions(algorithm="eclat")).cohort.table)
    to_b = Rules().run(wide(), RulesOptions(consequent="b")).cohort.table
    assert to_b["antecedent"][0] == "a"
    assert set(to_b["consequent"]) == {"b"}
    assert to_b["q"][0] < grown.filter(pl.col("consequent") == "b")["q"][0]


def test_rules_refuse_what_they_cannot_do():
    with pytest.raises(ColumnError, match="consequent"):
        Rules().run(wide(), RulesOptions(consequent="zebra"))
    with pytest.raises(ColumnError, match="units"):
        Rules().run(wide(n=15), RulesOptions())
    with pytest.raises(OptionError, match="min_support"):
        Rules().run(wide(), RulesOptions(min_support=2.0))


def test_no_rule_describes_fewer_than_ten_units():
    found = Rules().run(wide(n=60), RulesOptions(min_support=0.0, fdr=1.0, keep_redundant=True)).cohort.table
    assert found["n_both"].min() >= 10


def test_real_side_effects(mirror):
    """SIDER: nausea and vomiting go together among 1,430 drugs."""
    from osler import catalogue

    table = (
        catalogue.table("sider4_all_se")
        .filter(pl.col("meddra_type") == "PT")
        .select("stitch_flat", "side_effect")
    )
    cohort = Cohort(table, (Column("stitch_flat", "category", "unit"), Column("side_effect", "category")))
    found = Rules().run(
        cohort, RulesOptions(items="side_effect", min_support=0.4, longest=2, algorithm="eclat")
    )
    assert found.facts["units"] == 1430
    row = found.cohort.table.filter(
        (pl.col("antecedent") == "Vomiting") & (pl.col("consequent") == "Nausea")
    ).row(0, named=True)
    sets = table.group_by("side_effect").agg(pl.col("stitch_flat").unique())
    drugs = {
        r["side_effect"]: set(r["stitch_flat"])
        for r in sets.filter(pl.col("side_effect").is_in(["Nausea", "Vomiting"])).rows(named=True)
    }
    assert row["n_both"] == len(drugs["Nausea"] & drugs["Vomiting"])
    assert row["lift_low"] > 1
