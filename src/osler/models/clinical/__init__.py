"""Scores that clinicians already use, as estimators with published coefficients: one file per family."""

from osler.models.clinical.base import ClinicalScore, Input, ScoreOptions

__all__ = ["ClinicalScore", "Input", "ScoreOptions"]
