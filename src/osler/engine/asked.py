"""Is a study's every value one that it can have? Checked before anything is written, so that a wrong flag costs a
sentence and no folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from osler import modalities, models, tasks
from osler.engine.study import Study
from osler.errors import ColumnError, OptionError, nearest
from osler.models.ensemble import Ensemble

_CHOICES = {"imbalance": ("none", "balanced")}
_LEAST = {"folds": 0, "repeats": 0, "tune": 0, "boot": 0, "seed": 0, "horizon": 0, "examples": 0}
_SHARES = ("coverage", "level")


def check_study(study: Study) -> None:
    """Refuse values that no table could make right.

    Raises:
        OptionError, ColumnError: one sentence with the key, what it must be and what it was.
    """
    declared(study.column)
    if study.task != "auto":
        tasks.get(study.task)
    for name, known in _CHOICES.items():
        value = getattr(study, name)
        if value not in known:
            raise OptionError(f"{name} must be {' or '.join(known)}, was '{value}': {nearest(value, known)}")
    for name, least in _LEAST.items():
        if getattr(study, name, least) < least:
            raise OptionError(f"{name} must be at least {least}, was {getattr(study, name)}")
    for name in _SHARES:
        if not 0 < getattr(study, name, 0.5) < 1:
            raise OptionError(f"{name} must lie between 0 and 1, was {getattr(study, name)}: for example 0.9")
    _check_threshold(study.threshold)
    _check_sensitivity(study)
    for names in (study.target, study.unit, study.input):
        doubled = [n for n in dict.fromkeys(names) if names.count(n) > 1]
        if doubled:
            raise ColumnError(
                f"a column must be named once, '{doubled[0]}' was named twice: leave one out", "column-kind"
            )
    both = [n for n in study.target if n in study.unit or n in study.input or n in (study.site, study.weight)]
    if both:
        raise ColumnError(
            f"target must have no second role, '{both[0]}' was also named as unit, input, site or weight", "column-kind"
        )


def declared(flags: Iterable[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Column → (modality, options) of flags NAME=MODALITY or NAME=MODALITY:option=value,option=value; a name may hold
    "=".

    Raises:
        OptionError: a flag is not of this form, names a modality that Osler has not, or an option that it has not.
    """
    found = {}
    for flag in flags:
        with_options = re.fullmatch(r"(.+?)=(\w+):(.+)", flag)
        if with_options and with_options[2] in modalities.INDEX:
            name, modality, text = with_options.groups()
        else:
            (name, equals, modality), text = flag.rpartition("="), ""
            if not equals or not name:
                raise OptionError(
                    f"column must be NAME=MODALITY, was '{flag}': write for example --column zip=category"
                )
        given = dict(part.partition("=")[::2] for part in text.split(",") if part)
        options = models.options_from(modalities.get(modality).Options, given, f"{modality} column '{name}'")
        found[name] = modality, {key: _plain(getattr(options, key)) for key in given}
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _check_threshold(text: str) -> None:
    name, equals, share = str(text).partition("=")
    value = share if equals else name
    try:
        right = (name in ("sensitivity", "specificity") if equals else True) and 0 < float(value) < 1
    except ValueError:
        right = not equals and name == "youden"
    if not right:
        raise OptionError(
            f"threshold must be a number between 0 and 1, youden, sensitivity=S or specificity=S, was '{text}'"
        )


def _check_sensitivity(study: Study) -> None:
    wanted = study.sensitivity
    if wanted and not 0 < wanted < 1:
        raise OptionError(f"sensitivity must lie between 0 and 1, was {wanted:g}: for example 0.9")
    if wanted and study.threshold not in (Study().threshold, f"sensitivity={wanted:g}"):
        raise OptionError(
            f"threshold must be left out where sensitivity is given, it was '{study.threshold}': leave one of them out"
        )


def check_models(specs: tuple[str, ...], task: str) -> None:
    """Refuse models that Osler has not, options that they have not, and models that cannot answer the task.

    Raises:
        OptionError: the nearest model or the models that can are named.
    """
    for spec in specs:
        estimator = models.get(spec) if task not in tasks.DRAWN else models.drawer(spec)
        if task not in estimator.answers:
            index, get = (models.INDEX, models.get) if task not in tasks.DRAWN else (models.DRAWERS, models.drawer)
            can = [n for n in index if task in get(n).answers]
            raise OptionError(f"model must be able to answer {task}, '{spec}' cannot: take one of {', '.join(can)}")
        if isinstance(estimator, Ensemble):
            check_models(tuple(estimator.options.members), task)


def answers_in_numbers(study: Study, kind: str) -> None:
    """Refuse options of answers in numbers where masks or boxes are drawn.

    Raises:
        OptionError: one of them is given.
    """
    usual = Study()
    for name in ("tune", "init", "imbalance", "threshold", "sensitivity", "weight", "horizon"):
        if getattr(study, name) != getattr(usual, name):
            raise OptionError(f"{name} must be left out where the answer is drawn ({kind}), it was given: options of the model say how it learns")
