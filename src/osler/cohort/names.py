"""What a header says: its words, and the unit of measurement written into it."""

from __future__ import annotations

import re

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[a-z]{2})(?=[A-Z]{2})")
_SPLIT = re.compile(r"[^0-9a-zA-Z%µμ°]+")
_BRACKET = re.compile(r"^(?P<name>.*?)\s*[\(\[]\s*(?P<unit>[^()\[\]]{1,20})\s*[\)\]]\s*$")

#: Units as they are written in headers, by their spelling without case, spaces, dots and underscores.
UNITS: dict[str, str] = {
    "mgdl": "mg/dL", "mg/dl": "mg/dL", "gdl": "g/dL", "g/dl": "g/dL", "gl": "g/L", "g/l": "g/L", "mgl": "mg/L",
    "mg/l": "mg/L", "mmoll": "mmol/L", "mmol/l": "mmol/L", "mmolmol": "mmol/mol", "mmol/mol": "mmol/mol",
    "umoll": "µmol/L", "umol/l": "µmol/L", "µmol/l": "µmol/L", "micromoll": "µmol/L", "nmoll": "nmol/L",
    "nmol/l": "nmol/L", "pmoll": "pmol/L", "pmol/l": "pmol/L", "meql": "mmol/L", "meq/l": "mmol/L",
    "ngml": "ng/mL", "ng/ml": "ng/mL", "ngl": "ng/L", "ng/l": "ng/L", "pgml": "pg/mL", "pg/ml": "pg/mL",
    "ul": "U/L", "u/l": "U/L", "iul": "U/L", "iu/l": "U/L", "uiuml": "µU/mL", "uuml": "µU/mL", "µu/ml": "µU/mL",
    "miul": "mIU/L", "miu/l": "mIU/L", "uiu/ml": "µU/mL", "uu/ml": "µU/mL",
    "mmhg": "mmHg", "kpa": "kPa", "bpm": "/min", "/min": "/min", "permin": "/min", "kg": "kg", "kgs": "kg",
    "lb": "lb", "lbs": "lb", "g": "g", "mg": "mg", "mcg": "µg", "ug": "µg", "µg": "µg", "cm": "cm", "mm": "mm",
    "m": "m", "inch": "in", "inches": "in", "in": "in", "kgm2": "kg/m²", "kg/m2": "kg/m²", "kg/m^2": "kg/m²",
    "kg/m²": "kg/m²", "m2": "m²", "years": "years", "yrs": "years", "yr": "years", "year": "years", "y": "years",
    "months": "months", "weeks": "weeks", "wks": "weeks", "days": "days", "day": "days", "hours": "h", "hrs": "h",
    "hr": "h", "h": "h", "minutes": "min", "mins": "min", "min": "min", "seconds": "s", "sec": "s", "s": "s",
    "celsius": "°C", "degc": "°C", "°c": "°C", "c": "°C", "fahrenheit": "°F", "degf": "°F", "°f": "°F", "f": "°F",
    "pct": "%", "percent": "%", "%": "%", "ml": "mL", "l": "L", "litres": "L", "mlmin": "mL/min",
    "ml/min": "mL/min", "ml/min/1.73m2": "mL/min/1.73 m²", "mlmin173m2": "mL/min/1.73 m²", "mm/h": "mm/h",
    "mmh": "mm/h", "mm/hr": "mm/h", "109l": "10⁹/L", "10^9/l": "10⁹/L", "10e9/l": "10⁹/L", "x10^9/l": "10⁹/L",
    "1012l": "10¹²/L", "10^12/l": "10¹²/L", "k/ul": "10⁹/L", "k/µl": "10⁹/L", "/ul": "/µL", "/µl": "/µL",
    "cells/ul": "/µL", "cells/mm3": "/µL", "/mm3": "/µL", "fl": "fL", "pg": "pg", "ms": "ms", "msec": "ms",
    "mv": "mV", "mosmkg": "mOsm/kg", "mosm/kg": "mOsm/kg", "ug/dl": "µg/dL", "ugdl": "µg/dL", "ug/l": "µg/L",
    "ugl": "µg/L", "µg/l": "µg/L", "iu": "IU", "mcg/ml": "µg/mL", "ug/ml": "µg/mL",
}  # fmt: skip

#: One-letter spellings are units only inside brackets: "age_y" is one, "vitamin_c" is not.
_ONLY_IN_BRACKETS = {"c", "f", "m", "g", "s", "h", "l", "y", "in", "ul", "gl", "day", "year", "min", "iu", "pg", "fl"}


def words(header: str) -> tuple[str, ...]:
    """The words of a header in lower case: "BL.Diab.Type" → ("bl", "diab", "type"), "patientId" → ("patient", "id")."""
    return tuple(w.lower() for part in _SPLIT.split(header) for w in _CAMEL.split(part) if w)


def unit_of(header: str) -> tuple[str, str]:
    """The quantity's name and its unit: "Hb [g/dL]" → ("Hb", "g/dL"), "chol_mg_dl" → ("chol", "mg/dL"); "" if none."""
    found = _BRACKET.match(header)
    if found and found["name"].strip():
        unit = _spelling(found["unit"])
        if unit in UNITS:
            return found["name"].strip(), UNITS[unit]
    parts = [p for p in re.split(r"[_\s.]+", header) if p]
    for take in (3, 2, 1):
        if len(parts) > take:
            tail = _spelling("".join(parts[-take:]))
            if tail in UNITS and tail not in _ONLY_IN_BRACKETS:
                return " ".join(parts[:-take]), UNITS[tail]
    return header, ""


def _spelling(text: str) -> str:
    return re.sub(r"[\s_]+|\.(?!73)", "", text).replace("μ", "µ").lower()
