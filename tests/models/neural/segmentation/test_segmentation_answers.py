"""From training scans to what is learnt, and from that to drawings: members, views, precision, cleaning, other grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from osler.adapters import tensors
from osler.models.base import Params
from osler.models.neural import loop
from osler.models.neural.segmentation import answering, fingerprint, learning, scaling
from osler.models.neural.segmentation.drawers import DeepMedic, UNet
from osler.models.neural.segmentation.options import DeepMedicOptions, UNetOptions
from osler.scenes import HeldScenes, Scene
from tests.models.neural.segmentation.planted_scenes import balls, discs

TINY = UNetOptions(width=4, levels=2, steps=2, batch_size=1, precision="float32", cleaning="none")


@pytest.fixture(scope="module")
def small():
    """Three volumes and a network of two members and two steps each."""
    scenes = balls(3, np.random.default_rng(0), (12, 16, 14))
    return scenes, UNet(replace(TINY, members=2)).fit(scenes, np.random.default_rng(1))


def member(params: Params, number: int) -> Params:
    """One of the members alone."""
    head = f"member{number}/"
    arrays = {k.replace(head, "member0/"): v for k, v in params.arrays.items() if k.startswith(head)}
    return Params(params.meta | {"plan": params.meta["plan"] | {"members": 1}}, arrays)


def test_members_are_averaged(small):
    scenes, params = small
    one, two, both = (answering.probabilities(p, scenes[0], TINY) for p in (member(params, 0), member(params, 1), params))
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-5)
    assert np.abs(one - two).max() > 1e-3


def test_what_was_learnt_outlives_a_file(small, tmp_path):
    scenes, params = small
    tensors.write(tmp_path / "params.safetensors", params.arrays, params.meta)
    arrays, meta = tensors.read(tmp_path / "params.safetensors")
    again = UNet(TINY).draw(Params(meta, arrays), scenes[1], probability=True)
    first = UNet(TINY).draw(params, scenes[1], probability=True)
    np.testing.assert_array_equal(again.labels, first.labels)
    np.testing.assert_array_equal(again.probability, first.probability)


def test_mirrored_views_are_the_mean_over_mirror_images(small):
    scenes, params = small
    alone = member(params, 0)
    plan = alone.meta["plan"] | {"mirror": [2]}
    mirrored = Params(alone.meta | {"plan": plan}, alone.arrays)
    scene = Scene(np.pad(scenes[0].values, ((0, 0), (0, 0), (0, 0), (0, 2)), mode="edge")[..., :12], scenes[0].spacing, scenes[0].affine)
    found = answering.probabilities(mirrored, scene, replace(TINY, views="mirrored"))
    plain = answering.probabilities(alone, scene, TINY)
    turned = answering.probabilities(alone, replace(scene, values=scene.values[..., ::-1].copy()), TINY)[..., ::-1]
    np.testing.assert_allclose(found, (plain + turned) / 2, atol=1e-5)


def test_a_scan_of_another_spacing_is_drawn_on_its_own_grid(small):
    scenes, params = small
    finer = Scene(np.repeat(scenes[0].values, 2, axis=3), np.array([1.0, 1.0, 0.5]), np.eye(4))
    assert scaling.size_in(params.meta["plan"], finer) == (12, 16, 14)
    assert scaling.size_in(params.meta["plan"], replace(finer, spacing=np.full(3, np.nan))) == (12, 16, 28)
    assert scaling.size_in(params.meta["plan"], replace(finer, spacing=np.array([1.0, 1.02, 1.0]))) == (12, 16, 28)
    found = UNet(TINY).draw(params, finer, probability=True)
    assert found.labels.shape == (12, 16, 28)
    np.testing.assert_allclose(found.probability.sum(axis=0), 1.0, atol=1e-4)


def test_broken_numbers_in_a_scan_are_zeros(small):
    scenes, params = small
    values = scenes[0].values.copy()
    values[0, 0, 0, :3] = np.nan
    assert np.isfinite(answering.probabilities(params, replace(scenes[0], values=values), TINY)).all()


def test_precision_is_what_is_asked_for():
    cpu = torch.device("cpu")
    assert answering.precision_of(replace(TINY, precision="bf16"), cpu) == "bf16"
    assert answering.precision_of(replace(TINY, precision="float32"), cpu) == "float32"
    assert answering.precision_of(replace(TINY, precision="auto"), cpu) in ("float32", "bf16")


def test_the_number_of_threads_is_put_back(small):
    scenes, params = small
    before = torch.get_num_threads()
    UNet(replace(TINY, threads=2)).draw(params, scenes[0])
    assert torch.get_num_threads() == before


def test_prepared_scans_are_kept_only_where_all_fit():
    scenes = balls(2, np.random.default_rng(0), (12, 16, 14))
    plan = UNet(TINY).plan(scenes)
    held, anew = learning.Prepared(scenes, plan), learning.Prepared(scenes, plan)
    anew.keep = False
    assert held(0) is held(0) and anew(0) is not anew(0)
    np.testing.assert_array_equal(held(1).values, anew(1).values)
    np.testing.assert_array_equal(held(1).labels, fingerprint.classes_of(scenes[1].drawn, scenes.asked))
    assert abs(held(0).values.mean()) < 1e-4 and abs(held(0).values.std() - 1) < 1e-3 and len(held(0).places) == 2


def test_things_are_prepared_with_their_depths():
    scenes = discs(2, np.random.default_rng(0))
    made = learning.Prepared(scenes, UNet(TINY).plan(scenes))(0)
    assert made.field.shape == made.labels.shape and made.labels.max() == 1 and made.field.max() == 1.0
    assert (made.field[made.labels == 0] == 0).all()


def test_progress_is_told_over_all_members():
    scenes, told = balls(2, np.random.default_rng(0), (12, 16, 14)), []
    UNet(replace(TINY, members=2)).fit(scenes, np.random.default_rng(0), lambda what, done, of: told.append((what, done, of)))
    assert told == [("training", k, 4) for k in (1, 2, 3, 4)]


def test_cleaning_is_chosen_only_if_it_helps_training_scans(monkeypatch):
    scenes = balls(2, np.random.default_rng(0), (12, 16, 14))
    speckled = []
    for scene in scenes:
        labels = scene.drawn.labels.copy()
        labels[0, 0, 0] = 1
        speckled.append(replace(scene.drawn, labels=labels))
    answers = iter(speckled)
    monkeypatch.setattr(answering, "draw", lambda *a: next(answers))
    assert learning.chosen_cleaning(Params(), scenes, TINY) == "largest"
    monkeypatch.setattr(answering, "draw", lambda *a: scenes[0].drawn)
    assert learning.chosen_cleaning(Params(), HeldScenes((scenes[0],), scenes.asked), TINY) == "none"


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_plan_of_every_norm_is_followed(norm):
    scenes = balls(2, np.random.default_rng(0), (12, 16, 14))
    params = UNet(replace(TINY, norm=norm, residual=True, blocks=3, optimiser="sgd", schedule="poly")).fit(scenes, np.random.default_rng(0))
    assert params.meta["plan"]["network"]["norm"] == norm and len(params.meta["training"][0]) == 2
    nets = answering.networks(params, torch.device("cpu"), "bf16")
    assert next(nets[0].parameters()).dtype == torch.bfloat16
    assert any("running_mean" in k for k in params.arrays) == (norm == "batch")


def test_two_pathways_draw_several_sequences_with_thick_slices():
    rng = np.random.default_rng(0)
    labels = np.zeros((6, 40, 36), np.uint16)
    labels[2:4, 10:20, 10:20] = 1
    scene = Scene(rng.normal(size=(3, 6, 40, 36)).astype(np.float32), np.array([5.0, 1, 1]), np.eye(4), replace(balls(1, rng)[0].drawn, labels=labels))
    scenes = HeldScenes((scene,), replace(balls(1, rng).asked, classes=("background", "thing")))
    model = DeepMedic(DeepMedicOptions(width=4, levels=4, steps=2, patch=("2", "9", "9"), cleaning="none", precision="float32"))
    params = model.fit(scenes, np.random.default_rng(0))
    assert params.meta["plan"]["network"]["margin"] == [2, 12, 12] and params.meta["plan"]["patch"] == [2, 9, 9]
    assert model.draw(params, scene).labels.shape == (6, 40, 36)


def test_weights_are_numbers_of_one_kind(small):
    _, params = small
    assert all(v.dtype == np.float32 for v in params.arrays.values())
    assert {k.split("/")[0] for k in params.arrays} == {"member0", "member1"}
    net = answering.networks(params, torch.device("cpu"), "float32")[0]
    assert set(loop.weights_of(net)) == {k.removeprefix("member0/") for k in params.arrays if k.startswith("member0/")}
