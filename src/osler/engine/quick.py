"""Answers for a few rows at once, quickly: what the service calls for every request.

A modality encodes row by row, so the features of a text never change: they are made once by the modality itself and
kept. Nothing here knows how a modality encodes; `osler.engine.predict` gives the same numbers for the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import modalities, models
from osler.blocks import Block, dense
from osler.cohort.cohort import Cohort
from osler.engine.answer import answer_blocks
from osler.engine.batches import encode
from osler.engine.predict import rows_cohort
from osler.engine.predictor import Predictor

#: Rows up to which texts are looked up one by one.
FEW = 256

#: Texts whose features are kept per column, and the longest text that is kept.
MOST_TEXTS, LONGEST_TEXT = 4096, 64

#: Texts that are looked up once at the start, beside the levels of training.
USUAL = ("true", "false", "1", "0")


class QuickAnswers:
    """A predictor that remembers how short texts are encoded.

    Args:
        predictor: what answers.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._estimator = models.get(predictor.models[predictor.chosen][0])
        self._texts: dict[str, dict[str | None, np.ndarray]] = {}
        self._like: dict[str, Block] = {}
        for name, entry in predictor.states.items():
            modality = modalities.get(entry["modality"])
            if modality.emits == "dense" and not modality.also and entry["modality"] not in ("number", "date", "text"):
                self._texts[name] = {}
                self._like[name] = modality.encode(pl.Series([None], dtype=pl.String), entry["state"])
                usual = [None, *USUAL, *entry["state"].get("levels", ())[:MOST_TEXTS]]
                self._looked_up(name, pl.Series(usual, dtype=pl.String))

    def answer(self, rows: list[Mapping[str, Any]], root: Path | None = None) -> tuple[dict[str, pl.Series], Cohort]:
        """Prediction columns (as `osler.engine.answer.answer_columns`) and the rows as a cohort, whose `refusals` say
        which cells were unusable. Absent keys are missing cells; references start from `root`.
        """
        cohort = rows_cohort(self.predictor, list(rows), root)
        blocks = self.blocks(cohort)
        prediction = self._estimator.predict(self.predictor.models[self.predictor.chosen][1], blocks)
        return answer_blocks(self.predictor, blocks, prediction), cohort

    def blocks(self, cohort: Cohort) -> dict[str, Block]:
        """`osler.engine.batches.encode` of a cohort that `rows_cohort` made."""
        states = self.predictor.states
        if len(cohort) > FEW:
            return encode(cohort, states)
        rest = encode(cohort, {k: v for k, v in states.items() if k not in self._texts})
        return {name: rest[name] if name in rest else self._looked_up(name, cohort.table[name]) for name in states}

    def _looked_up(self, name: str, values: pl.Series) -> Block:
        known, texts = self._texts[name], values.to_list()
        new = [t for t in dict.fromkeys(texts) if t not in known]
        found = known
        if new:
            entry = self.predictor.states[name]
            made = modalities.get(entry["modality"]).encode(pl.Series(new, dtype=pl.String), entry["state"]).values
            found = {**known, **dict(zip(new, made))}
            kept = {t: v for t, v in zip(new, made) if t is None or len(t) <= LONGEST_TEXT}
            if len(known) + len(kept) <= MOST_TEXTS:
                known.update(kept)
        like = self._like[name]
        return dense(np.stack([found[t] for t in texts]), like.names, kinds=like.kinds, levels=like.levels)
