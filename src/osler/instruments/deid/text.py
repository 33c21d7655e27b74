"""Free text without the people, numbers and places that other attributes of the same patient name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: What stands where something was.
GONE = "#"
#: Parts of names that are words of every report.
_TITLES = frozenset(
    "dr prof mr mrs ms miss med dipl phd the and von van der den del dos unknown anonymous anonymized none "  # noqa: SIM905
    "not available test patient name doctor".split()
)
_PATTERNS = (
    re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    re.compile(r"(?:https?|ftp)://\S+", re.I),
    re.compile(r"\b(?:dr|prof|mr|mrs|ms|herr|frau|mme|sr|sra)\b\.?\s+(?:\w\.\s*)?[^\W\d_][\w'’-]+", re.I),
    re.compile(r"\b\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b"),
    re.compile(r"(?<![\w.])\+?\d[\d ()/-]{6,}\d(?![\w.])"),
    re.compile(r"(?<![\d.])\d{6,}(?![\d.])"),
)


class Terms:
    """Words that must not appear, gathered from a patient's files.

    Args:
        names: values of person names; their parts count.
        phrases: identifiers, addresses, institutions; they count whole.
        births: dates of birth as DICOM writes them; they count in the usual spellings.
    """

    def __init__(self, names: Iterable[str], phrases: Iterable[str], births: Iterable[str] = ()) -> None:
        self.words = frozenset(_variants(part for name in names for part in _parts(name)))
        long = {p.strip() for p in phrases if _tells(p.strip())} | {f for b in births for f in _spelled(b)}
        self.phrases = frozenset(_variants(long))
        every = sorted(self.words | self.phrases, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_bounded, every)), re.I) if every else None
        self._bytes = [(form, t.isascii() and not any(c.isalpha() for c in t)) for t in every if len(t) >= 5
                       for form in _encoded(t)]  # fmt: skip

    def scrubbed(self, text: str) -> str:
        """A text without the terms."""
        return self._pattern.sub(GONE, text) if self._pattern else text

    def cleaned(self, text: str) -> str:
        """A text without the terms and without what looks like dates, numbers of people, addresses and titled names."""
        for pattern in _PATTERNS:
            text = pattern.sub(GONE, text)
        return self.scrubbed(text)

    def left_in(self, data: bytes) -> int:
        """How many terms of five letters or more appear in bytes as ASCII, Latin-1, UTF-8 or UTF-16."""
        lower = data.lower()
        return sum(_found(lower, form, is_number) for form, is_number in self._bytes)


def _parts(name: str) -> list[str]:
    parts = re.split(r"[\^=,;\s]+", name)
    shortest = [(p, 3 if p.isascii() else 2) for p in (part.strip(".()[]\"'") for part in parts)]
    return [p for p, least in shortest if len(p) >= least and p.lower() not in _TITLES and not p.isdigit()]


def _tells(phrase: str) -> bool:
    """Whether a phrase points at somebody: six digits, five characters with a digit among letters, or eight of any kind."""
    if phrase.isdigit():
        return len(phrase) >= 6
    return len(phrase) >= 8 or (len(phrase) >= 5 and any(c.isdigit() for c in phrase))


def _spelled(birth: str) -> list[str]:
    if not re.fullmatch(r"\d{8}", birth.strip()):
        return []
    y, m, d = birth.strip()[:4], birth.strip()[4:6], birth.strip()[6:]
    return [
        f"{y}{m}{d}",
        f"{y}-{m}-{d}",
        f"{d}.{m}.{y}",
        f"{d}/{m}/{y}",
        f"{m}/{d}/{y}",
        f"{d}-{m}-{y}",
        f"{y}.{m}.{d}",
        f"{d}{m}{y}",
    ]


def _variants(terms: Iterable[str]) -> set[str]:
    """Terms as they are, without accents, with German letters spelled out, and read in a wrong character set."""
    found: set[str] = set()
    for term in terms:
        plain = "".join(c for c in unicodedata.normalize("NFKD", term) if not unicodedata.combining(c))
        spelled = term
        for letter, two in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("Ä", "Ae"), ("Ö", "Oe"), ("Ü", "Ue")):
            spelled = spelled.replace(letter, two)
        misread = term.encode("utf-8", "ignore").decode("latin-1")
        found |= {term, plain, spelled, misread} - {""}
    return found


def _bounded(term: str) -> str:
    """A pattern: numbers stand alone among digits and points, short words stand alone, long ones anywhere."""
    if not any(c.isalpha() for c in term):
        return rf"(?<![\d.]){re.escape(term)}(?![\d.])"
    return re.escape(term) if len(term) >= 5 else rf"(?<![^\W_]){re.escape(term)}(?![^\W_])"


def _encoded(term: str) -> set[bytes]:
    """A term's bytes in every spelling and encoding, with the ASCII letters small as `bytes.lower` makes them."""
    forms: set[bytes] = set()
    for spelled in (term.lower(), term.upper()):
        for encoding in ("latin-1", "utf-8", "utf-16-le", "utf-16-be"):
            forms.add(spelled.encode(encoding, "ignore").lower())
    return {form for form in forms if len(form) >= 5}


def _found(data: bytes, form: bytes, is_number: bool) -> bool:
    """Whether a form appears; a number only where no digit or point goes on."""
    at = data.find(form)
    while at >= 0 and is_number:
        step = 2 if b"\0" in form else 1
        around = data[max(at - step, 0) : at] + data[at + len(form) : at + len(form) + step]
        if not any(c in b"0123456789." for c in around):
            return True
        at = data.find(form, at + 1)
    return at >= 0
