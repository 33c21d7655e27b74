"""What a report is written from: the JSON members of a run folder, read once, with absent or odd members as empty."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from osler.engine.study import Study
from osler.models import SCORES

#: JSON members and what each must be.
MEMBERS = {
    "study": dict, "facts": dict, "scores": dict, "curves": dict, "certificate": dict, "findings": list, "explanation": dict,
    "environment": dict, "cohort": dict,
}  # fmt: skip
LARGEST = 256 * 2**20


@dataclass(frozen=True)
class Material:
    """A run's members and what is read off them.

    Attributes:
        folder: the run folder.
        members: name → JSON value of every entry of `MEMBERS`; empty where the run has none.
        plan: text of plan.md.
        refused: reason → number of rows refused for it.
        answers: the user's answers to what a program cannot know (key → text).
    """

    folder: Path
    members: dict[str, Any]
    plan: str = ""
    refused: dict[str, int] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, answers: dict[str, str] | None = None) -> Material:
        """Read the members; one that is absent, too large or not JSON counts as empty."""
        members = {name: _json(folder / f"{name}.json", kind) for name, kind in MEMBERS.items()}
        plan = folder / "plan.md"
        text = (
            plan.read_text(encoding="utf-8", errors="replace") if plan.is_file() and plan.stat().st_size < 2**20 else ""
        )
        for key in ("holdout", "labels"):
            written = members["study"].get(key)
            if isinstance(written, str) and is_path(written):
                name = PurePath(written.replace("\\", "/")).name
                members["study"][key], text = name, text.replace(written, name)
        return cls(folder, members, text, _refused(folder / "refusals.csv"), answers or {})

    def get(self, member: str, *path: str, default: Any = None) -> Any:
        """A value deep inside a member; `default` where any step is absent or the value is no dict or list as
        `default` is.
        """
        value: Any = self.members.get(member)
        for step in path:
            if not isinstance(value, dict) or step not in value:
                return default
            value = value[step]
        wrong = isinstance(default, (dict, list)) and not isinstance(value, type(default))
        return default if value is None or wrong else value

    @property
    def kind(self) -> str:
        """The task."""
        return str(self.get("facts", "task") or self.get("study", "task", default=""))

    @property
    def target(self) -> str:
        """The outcome in words."""
        names = self.get("facts", "card", "target") or self.get("study", "target") or []
        if self.kind == "survival":
            names = [self.get("study", "event") or "the event"]
        return ", ".join(str(n) for n in names) or "the outcome"

    @property
    def chosen(self) -> str:
        """The model that answers."""
        return str(self.get("scores", "chosen", default=""))

    @property
    def parts(self) -> dict[str, dict[str, dict[str, Any]]]:
        """part → model → metric → estimate."""
        return {p: m for p, m in self.get("scores", "parts", default={}).items() if isinstance(m, dict)}

    @property
    def part(self) -> str:
        """The part whose numbers lead: the hold-out if there is one."""
        return "holdout" if "holdout" in self.parts else next(iter(self.parts), "cv")

    @property
    def sites(self) -> dict[str, dict[str, dict[str, Any]]]:
        """site → model → metric → estimate, from leaving each site out."""
        return {p.partition("=")[2]: m for p, m in self.parts.items() if p.startswith("site=")}

    def entry(self, metric: str, model: str = "", part: str = "") -> dict[str, Any]:
        """An estimate; {} where it was not made."""
        found = self.parts.get(part or self.part, {}).get(model or self.chosen, {}).get(metric)
        return found if isinstance(found, dict) else {}

    @cached_property
    def models(self) -> list[str]:
        """Every model of the leading part, the chosen first, the baseline last."""
        names = [m for m in self.parts.get(self.part, {}) if m not in (self.chosen, "baseline")]
        held = self.parts.get(self.part, {})
        return [m for m in (self.chosen, *names, "baseline") if m in held]

    @property
    def columns(self) -> list[dict[str, Any]]:
        """Facts about every column."""
        return [c for c in self.get("facts", "columns", default=[]) if isinstance(c, dict)]

    @property
    def checks(self) -> list[dict[str, Any]]:
        """The certificate's checks."""
        return [c for c in self.get("certificate", "checks", default=[]) if isinstance(c, dict)]

    @property
    def unit(self) -> str:
        """What is independent: the unit's column, or "row"."""
        return str(self.get("certificate", "unit", default="row"))

    @property
    def source(self) -> str:
        """The table's file name without its folders; "" where the table came from a program."""
        text = str(self.get("study", "source", default=""))
        return (
            PurePath(text.partition("?")[0].replace("\\", "/")).name
            if "://" not in text
            else text.partition("://")[0] + " database"
        )

    def cases(self, part: str = "") -> int:
        """Cases of a part."""
        sizes = [
            e.get("n", 0)
            for e in self.parts.get(part or self.part, {}).get(self.chosen, {}).values()
            if isinstance(e, dict)
        ]
        return max((int(n) for n in sizes if isinstance(n, (int, float))), default=0)


def clinical(material: Material) -> list[str]:
    """The models that are scores clinicians use."""
    return [m for m in material.models if m.partition(":")[0] in SCORES]


def holdout_sizes(material: Material) -> tuple[int, int] | None:
    """Development and hold-out rows; None without a hold-out."""
    for split in material.get("facts", "splits", default=[]):
        if str(split.get("key", "")).startswith("holdout"):
            return int(split["train"]), int(split["test"])
    return None


def command(material: Material) -> str:
    """The command line that asks the same question again."""
    return command_of(material.members["study"], material.source)


def command_of(study: dict[str, Any], source: str) -> str:
    """`osler fit` with every field of a study that differs from its default."""
    plain = Study().to_json()
    words = ["osler", "fit", shlex.quote(source or "TABLE")]
    for name, value in study.items():
        if name in ("format", "key", "source", "source_sha256", "files_sha256") or name not in plain or value == plain[name]:
            continue
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else "--no-" + name.replace("_", "-"))
            continue
        for item in value if isinstance(value, list) else [value]:
            words += [flag, shlex.quote(f"{item:g}" if isinstance(item, float) else str(item))]
    return " ".join([*words, "--out", "RUN"])


def is_path(text: str) -> bool:
    """Whether a choice names a file inside folders; a rule such as COLUMN=VALUE has its sign before any slash."""
    return bool(re.match(r"[^<>=/\\]*[/\\]", text))


def _json(path: Path, kind: type) -> Any:
    if not path.is_file() or path.stat().st_size > LARGEST:
        return kind()
    try:
        value = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _refused(path: Path) -> dict[str, int]:
    """Rows refused by reason, each row once."""
    if not path.is_file():
        return {}
    rows: dict[str, str] = {}
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        for line in csv.DictReader(lines):
            if line.get("action") == "row refused":
                rows.setdefault(str(line.get("row")), f"{line.get('column') or 'row'}: {line.get('reason')}")
    return dict(Counter(rows.values()).most_common())
