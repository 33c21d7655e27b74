"""A specialised tool, from cohort to cohort: no fit, the same table in and out with more columns, or a small table of
findings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from osler.cohort.cohort import Cohort


@dataclass(frozen=True)
class Findings:
    """What an instrument gives back.

    Attributes:
        cohort: the input with the instrument's columns added, or a table of what was found (one row per rule, per
            cluster, ...).
        facts: JSON facts to print and to put in a report (chosen k, stability, notes). No patients' values.
        figures: name → SVG text.
        files: file name → text or bytes of other files to write beside the table (structures, poses, meshes).
    """

    cohort: Cohort
    facts: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    files: dict[str, str | bytes] = field(default_factory=dict)


class Instrument(ABC):
    """A tool with a name, options, and columns it needs and gives.

    Class attributes: `name` (the CLI command), `summary` (one line for --help), `example` (a command line for --help),
    `needs` and `gives` (what it reads and adds, in words), `extra`, `references`, `Options` (frozen dataclass whose
    fields carry `metadata={"help": ...}`: the CLI flags are made from it).
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    example: ClassVar[str]
    needs: ClassVar[str] = "a table"
    gives: ClassVar[str] = ""
    extra: ClassVar[str | None] = None
    references: ClassVar[tuple[str, ...]] = ()
    Options: ClassVar[type]

    @abstractmethod
    def run(self, cohort: Cohort, options: Any) -> Findings:
        """Do it.

        Raises:
            InputError: the cohort or an option is not what is needed.
        """
