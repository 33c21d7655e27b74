"""Why: attributions as columns, for rows of a table or of a request, and what would change an answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import models
from osler.blocks import Block
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW, Column
from osler.cohort.read import read
from osler.engine.batches import encode
from osler.engine.predict import answers_in_numbers, as_trained, open_predictor
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.engine.validate import typed
from osler.errors import InternalError, OptionError, PredictorError, nearest
from osler.explanation.background import Background, restore
from osler.explanation.lime import lime
from osler.explanation.scales import Scale, scale_of
from osler.explanation.shapley import Answer, Attribution, Game, attribute

#: Ways that a person may ask for.
METHODS = ("shapley", "kernel", "lime")

#: Rows whose atoms are explained at once for a service.
MOST_ATOMS = 10

#: Permutations and neighbours are drawn from this seed: the same row always gets the same explanation.
SEED = 20_170_522


@dataclass(frozen=True)
class Explained:
    """Attributions of some rows on one scale, and of which class or label where there are several."""

    found: Attribution
    scale: Scale
    output: str


def explain(
    run: Run | Predictor | str | Path,
    source: Cohort | str | Path,
    *,
    rows: list[int] | None = None,
    method: str = "shapley",
    scale: str = "auto",
    output: str = "",
    atoms: str = "",
    heat: str = "",
) -> Cohort:
    """Why each row has its prediction.

    Args:
        run: a run, its folder, or a predictor.
        source: a table that `osler.read` reads, or a cohort.
        rows: row numbers (1 = first data row); None takes all.
        method: "shapley" (exact where there is an exact way), "kernel" (KernelSHAP through shap) or "lime".
        scale: "auto", "log-odds", "log-hazard", "probability" or "mean", as the task has them.
        output: class or label that is explained; multiclass: "" is the predicted class, multilabel: the likeliest
            label.
        atoms: how atoms and bonds of molecules are explained: a way of `osler.engine.parts.WAYS`, "none", or "" for
            "auto" where rows are named or there is nothing but molecules.
        heat: how pictures and volumes are explained: a way of `osler.engine.heat.WAYS`, "none", or "" for "auto" where rows
            are named or there is nothing else.

    Returns:
        The rows with `why:COLUMN` for every input, `why_base`, `why_prediction`, `why_scale`, `why_output` (several
        classes), `why_error` (standard error of sampling), `why_fit` (LIME) and `why_adds_up`. For a column of
        molecules also `why_smiles:COLUMN`, `why_atoms:COLUMN` (PLACE:VALUE, in the order of that text), `why_bonds:COLUMN`,
        `why_way:COLUMN`, `why_rest:COLUMN` and `why_gap:COLUMN`; for a column of pictures or volumes `why_peak:COLUMN`
        (x y [z] of the hottest voxel, from 0), `why_narrow:COLUMN` (share of the scan that holds half of the heat),
        `why_of:COLUMN` (class or label) and `why_way:COLUMN`.

    Raises:
        OptionError: an option has a value it cannot have, or a row is not there.
        InternalError: exact attributions do not add up to the prediction.
    """
    predictor = open_predictor(run)
    answers_in_numbers(predictor, "explained")
    cohort = chosen_rows(table_of(predictor, source), rows)
    frames = _frames(predictor, cohort, (method, scale, output), atoms, heat, rows is not None)
    result = cohort
    for name in frames.columns:
        kind = {pl.Float64: "number", pl.Boolean: "boolean"}.get(frames[name].dtype, "category")
        result = result.with_column(frames[name], Column(name, kind, "prediction", reason="explained"))
    return result


def _frames(predictor: Predictor, cohort: Cohort, asked: tuple[str, str, str], atoms: str, heat: str, is_named: bool) -> pl.DataFrame:
    """The columns of an explanation; `asked` is (method, scale, output), and `is_named` whether rows were named."""
    method, scale, output = asked
    alone, scans = is_molecules_alone(predictor), is_scans_alone(predictor)
    frames = pl.DataFrame()
    if not (alone or scans):
        with typed("explaining"):
            parts = explanations(predictor, cohort, method, scale, output)
        order = np.argsort(np.concatenate([at for at, _ in parts])) if parts else np.empty(0, dtype=np.int64)
        frames = pl.concat([_frame(e, method) for _, e in parts])[order] if parts else frames
    if atoms != "none" and (alone or atoms or is_named):
        from osler.engine.parts import part_frame

        made = part_frame(predictor, cohort, atoms or "auto", scale, output, whole=alone)
        frames = pl.concat([frames, made], how="horizontal")
    if heat != "none" and (scans or heat or is_named):
        from osler.engine.heat import heat_frame

        frames = pl.concat([frames, heat_frame(predictor, cohort, heat or "auto", output)], how="horizontal")
    return frames


def is_molecules_alone(predictor: Predictor) -> bool:
    """Whether there is nothing to compare columns with because molecules are all there is: atoms explain such rows."""
    return not predictor.background and any(entry["modality"] == "molecule" for entry in predictor.states.values())


def is_scans_alone(predictor: Predictor) -> bool:
    """Whether pictures or volumes are all there is: nothing to compare columns with, and heat maps explain such rows."""
    return not predictor.background and any(entry["modality"] in ("image", "volume") for entry in predictor.states.values())


def explain_rows(predictor: Predictor, cohort: Cohort) -> list[dict[str, Any]]:
    """For every row of a cohort in the predictor's terms: base, scale, attributions, prediction and whether they add
    up.

    Several classes or labels: the predicted class, the likeliest label, named under `output`.

    Returns:
        `{"base", "scale", "attributions": {column: number}, "prediction", "adds_up", "error"}` per row, and `output`;
        for at most `MOST_ATOMS` rows also `parts`: column of molecules → `osler.engine.parts.Explained.to_json`, and `heat`: column
        of scans → `osler.engine.heat.Heat.to_json`.

    Raises:
        OptionError: the rows are molecules alone, and more than `MOST_ATOMS`.
    """
    from osler.engine.parts import parts_of_rows

    alone = is_molecules_alone(predictor)
    if alone and len(cohort) > MOST_ATOMS:
        raise OptionError(f"at most {MOST_ATOMS} molecules must be explained at once, these are {len(cohort)}: send fewer")
    out: list[dict[str, Any]] = parts_of_rows(predictor, cohort, alone) if len(cohort) <= MOST_ATOMS else []
    out = out or [{} for _ in range(len(cohort))]
    if len(cohort) <= MOST_ATOMS and any(entry["modality"] in ("image", "volume") for entry in predictor.states.values()):
        from osler.engine.heat import heat_of_rows

        out = [row | more for row, more in zip(out, heat_of_rows(predictor, cohort))]
    if alone or is_scans_alone(predictor):
        return out
    with typed("explaining"):
        parts = explanations(predictor, cohort)
    for at, explained in parts:
        found, sums = explained.found, explained.found.adds_up(explained.scale)
        for i, row in enumerate(at):
            out[row] |= {
                "base": float(found.base[i]), "scale": explained.scale.name,
                "attributions": {c: float(v) for c, v in zip(found.columns, found.values[i])},
                "prediction": float(found.prediction[i]), "adds_up": bool(sums[i]), "error": float(found.error[i]),
                **({"output": explained.output} if explained.output else {}),
            }  # fmt: skip
    return out


def table_of(predictor: Predictor, source: Cohort | str | Path) -> Cohort:
    """A table, or a cohort, in the predictor's terms."""
    known = {c.name: c.modality for c in predictor.inputs}
    cohort = source if isinstance(source, Cohort) else read(source, columns=known)
    with typed("reading a table in its terms"):
        return as_trained(predictor, cohort)


def explanations(
    predictor: Predictor, cohort: Cohort, method: str = "shapley", scale: str = "auto", output: str = ""
) -> list[tuple[np.ndarray, Explained]]:
    """Positions of rows and their attributions, one pair per explained class or label."""
    if method not in METHODS:
        raise OptionError(f"method must be shapley, kernel or lime, was '{method}': {nearest(method, METHODS)}")
    if not len(cohort):
        return []
    background, blocks = background_of(predictor), encode(cohort, predictor.states)
    found = []
    for at, code in explained_outputs(predictor, blocks, output):
        part = {name: block.take(at) for name, block in blocks.items()}
        on = scale_of(predictor.task, scale, code, predictor.horizon, family_of(predictor))
        name = predictor.classes[code] if predictor.task in ("multiclass", "multilabel") else ""
        attribution = explain_blocks(predictor, part, background, on, method)
        wrong = int((~attribution.adds_up(on)).sum())
        if method == "shapley" and wrong:
            raise InternalError(f"attributions must add up to the prediction within 1e-6, {wrong} rows do not")
        found.append((at, Explained(attribution, on, name)))
    return found


def explain_blocks(
    predictor: Predictor,
    blocks: dict[str, Block],
    background: Background,
    scale: Scale,
    method: str = "shapley",
    rounds: int = 4,
) -> Attribution:
    """Attributions for rows that are already blocks."""
    answer, rng = answer_on(predictor, scale), np.random.default_rng(SEED)
    if method == "lime":
        return lime(answer, blocks, background, rng)
    if method == "kernel":
        return _kernel(answer, blocks, background)
    _, params = predictor.models[predictor.chosen]
    return attribute(family_of(predictor), params, answer, blocks, background, scale, rng, rounds)


def _kernel(answer: Answer, blocks: dict[str, Block], background: Background) -> Attribution:
    from osler.adapters.shap_kernel import kernel_values

    prediction, p = answer(blocks), len(blocks)
    values, base = np.empty((len(prediction), p)), np.empty(len(prediction))
    samples = min(2**p, 2 * p + 512) if p < 30 else 2 * p + 512
    for i in range(len(prediction)):
        game = Game(answer, {name: b.take(np.array([i])) for name, b in blocks.items()}, background)
        values[i], base[i] = kernel_values(game.worth_of_sets, p, samples, SEED)
    unknown = np.full(len(prediction), np.nan)
    return Attribution(tuple(blocks), values, base, prediction, unknown, "kernel", unknown)


def answer_on(predictor: Predictor, scale: Scale) -> Answer:
    """The chosen model as a function from blocks to (n,) numbers on a scale."""
    spec, params = predictor.models[predictor.chosen]
    estimator = models.get(spec)

    def answer(blocks: dict[str, Block]) -> np.ndarray:
        return scale.of(estimator.predict(params, blocks))

    return answer


def family_of(predictor: Predictor) -> str:
    """The chosen model's name without options."""
    return predictor.models[predictor.chosen][0].partition(":")[0]


def background_of(predictor: Predictor) -> Background:
    """The averages of training rows that a predictor keeps.

    Raises:
        PredictorError: it keeps none (fitted by an earlier release, or on fewer than five units), or they are
            malformed.
    """
    if not predictor.background:
        raise PredictorError(
            "a predictor must keep averages of its training rows to be explained, this one has none: "
            "fit it again on at least 5 units"
        )
    try:
        m = len(predictor.background["weights"])
        empty = Cohort(pl.DataFrame({ROW: np.arange(1, m + 1, dtype=np.int64)}), ())
        return restore(predictor.background, encode(empty, predictor.states))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PredictorError("the averages of a predictor must fit its columns, they do not: fit it again") from error


def explained_outputs(predictor: Predictor, blocks: dict[str, Block], output: str) -> list[tuple[np.ndarray, int]]:
    """Rows (positions) by the class or label (code) that is explained: all rows and the positive class where there is one answer only."""
    n = len(next(iter(blocks.values())))
    if predictor.task not in ("multiclass", "multilabel"):
        if output and output not in predictor.classes[1:]:
            known = nearest(output, predictor.classes[1:])
            raise OptionError(f"output must be the positive class, was '{output}': {known}")
        return [(np.arange(n), 1 if predictor.task == "binary" else 0)]
    if output:
        if output not in predictor.classes:
            known = nearest(output, predictor.classes)
            raise OptionError(f"output must be a class or label of the run, was '{output}': {known}")
        return [(np.arange(n), predictor.classes.index(output))]
    spec, params = predictor.models[predictor.chosen]
    best = models.get(spec).predict(params, blocks).value.argmax(axis=1)
    return [(np.flatnonzero(best == k), int(k)) for k in np.unique(best)]


def chosen_rows(cohort: Cohort, rows: list[int] | None) -> Cohort:
    """Rows by their numbers, in that order; None takes all.

    Raises:
        OptionError: a row is not there.
    """
    if rows is None:
        return cohort
    place = {int(r): i for i, r in enumerate(cohort.rows)}
    lost = [r for r in rows if r not in place]
    if lost:
        last = int(cohort.rows.max(initial=0))
        raise OptionError(f"row must be a row number of the table (1 to {last}, refused rows have none), was {lost[0]}")
    return cohort.take(np.array([place[r] for r in rows]))


def _frame(explained: Explained, method: str) -> pl.DataFrame:
    found, n = explained.found, len(explained.found.base)
    frame = pl.DataFrame({f"why:{c}": found.values[:, j] for j, c in enumerate(found.columns)})
    more: dict[str, Any] = {"why_base": found.base, "why_prediction": found.prediction}
    more["why_scale"] = [explained.scale.name] * n
    if explained.output:
        more["why_output"] = [explained.output] * n
    told = found.fit if method == "lime" else found.error
    more["why_fit" if method == "lime" else "why_error"] = pl.Series(told).fill_nan(None)
    more["why_adds_up"] = found.adds_up(explained.scale)
    return frame.with_columns(*(pl.Series(k, v, strict=False) for k, v in more.items()))
