"""The attributes of a DICOM data set taken away, emptied, replaced or cleaned as a plan says, through pydicom."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any, Protocol

from osler import registry
from osler.errors import LimitError

#: Deepest nesting of sequences that is followed.
MAX_DEPTH = 64
TEXTS = frozenset({"PN", "LO", "SH", "ST", "LT", "UT", "UC", "CS", "AE", "UR"})
_LENGTHS = {"SH": 16, "CS": 16, "AE": 16, "LO": 64, "ST": 1024, "LT": 10240}
_DATES = frozenset({"DA", "TM", "DT"})
_BINARY = frozenset({"OB", "OW", "UN", "OL", "OF", "OD", "OV"})
_DUMMIES: dict[str, Any] = {
    "CS": "REMOVED", "AE": "REMOVED", "UR": "urn:removed", "AS": "000Y", "DA": "19000101", "DT": "19000101000000",
    "TM": "000000", "DS": "0", "IS": "0", "AT": 0, "FL": 0.0, "FD": 0.0, **dict.fromkeys(_BINARY, b"\0\0\0\0\0\0\0\0"),
    **dict.fromkeys(("US", "SS", "UL", "SL", "UV", "SV"), 0),
}  # fmt: skip
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_PATIENT = frozenset({0x00100010, 0x00100020})


class Plan(Protocol):
    """What a data set is to become: the decisions, made elsewhere."""

    sop_class: str
    pseudonym: str
    moves_times: bool

    def action(self, tag: int, vr: str, sop_class: str, parent: int = 0) -> str:
        """`keep`, `clean`, `empty`, `dummy`, `uid` or `remove`."""

    def is_safe(self, creator: str, tag: int) -> bool:
        """Whether a private attribute stays."""

    def uid(self, value: str) -> str:
        """The replacement of a UID."""

    def moved(self, vr: str, value: str, clock: str = "") -> str:
        """A date, time or moment moved; `clock` is the time that belongs to a date (or, for a time, the date)."""

    def scrubbed(self, text: str) -> str:
        """A retained text without the people of the file."""

    def cleaned(self, text: str) -> str:
        """A free text cleaned."""

    def left_in(self, data: bytes) -> int:
        """How many identifying terms bytes hold."""

    def shows_text(self, bits: bytes, rows: int, columns: int) -> bool:
        """Whether an overlay's bits (one per pixel, least first) show text."""


def apply(dataset: Any, plan: Plan, counts: Counter[tuple[str, str]]) -> None:
    """Change a data set in place; `counts` gathers (keyword, action).

    Raises:
        LimitError: sequences are nested deeper than is safe.
    """
    _apply(dataset, plan, counts, 0, 0)


def _apply(dataset: Any, plan: Plan, counts: Counter[tuple[str, str]], parent: int, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LimitError(
            f"sequences of a DICOM file must be nested at most {MAX_DEPTH} deep: the file is damaged or hostile",
            "limit-depth",
        )
    moved = _moved_pairs(dataset, plan)
    for tag in sorted(dataset.keys()):
        if tag not in dataset:
            continue
        number = int(tag)
        if tag.group % 2:
            _private(dataset, tag, plan, counts)
            continue
        vr, known = _representation(dataset, tag)
        action = (
            plan.action(number, vr, plan.sop_class, parent) if known and tag.element and tag.group > 2 else "remove"
        )
        if action == "keep" and vr not in TEXTS and vr not in _BINARY and vr not in ("SQ", "AS", "DS", "IS"):
            counts[_keyword(number), action] += 1
            continue
        counts[_keyword(number) if known else "unknown", _done(dataset, tag, vr, action, plan, counts, depth)] += 1
        if number in moved and tag in dataset and action == "clean":
            dataset[tag].value = moved[number]
    _drop_empty_overlays(dataset)
    _keep_needed_creators(dataset)


def _done(
    dataset: Any, tag: Any, vr: str, action: str, plan: Plan, counts: Counter[tuple[str, str]], depth: int
) -> str:
    """Carry one action out; gives what was done, which may be stricter than what was asked."""
    number = int(tag)
    if number in _PATIENT and action in ("empty", "dummy") and depth == 0:
        dataset[tag].value = plan.pseudonym
        return action
    if action == "remove" or number >> 16 in range(0x5000, 0x5100):
        del dataset[tag]
        return "remove"
    element = dataset[tag]
    if action == "empty":
        element.value = [] if vr == "SQ" else None if vr not in TEXTS else ""
    elif action == "dummy":
        element.value = _dummy(vr) if vr != "UI" else _mapped(element.value, plan)
    elif vr == "SQ":
        for item in element.value or ():
            _apply(item, plan, counts, number, depth + 1)
    elif action == "uid" or vr == "UI":
        element.value = _mapped(element.value, plan) if action != "keep" else element.value
    elif vr in _DATES:
        element.value = _each(element.value, lambda text: plan.moved(vr, text)) if action == "clean" else element.value
    elif vr in _BINARY:
        return _binary(dataset, tag, plan, action)
    else:
        _text(element, vr, action, plan)
    return action


def _private(dataset: Any, tag: Any, plan: Plan, counts: Counter[tuple[str, str]]) -> None:
    """Private attributes go, but for listed ones in a block of their creator."""
    if 0x10 <= tag.element <= 0xFF:
        return  # creators are looked at when their blocks are done
    creator = dataset.get((tag.group << 16) | (tag.element >> 8))
    name = str(creator.value or "") if creator is not None and tag.element >= 0x1000 else ""
    if name and plan.is_safe(name, int(tag)) and not isinstance(dataset[tag].value, bytes):
        counts["private", "keep"] += 1
        value = dataset[tag].value
        if isinstance(value, str):
            dataset[tag].value = plan.scrubbed(value)
        return
    del dataset[tag]
    counts["private", "remove"] += 1


def _keep_needed_creators(dataset: Any) -> None:
    """Creators of blocks with nothing left go."""
    used = {(tag.group, tag.element >> 8) for tag in dataset.keys() if tag.group % 2 and tag.element >= 0x1000}  # noqa: SIM118
    for tag in [t for t in dataset.keys() if t.group % 2 and 0x10 <= t.element <= 0xFF]:  # noqa: SIM118
        if (tag.group, tag.element) not in used:
            del dataset[tag]


def _representation(dataset: Any, tag: Any) -> tuple[str, bool]:
    """VR of an element without decoding it, and whether the standard knows the attribute."""
    datadict = registry.optional("pydicom.datadict", "imaging")
    item = dataset.get_item(tag)
    known = datadict.dictionary_has_tag(tag) or datadict.repeater_has_tag(int(tag))
    listed = datadict.dictionary_VR(tag) if known else "UN"
    vr = item.VR if item.VR not in (None, "UN") else listed
    return str(vr)[:2] if " or " not in str(vr) else "OW" if "OW" in str(vr) else "US", known


@cache
def _keyword(number: int) -> str:
    datadict = registry.optional("pydicom.datadict", "imaging")
    return datadict.keyword_for_tag(number) or f"{number:08X}"


def _dummy(vr: str) -> Any:
    if vr == "SQ":
        pydicom = registry.optional("pydicom", "imaging")
        return [pydicom.Dataset()]
    return _DUMMIES.get(vr, "REMOVED")


def _each(value: Any, change: Any) -> Any:
    """A change of one value or of each of several."""
    if value is None or value == "":
        return value
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return change(str(value))
    return [change(str(one)) for one in value]


def _mapped(value: Any, plan: Plan) -> Any:
    return _each(value, plan.uid)


def _moved_pairs(dataset: Any, plan: Plan) -> dict[int, str]:
    """Dates and times that belong together, moved together, by tag (only where times move)."""
    if not plan.moves_times:
        return {}
    datadict = registry.optional("pydicom.datadict", "imaging")
    moved: dict[int, str] = {}
    for tag in dataset.keys():  # noqa: SIM118
        word = datadict.keyword_for_tag(tag) if not tag.group % 2 else ""
        other = datadict.tag_for_keyword(word.replace("Date", "Time")) if "Date" in word else None
        if other is None or other == int(tag) or other not in dataset or dataset.get_item(tag).VR not in ("DA", None):
            continue
        day, clock = dataset[tag].value, dataset[other].value
        if isinstance(day, str) and isinstance(clock, str) and day and clock:
            moved[int(tag)], moved[int(other)] = plan.moved("DA", day, clock), plan.moved("TM", day, clock)
    return moved


def _text(element: Any, vr: str, action: str, plan: Plan) -> None:
    """A retained or cleaned text; ages above 89 become 90, as rules on health data ask."""
    if vr == "PN" and action == "clean":
        element.value = ""
        return
    if vr == "AS":
        text = str(element.value or "")
        if text[3:4] == "Y" and text[:3].isdigit() and int(text[:3]) > 89:
            element.value = "090Y"
        return
    if vr in ("AE", "UR") and action == "clean":
        element.value = _DUMMIES[vr]
        return
    change = plan.cleaned if action == "clean" else plan.scrubbed
    if vr in ("DS", "IS", "AS"):
        if any(change(str(one)) != str(one) for one in _listed(element)):
            element.value = None
    elif vr in TEXTS:
        changed = _each(element.value, lambda text: _fit(change(text), vr))
        if changed != element.value:
            element.value = changed


def _listed(element: Any) -> list[Any]:
    value = element.value
    if value is None:
        return []
    return [getattr(v, "original_string", v) for v in (value if element.VM > 1 else [value])]


def _fit(text: str, vr: str) -> str:
    return text[: _LENGTHS[vr]] if vr in _LENGTHS else text


def _binary(dataset: Any, tag: Any, plan: Plan, action: str) -> str:
    """Bytes: an overlay stays if it shows no text, other things if no term is in them; pixels are tested elsewhere."""
    number = int(tag)
    if number in _PIXELS:
        return "keep"
    value = dataset[tag].value
    if number >> 16 in range(0x6000, 0x6100) and number & 0xFFFF == 0x3000:
        rows, columns = (dataset.get((number & 0xFFFF0000) | e) for e in (0x10, 0x11))
        known = rows is not None and columns is not None and isinstance(value, bytes)
        if not known or plan.shows_text(value, int(rows.value), int(columns.value)):
            del dataset[tag]
            return "remove"
    elif isinstance(value, bytes) and plan.left_in(value):
        del dataset[tag]
        return "remove"
    return action


def _drop_empty_overlays(dataset: Any) -> None:
    """An overlay plane without its data says nothing: its other attributes go with it."""
    groups = {tag.group for tag in dataset.keys() if 0x6000 <= tag.group <= 0x60FF}  # noqa: SIM118
    for group in (g for g in groups if (g << 16 | 0x3000) not in dataset):
        for tag in [t for t in dataset.keys() if t.group == group]:  # noqa: SIM118
            del dataset[tag]
