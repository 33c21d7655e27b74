"""A warm start: the network of an earlier run, whose encoders a new one takes over."""

from __future__ import annotations

from pathlib import Path

from osler import modalities, models
from osler.cohort.certificate import overlap_with_run
from osler.cohort.cohort import Cohort
from osler.engine.predict import open_predictor
from osler.engine.study import Study
from osler.errors import OptionError
from osler.models.base import Params
from osler.models.neural.network import Network
from osler.models.neural.tabular import MLP


def init_of(study: Study) -> Params | None:
    """Params of the network that the study names as its start, or None where it names none.

    Raises:
        OptionError: no model of the study is a network, or the named run's model is not.
        InputError, PredictorError: the folder holds no run and no predictor.
    """
    if not study.init:
        return None
    if not any(isinstance(models.get(spec), (MLP, Network)) for spec in study.model):
        raise OptionError(
            "init is a start for mlp and network, the study has neither: add --model mlp or leave --init out"
        )
    predictor = open_predictor(study.init)
    for spec, params in predictor.models.values():
        if isinstance(models.get(spec), (MLP, Network)):
            return params
    name = Path(study.init).name
    raise OptionError(
        f"init must be a run whose answering model is mlp or network, '{name}' answers with {predictor.chosen}"
    )


def pretraining(study: Study, cohort: Cohort) -> str:
    """What is known of rows that a pre-trained part saw: of the start, and of encoders that columns are read by; what is
    worst comes first, all is said.
    """
    said = [_start(study, cohort), _folders(study)]
    for column in cohort.role("input"):
        said.append(modalities.get(column.modality).pretraining(cohort.table[column.name], column))
    return "; ".join(sorted((s for s in said if s not in ("", "none")), key=_worst)) or "none"


def _folders(study: Study) -> str:
    """Unknown where a model starts from the weights of a local folder: nothing there says what they were learnt from."""
    started = [s.partition(":")[0] for s in study.model if getattr(models.get(s).options, "weights", "")]
    return f"unknown: the folder of weights that {started[0]} starts from does not say on which pictures" if started else ""


def _worst(said: str) -> int:
    return ("known", "unknown", "seen", "disjoint").index(said.partition(":")[0])


def _start(study: Study, cohort: Cohort) -> str:
    """What is known of rows that the start was trained on: "none" without a start; "disjoint" where it is a run and
    none of this table's units or rows is in that run's table; "known" where one is; else "unknown".
    """
    if not study.init:
        return "none"
    if not (Path(study.init) / "splits.parquet").is_file():
        return "unknown"
    verdicts = {c.verdict for c in overlap_with_run(study.init, cohort)}
    return "known" if "violated" in verdicts else "disjoint" if verdicts == {"clean"} else "unknown"
