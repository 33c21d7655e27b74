"""What a DICOM archive holds: studies, series and objects as rows of text, asked by C-FIND (PS3.4 Annex C, Study Root)."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass, field, replace
from typing import Any

from osler import registry
from osler.adapters.imaging.dicom_net import DONE, Peer, associated
from osler.adapters.imaging.dicom_read import library
from osler.errors import LimitError, OptionError, ReadError, nearest

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
#: Statuses of C-FIND that bring an answer with them.
PENDING = (0xFF00, 0xFF01)
_STUDY = (
    "StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription",
)  # fmt: skip
#: Level → its name in C-FIND and the attributes that are asked for.
LEVELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "study": ("STUDY", (*_STUDY, "ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")),
    "series": ("SERIES", (
        "StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined", "NumberOfSeriesRelatedInstances",
    )),
    "instance": ("IMAGE", ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber", "NumberOfFrames")),
}  # fmt: skip
#: Longest text of one attribute that is kept.
MAX_TEXT = 1024


@dataclass(frozen=True)
class Question:
    """What is asked of an archive.

    Attributes:
        level: "study", "series" or "instance".
        where: keyword of DICOM → what it must match (`*` and `?` for any letters, `20210101-20211231` for dates).
        study, series: UIDs that the answers must lie in; "" for any.
        most: rows at most.

    Raises:
        OptionError: a level or keyword that there is not.
    """

    level: str = "study"
    where: dict[str, str] = field(default_factory=dict)
    study: str = ""
    series: str = ""
    most: int = 10_000

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise OptionError(f"level must be study, series or instance, was '{self.level}': {nearest(self.level, LEVELS)}")
        tags = registry.optional("pydicom.datadict", "imaging")
        for word in self.where:
            if tags.tag_for_keyword(word) is None:
                known = sorted({w for _, words in LEVELS.values() for w in words})
                raise OptionError(f"a condition must name an attribute of DICOM by its keyword, one does not: {nearest(word, known)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The attributes of an answer, those of the conditions behind the usual ones."""
        usual = LEVELS[self.level][1]
        return (*usual, *(w for w in self.where if w not in usual))


def find(peer: Peer, asked: Question, tls: ssl.SSLContext | None = None) -> list[dict[str, str]]:
    """C-FIND; series are asked study by study and objects series by series, as archives without relational queries need it.

    Raises:
        ReadError: the node cannot be reached, turns the caller away, or refuses the question.
        LimitError: more answers than `asked.most`.
    """
    with associated(peer, [(FIND, ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])], tls) as association:
        return found_by(lambda one: _answers(association, one), asked)


def found_by(ask: Callable[[Question], list[dict[str, str]]], asked: Question) -> list[dict[str, str]]:
    """The rows of a question, asked level by level from the one whose UID is known; conditions are asked where they belong."""
    if asked.level == "study" or (asked.study and (asked.level == "series" or asked.series)):
        return ask(asked)
    above = "study" if asked.level == "series" or not asked.study else "series"
    key = "StudyInstanceUID" if above == "study" else "SeriesInstanceUID"
    upper = {w: v for w, v in asked.where.items() if w in LEVELS[above][1]}
    lower = {w: v for w, v in asked.where.items() if w not in upper}
    rows: list[dict[str, str]] = []
    for one in ask(Question(above, upper, asked.study, asked.series)):
        inner = replace(asked, where=lower, most=asked.most - len(rows), **{above: one[key]})
        rows += [{**row, **{w: one.get(w, "") for w in upper}} for row in found_by(ask, inner)]
    return rows


def _answers(association: Any, asked: Question) -> list[dict[str, str]]:
    pydicom = library()
    identifier = pydicom.Dataset()
    identifier.QueryRetrieveLevel = LEVELS[asked.level][0]
    for word in asked.columns:
        setattr(identifier, word, asked.where.get(word))
    if not all(value.isascii() for value in asked.where.values()):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    for word, value in (("StudyInstanceUID", asked.study), ("SeriesInstanceUID", asked.series)):
        if value:
            setattr(identifier, word, value)
    rows: list[dict[str, str]] = []
    for status, answer in association.send_c_find(identifier, FIND):
        code = getattr(status, "Status", None)
        if code in PENDING and answer is not None:
            if len(rows) >= asked.most:
                raise LimitError(f"an archive must give at most {asked.most:,} answers, it gives more: narrow the question with --where")
            rows.append(row_of(answer, asked.columns))
        elif code != DONE:
            raise ReadError("the node must answer the question, it refused or fell silent: check what it lets this title ask", "timeout")
    return rows


def row_of(answer: Any, columns: tuple[str, ...]) -> dict[str, str]:
    """The wanted attributes of a data set as printable text; what is absent, odd or too long is "" or cut."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {word: printable(_text(answer, word)) for word in columns}


def _text(answer: Any, word: str) -> str:
    try:
        value = answer.get(word)
        if value is None:
            return ""
        return "\\".join(map(str, value)) if isinstance(value, MutableSequence) else str(value)
    except Exception:
        return ""


def printable(text: str) -> str:
    """A text of a stranger without letters that steer a terminal, and not longer than is kept."""
    return "".join(c for c in text[:MAX_TEXT] if c.isprintable()).strip()
