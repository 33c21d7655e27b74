"""Params of saved models: trees that end, texts that a native library may be given, sizes that arrays bear out."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from osler import models
from osler.errors import PredictorError
from osler.models.boosting import nodes_of_text
from osler.models.nodes import FIELDS as NODES

#: Most of anything that makes a network large (width, depth, members, ...).
LARGEST_VOCABULARY = 1 << 20
LARGEST_NETWORK = 4096

#: Models whose parts are models of their own specification.
STACKED = ("ensemble", "fusion")

_HEADER = frozenset({
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "feature_names", "feature_infos",
    "tree_sizes",
})  # fmt: skip
_TREE = frozenset({
    "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child", "leaf_value",
    "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count", "is_linear", "shrinkage",
})  # fmt: skip
_PER_LEAF = ("leaf_value",)
_PER_SPLIT = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
_MAY = ("split_gain", "internal_value", "internal_weight", "internal_count", "leaf_weight", "leaf_count")
_LINE = re.compile(r"([a-z_]+)=([-+0-9.eE naif]*)")


def check_params(spec: str, meta: Any, arrays: dict[str, np.ndarray], classes: int, depth: int = 0) -> None:
    """One model's meta and arrays, and those of its parts.

    Raises:
        PredictorError: they cannot be of such a model.
    """
    _want(isinstance(meta, dict) and depth <= 8, "params must be an object")
    _want(
        meta.get("classes", 0) in (0, classes) or (meta["classes"] == 2 and classes > 0),
        "params must have the predictor's classes",
    )
    _want(
        not isinstance(meta.get("classes", 0), bool) and isinstance(meta.get("classes", 0), int),
        "params must count classes",
    )
    if "design/column" in arrays or "design/number" in arrays:
        _design(meta, arrays)
    if any(k.startswith("nodes/") for k in arrays) or "nodes" in meta:
        _forest(meta, arrays)
    if "text" in meta:
        _text(meta, arrays)
    if "architecture" in meta or "branches" in meta:
        _network(meta)
    if spec.partition(":")[0] in STACKED:
        _ensemble(meta)
    if "stack/weights" in arrays:
        _stack(meta, arrays)
    if any(k.startswith("map/") for k in arrays):
        _maps(meta, arrays)
    parts = meta.get("parts", {})
    _want(isinstance(parts, dict), "parts must be an object")
    for name, inner in parts.items():
        own = {k[len(name) + 1 :]: v for k, v in arrays.items() if k.startswith(f"{name}/")}
        check_params(_member(spec, meta, name), inner, own, classes, depth + 1)


def _want(holds: bool, sentence: str) -> None:
    if not holds:
        raise PredictorError(
            f"a model of the predictor must be whole: {sentence}, it is not so: fit again, or ask who made it"
        )


def _member(spec: str, meta: dict[str, Any], name: str) -> str:
    if spec.partition(":")[0] not in STACKED:
        return spec
    _want(name.isdigit() and int(name) < len(meta["members"]), "every part must be a member")
    return meta["members"][int(name)]


def _ensemble(meta: dict[str, Any]) -> None:
    members, weights = meta.get("members"), meta.get("weights")
    _want(isinstance(members, list) and 0 < len(members) <= 100, "an ensemble must have members")
    for member in members:
        _want(isinstance(member, str) and len(member) <= 4096, "members must be named")
        models.get(member)
    floats = (
        isinstance(weights, list)
        and len(weights) == len(members)
        and all(isinstance(w, (int, float)) and 0 <= w <= 1 for w in weights)
    )
    _want(floats and sum(weights) > 0, "every member must have a weight")


def _stack(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """A fusion: one row of weights and constants per pattern of groups of columns, and the group of each member."""
    found = {k: arrays.get(f"stack/{k}") for k in ("patterns", "weights", "constants", "centre")}
    _want(all(a is not None and a.ndim == 2 for a in found.values()), "a fusion must have its weights")
    group, columns = meta.get("group"), meta.get("columns")
    named = isinstance(columns, list) and all(isinstance(c, list) and all(isinstance(n, str) for n in c) for c in columns)
    _want(named and 0 < len(columns) <= 6, "a fusion must name the columns of its groups")
    placed = isinstance(group, list) and len(group) == len(meta["members"]) and all(isinstance(g, int) and 0 <= g < len(columns) for g in group)
    _want(placed, "every member of a fusion must have its group")
    m = len(columns)
    rows, width = len(found["patterns"]), found["centre"].shape[1]
    shapes = {"patterns": (rows, m), "weights": (rows, m), "constants": (rows, width), "centre": (m, width)}
    _want(rows > 0 and all(found[k].shape == s for k, s in shapes.items()), "weights must be of one shape")
    _want(found["patterns"].dtype.kind == "b" and all(found[k].dtype.kind == "f" for k in ("weights", "constants", "centre")), "weights must be numbers")


def _maps(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Maps over voxels: one per column, each with as many outputs as there are lines."""
    lines, constant, columns = arrays.get("lines"), arrays.get("constant"), meta.get("columns")
    _want(isinstance(columns, list) and all(isinstance(c, str) for c in columns), "maps must name their columns")
    _want(lines is not None and constant is not None and lines.shape == (constant.size, 2), "maps must have a line per output")
    maps = [arrays.get(f"map/{i}") for i in range(len(columns))]
    middles = [arrays.get(f"middle/{i}") for i in range(len(columns))]
    _want(all(m is not None and m.ndim in (4, 5) and len(m) == len(lines) for m in maps), "every column must have its map")
    _want(all(m is not None and m.shape == (len(lines),) for m in middles), "every map must have its middle")


def _design(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """As many names as outputs, and columns that the sources have."""
    design = meta.get("design")
    _want(
        isinstance(design, dict) and isinstance(design.get("names"), list) and isinstance(design.get("sources"), list),
        "a design must name its outputs",
    )
    pairs = all(
        isinstance(s, list) and len(s) == 2 and isinstance(s[0], str) and isinstance(s[1], int) and 0 <= s[1] <= 100_000
        for s in design["sources"]
    )
    _want(pairs, "a design must name its sources")
    width = sum(s[1] for s in design["sources"])
    keys = ("column",) if "design/column" in arrays else ("number", "absent", "category")
    _want(
        all(f"design/{k}" in arrays and arrays[f"design/{k}"].ndim == 1 for k in keys), "a design must hold its columns"
    )
    picked = np.concatenate([arrays[f"design/{k}"] for k in keys])
    _want(len(picked) == len(design["names"]) and picked.dtype.kind in "iu", "a design must have one name per output")
    _want(not len(picked) or (picked.min() >= 0 and picked.max() < width), "a design must use columns that are there")


def _forest(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Node arrays whose every path ends: children come after their parent, and no node has two parents."""
    found = {f: arrays.get(f"nodes/{f}") for f in NODES}
    _want(all(a is not None for a in found.values()), "trees must have all node arrays")
    m = len(found["feature"]) if found["feature"].ndim == 1 else -1
    shapes = found["children"].shape == (m, 2) and found["value"].ndim == 2 and len(found["value"]) == m
    _want(
        m > 0 and shapes and all(found[f].shape == (m,) for f in ("feature", "threshold", "missing_left")),
        "node arrays must be of one length",
    )
    kinds = {"feature": "i", "threshold": "f", "children": "i", "missing_left": "b", "value": "f", "roots": "i"}
    _want(all(found[f].dtype.kind == k for f, k in kinds.items()), "node arrays must be of their types")
    children, roots, own = found["children"], found["roots"], np.arange(m)
    leaf = children[:, 0] == own
    inner = children[~leaf]
    _want(
        bool((children[leaf, 1] == own[leaf]).all())
        and bool((inner > own[~leaf, None]).all())
        and bool((inner < m).all()),
        "trees must not run in circles",
    )
    _want(len(np.unique(inner)) == inner.size, "a node must have one parent")
    _want(
        roots.ndim == 1 and len(roots) > 0 and bool((roots >= 0).all()) and bool((roots < m).all()),
        "trees must have roots",
    )
    names = meta["design"]["names"] if isinstance(meta.get("design"), dict) else []
    used = found["feature"][~leaf]
    _want(not len(used) or (used.min() >= 0 and used.max() < len(names)), "nodes must ask about columns that are there")
    _want(bool(np.isfinite(found["value"]).all()), "leaves must hold finite numbers")
    depth = meta["nodes"].get("depth") if isinstance(meta.get("nodes"), dict) else None
    _want(isinstance(depth, int) and 0 <= depth <= _deepest(children, leaf), "the depth of the trees must be true")


def _deepest(children: np.ndarray, leaf: np.ndarray) -> int:
    """Longest way from any node to a leaf, for children that come after their parents."""
    level, steps = np.flatnonzero(~leaf), 0
    while len(level):
        below = children[level].ravel()
        level, steps = below[~leaf[below]], steps + 1
    return steps


# -- LightGBM's text -------------------------------------------------------------------------------------------------


def _text(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """A text model is given to a native parser, so it must be exactly of the form that LightGBM writes, and say what
    the arrays say.
    """
    text = meta["text"]
    _want(
        isinstance(text, str) and text.isascii() and text.startswith("tree\n"),
        "a boosting model must be LightGBM's text",
    )
    head, _, rest = text.partition("\n\n")
    header = _lines(head.split("\n")[1:], None)
    _want(set(header) == _HEADER and header["version"] == "v4", "its header must be LightGBM's")
    sizes = [int(s) for s in header["tree_sizes"].split() if s.isdigit()]
    names = len(meta["design"]["names"]) if isinstance(meta.get("design"), dict) else 0
    per_row = max(meta.get("classes", 0), 1) if meta.get("classes", 0) > 2 else 1
    counts = (header["max_feature_idx"], header["num_tree_per_iteration"], header["num_class"], header["label_index"])
    _want(
        counts == (str(names - 1), str(per_row), str(per_row), "0"),
        "its header must have the design's columns and classes",
    )
    _want(
        len(header["feature_names"].split(" ")) == names == len(header["feature_infos"].split(" ")),
        "its header must name every column",
    )
    _want(
        len(sizes) > 0 and len(sizes) % per_row == 0 and len(sizes) == header["tree_sizes"].count(" ") + 1,
        "its trees must be counted",
    )
    at = 0
    for i, size in enumerate(sizes):
        _tree(rest[at : at + size], i)
        at += size
    _want(rest[at:].startswith("end of trees\n") and "\nTree=" not in rest[at:], "its trees must end where it says")
    again = nodes_of_text(text)
    same = all(f"nodes/{f}" in arrays and np.array_equal(getattr(again, f), arrays[f"nodes/{f}"]) for f in NODES)
    _want(same, "its text and its node arrays must say the same")


def _tree(chunk: str, number: int) -> None:
    lines = chunk.split("\n")
    _want(chunk.endswith("\n\n\n") and lines[0] == f"Tree={number}", "each of its trees must be as long as it says")
    found = _lines(lines[1:-3], _LINE)
    _want(
        set(found) <= _TREE and found.get("num_cat") == "0" and found.get("is_linear") == "0",
        "its trees must have plain splits only",
    )
    _want(found.get("num_leaves", "").isdigit(), "its trees must count their leaves")
    leaves = int(found["num_leaves"])
    wanted = {**dict.fromkeys(_PER_LEAF, leaves), **dict.fromkeys(_PER_SPLIT, leaves - 1)}
    sized = all(len(found.get(k, "").split()) == n for k, n in wanted.items())
    loose = all(len(found.get(k, "").split()) in (0, leaves, leaves - 1) for k in _MAY)
    _want(leaves >= 1 and sized and loose, "its trees must have one number per leaf and split")


def _lines(lines: list[str], form: re.Pattern[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        _want(
            bool(equals) and key not in found and (form is None or form.fullmatch(line) is not None),
            "its text must be lines of name=value",
        )
        found[key] = value
    return found


# -- networks --------------------------------------------------------------------------------------------------------


def _network(meta: dict[str, Any]) -> None:
    """No number of a network's description may ask for more memory than a real one takes."""
    _want(
        meta.get("format") == "osler.network/1" and isinstance(meta.get("members"), int) and 0 < meta["members"] <= 64,
        "a network must count its members",
    )
    _want(
        isinstance(meta.get("architecture"), dict) and isinstance(meta.get("head"), dict),
        "a network must have an architecture and a head",
    )
    _want(
        isinstance(meta.get("branches"), list) and 0 < len(meta["branches"]) <= LARGEST_NETWORK,
        "a network must have branches",
    )
    read_by = meta["architecture"].get("pretrained") or {}
    _want(
        isinstance(read_by, dict) and 0 <= read_by.get("vocab_size", 0) <= LARGEST_VOCABULARY,
        "a pre-trained network must know as many tokens as are seen",
    )
    known = {**meta["architecture"], "pretrained": {k: v for k, v in read_by.items() if k != "vocab_size"}}
    for value in _numbers([known, meta["head"].get("n_outputs", 0)]):
        _want(abs(value) <= LARGEST_NETWORK, "a network must be of a size that is seen")


def _numbers(value: Any) -> list[int | float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [n for inner in value for n in _numbers(inner)]
    return [value] if isinstance(value, (int, float)) else []

