"""What a column is for, as far as header and repeats tell: identifiers, units, sites, times, what to pass over."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from osler.cohort.column import Column
from osler.cohort.facts import Facts
from osler.cohort.names import words

PERSON = frozenset(
    {"patient", "patients", "subject", "subj", "person", "participant", "individual", "pat", "member", "case"}
)
_PERSON_NAMES = frozenset({
    "pid", "pidnum", "randid", "mrn", "ptid", "subjectid", "subjid", "usubjid", "patientid", "personid", "patientnbr",
    "patno", "ptno", "pat", "nhsnumber", "ssn", "cpr", "hadmpatient", "seqn", "memberid", "studyid", "sid", "empi",
})  # fmt: skip
_ID_WORDS = frozenset({
    "id", "ids", "identifier", "pmid", "doi", "mrn", "nbr", "uuid", "guid", "accession", "barcode", "uid", "key",
    "recordid", "rowid",
    "rownames", "rownum", "index", "record",
})  # fmt: skip
#: Words that end in "id" but are no identifiers.
_NOT_ID = re.compile(
    r"(acid|thyroid|steroid|covid|lipid|fluid|opioid|typhoid|rapid|valid|solid|carotid|amyloid|hybrid|plasmid"
    r"|hemorrhoid|rheumatoid|lymphoid|sarcoid|hypochondroid|keloid|cuboid|sigmoid|deltoid|nevoid)$"
    r"|^(avoid|void|mid|did|bid|qid|tid|said|paid|aid|rid|grid|maid|raid|braid|skid)$"
)
_DIRECT = frozenset({
    "surname", "lastname", "firstname", "forename", "givenname", "familyname", "fullname", "patientname", "email",
    "mail", "phone", "telephone", "mobile", "address", "street", "ssn", "nhsnumber", "passport",
})  # fmt: skip
_SITE = frozenset({"hospital", "centre", "center", "clinic", "institution", "facility"})
_SITE_NAMES = frozenset({
    "hospitalid", "siteid", "centerid", "centreid", "clinicid", "studysite", "hospitalname", "clinicname", "sitename",
    "institutionid", "facilityid", "studycenter", "studycentre",
})  # fmt: skip
_CODE = frozenset({"code", "cd", "icd", "icd9", "icd10", "type", "group", "category", "class", "status", "source"})
_TIME_LIKE = frozenset(
    {"time", "day", "days", "week", "month", "year", "age", "date", "visit", "period", "hour", "minute"}
)
_VISIT = frozenset({
    "admittime", "admitdate", "admissiondate", "admission", "visitdate", "indexdate", "date", "encounterdate",
    "visitstart", "enrolmentdate", "enrollmentdate", "baselinedate", "collectiondate", "specimencollectiondate",
    "startdate", "time", "timestamp", "datetime", "scandate", "studydate", "referraldate", "index",
})  # fmt: skip
_BIRTH = frozenset({"dob", "birthdate", "dateofbirth", "birth", "birthday"})


def role_of(facts: Facts, column: Column) -> tuple[str, str]:
    """The role of one column by itself and the reason; ("", "") where nothing speaks against an input."""
    parts, name = words(facts.name), "".join(words(facts.name))
    if facts.n_present == 0:
        return "ignore", "every value is missing"
    if facts.distinct == 1:
        return "ignore", "constant: one value in every row that has one"
    if column.modality == "date":
        return _date_role(name)
    if name in _DIRECT or (name == "name" and facts.distinct > 0.5 * facts.n_present):
        return "id", "names a person directly (a name, an address, a number of theirs)"
    if _could_identify(facts):
        found = _identifier(facts, parts, name)
        if found:
            return found
    repeats = column.modality == "category" and 2 <= facts.distinct <= 200 and facts.rows_per_value >= 5
    if repeats and (name in _SITE or name in _SITE_NAMES or (name == "site" and _is_site_code(facts))):
        return "site", "the header names the place of care, and each place has several rows"
    return "", ""


def settle_units(columns: list[Column], facts: dict[str, Facts]) -> list[Column]:
    """One unit at most: of several, a person before a plain id, then the one with fewest values; the rest become ids.

    Where no column names a person and exactly one identifier repeats, its rows are kept together: that is never
    wrong, only sometimes cautious.
    """
    candidates = [c for c in columns if c.role == "unit"]
    if not candidates:
        again = [c for c in columns if c.role == "id" and _repeats(facts[c.name])]
        if len(again) == 1:
            reason = f"{again[0].reason}; the only identifier that repeats, so rows that share it stay together"
            return [c.with_(role="unit", reason=reason) if c is again[0] else c for c in columns]
        return columns
    chosen = min(candidates, key=lambda c: (not _names_person(words(c.name)), facts[c.name].distinct))
    return [
        c.with_(role="id", reason=f"an identifier that repeats, within the unit '{chosen.name}'")
        if c.role == "unit" and c is not chosen
        else c
        for c in columns
    ]


def settle_times(columns: list[Column]) -> list[Column]:
    """One time at most: the first date whose header names a visit; the others are passed over."""
    times = [c for c in columns if c.role == "time"]
    return [
        c.with_(role="ignore", reason=f"a date beside the time of the row, '{times[0].name}'") if c in times[1:] else c
        for c in columns
    ]


def _date_role(name: str) -> tuple[str, str]:
    if name in _BIRTH:
        return "input", "a date of birth"
    if name in _VISIT or any(name.startswith(v) for v in ("admit", "admission", "visit", "index")):
        return "time", "the header names the time of the row"
    return "ignore", "a date that may lie after the prediction: make it an input or the time if it is known by then"


def _could_identify(facts: Facts) -> bool:
    """Whether the values are codes: whole numbers or single words, not measurements and not sentences."""
    if facts.words is not None:
        return float(facts.words.str.contains(r"\s").mean() or 0.0) < 0.2 and (facts.whole or facts.numeric < 0.9)
    return facts.whole and facts.numeric == 1.0


def _identifier(facts: Facts, parts: tuple[str, ...], name: str) -> tuple[str, str] | None:
    person, plain = _names_person(parts), _names_id(parts, name)
    if not parts or name.startswith("unnamed"):
        plain = facts.is_unique
    few = facts.distinct <= 50 and facts.rows_per_value >= 20 and not person
    if (person or plain) and not few:
        if facts.is_unique:
            return "id", "the header names an identifier and no value repeats"
        if person and not set(parts) & _CODE and _repeats(facts):
            return "unit", _unit_reason(facts, "the header names a person")
        if plain and name in ("id", "ids") and _repeats(facts):
            return "unit", _unit_reason(facts, "the header is 'id'")
        if plain and facts.distinct >= 10 and not (set(parts) & _CODE and facts.rows_per_value > 20):
            return "id", f"the header names an identifier; {facts.distinct:,} values"
    if facts.is_unique and facts.n_present >= 20 and _is_counter(facts) and not set(parts) & _TIME_LIKE:
        return "id", "a running number: whole, unique and in steps of one"
    if facts.words is not None and facts.is_unique and facts.n_present >= 20 and _looks_like_code(facts):
        return "id", "a code that never repeats"
    return None


def _unit_reason(facts: Facts, start: str) -> str:
    return f"{start} and values repeat: {facts.distinct:,} in {facts.n_present:,} rows"


def _repeats(facts: Facts) -> bool:
    return not facts.is_unique and facts.distinct >= 2


def _names_person(parts: tuple[str, ...]) -> bool:
    if "".join(parts) in _PERSON_NAMES:
        return True
    if not parts or (not set(parts) & PERSON and not any(p.startswith(("patient", "subject")) for p in parts)):
        return False
    return len(parts) == 1 or bool(set(parts) & _ID_WORDS) or any(p.endswith("id") for p in parts)


def _names_id(parts: tuple[str, ...], name: str) -> bool:
    if set(parts) & _ID_WORDS or name in _PERSON_NAMES:
        return True
    if (
        parts
        and parts[0] in ("sample", "record", "row", "specimen", "encounter")
        and parts[-1] in ("code", "no", "number", "num")
    ):
        return True
    return bool(parts) and len(parts[-1]) > 2 and parts[-1].endswith("id") and not _NOT_ID.search(parts[-1])


def _is_counter(facts: Facts) -> bool:
    x = np.sort(facts.finite)
    return len(x) == facts.n_present and x[0] in (0.0, 1.0) and bool((np.diff(x) == 1.0).all())


def _looks_like_code(facts: Facts) -> bool:
    text = facts.words
    return bool((text.str.contains(r"\d") & (text.str.len_chars() >= 4) & ~text.str.contains(r"\s")).mean() >= 0.99)


def _is_site_code(facts: Facts) -> bool:
    if facts.words is None:
        return facts.whole
    return bool(facts.words.str.contains(r"(?i)^(site|centre|center|hospital|clinic)?[ _-]?[a-z]{0,3}\d{0,4}$").all())


def has_leading_zeros(text: pl.Series | None) -> bool:
    """Whether whole numbers are written with leading zeros, as codes are: "0042" (5 % of the distinct values)."""
    if text is None or not len(text):
        return False
    return float(text.str.contains(r"^0\d+$").mean()) >= 0.05
