"""Is the body of a saved predictor what it must be?

A hash proves that a file was not changed, not that its maker meant well. So a body is checked field by field before
anything is built
from it: types, names that Osler knows, counts that agree; then its params (`osler.engine.validate_params`); then it
answers a few made-up rows (`trial`). What passes may still be a bad model. It can no longer run code, take the
machine's memory or crash a service.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from osler import modalities, models, tasks
from osler.cohort import dates
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROLES
from osler.engine import familiar
from osler.engine.batches import encode
from osler.engine.validate_params import STACKED, check_params
from osler.errors import OptionError, OslerError, PredictorError
from osler.explanation.background import restore
from osler.tasks.base import Prediction

if TYPE_CHECKING:
    from osler.engine.predictor import Predictor

#: Deepest nesting, longest specification of a model, most classes or labels.
DEPTH, LONGEST_SPEC, MOST_CLASSES = 64, 4096, 100_000
#: Most channels of a scan.
MOST_CHANNELS = 4096

_MAY_LACK = frozenset({"background"})
_DTYPES = frozenset("?bhilqBHILQefd")


def parse(data: bytes) -> Any:
    """Strict JSON: no doubled key, no NaN or infinity, no integer over 64 bits.

    Raises:
        PredictorError: anything else.
    """
    try:
        return json.loads(
            data, parse_constant=_refuse, parse_float=_finite, parse_int=_small, object_pairs_hook=_single
        )
    except (ValueError, RecursionError) as error:
        raise PredictorError(
            "a member of the predictor must be strict JSON, it cannot be parsed as that: save the predictor again"
        ) from error


def _refuse(text: str) -> float:
    raise ValueError("not a number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _small(text: str) -> int:
    value = int(text) if len(text) <= 20 else 2**64
    if not -(2**63) <= value < 2**63:
        raise ValueError("over 64 bits")
    return value


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a doubled key")
    return found


@contextmanager
def typed(what: str) -> Iterator[None]:
    """Whatever a hostile or damaged body makes go wrong inside becomes a `PredictorError`; Osler's own errors pass."""
    try:
        with np.errstate(all="ignore"):
            yield
    except OslerError:
        raise
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of polars is no Exception
        raise PredictorError(
            f"the saved predictor must be whole, {what} failed ({type(error).__name__}): fit again, or ask who made it"
        ) from error


# -- the body --------------------------------------------------------------------------------------------------------


def check_body(body: Any, arrays: dict[str, np.ndarray]) -> None:
    """Every field of predictor.json.

    Raises:
        PredictorError: a field is missing, unknown, of another type, or names something that Osler does not know.
    """
    _want(isinstance(body, dict), "predictor.json must hold one JSON object")
    _want(
        set(body) | _MAY_LACK == FIELDS.keys() | _MAY_LACK,
        "predictor.json must have the fields of its format and no others",
    )
    _shallow(body)
    for name, test in FIELDS.items():
        if name in body:
            _want(test(body[name]), f"field '{name}' of predictor.json must be of its type")
    _agree(body)
    for name, array in arrays.items():
        _want(array.dtype.char in _DTYPES, f"array '{name[:80]}' must be numeric")
        _want(name.split("/")[0] in body["params"], "every array must belong to a model")
    for i, (_, spec) in enumerate(body["models"]):
        own = {k.partition("/")[2]: v for k, v in arrays.items() if k.split("/")[0] == str(i)}
        if is_drawer(spec):
            _want(all(np.isfinite(v).all() for v in own.values()), "the arrays of a model that draws must be finite")
            continue
        check_params(spec, body["params"][str(i)], own, len(body["classes"]))


def known_spec(spec: Any) -> bool:
    """Whether a text names a model that is installed, with options that it has."""
    if not _text(spec) or len(spec) > LONGEST_SPEC:
        return False
    try:
        models.drawer(spec) if is_drawer(spec) else models.get(spec)
    except (OptionError, TypeError, ValueError):
        return False
    return True


def is_drawer(spec: str) -> bool:
    """Whether a specification names a model that draws."""
    return spec.partition(":")[0] in models.DRAWERS


def _want(holds: bool, sentence: str) -> None:
    if not holds:
        raise PredictorError(f"{sentence}, it is not so: the predictor is damaged or not Osler's")


def _shallow(value: Any, depth: int = 0) -> None:
    _want(depth <= DEPTH, f"predictor.json must nest at most {DEPTH} levels deep")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inner, (dict, list)):
            _shallow(inner, depth + 1)


def _agree(body: dict[str, Any]) -> None:
    """Fields that speak of the same thing say the same."""
    names = [c["name"] for c in body["columns"]]
    _want(len(set(names)) == len(names), "columns must have names of their own")
    _want(set(body["states"]) <= set(names) and len(body["states"]) > 0, "every state must belong to a column")
    for name, entry in body["states"].items():
        _want(
            entry["state"].get("column") == name and entry["state"].get("modality") == entry["modality"],
            "a state must be its column's",
        )
    held = [name for name, _ in body["models"]]
    _want(len(set(held)) == len(held) > 0 and body["chosen"] in held, "the chosen model must be one of the models")
    _want(set(body["params"]) == {str(i) for i in range(len(held))}, "every model must have its params")
    few = {"binary": 2, "regression": 0, "survival": 0}.get(body["task"])
    _want(few is None or len(body["classes"]) == few, "the classes must be as many as the task has")
    _want(body["task"] not in ("multiclass", "multilabel") or len(body["classes"]) > 0, "the classes must be named")
    _want(body["task"] != "survival" or body["horizon"] is not None, "a survival predictor must have a horizon")
    drawn = body["task"] in tasks.DRAWN
    _want(all(is_drawer(spec) == drawn for _, spec in body["models"]), "masks and boxes must be drawn by models that draw, and nothing else")
    _want(not drawn or all(has_channels(e["state"]) for e in body["states"].values()), "scans must have channels")
    kind = {"binary": "classes", "multiclass": "classes", "regression": "number"}.get(body["task"])
    _want(not body["conformal"] or body["conformal"]["kind"] == kind, "prediction sets must be of the task's kind")


def has_channels(state: dict[str, Any]) -> bool:
    """Whether the state of a column of scans names a possible number of channels."""
    return _count(state.get("n_channels")) and 1 <= state["n_channels"] <= MOST_CHANNELS


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _texts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MOST_CLASSES
        and all(map(_text, value))
        and len(set(value)) == len(value)
    )


def _map(value: Any, test: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(test(v) for v in value.values())


def _has(value: Any, shape: dict[str, Callable[[Any], bool]]) -> bool:
    return isinstance(value, dict) and set(value) == set(shape) and all(test(value[k]) for k, test in shape.items())


def _modality(value: Any) -> bool:
    try:
        return _text(value) and modalities.get(value).name == value
    except OptionError:
        return False


def _plain(value: Any) -> bool:
    """A value of a column's options: a text, number or flag, or a list of them."""
    return (
        value is None
        or isinstance(value, (str, int, float))
        or (isinstance(value, list) and all(isinstance(v, (str, int, float)) for v in value))
    )


def _column(value: Any) -> bool:
    shape = {
        "name": _text, "modality": _modality, "role": lambda v: _text(v) and v in ROLES, "unit": _text,
        "coding": lambda v: _map(v, _text), "options": lambda v: _map(v, _plain), "reason": _text,
    }  # fmt: skip
    return _has(value, shape)


def _state(value: Any) -> bool:
    shape = {"modality": _modality, "version": _count, "state": lambda v: isinstance(v, dict)}
    if not isinstance(value, dict) or not _has({k: v for k, v in value.items() if k != "views"}, shape):
        return False
    also = modalities.get(value["modality"]).also
    if not isinstance(value.get("views", []), list) or not set(map(str, value.get("views", []))) <= set(also):
        return False
    state = value["state"]
    formats = state.get("formats", [])
    return (
        value["version"] == modalities.get(value["modality"]).version
        and isinstance(formats, list)
        and all(f in (*dates.FORMATS, "%Y%m%d") for f in formats)
    )


def _conformal(value: Any) -> bool:
    shape = {
        "kind": _text, "method": lambda v: v in ("lac", "residual", "normalised"), "level": lambda v: _number(v) and 0 < v < 1, "by": lambda v: v == "",
        "quantiles": lambda v: _map(v, lambda q: q is None or _number(q)), "n": lambda v: _map(v, _count),
    }  # fmt: skip
    return value == {} or _has(value, shape)


def _domain(value: Any) -> bool:
    def pair(v: Any) -> bool:
        return isinstance(v, list) and len(v) == 2 and all(map(_number, v))

    shape = {"ranges": lambda v: _map(v, lambda by: _map(by, pair)), "missing_share": _number, "inputs": _count}
    if not isinstance(value, dict):
        return False
    counts = value.get("counts", {})
    return value == {} or (
        _map(counts, familiar.is_whole)
        and _has({k: v for k, v in value.items() if k not in ("pooled", "counts")}, shape)
    )


def _background(value: Any) -> bool:
    """Averages of training rows: per column as many rows of numbers as there are weights."""

    def rows(v: Any) -> bool:
        cells = isinstance(v, list) and len(v) == len(value["weights"]) and all(isinstance(r, list) for r in v)
        return cells and all(c is None or _number(c) for r in v for c in r)

    def weights(v: Any) -> bool:
        return isinstance(v, list) and 0 < len(v) <= 10_000 and all(_number(w) and w > 0 for w in v)

    return value == {} or _has(value, {"weights": weights, "units": weights, "columns": lambda v: _map(v, rows)})


def _card(value: Any) -> bool:
    return isinstance(value, dict) and _number(value.get("threshold", 0.5))


#: Field of predictor.json → whether a value is of its type.
FIELDS: dict[str, Callable[[Any], bool]] = {
    "format": _text,
    "columns": lambda v: isinstance(v, list) and all(map(_column, v)),
    "states": lambda v: _map(v, _state),
    "task": lambda v: _text(v) and v in tasks.INDEX,
    "target": lambda v: _texts(v) and len(v) > 0,
    "classes": _texts,
    "horizon": lambda v: v is None or (_number(v) and v > 0),
    "chosen": _text,
    "models": lambda v: isinstance(v, list)
    and all(isinstance(m, list) and len(m) == 2 and _text(m[0]) and known_spec(m[1]) for m in v),
    "params": lambda v: _map(v, lambda p: isinstance(p, dict)),
    "conformal": _conformal,
    "domain": _domain,
    "certificate": lambda v: isinstance(v, dict),
    "card": _card,
    "background": _background,
}


# -- answers ---------------------------------------------------------------------------------------------------------


def check_answer(predictor: Predictor, answer: Prediction, n: int) -> Prediction:
    """An answer of n rows that has the task's shape and holds finite numbers, or a `PredictorError`."""
    width = {
        "binary": 2,
        "multiclass": len(predictor.classes),
        "multilabel": len(predictor.classes),
        "regression": 1,
    }.get(predictor.task)
    value = np.asarray(answer.value)
    if width is None:
        grid = answer.times
        _want(
            grid is not None and grid.ndim == 1 and len(grid) > 0 and bool((np.diff(grid) > 0).all()),
            "survival times must rise",
        )
        width = len(grid)
    _want(value.dtype.kind == "f" and value.shape == (n, width), f"the model must answer {width} numbers per row")
    _want(bool(np.isfinite(value).all()), "the model must answer finite numbers")
    spread = answer.spread
    _want(
        spread is None or (spread.shape == (n,) and bool(np.isfinite(spread).all() and (spread > 0).all())),
        "the spread of a model's answers must be one number above 0 per row",
    )
    if predictor.task != "regression":
        _want(bool((value > -1e-6).all() and (value < 1 + 1e-6).all()), "probabilities must lie between 0 and 1")
    return answer


def _needs_library(spec: str, meta: dict[str, Any]) -> bool:
    """Whether a model, or a member of an ensemble, is of an optional library."""
    if (models.drawer(spec) if is_drawer(spec) else models.get(spec)).extra:
        return True
    return spec.partition(":")[0] in STACKED and any(map(_needs_library, meta["members"], meta["parts"].values()))


def trial(predictor: Predictor) -> None:
    """Let a predictor answer made-up rows: nothing at all, numbers, words, dates, and the levels of its own categories.

    Models of an optional library are not tried here (they may not be installed); their answers are checked when they
    come.
    """
    if predictor.task in tasks.DRAWN:
        from osler.engine.scenes.predict import asked_of

        _want(asked_of(predictor).classes == predictor.classes, "the classes must be those of the column that is drawn")
    if any(_needs_library(spec, params.meta) for spec, params in predictor.models.values()):
        return
    if predictor.task in tasks.DRAWN:
        from osler.engine.scenes.predict import trial as drawn

        return drawn(predictor)
    words = [None, "0", "1", "61.5", "-3", "yes", "word", "2020-02-29"]
    for kind in (pl.String, pl.Float64):
        data = {}
        for column in predictor.inputs:
            own = [v for v in predictor.states[column.name]["state"].get("levels", [])[:2] if isinstance(v, str)]
            cells = [*words[len(own) :], *own]
            data[column.name] = pl.Series(column.name, cells, dtype=pl.String).cast(kind, strict=False)
        predictor.predict(Cohort(pl.DataFrame(data), predictor.inputs))
    if predictor.background:
        nothing = {
            c.name: pl.Series(c.name, [None] * len(predictor.background["weights"]), dtype=pl.String)
            for c in predictor.inputs
        }
        restore(predictor.background, encode(Cohort(pl.DataFrame(nothing), predictor.inputs), predictor.states))
