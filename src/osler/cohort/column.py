"""One column's meaning: what it holds, what it is for, in which unit and coding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from osler.errors import OptionError, nearest

#: What a column is for. `unit` must never be on both sides of a split: the patient, the scaffold, the family.
ROLES = (
    "id", "unit", "site", "time", "input", "target", "event", "duration",
    "treatment", "weight", "split", "prediction", "ignore",
)  # fmt: skip

#: Modalities whose cells are read as they stand; the cell of any other (a molecule, a scan) stands for something larger.
PLAIN = frozenset({"number", "category", "boolean", "date"})

#: Modalities whose cells are things written out, or name the files that hold them. That no two are alike makes them no names of rows.
STRUCTURES = frozenset({"molecule", "protein", "image", "volume", "mask", "boxes"})

#: The reserved column that keeps each row's number in its source (1 = first data row) through every operation.
ROW = "_row"


@dataclass(frozen=True)
class Column:
    """A typed column of a cohort.

    Attributes:
        name: the header.
        modality: a name of `osler.modalities.INDEX`.
        role: one of `ROLES`.
        unit: unit of measurement as written ("mg/dL"), empty if none is known.
        coding: stored value → label ({"1": "typical angina"}); empty if the values speak for themselves.
        options: options of the modality, and `missing_codes` (values that stand for "not measured").
        reason: why Osler inferred this modality and role, or "declared".
    """

    name: str
    modality: str
    role: str = "input"
    unit: str = ""
    coding: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str = "declared"

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise OptionError(
                f"role of column '{self.name}' must be a role, was '{self.role}': {nearest(self.role, ROLES)}"
            )

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values, with every field written out."""
        return {
            "name": self.name, "modality": self.modality, "role": self.role, "unit": self.unit,
            "coding": dict(self.coding), "options": dict(self.options), "reason": self.reason,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Column:
        """The inverse of `to_json`; unknown keys are refused."""
        return cls(**data)

    def with_(self, **changes: Any) -> Column:
        """A copy with some fields replaced."""
        return replace(self, **changes)
