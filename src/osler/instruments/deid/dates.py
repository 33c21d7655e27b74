"""Dates and times of DICOM, moved by one span: the intervals between them stay."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})$")
_TIME = re.compile(r"(\d{2}):?(?:(\d{2}):?(?:(\d{2})(\.\d{1,6})?)?)?$")
_MOMENT = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\.\d{1,6})?([+-]\d{4})?$")


def moved_date(text: str, span: timedelta) -> str:
    """A DA value moved by whole days of `span`; empty where it is no date."""
    match = _DATE.match(text.strip())
    try:
        return f"{date(*map(int, match.groups())) + timedelta(days=span.days):%Y%m%d}".rjust(8, "0") if match else ""
    except (ValueError, OverflowError):
        return ""


def moved_time(text: str, span: timedelta) -> str:
    """A TM value moved by the part of `span` that is less than a day, past midnight if need be; empty where it is no time."""
    return moved_pair("20000101", text, timedelta(seconds=span.seconds))[1]


def moved_pair(day: str, clock: str, span: timedelta) -> tuple[str, str]:
    """A DA value and the TM value that belongs to it, moved together: past midnight the date moves on."""
    matched, spoken = _DATE.match(day.strip()), _TIME.match(clock.strip())
    if not matched or not spoken:
        return moved_date(day, span), ""
    hour, minute, second, fraction = spoken.groups()
    try:
        start = datetime.combine(
            date(*map(int, matched.groups())), time(int(hour), int(minute or 0), min(int(second or 0), 59))
        )
        moved = start + span
    except (ValueError, OverflowError):
        return "", ""
    shown = f"{moved:%H%M%S}"[: 2 * sum(part is not None for part in (hour, minute, second))]
    return f"{moved:%Y%m%d}".rjust(8, "0"), shown + (fraction or "")


def moved_moment(text: str, span: timedelta) -> str:
    """A DT value moved by `span`, as precise as it was and in its own zone; empty where it is no moment."""
    match = _MOMENT.match(text.strip())
    if not match:
        return ""
    *parts, fraction, zone = match.groups()
    given = [p for p in parts if p is not None]
    middle = [*given, *("0001", "07", "15", "12", "30", "30")[len(given) :]]
    try:
        year, month, day, hour, minute, second = map(int, middle)
        moved = datetime(year, month, day, hour, minute, min(second, 59)) + span
    except (ValueError, OverflowError):
        return ""
    return f"{moved:%Y%m%d%H%M%S}".rjust(14, "0")[: 4 + 2 * (len(given) - 1)] + (fraction or "") + (zone or "")
