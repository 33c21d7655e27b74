"""The pages for people: a field for the token, a form made from the columns, the answer. They work without
JavaScript.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from osler import modalities
from osler.cohort.column import Column
from osler.engine.predictor import Predictor
from osler.modalities.category import OTHER
from osler.report.markup import Html
from osler.service.rowmodel import described, unit_of


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_read))


def _read(name: str) -> str:
    return files("osler.service").joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _style() -> tuple[str, str]:
    """The style sheet, and the policy that allows it, forms to this server and nothing else."""
    text = _read("page.css")
    own = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, (
        f"default-src 'none'; style-src 'sha256-{own}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def viewer_policy() -> str:
    """What the page of scans may do: run its own two programs, and nothing else."""
    from osler.report import viewer

    return f"{viewer.policy()}; frame-ancestors 'none'"


def _page(template: str, **content: Any) -> tuple[str, str]:
    style, policy = _style()
    return _environment().get_template(template).render(style=style, **content), policy


def login_page() -> tuple[str, str]:
    """The page for strangers, and its content security policy."""
    return _page("login.html")


@dataclass(frozen=True)
class Drawing:
    """A molecule of the row, its atoms coloured, or a scan with its heat map: safe markup, and what the colours say."""

    svg: Html
    words: str


def form_page(
    predictor: Predictor, path: str, key: str, given: dict[str, str], answer: dict[str, Any] | None, problem: str,
    others: dict[str, str], drawings: Sequence[Drawing] = (),
) -> tuple[str, str]:
    """The form of a model, filled with what was given, and the answer if there is one.

    Args:
        path: where the form is sent. key: what the form must carry back. given: column → text as typed.
        answer: one row's prediction columns, or None. problem: why there is no answer, "" if nothing was asked.
        others: names and addresses of the other models. drawings: of the molecules of the row.
    """
    fields = [_field(c, predictor.states[c.name]["state"], given.get(c.name, "")) for c in predictor.inputs]
    return _page(
        "form.html", path=path, key=key, fields=fields, problem=problem, others=others, target=_target(predictor),
        shown=[] if answer is None else shown_answer(predictor, answer),
        inside=None if answer is None else answer["in_domain"],
        refusals=[] if answer is None else answer["refusals"], rows=predictor.card.get("rows"),
        drawings=drawings, files=any(f["file"] for f in fields),
    )  # fmt: skip


#: What may be chosen for a column that takes files.
_FILES = {
    "image": "a picture or one DICOM file", "volume": "NIfTI, NRRD, MetaImage, a multi-frame DICOM file, or a zip of the DICOM files of one series",
}  # fmt: skip


def _target(predictor: Predictor) -> str:
    return ", ".join(predictor.target[-1:] if predictor.task == "survival" else predictor.target)


def _field(column: Column, state: dict[str, Any], value: str) -> dict[str, Any]:
    levels = [(v, str(column.coding.get(v, v))) for v in state.get("levels", ()) if v != OTHER]
    facts = described(column, state)["json_schema_extra"]
    seen = facts.get("x-seen")
    hint = f"seen: {seen[0]:g} to {seen[1]:g}" if seen else ""
    return {
        "name": column.name, "modality": column.modality, "unit": unit_of(column), "value": value, "hint": hint,
        "levels": levels, "labelled": any(v != label for v, label in levels),
        "file": _FILES.get(column.modality, "a file") if modalities.get(column.modality).by_reference else "",
    }  # fmt: skip


def shown_answer(predictor: Predictor, answer: dict[str, Any]) -> list[tuple[str, str, float | None]]:
    """Lines of an answer: label, text, and a share from 0 to 1 to draw (None where there is none)."""
    target = predictor.target[0]
    if predictor.task in ("binary", "multiclass"):
        lines = [
            (f"{target} = {c}", f"{answer[f'{target}_prob_{c}']:.1%}", answer[f"{target}_prob_{c}"])
            for c in predictor.classes
        ]
        if answer.get(f"{target}_set") is not None:
            level = predictor.conformal.get("level", 0.9)
            held = answer[f"{target}_set"].replace("|", " or ") or "none of them"
            lines.append((f"cannot be ruled out ({level:.0%} coverage)", held, None))
        return lines
    if predictor.task == "multilabel":
        return [(c, f"{answer[f'{c}_prob_1']:.1%}", answer[f"{c}_prob_1"]) for c in predictor.classes]
    if predictor.task == "survival":
        name = predictor.target[-1]
        p = answer[f"{name}_pred"]
        return [(f"{name} until {predictor.horizon:g} ({predictor.target[0]})", f"{p:.1%}", p)]
    lines = [(target, f"{answer[f'{target}_pred']:.4g}", None)]
    if answer.get(f"{target}_low") is not None and answer.get(f"{target}_high") is not None:
        level = predictor.conformal.get("level", 0.9)
        lines.append(
            (f"{level:.0%} interval", f"{answer[f'{target}_low']:.4g} to {answer[f'{target}_high']:.4g}", None)
        )
    return lines
