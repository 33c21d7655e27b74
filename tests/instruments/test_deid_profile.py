"""The table of the profile and its options; expected actions are rows of PS3.15 Table E.1-1 read by eye."""

from __future__ import annotations

import pytest

from osler.errors import OptionError
from osler.instruments.deid.profile import OPTIONS, Profile, attributes, edition

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
RT_PLAN = "1.2.840.10008.5.1.4.1.1.481.5"


def test_the_table_is_whole_and_names_its_edition():
    rows = attributes()
    assert "2024b" in edition()
    assert len(rows) == 621
    codes = {row.split()[0] for row in rows.values()}
    assert codes == {"X", "Z", "D", "U", "X/D", "X/Z", "X/Z/D", "Z/D", "X/Z/U*"}
    named = {cell.split(":")[0] for row in rows.values() for cell in row.split()[1:]}
    assert named == set(OPTIONS)


@pytest.mark.parametrize(
    ("tag", "vr", "keep", "action"),
    [
        (0x00100010, "PN", (), "empty"),  # Patient's Name: Z
        (0x00104000, "LT", (), "remove"),  # Patient Comments: X
        (0x00080018, "UI", (), "uid"),
        (0x00080018, "UI", ("uids",), "keep"),
        (0x0040A123, "PN", (), "dummy"),  # Person Name: D
        (0x00080020, "DA", (), "empty"),  # Study Date: Z
        (0x00080020, "DA", ("dates",), "clean"),
        (0x00080020, "DA", ("full-dates",), "keep"),
        (0x00081030, "LO", (), "remove"),
        (0x00081030, "LO", ("descriptors",), "clean"),
        (0x00101010, "AS", (), "remove"),
        (0x00101010, "AS", ("characteristics",), "keep"),
        (0x00102110, "LO", ("characteristics",), "clean"),  # Allergies: C under both options
        (0x00080080, "LO", ("institution",), "keep"),
        (0x00181000, "LO", ("devices",), "keep"),
        (0x0018700C, "DA", ("devices", "dates"), "clean"),  # cleaning goes before keeping
        (0x00280010, "US", (), "keep"),  # Rows: not in the table
        (0x00080070, "LO", (), "keep"),  # Manufacturer
        (0x50000010, "US", (), "remove"),  # curves
        (0x60023000, "OW", (), "remove"),  # overlay data of any plane
        (0x60023000, "OW", ("graphics",), "clean"),
        (0x60020010, "US", (), "keep"),
        (0x0040A730, "SQ", (), "dummy"),  # Content Sequence: D
        (0x0040A730, "SQ", ("structured",), "clean"),
    ],
)
def test_actions(tag: int, vr: str, keep: tuple[str, ...], action: str):
    assert Profile(keep).action(tag, vr, CT) == action


@pytest.mark.parametrize(
    ("tag", "vr", "sop_class", "parent", "action"),
    [
        (0x00080021, "DA", CT, 0, "remove"),  # Series Date X/D, type 3 in CT
        (0x00080023, "DA", CT, 0, "empty"),  # Content Date Z/D, type 2C in CT
        (0x00080023, "DA", ENHANCED_CT, 0, "dummy"),  # type 1 in an enhanced image
        (0x00180010, "LO", CT, 0, "empty"),  # Contrast/Bolus Agent Z/D, type 2
        (0x300A0006, "DA", RT_PLAN, 0, "dummy"),  # RT Plan Date X/D, type 2 in RT General Plan: needs to be there
        (0x300A0006, "DA", CT, 0, "remove"),
        (0x00080080, "LO", CT, 0x00081049, "dummy"),  # Institution Name, type 1C in an identification sequence
        (0x00080080, "LO", CT, 0, "remove"),
        (0x00100020, "LO", CT, 0x00101002, "dummy"),  # Patient ID, type 1 in Other Patient IDs
        (0x00080023, "DA", "1.2.3.4", 0, "dummy"),  # an unknown class: the strictest type of any
    ],
)
def test_compound_actions_follow_the_type_of_the_attribute(tag: int, vr: str, sop_class: str, parent: int, action: str):
    assert Profile(()).action(tag, vr, sop_class, parent) == action


def test_what_the_table_does_not_list_is_protected_by_its_representation():
    basic, dated, kept = Profile(()), Profile(("dates",)), Profile(("full-dates", "uids"))
    gain = 0x00144056 if "00144056" not in attributes() else 0x001440A0
    assert [p.action(gain, "DA", CT) for p in (basic, dated, kept)] == ["empty", "clean", "keep"]
    assert basic.action(0x300E00F0, "PN", CT) == "empty"
    assert basic.action(0x00041500, "AE", CT) == "remove"
    assert (basic.action(0x00282000 + 1, "UI", CT), kept.action(0x00282001, "UI", CT)) == ("uid", "keep")
    assert basic.action(0x00080016, "UI", CT) == "keep"


def test_options_that_cannot_be():
    with pytest.raises(OptionError, match="did you mean 'dates'"):
        Profile(("date",))
    with pytest.raises(OptionError, match="dates or full-dates"):
        Profile(("dates", "full-dates"))


def test_codes_and_stamps():
    profile = Profile(("uids", "dates"))
    assert [code for code, _ in profile.codes()] == ["113100", "113107", "113110"]
    assert (profile.temporal, Profile(()).temporal, Profile(("full-dates",)).temporal) == (
        "MODIFIED",
        "REMOVED",
        "UNMODIFIED",
    )


def test_safe_private_attributes_are_those_of_the_listed_creator():
    kept = Profile(("safe-private",))
    assert kept.is_safe("Philips PET Private Group", 0x70531000)  # SUV factor, in any block
    assert kept.is_safe("Philips PET Private Group", 0x7053A009)
    assert not kept.is_safe("Philips PET Private Group", 0x70531002)
    assert not kept.is_safe("SOMEBODY ELSE", 0x70531000)
    assert not Profile(()).is_safe("Philips PET Private Group", 0x70531000)
