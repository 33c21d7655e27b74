"""The training loop: what it sees, when it stops, what it keeps, and what it says when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from osler.errors import ColumnError, OptionError
from osler.models.base import Encoded
from osler.models.neural import assembly, loop
from osler.models.neural.assembly import Extras
from osler.models.neural.heads import head_of
from osler.models.neural.network import Network, NetworkOptions
from osler.models.neural.options import Training
from osler.models.neural.tabular import MLP, MLPOptions
from tests.models.neural.planted_blocks import auroc, binary, blob_images, motif_graphs, numbers, sign_pair

SMALL = MLPOptions(width=16, members=1, epochs=6, patience=6)


def table(n: int = 120, noise: float = 1.0, per_unit: int = 1) -> Encoded:
    """n rows whose label depends on the first of three numbers."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 3))
    y = x[:, 0] + noise * rng.normal(size=n) > 0
    return binary({"lab": numbers(x)}, y, np.arange(n) // per_unit)


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Whether two sets of arrays are the same bytes."""
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)


def test_the_learning_rate_rises_then_stays_or_falls_as_half_a_cosine():
    constant = Training(learning_rate=1.0, warm_up=2.0, epochs=6)
    assert [loop.learning_rate(constant, s, 2) for s in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    cosine = replace(constant, schedule="cosine")
    assert [round(loop.learning_rate(cosine, s, 2), 6) for s in (3, 4, 8, 12, 40)] == [1.0, 1.0, 0.5, 0.0, 0.0]


@pytest.mark.parametrize(("n", "size", "members"), [(50, 32, 8), (10_000, 512, 4), (10**7, 1024, 2)])
def test_automatic_sizes_follow_the_rows(n, size, members):
    assert Training().batch_size_for(n) == size
    assert Training().members_for(n) == members
    assert Training(batch_size=7, members=3).batch_size_for(n) == 7
    assert Training(batch_size=7, members=3).members_for(n) == 3


def test_same_seed_same_bytes_other_seed_other_bytes():
    first, second, other = (MLP(SMALL).fit(table(), np.random.default_rng(s)) for s in (1, 1, 2))
    assert same(first.arrays, second.arrays)
    assert first.meta == second.meta
    assert not same(first.arrays, other.arrays)


def test_training_leaves_torch_as_it_was():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    before = torch.get_num_threads()
    params = MLP(SMALL).fit(table(), np.random.default_rng(1))
    MLP(SMALL).predict(params, table().blocks)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == before


def test_rows_kept_as_tensors_and_rows_encoded_slice_by_slice_are_the_same():
    rows = table(90)
    head = head_of(rows.target, "none", 0.0, 1)
    branches = assembly.plan_branches(rows, 8, True, 1, np.random.default_rng(0))
    kept, sliced = (loop.Feed(rows, branches, head, torch.device("cpu"), whole) for whole in (True, False))
    for size, seed in ((32, 4), (90, None)):
        order = [None if seed is None else np.random.default_rng(seed) for _ in range(2)]
        pairs = list(zip(kept.slices(size, order[0]), sliced.slices(size, order[1]), strict=True))
        assert sum(len(a[1]["y"]) for a, _ in pairs) == 90
        for (inputs, target), (other, answer) in pairs:
            assert all(torch.equal(inputs[0][k], other[0][k]) for k in inputs[0])
            assert all(torch.equal(target[k], answer[k]) for k in target)


@dataclass(frozen=True)
class Watched:
    """Batches that note which units were taken for training and validation."""

    rows: Encoded
    taken: list[np.ndarray]

    target = property(lambda self: self.rows.target)
    groups = property(lambda self: self.rows.groups)

    def __len__(self) -> int:
        return len(self.rows)

    def all(self) -> Encoded:
        return self.rows

    def take(self, rows: np.ndarray) -> Encoded:
        part = self.rows.take(rows)
        self.taken.append(part.groups)
        return part

    def slices(self, size: int, rng: np.random.Generator | None = None) -> Iterator[Encoded]:
        return self.rows.slices(size, rng)


def test_early_stopping_never_divides_a_unit_and_members_watch_different_folds():
    watched = Watched(table(120, per_unit=4), [])
    MLP(replace(SMALL, members=3, epochs=1)).fit(watched, np.random.default_rng(0))
    pairs = [watched.taken[i : i + 2] for i in range(0, 6, 2)]
    for learnt, judged in pairs:
        assert not set(learnt) & set(judged)
        assert set(learnt) | set(judged) == set(range(30))
    judged = [frozenset(j) for _, j in pairs]
    assert not judged[0] & judged[1]
    assert not judged[0] & judged[2]


def test_the_best_epoch_is_kept_and_training_stops_after_patience():
    events: list[dict] = []
    options = MLPOptions(width=32, members=1, epochs=60, patience=5, learning_rate=0.01, dropout=0.0)
    rows = table(100, noise=3.0)
    params = MLP(options, Extras(progress=events.append)).fit(rows, np.random.default_rng(0))
    learnt = params.meta["training"][0]
    losses = [e["validation_loss"] for e in events]
    assert learnt["best_epoch"] == int(np.argmin(losses)) + 1 == learnt["epochs"] - 5 < 55
    folds = assembly.inner_folds(rows, 5, np.random.default_rng([int(np.random.default_rng(0).integers(2**62)), 2]))
    p = MLP(options).predict(params, rows.blocks).value[folds == 0]
    kept = -np.log(p[np.arange(len(p)), rows.target.y[folds == 0]]).mean()
    assert kept == pytest.approx(min(losses), abs=1e-5)


def test_progress_tells_where_training_is():
    events: list[dict] = []
    MLP(replace(SMALL, members=2, epochs=2), Extras(progress=events.append)).fit(table(), np.random.default_rng(0))
    assert [(e["member"], e["epoch"]) for e in events] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert {"loss", "validation_loss", "learning_rate", "members", "epochs", "best_epoch"} <= events[0].keys()


def test_few_units_train_without_an_inner_split():
    rows = table(12, per_unit=3)
    params = MLP(replace(SMALL, epochs=2)).fit(rows, np.random.default_rng(0))
    assert params.meta["training"] == [{"epochs": 2, "best_epoch": 2, "validation_loss": None}]


def test_a_diverging_training_says_where_and_what_to_change():
    options = replace(SMALL, learning_rate=1e30, clip=1e30, warm_up=0.0)
    with pytest.raises(
        OptionError, match=r"epoch \d+, batch \d+.*encoder of 'table'.*learning_rate \(was 1e\+30\)"
    ) as caught:
        MLP(options).fit(table(), np.random.default_rng(0))
    assert caught.value.code == "model-diverged"


def test_infinite_numbers_are_refused_with_their_column_and_count(rng):
    x = rng.normal(size=(40, 1))
    x[[3, 9]] = np.inf
    with pytest.raises(ColumnError, match="'lab' must hold finite numbers, 2 were infinite"):
        MLP(SMALL).fit(binary({"lab": numbers(x)}, np.arange(40) % 2), rng)


def test_rows_of_weight_zero_teach_nothing(rng):
    """Half the rows carry the opposite label; with weight zero they do not turn the answer."""
    x = rng.normal(size=(300, 1))
    y = (x[:, 0] > 0).astype(int)
    weight = np.where(np.arange(300) < 180, 0.0, 1.0)
    wrong = np.where(weight == 0, 1 - y, y)
    options = replace(SMALL, epochs=15, patience=15, learning_rate=0.005)
    weighted = MLP(options).fit(binary({"lab": numbers(x)}, wrong, weight=weight), np.random.default_rng(0))
    plain = MLP(options).fit(binary({"lab": numbers(x)}, wrong), np.random.default_rng(0))
    score = lambda params: auroc(y, MLP(options).predict(params, {"lab": numbers(x)}).value[:, 1])  # noqa: E731
    assert score(weighted) > 0.95
    assert score(plain) < 0.2


def test_bfloat16_learns_what_float32_learns(rng):
    blocks, y = sign_pair(120, rng)
    blocks["drug"] = motif_graphs(120, rng)[0]
    blocks["volume"] = blob_images(120, rng, dims=3, size=5)[0]
    options = NetworkOptions(width=16, epochs=3, precision="bf16", fusion="gated")
    params = Network(options).fit(binary(blocks, y), np.random.default_rng(0))
    full = Network(replace(options, precision="float32")).fit(binary(blocks, y), np.random.default_rng(0))
    assert all(v.dtype == np.float32 for k, v in params.arrays.items() if k.startswith("member"))
    losses = [p.meta["training"][0]["validation_loss"] for p in (params, full)]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)
    assert losses[0] != losses[1], "the option does something"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(OptionError, match="'cuda' is not"):
        MLP(replace(SMALL, device="cuda")).fit(table(), np.random.default_rng(0))
    assert loop.device_of("cpu").type == "cpu"


@pytest.mark.parametrize(("name", "value", "word"), [
    ("schedule", "cosin", "did you mean 'cosine'"), ("device", "gpu", "must be one of"),
    ("precision", "fp8", "float32"), ("width", 0, "at least 1"), ("members", -1, "negative"),
    ("dropout", 1.0, "dropout"), ("validation_folds", 1, "validation_folds"), ("learning_rate", 0.0, "above 0"),
])  # fmt: skip
def test_an_option_out_of_range_is_refused_by_name(name, value, word):
    with pytest.raises(OptionError, match=word):
        MLPOptions(**{name: value})
