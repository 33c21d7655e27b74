"""Pseudonyms, moved dates and cleaned texts; expected dates are counted by hand."""

from __future__ import annotations

import os
import stat
import uuid
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from osler.errors import OptionError, ReadError
from osler.instruments.deid import dates
from osler.instruments.deid.pseudonyms import Pseudonyms, key_at
from osler.instruments.deid.text import Terms

KEY = bytes(range(32))


def test_uids_are_the_same_again_and_other_under_another_key():
    one, other = Pseudonyms(KEY), Pseudonyms(KEY[::-1])
    first = one.uid("1.2.3.4")
    assert first == Pseudonyms(KEY).uid("1.2.3.4") == one.uid(" 1.2.3.4\0")
    assert first != other.uid("1.2.3.4") and first != one.uid("1.2.3.5")
    assert first.startswith("2.25.") and len(first) <= 64
    assert uuid.UUID(int=int(first[5:])).version == 4


def test_ten_thousand_uids_stay_apart_and_valid():
    made = {Pseudonyms(KEY).uid(f"1.2.{i}") for i in range(10_000)}
    assert len(made) == 10_000
    assert all(u.replace(".", "").isdigit() and not u.split(".")[2].startswith("0") for u in made)


def test_registered_uids_stay():
    assert Pseudonyms(KEY).uid("1.2.840.10008.1.4.1.1") == "1.2.840.10008.1.4.1.1"


def test_spans_go_back_30_days_to_ten_years():
    spans = [Pseudonyms(KEY).span(str(i)) for i in range(2000)]
    assert all(timedelta(days=-3650) <= s <= timedelta(days=-30) for s in spans)
    assert all(s.seconds == 0 for s in spans)
    assert len(set(spans)) > 1000
    assert all(Pseudonyms(KEY, weekdays=True).span(str(i)).days % 7 == 0 for i in range(200))
    assert any(Pseudonyms(KEY, times=True).span(str(i)).seconds for i in range(5))


def test_the_key_file_is_private_and_read_again(tmp_path: Path):
    path = tmp_path / "deep" / "my.key"
    key = key_at(path)
    assert len(key) == 32 and key == key_at(path) and key != key_at(tmp_path / "other.key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_a_key_that_others_may_read_is_refused(tmp_path: Path):
    key_at(tmp_path / "k")
    (tmp_path / "k").chmod(0o644)
    with pytest.raises(OptionError, match="chmod 600"):
        key_at(tmp_path / "k")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"key": "zz"}', '{"key": "00"}'])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str):
    (tmp_path / "k").write_text(text)
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(ReadError, match="name another"):
        key_at(tmp_path / "k")


@pytest.mark.parametrize(
    ("text", "days", "moved"),
    [
        ("20240301", -1, "20240229"), ("20230301", -1, "20230228"), ("20200101", -366, "20181231"), ("2024.03.01", -1, "20240229"),
        ("", -1, ""), ("unknown", -1, ""), ("20241301", -1, ""), ("00010101", -1, ""), ("20240101-20240105", -1, ""),
    ],
)  # fmt: skip
def test_dates(text: str, days: int, moved: str):
    assert dates.moved_date(text, timedelta(days=days)) == moved


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("233000", "003000"), ("233000.123456", "003000.123456"), ("2330", "0030"), ("23", "00"), ("10:15:30", "111530"), ("99", ""), ("", ""),
    ],
)  # fmt: skip
def test_times_pass_midnight(text: str, moved: str):
    assert dates.moved_time(text, timedelta(days=-3, hours=1)) == moved


def test_a_date_goes_on_with_its_time():
    hour = timedelta(hours=1)
    assert dates.moved_pair("20231231", "233000.5", hour) == ("20240101", "003000.5")
    assert dates.moved_pair("20231231", "223000", hour) == ("20231231", "233000")
    assert dates.moved_pair("20240101", "003000", -hour) == ("20231231", "233000")
    assert dates.moved_pair("20240101", "noon", -hour) == ("20231231", "")


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20240301101500", "20240229101500"), ("20240301101500.25+0100", "20240229101500.25+0100"), ("20240301", "20240229"),
        ("202403", "202403"), ("2024", "2024"), ("202403011015-0500", "202402291015-0500"), ("soon", ""), ("20240230", ""),
    ],
)  # fmt: skip
def test_moments_keep_precision_and_zone(text: str, moved: str):
    assert dates.moved_moment(text, timedelta(days=-1)) == moved


def test_intervals_are_exact_over_a_thousand_random_pairs():
    rng, span = np.random.default_rng(3), timedelta(days=-1234, minutes=-77)
    for a, b in rng.integers(0, 86_400 * 9000, (1000, 2)):
        first, second = (datetime(1999, 1, 1) + timedelta(seconds=int(s)) for s in (a, b))
        moved = [
            datetime.strptime("".join(dates.moved_pair(f"{t:%Y%m%d}", f"{t:%H%M%S}", span)), "%Y%m%d%H%M%S")
            for t in (first, second)
        ]
        assert moved[1] - moved[0] == second - first
        assert date.fromisoformat(dates.moved_moment(f"{first:%Y%m%d%H%M%S}", span)[:8]) == moved[0].date()


PEOPLE = Terms(
    ["Kwiatkowski^Wilhelmina", "Überreuter^Jo^^Dr"], ["MRN4711", "St. Mirabilis Hospital", "12", "471100"], ["19570312"]
)


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("chest of KWIATKOWSKI", "chest of #"), ("for Wilhelmina's knee", "for #'s knee"), ("uberreuter, ueberreuter", "#, #"),
        ("id mrn4711.", "id #."), ("born 12.03.1957", "born #"), ("born 1957-03-12", "born #"), ("12 slices", "12 slices"),
        ("st. mirabilis hospital", "#"), ("thorax AP", "thorax AP"), ("value 1471100", "value 1471100"), ("value 471100", "value #"),
        ("Dr of the year", "Dr of the year"),
    ],
)  # fmt: skip
def test_texts_lose_the_people_of_the_file(text: str, scrubbed: str):
    assert PEOPLE.scrubbed(text) == scrubbed


def test_names_in_a_wrong_character_set_are_found():
    assert PEOPLE.scrubbed("Überreuter".encode().decode("latin-1")) == "#"


@pytest.mark.parametrize(
    "text",
    [
        "call +49 555 1234567",
        "seen 3/4/2021",
        "mail a.b@c.example",
        "Dr. Barnabas reads",
        "id 12345678",
        "http://x.example/1",
    ],
)
def test_cleaning_takes_what_looks_identifying(text: str):
    cleaned = PEOPLE.cleaned(text)
    assert "#" in cleaned and not any(word in cleaned for word in ("1234567", "3/4", "a.b@", "Barnabas", "x.example"))


@pytest.mark.parametrize("text", ["T1 MPRAGE 1.0 mm iso", "axial 3 mm, 120 kV", "t2_tse_tra_512", "FOV 220x220"])
def test_cleaning_leaves_what_describes(text: str):
    assert PEOPLE.cleaned(text) == text


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16-le", "utf-16-be"])
def test_bytes_are_searched_in_four_encodings(encoding: str):
    for word in ("KWIATKOWSKI", "überREUTER", "ÜBERREUTER", "mrn4711"):
        assert PEOPLE.left_in(b"\x01\x02" + word.encode(encoding) + b"\x03")
    assert not PEOPLE.left_in("somebody else".encode(encoding))


def test_numbers_count_only_on_their_own():
    assert PEOPLE.left_in(b"x 471100 y") and not PEOPLE.left_in(b"1.2.471100.5") and not PEOPLE.left_in(b"14711009")


def test_nobody_named_nothing_scrubbed():
    assert Terms([], []).scrubbed("Anna") == "Anna" and Terms(["^^^", "Dr"], [""]).left_in(b"Dr") == 0
