"""Every model that draws keeps the contract of osler.models.drawing, whatever it is: run over DRAWERS."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from osler import models
from osler.errors import OptionError
from osler.models.drawing import Drawer
from osler.registry import load
from osler.scenes import Asked, Drawing, HeldScenes, Scene
from tests.drawn_scans import ball

EACH = pytest.mark.parametrize("name", sorted(models.DRAWERS))
#: Models that learn in a moment, whose answers are looked at here; networks have tests of their own.
QUICK = pytest.mark.parametrize("name", ["atlas", "threshold"])


def scenes(dims: int, n: int = 4) -> HeldScenes:
    """Scans with one bright ball."""
    rng, made = np.random.default_rng(dims), []
    shape = (14, 12, 16)[-dims:]
    for _ in range(n):
        labels = ball(shape, tuple(np.array(shape) / 2 + rng.uniform(-1, 1, dims)), 3.5).astype(np.uint16)
        values = (rng.normal(10, 1, shape) + 50 * labels).astype(np.float32)
        made.append(Scene(values[None], np.ones(dims), np.eye(4), Drawing(labels)))
    return HeldScenes(tuple(made), Asked("segmentation", ("background", "ball"), dims, ("light",)))


@EACH
def test_class_attributes(name):
    cls = load(models.DRAWERS, "models", name)
    assert issubclass(cls, Drawer)
    assert cls.name == name
    assert cls.version >= 1
    assert cls.answers
    assert cls.answers <= {"segmentation", "detection"}
    assert cls.dims
    assert cls.dims <= {2, 3}
    assert is_dataclass(cls.Options)
    assert cls.__doc__


@EACH
def test_options_are_documented_and_unknown_ones_refused_with_the_nearest(name):
    cls = load(models.DRAWERS, "models", name)
    documents = "".join(c.__doc__ or "" for c in inspect.getmro(cls.Options))
    assert [f.name for f in fields(cls.Options) if f"{f.name}:" not in documents and f"{f.name}," not in documents] == []
    first = fields(cls.Options)[0].name
    with pytest.raises(OptionError, match=first):
        models.drawer(f"{name}:{first}s=1")


@EACH
def test_no_name_is_taken_twice(name):
    assert name not in {**models.INDEX, **models.SCORES}


@QUICK
@pytest.mark.parametrize("dims", [2, 3])
def test_params_are_json_and_arrays_and_the_same_twice(name, dims):
    drawer = models.drawer(name)
    first = drawer.fit(scenes(dims), np.random.default_rng(3))
    second = drawer.fit(scenes(dims), np.random.default_rng(3))
    assert json.loads(json.dumps(first.meta)) == first.meta == second.meta
    assert all(np.array_equal(first.arrays[k], second.arrays[k]) for k in second.arrays)
    assert all(a.dtype.kind in "fiub" for a in first.arrays.values())


@QUICK
@pytest.mark.parametrize("dims", [2, 3])
def test_drawings_have_the_scan_s_shape_and_known_classes(name, dims):
    made, drawer = scenes(dims), models.drawer(name)
    params = drawer.fit(made, np.random.default_rng(3))
    for scene in made:
        drawn = drawer.draw(params, scene, probability=True)
        assert drawn.labels.shape == scene.shape
        assert drawn.labels.dtype == np.uint16
        assert drawn.labels.max() <= 1
        assert drawn.probability.shape == (2, *scene.shape)
        assert np.allclose(drawn.probability.sum(axis=0), 1, atol=1e-5)
        assert np.array_equal(drawer.draw(params, scene).labels, drawn.labels)


@QUICK
def test_what_is_drawn_is_no_copy_of_the_truth_that_a_scene_carries(name):
    made, drawer = scenes(2), models.drawer(name)
    params = drawer.fit(made, np.random.default_rng(3))
    bare = Scene(made[0].values, made[0].spacing, made[0].affine)
    assert np.array_equal(drawer.draw(params, bare).labels, drawer.draw(params, made[0]).labels)


@QUICK
def test_plans_are_json_and_fits_tell_how_far_they_are(name):
    told, drawer = [], models.drawer(name)
    assert json.loads(json.dumps(drawer.plan(scenes(2))))
    drawer.fit(scenes(2), np.random.default_rng(3), lambda what, done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0
    assert [d for d, _ in told] == sorted(d for d, _ in told)
