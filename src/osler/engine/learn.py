"""One model on one set of training rows: tuned if asked (an ensemble's members too), networks with a checkpoint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osler import models
from osler.engine.study import Study
from osler.engine.tune import tuned
from osler.models.base import Encoded, Estimator, Params
from osler.models.ensemble import DEFAULT_MEMBERS, Ensemble
from osler.models.neural.network import Network
from osler.models.neural.tabular import MLP


@dataclass(frozen=True)
class Support:
    """What a training may lean on beside rows and options.

    Attributes:
        checkpoints: folder in which a network writes its state while it trains, or None.
        init: params of a network to start from, or None.
    """

    checkpoints: Path | None = None
    init: Params | None = None


def learn(spec: str, data: Encoded, study: Study, key: str, support: Support) -> tuple[str, Params]:
    """Fit one model; everything, tuning too, sees only `data`.

    Args:
        spec: "NAME" or "NAME:option=value,...".
        data: the encoded training rows of one split.
        study: gives seeds and the number of tuning trials.
        key: the split's key.
        support: checkpoints and a warm start, used by networks.

    Returns:
        The specification that answers (with tuned options) and what was learnt.
    """
    estimator = models.get(spec)
    rng = study.rng("fit", key, "ensemble" if isinstance(estimator, Ensemble) else spec)
    if isinstance(estimator, Ensemble):
        members = tuple(tuned(m, data, study, key) for m in members_of(estimator, data.target.kind))
        return spec, type(estimator)(replace(estimator.options, members=members)).fit(estimator.confined(data), rng)
    used = tuned(spec, data, study, key)
    return used, _supported(models.get(used), spec, key, support).fit(estimator.confined(data), rng)


def members_of(ensemble: Ensemble, kind: str) -> tuple[str, ...]:
    """Specifications of an ensemble's members as they were asked for, in order."""
    return tuple(ensemble.options.members or DEFAULT_MEMBERS[kind])


def tuned_specs(fitted: dict[str, tuple[str, Params]]) -> dict[str, Any]:
    """Model → the specification that tuning ended with; for an ensemble a list of its members'."""
    return {name: params.meta["members"] if name == "ensemble" else spec for name, (spec, params) in fitted.items()}


def _supported(estimator: Estimator, spec: str, key: str, support: Support) -> Estimator:
    """A network told where to keep its state and what to start from; any other model as it is."""
    if not isinstance(estimator, (MLP, Network)) or (support.checkpoints is None and support.init is None):
        return estimator
    from osler import registry

    registry.optional("torch", "neural")
    from osler.models.neural.assembly import Extras
    from osler.models.neural.checkpoint import Checkpoint

    kept = None
    if support.checkpoints is not None:
        kept = Checkpoint(support.checkpoints / hashlib.sha256(f"{key}/{spec}".encode()).hexdigest()[:16])
    return type(estimator)(estimator.options, Extras(init=support.init, checkpoint=kept))
