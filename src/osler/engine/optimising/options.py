"""What is asked of an optimisation, and where the flags of `osler optimise` come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from osler.errors import OptionError, nearest

#: Ways to make new molecules.
METHODS = {
    "genetic": "random changes and crossovers of the best so far",
    "edits": "what medicinal chemists change by hand, or what a library teaches (--pairs)",
    "reinforce": "a trained generator drawn towards what scores well (--generator)",
}
#: What is done with molecules unlike those that a run was trained with.
DOMAINS = ("exclude", "penalise", "ignore")


def _flag(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class OptimiseOptions:
    """Options of `osler optimise`."""

    run: tuple[str, ...] = _flag((), "run or predictor folder that judges molecules")
    maximise: tuple[str, ...] = _flag((), "column that shall be large; of several aims COLUMN:WORST:BEST each")
    minimise: tuple[str, ...] = _flag((), "column that shall be small; of several aims COLUMN:WORST:BEST each")
    want: tuple[str, ...] = _flag((), "condition on a column, such as 'logd_pred<3' or 'qed>0.5'")
    keep: tuple[str, ...] = _flag((), "COLUMN:WIDTH, stay within WIDTH of the lead's own value")
    lead: str = _flag("", "SMILES to begin with; without one, --start, the generator or small rings")
    start: str = _flag("", "file of molecules to begin with")
    keep_similar: float = _flag(0.0, "least Tanimoto similarity to the lead (ECFP4); 0 none")
    most_sa: float = _flag(4.5, "most synthetic accessibility score (1 easy to make, 10 hard)")
    filter: tuple[str, ...] = _flag((), "leave out what meets it: pains, brenk, nih, ro5, veber, egan, ghose, ro3")
    domain: str = _flag("exclude", "molecules unlike those a run was trained with: exclude, penalise or ignore")
    caution: float = _flag(1.0, "0: judge by the prediction; 1: by the worse end of its interval, or two spreads of an ensemble's members")
    budget: int = _flag(2000, "molecules that the runs are asked about, the lead among them; never more")
    method: tuple[str, ...] = _flag(("genetic", "edits"), "genetic, edits or reinforce; the budget is shared")
    pairs: str = _flag("", "library of molecules whose matched pairs teach the edits, beside the built-in list")
    generator: str = _flag("", "run of osler generate train, for reinforce or to begin with")
    population: int = _flag(100, "best molecules that new ones are made of")
    batch: int = _flag(100, "molecules asked about at a time; after each batch a kill loses nothing")
    show: int = _flag(24, "best molecules in best.csv and in the report")
    seed: int = _flag(0, "everything random follows from it")

    def __post_init__(self) -> None:
        limits = (("keep_similar", 0, 1), ("most_sa", 1, 10), ("caution", 0, 1), ("budget", 1, 1_000_000), ("population", 2, 10_000),
                  ("batch", 1, 10_000), ("show", 1, 1000), ("seed", 0, 2**31))  # fmt: skip
        for name, low, high in limits:
            value = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"{name.replace('_', '-')} must be from {low} to {high:,}, was {value:g}")
        if self.domain not in DOMAINS:
            raise OptionError(f"domain must be one of {', '.join(DOMAINS)}, was '{self.domain}': {nearest(self.domain, DOMAINS)}")
        for name in self.method:
            if name not in METHODS:
                raise OptionError(f"method must be one of {', '.join(METHODS)}, was '{name}': {nearest(name, METHODS)}")
        if not self.method or not (self.maximise or self.minimise):
            raise OptionError("an optimisation must have a method and an aim: name one with --maximise COLUMN or --minimise COLUMN")
        if "reinforce" in self.method and not self.generator:
            raise OptionError("method reinforce must have a trained generator, there is none: name one with --generator RUN")
        if (self.keep or self.keep_similar) and not self.lead:
            raise OptionError("keep and keep-similar must have a lead to be held against, there is none: give --lead SMILES")
