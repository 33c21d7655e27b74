"""Clusters that are there are found, clusters that are not are not invented; principal components by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score

from osler.cohort import Cohort, Column
from osler.errors import ColumnError, LimitError, OptionError
from osler.instruments import clusters, mixed
from osler.instruments.cluster import Cluster, ClusterOptions
from osler.instruments.reduce import Reduce, ReduceOptions, fit_pca, project

QUICK = {"references": 10, "resamples": 10, "k_max": 4}


def cohort_of(x: np.ndarray, **more) -> Cohort:
    frame = pl.DataFrame(x, schema=[f"v{i}" for i in range(x.shape[1])])
    columns = [Column(c, "number") for c in frame.columns]
    for name, values in more.items():
        frame = frame.with_columns(pl.Series(name, values))
        columns.append(Column(name, "category"))
    return Cohort(frame, tuple(columns))


def planted(rng, n=150, apart=5.0) -> tuple[np.ndarray, np.ndarray]:
    truth = rng.integers(0, 3, n)
    centres = apart * np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.9, 0]])
    return centres[truth] + rng.normal(size=(n, 3)), truth


def draws(kind: str, seed: int, n: int = 150) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "uniform":
        return rng.uniform(size=(n, 2))
    normal = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3))
    return np.exp(normal / normal.std()) if kind == "skewed" else normal


@pytest.mark.parametrize("kind", ["uniform", "normal", "skewed"])
def test_no_clusters_where_there_are_none(kind):
    """At least 95 % of 20 tables with one population are said to have no clusters."""
    options = ClusterOptions(**QUICK)
    answers = [Cluster().run(cohort_of(draws(kind, seed)), options).facts["answer"] for seed in range(20)]
    assert answers.count("no clusters") >= 19


def test_three_planted_clusters_are_found():
    right = 0
    for seed in range(10):
        x, truth = planted(np.random.default_rng(seed))
        found = Cluster().run(cohort_of(x), ClusterOptions(**QUICK))
        same = adjusted_rand_score(truth, found.cohort.table["cluster"].to_list())
        right += found.facts["k"] == 3 and same > 0.9
    assert right >= 9


@pytest.mark.parametrize("method", ["gmm", "hdbscan"])
def test_other_methods_find_three_and_find_none(method, rng):
    x, truth = planted(rng, apart=9.0)
    options = ClusterOptions(method=method, references=8, resamples=5, k_max=4)
    found = Cluster().run(cohort_of(x), options)
    assert found.facts["k"] == 3
    assert adjusted_rand_score(truth, found.cohort.table["cluster"].to_list()) > 0.8
    assert Cluster().run(cohort_of(draws("normal", 1)), options).facts["answer"] == "no clusters"


def test_stability_tells_real_from_forced_clusters(rng):
    x, _ = planted(rng, apart=8.0)
    real = Cluster().run(cohort_of(x), ClusterOptions(k=3, resamples=10)).facts["clusters"]
    assert all(c["jaccard"] > 0.9 and c["verdict"] == "stable" for c in real)
    forced = (
        Cluster()
        .run(cohort_of(rng.uniform(size=(150, 4))), ClusterOptions(k=6, resamples=10))
        .facts["clusters"]
    )
    assert min(c["jaccard"] for c in forced) < 0.6


def test_silhouette_is_scikit_learns(rng):
    x, truth = planted(rng, n=60)
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    assert clusters.silhouette(distance, truth) == pytest.approx(silhouette_score(x, truth))
    assert clusters._distances(x) == pytest.approx(distance, abs=1e-6)


def test_clusters_of_classes_alone(rng):
    """Two kinds of patient that differ in five classes; and classes drawn independently, which are no
    clusters."""
    truth = rng.integers(0, 2, 200)
    classes = {f"c{i}": np.where(rng.random(200) < 0.92, truth, 1 - truth).astype(str) for i in range(6)}
    frame = pl.DataFrame(classes)
    cohort = Cohort(frame, tuple(Column(c, "category") for c in frame.columns))
    found = Cluster().run(cohort, ClusterOptions(**QUICK))
    assert found.facts["k"] == 2
    assert adjusted_rand_score(truth, found.cohort.table["cluster"].to_list()) > 0.8
    shuffled = Cohort(pl.DataFrame({c: rng.permutation(v) for c, v in classes.items()}), cohort.columns)
    assert Cluster().run(shuffled, ClusterOptions(**QUICK)).facts["answer"] == "no clusters"


def test_the_profile_hides_a_small_cluster(rng):
    x = np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(5, 2)) + 40])
    found = Cluster().run(cohort_of(x), ClusterOptions(k=2, resamples=5)).facts["clusters"]
    assert [c["n"] for c in found] == [60, "<10"]
    assert "profile" not in found[1]
    assert found[0]["profile"]["v0"]["mean"] == pytest.approx(x[:60, 0].mean(), abs=1e-4)


def test_cluster_refuses_what_it_cannot_do(rng):
    with pytest.raises(OptionError, match="method"):
        Cluster().run(cohort_of(rng.normal(size=(30, 2))), ClusterOptions(method="magic"))
    with pytest.raises(ColumnError, match="rows"):
        Cluster().run(cohort_of(rng.normal(size=(5, 2))), ClusterOptions())
    with pytest.raises(ColumnError, match="vary"):
        Cluster().run(cohort_of(np.ones((30, 2))), ClusterOptions())
    with pytest.raises(LimitError, match="hdbscan"):
        Cluster().run(cohort_of(rng.normal(size=(20_001, 1))), ClusterOptions(method="hdbscan"))


# -- the mixed matrix
# ---------------------------------------------------------------------------------------------------


def test_every_column_has_mean_zero_and_total_variance_one(rng):
    classes = rng.choice(["a", "b", "c"], 300, p=[0.6, 0.3, 0.1])
    cohort = cohort_of(
        np.stack([rng.normal(5, 3, 300), np.exp(rng.normal(0, 1.5, 300))], axis=1), kind=classes
    )
    state = mixed.fit(cohort, cohort.columns)
    x = mixed.encode(cohort, state)
    for start, stop, _ in mixed.is_discrete(state):
        assert x[:, start:stop].mean(axis=0) == pytest.approx(0, abs=1e-9)
        assert x[:, start:stop].var(axis=0).sum() == pytest.approx(1)
    assert len(mixed.names(state)) == x.shape[1] == 5
    assert abs(((x[:, 1]) ** 3).mean()) < 0.5


def test_two_levels_weigh_as_much_as_a_number(rng):
    cohort = cohort_of(rng.normal(size=(200, 1)), sex=rng.choice(["f", "m"], 200, p=[0.8, 0.2]))
    x = mixed.encode(cohort, mixed.fit(cohort, cohort.columns))
    assert x.shape == (200, 2)
    assert x.var(axis=0) == pytest.approx([1, 1])


def test_missing_cells_and_unseen_levels_are_filled():
    frame = pl.DataFrame({"n": [1.0, 2.0, 3.0, None] * 5, "c": ["a", "a", "b", None] * 5})
    cohort = Cohort(frame, (Column("n", "number"), Column("c", "category")))
    state = mixed.fit(cohort, cohort.columns)
    new = Cohort(pl.DataFrame({"n": [None, 2.0], "c": ["zebra", "a"]}), cohort.columns)
    x = mixed.encode(new, state)
    assert np.isfinite(x).all()
    assert (x[0] == x[1]).all()


# -- reduce
#
#
#
#
#
# ------------------------------------------------------------------------------


def test_components_are_scikit_learns(rng):
    x = rng.normal(size=(80, 4)) @ rng.normal(size=(4, 4))
    x = x - x.mean(axis=0)
    ours, theirs = fit_pca(x, 3, rng), PCA(3).fit(x)
    assert np.abs((ours["loadings"] * theirs.components_).sum(axis=1)) == pytest.approx(1)
    assert ours["variances"][:3] / ours["variances"].sum() == pytest.approx(theirs.explained_variance_ratio_)


def test_two_equal_columns_by_hand():
    """Correlation 1 in two columns: the first component carries everything, with loadings 1/sqrt(2)."""
    v = np.arange(20.0)
    found = Reduce().run(cohort_of(np.stack([v, 2 * v + 1], axis=1)), ReduceOptions(components=1))
    assert found.facts["explained"] == [1.0]
    assert list(found.facts["loadings"]["pc1"].values()) == pytest.approx([np.sqrt(0.5)] * 2, abs=1e-4)
    assert found.cohort.table["pc1"].var(ddof=0) == pytest.approx(2)


def test_parallel_analysis_counts_the_real_components(rng):
    hidden = rng.normal(size=(300, 2))
    x = hidden @ rng.normal(size=(2, 8)) * 2 + rng.normal(size=(300, 8))
    assert Reduce().run(cohort_of(x), ReduceOptions(components=0)).cohort.table.columns[-1] == "pc2"


def test_new_rows_are_placed_one_by_one(rng):
    cohort = cohort_of(rng.normal(size=(50, 3)), kind=rng.choice(["a", "b", "c"], 50))
    found = Reduce().run(cohort, ReduceOptions(components=2))
    scores = found.cohort.table.select("pc1", "pc2").to_numpy()
    assert project(cohort, found.facts["state"]) == pytest.approx(scores)
    assert project(cohort.take(np.array([7, 3])), found.facts["state"]) == pytest.approx(scores[[7, 3]])
    assert found.cohort.column("pc1").role == "prediction"


def test_reduce_refuses_too_many_components(rng):
    with pytest.raises(OptionError, match="components"):
        Reduce().run(cohort_of(rng.normal(size=(30, 2))), ReduceOptions(components=3))


@pytest.mark.slow
def test_umap_keeps_groups_apart(rng):
    pytest.importorskip("umap")
    x, truth = planted(rng, n=60, apart=12.0)
    found = Reduce().run(cohort_of(x), ReduceOptions(method="umap", neighbours=8))
    scores = found.cohort.table.select("umap1", "umap2").to_numpy()
    assert silhouette_score(scores, truth) > 0.5
