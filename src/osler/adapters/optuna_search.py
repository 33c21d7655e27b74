"""Optuna: search over a small space of options by tree-structured Parzen estimators (Bergstra et al. 2011)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from osler.registry import optional


def search(
    space: dict[str, tuple[Any, ...]],
    loss: Callable[[dict[str, Any]], float],
    first: dict[str, Any],
    trials: int,
    seed: int,
) -> dict[str, Any]:
    """The options with the least loss among `trials`, the given `first` among them.

    Args:
        space: option → ("log", low, high), ("float", low, high), ("int", low, high) or ("choice", a, b, ...).
        loss: what to minimise.
        first: options of the first trial; values outside the space are moved to its border.
        trials: how many evaluations.
        seed: of the sampler; one seed, one path.
    """
    optuna = optional("optuna", "tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: Any) -> float:
        return loss({name: _suggest(trial, name, kind) for name, kind in space.items()})

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(10, trials)))
    study.enqueue_trial({name: _inside(first[name], kind) for name, kind in space.items()})
    study.optimize(objective, n_trials=trials)
    return dict(study.best_params)


def _suggest(trial: Any, name: str, kind: tuple[Any, ...]) -> Any:
    if kind[0] == "choice":
        return trial.suggest_categorical(name, list(kind[1:]))
    if kind[0] == "int":
        return trial.suggest_int(name, kind[1], kind[2])
    return trial.suggest_float(name, kind[1], kind[2], log=kind[0] == "log")


def _inside(value: Any, kind: tuple[Any, ...]) -> Any:
    return value if kind[0] == "choice" else min(max(value, kind[1]), kind[2])
