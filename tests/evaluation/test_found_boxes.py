"""Free-response curves and average precision, by hand and from relations that must hold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler.evaluation import froc
from osler.scenes import Asked, Boxes, Drawing


def boxes(corners: list[list[float]], scores: list[float] | None = None, codes: list[int] | None = None) -> Boxes:
    """Boxes of pictures."""
    k = len(corners)
    return Boxes(np.array(corners, dtype=float).reshape(-1, 4), np.array(codes or [0] * k, dtype=int), np.array(scores or [1.0] * k))


def at(y: float, x: float, side: float = 10.0) -> list[float]:
    """A square by its lowest corner."""
    return [y, x, y + side, x + side]


def ranked(found: list[Boxes], true: list[Boxes], codes: list[int], rule: froc.Rule = froc.Rule()) -> froc.Ranked:  # noqa: B008
    """Boxes of several scans against what is there."""
    return froc.ranked([froc.noted(f, t, 2, rule) for f, t in zip(found, true, strict=True)], codes)


def two_scans() -> tuple[list[Boxes], list[Boxes]]:
    """Three things; five found boxes: hit .9, false .8, hit .7, hit of a taken thing .6, false .5 (the third thing is missed)."""
    true = [boxes([at(0, 0), at(0, 50)]), boxes([at(20, 20)])]
    found = [
        boxes([at(0, 1), at(70, 70), at(0, 2)], [0.9, 0.8, 0.6]),
        boxes([at(20, 21), at(90, 90)], [0.7, 0.5]),
    ]
    return found, true


def test_overlap_by_hand():
    near = froc.overlap(np.array([[0.0, 0, 2, 2], [0, 0, 0, 0]]), np.array([[1.0, 1, 3, 3], [0, 0, 2, 2], [5, 5, 5, 5]]))
    assert near == pytest.approx(np.array([[1 / 7, 1, 0], [0, 0, 0]]))
    assert froc.overlap(np.array([[0.0, 0, 0, 2, 2, 2]]), np.array([[1.0, 1, 1, 3, 3, 3]]))[0, 0] == pytest.approx(1 / 15)


def test_average_precision_by_hand():
    of = ranked(*two_scans(), [0], froc.Rule())
    assert of.hits.tolist() == [True, False, True, False, False]
    # recall 1/3 at precision 1; 2/3 at 2/3; never more: exact area 1/3 + 1/3 * 2/3
    assert froc.average_precision(of, way="voc")[0] == pytest.approx(1 / 3 + 2 / 9)
    # recalls 0 to 0.33 (34 of them) at 1; 0.34 to 0.66 (33) at 2/3; the other 34 at 0
    assert froc.average_precision(of)[0] == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_everything_found_first_is_one_and_nothing_found_is_zero():
    _, true = two_scans()
    for way in ("coco", "voc"):
        assert froc.average_precision(ranked(true, true, [0], froc.Rule()), way=way)[0] == pytest.approx(1.0)
        assert froc.average_precision(ranked([Boxes.none(2)] * 2, true, [0], froc.Rule()), way=way)[0] == 0.0
    empty = ranked(true, [Boxes.none(2)] * 2, [0], froc.Rule())
    assert np.isnan(froc.average_precision(empty)[0])
    assert np.isnan(froc.sensitivities(empty)).all()


def test_free_response_by_hand():
    of = ranked(*two_scans(), [0], froc.Rule())
    made = froc.curve(of)
    assert made["false_per_scan"] == [0, 0.5, 0.5, 1.0, 1.5]
    assert made["sensitivity"] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert froc.sensitivities(of)[0] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3])


def test_centres_in_things_hit_and_doubles_count_for_nothing():
    true = [boxes([at(0, 0)])]
    # centres (5, 5) moved by: 4 along one axis (inside radius 5), 4 along both (5.7: outside), 1 (inside, but the thing is taken)
    found = [boxes([at(4, 0), at(4, 4), at(1, 0)], [0.9, 0.8, 0.7])]
    of = ranked(found, true, [0], froc.Rule("centre"))
    assert of.hits.tolist() == [True, False]
    assert of.scores.tolist() == [0.9, 0.8]
    assert ranked(found, true, [0], froc.Rule()).hits.tolist() == [False, False, True]


def test_ellipsoids_of_long_boxes():
    long = [boxes([[0, 0, 4, 20]])]
    inside, outside = boxes([[1.5, 17, 2.5, 21]]), boxes([[3.2, 17, 4.2, 21]])  # centres (2, 19) and (3.7, 19)
    assert ranked([inside], long, [0], froc.Rule("centre")).hits.tolist() == [True]
    assert ranked([outside], long, [0], froc.Rule("centre")).hits.tolist() == [False]


def test_equally_sure_boxes_are_counted_together():
    true = [boxes([at(0, 0)])]
    for order in ([at(0, 0), at(50, 50)], [at(50, 50), at(0, 0)]):
        of = ranked([boxes(order, [0.5, 0.5])], true, [0], froc.Rule())
        assert froc.curve(of)["false_per_scan"] == [1.0]
        assert froc.average_precision(of)[0] == pytest.approx(0.5)


def test_a_box_of_another_class_is_false():
    true, found = [boxes([at(0, 0)], codes=[1])], [boxes([at(0, 0)], codes=[0])]
    of = ranked(found, true, [0, 1], froc.Rule())
    assert (of.hits.tolist(), of.things.tolist()) == ([False], [1.0])


def test_the_surest_box_takes_the_thing_it_overlaps_most():
    true = [boxes([at(0, 0), at(0, 4)])]
    found = [boxes([at(0, 3), at(0, 1)], [0.9, 0.8])]
    assert ranked(found, true, [0], froc.Rule()).hits.tolist() == [True, True]


def random_scans(rng: np.random.Generator, n: int = 12) -> tuple[list[Boxes], list[Boxes]]:
    """Things with most of them found, some badly, and false boxes."""
    true, found = [], []
    for _ in range(n):
        k = int(rng.integers(1, 6))
        low = rng.uniform(0, 90, (k, 2))
        true.append(Boxes(np.hstack([low, low + 10]), rng.integers(0, 2, k), np.ones(k)))
        near = true[-1].corners + rng.normal(0, 1.5, (k, 4))
        stray = rng.uniform(0, 90, (3, 2))
        corners = np.vstack([near, np.hstack([stray, stray + 10])])
        found.append(Boxes(corners, np.append(true[-1].codes, rng.integers(0, 2, 3)), rng.random(k + 3)))
    return found, true


def test_weights_are_copies_of_scans(rng):
    found, true = random_scans(rng)
    times = rng.integers(0, 3, len(true))
    copies = [i for i, k in enumerate(times) for _ in range(k)]
    one, other = ranked(found, true, [0], froc.Rule()), ranked([found[i] for i in copies], [true[i] for i in copies], [0], froc.Rule())
    weights = times[None].astype(float)
    assert froc.average_precision(one, weights)[0] == pytest.approx(froc.average_precision(other)[0])
    assert froc.average_precision(one, weights, "voc")[0] == pytest.approx(froc.average_precision(other, way="voc")[0])
    assert froc.sensitivities(one, weights=weights)[0] == pytest.approx(froc.sensitivities(other)[0])


def test_only_the_order_of_scores_matters(rng):
    found, true = random_scans(rng)
    squared = [Boxes(b.corners, b.codes, b.scores**2) for b in found]
    a, b = (froc.average_precision(ranked(f, true, [0], froc.Rule()))[0] for f in (found, squared))
    assert a == pytest.approx(b)


def test_scores_hold_their_values_and_their_means(rng):
    found, true = random_scans(rng)
    notes = [froc.noted(f, t, 2, froc.Rule()) for f, t in zip(found, true)]
    assert json.loads(json.dumps(notes)) == notes
    made = froc.scores(notes, ("a", "b"), np.arange(12), np.random.default_rng(0), n_boot=200)
    assert made["map_50"]["value"] == pytest.approx(np.mean([made[f"map_50[{c}]"]["value"] for c in "ab"]))
    assert made["cpm"]["value"] == pytest.approx(np.mean([made[f"sensitivity_at_{r:g}"]["value"] for r in froc.RATES]))
    assert made["map"]["value"] < made["map_50"]["value"]
    assert made["map_50"]["n"] == sum(map(len, true))
    for row in made.values():
        assert row["low"] <= row["value"] <= row["high"]
    assert made["cpm"]["low"] < made["cpm"]["high"]


def test_units_are_drawn_whole(rng):
    found, true = random_scans(rng)
    notes = [froc.noted(f, t, 2, froc.Rule()) for f, t in zip(found, true)]
    few = froc.scores(notes, ("a", "b"), np.repeat([0, 1, 2], 4), np.random.default_rng(0), n_boot=200)
    assert few["map_50"]["high"] - few["map_50"]["low"] > 0
    alone = froc.scores(notes, ("a", "b"), np.zeros(12, int), np.random.default_rng(0), n_boot=50)
    assert alone["map_50"]["low"] == pytest.approx(alone["map_50"]["high"])  # one unit: drawn again and again


def test_the_judge_notes_scans_and_scores_them_together(rng):
    found, true = random_scans(rng)
    asked, judge = Asked("detection", ("a", "b"), 2), froc.FoundBoxes()
    records = [judge.record(Drawing(boxes=t), Drawing(boxes=f), np.ones(2), asked, {}) for f, t in zip(found, true)]
    made = judge.score(records, np.arange(12), asked, np.random.default_rng(0), 100)
    assert made["map_50"]["value"] == pytest.approx(np.mean([froc.average_precision(ranked(found, true, [k]))[0] for k in (0, 1)]))
    assert [r["n_things"] for r in records] == [len(t) for t in true]
    by_centre = judge.record(Drawing(boxes=true[0]), Drawing(boxes=true[0]), np.ones(2), asked, {"hit": "centre"})
    assert by_centre["map_50"] == pytest.approx(1.0)
    nothing = judge.record(Drawing(boxes=Boxes.none(2)), Drawing(boxes=Boxes.none(2)), np.ones(2), asked, {})
    assert nothing["map_50"] is None
    empty = judge.score([nothing], np.zeros(1, int), asked, np.random.default_rng(0), 10)
    assert (empty["map_50"]["value"], empty["cpm"]["value"]) == (None, None)


def test_thin_curves_keep_every_rise_and_their_end():
    of = ranked(*two_scans(), [0])
    thin = froc.thinned(froc.curve(of))
    assert thin["sensitivity"] == pytest.approx([1 / 3, 2 / 3, 2 / 3], abs=1e-4)
    assert thin["false_per_scan"] == [0, 0.5, 1.5]
    assert froc.thinned(froc.curve(ranked([Boxes.none(2)], [boxes([at(0, 0)])], [0])))["score"] == []
    many = {k: np.linspace(0, 1, 1000).tolist() for k in ("false_per_scan", "sensitivity", "score")}
    assert len(froc.thinned(many)["score"]) == 200
