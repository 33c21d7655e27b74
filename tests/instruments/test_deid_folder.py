"""Whole runs of `osler deid` on small files; expected values follow from the rows of Table E.1-1 or are counted by hand."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osler.cli import main
from osler.errors import OptionError, ReadError
from osler.instruments.deid import DeidOptions, deidentify
from tests.instruments.dicom_people import CT, ROOT, SECRETS, found_in, outputs, packed, person, pydicom, write

ALL = ("dates", "devices", "institution", "characteristics", "descriptors", "structured", "graphics", "safe-private")


def one(tmp_path: Path, *keep: str, source: Any = None, **options: Any) -> Any:
    """The output of one file."""
    write(tmp_path / "in", person() if source is None else source)
    done = deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(keep=keep, **options))
    assert done.outcomes == {"written": 1}
    return pydicom.dcmread(outputs(tmp_path / "out")[0])


def test_nothing_of_the_person_is_left_anywhere(tmp_path: Path):
    write(tmp_path / "in", *(person(str(i)) for i in range(1, 4)))
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert len(files) == 3 + 3  # objects, and deid.json, ledger.csv, the journal
    assert {p: found_in(p.read_bytes()) for p in files if found_in(p.read_bytes())} == {}
    assert [p for p in files if any(s in str(p.relative_to(tmp_path)) for s in SECRETS)] == []


def test_the_basic_profile_on_each_kind_of_attribute(tmp_path: Path):
    ds = one(tmp_path)
    assert str(ds.PatientName) == ds.PatientID and ds.PatientID.startswith("P") and len(ds.PatientID) == 17
    assert (ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber, ds.StudyDate, ds.StudyTime) == ("", "", "", "", "")
    for gone in ("PatientAddress", "PatientAge", "StudyDescription", "SeriesDescription", "SeriesDate", "InstitutionName", "StationName",
                 "RequestAttributesSequence", "AcquisitionDateTime", "ProtocolName", "ReferencedImageSequence"):  # fmt: skip
        assert gone not in ds, gone
    assert (ds.ContentDate, ds.ContentTime) == ("", "")  # type 2C of a CT image
    assert ds.SequenceName == "fl #"  # outside the table, but it names the patient
    assert (ds.Manufacturer, ds.BodyPartExamined, ds.KVP, ds.InstanceNumber) == ("Fable Works", "CHEST", 120, 1)
    assert not any(tag.group % 2 for tag in ds.keys())  # noqa: SIM118
    assert ds.PixelData == np.arange(256, dtype="<u2").tobytes()
    assert ds.SOPInstanceUID.startswith("2.25.") and ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID


def test_the_stamps(tmp_path: Path):
    ds = one(tmp_path, "dates", "uids")
    assert ds.PatientIdentityRemoved == "YES"
    assert "2024b" in ds.DeidentificationMethod
    codes = [(c.CodeValue, c.CodingSchemeDesignator) for c in ds.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113107", "DCM"), ("113110", "DCM")]
    assert ds.LongitudinalTemporalInformationModified == "MODIFIED"
    assert ds.preamble == b"\0" * 128 and "SourceApplicationEntityTitle" not in ds.file_meta


def test_every_option_together(tmp_path: Path):
    ds = one(tmp_path, *ALL)
    assert (ds.PatientSex, ds.PatientAge, ds.InstitutionName, ds.StationName) == (
        "F",
        "090Y",
        "St. Mirabilis Hospital",
        "CTSCAN0815",
    )
    assert (ds.SeriesDescription, ds.ProtocolName) == ("thin slices", "chest routine")
    assert ds.StudyDescription == "Chest of #, #, seen by # on #"
    inner = ds.RequestAttributesSequence[0]  # X, or C with descriptors
    assert inner.RequestedProcedureDescription == "for #" and "RequestedProcedureID" not in inner


def test_dates_of_a_patient_move_together(tmp_path: Path):
    later = person("2", StudyInstanceUID=f"{ROOT}.8", StudyDate="20210315", SeriesDate="20210315")
    write(tmp_path / "in", person(), later, person("3", PatientID="OTHER77", StudyInstanceUID=f"{ROOT}.9"))
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(keep=("dates",), weekdays=True))
    made = {int(d.InstanceNumber): d for d in map(pydicom.dcmread, outputs(tmp_path / "out"))}
    day = {k: datetime.strptime(d.StudyDate, "%Y%m%d") for k, d in made.items()}
    assert (day[2] - day[1]).days == 14
    assert day[1].weekday() == datetime(2021, 3, 1).weekday() and day[1] < datetime(2021, 2, 1)
    assert made[1].AcquisitionDateTime == f"{day[1]:%Y%m%d}233000.25+0100" and made[1].StudyTime == "233000"
    assert day[3] != day[1]


def test_times_that_move_take_their_dates_along(tmp_path: Path):
    ds = one(tmp_path, "dates", shift_times=True)
    study, content = (
        datetime.strptime(d + t[:6], "%Y%m%d%H%M%S")
        for d, t in ((ds.StudyDate, ds.StudyTime), (ds.ContentDate, ds.ContentTime))
    )
    moment = datetime.strptime(ds.AcquisitionDateTime[:14], "%Y%m%d%H%M%S")
    assert study == content == moment and f"{study:%H%M%S}" != "233000"
    assert ds.ContentTime.endswith(".500") and ds.AcquisitionDateTime.endswith(".25+0100")


def test_references_between_files_hold(tmp_path: Path):
    reference = pydicom.Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CT, f"{ROOT}.3.1"
    write(tmp_path / "in", person("1"), person("2", ReferencedInstanceSequence=[reference]))
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    first, other = sorted(map(pydicom.dcmread, outputs(tmp_path / "out")), key=lambda d: d.InstanceNumber)
    assert other.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert other.ReferencedInstanceSequence[0].ReferencedSOPClassUID == CT
    assert (first.StudyInstanceUID, first.FrameOfReferenceUID) == (other.StudyInstanceUID, other.FrameOfReferenceUID)


def test_names_of_another_file_of_the_patient_are_scrubbed_too(tmp_path: Path):
    write(tmp_path / "in", person("1"), person("2", ReferringPhysicianName="", SeriesDescription="for Thistlewood"))
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(keep=("descriptors",)))
    assert {pydicom.dcmread(p).SeriesDescription for p in outputs(tmp_path / "out")} == {"thin slices", "for #"}


def test_the_same_key_gives_the_same_bytes_and_another_none_of_them(tmp_path: Path):
    write(tmp_path / "in", person())
    for name, key in (("a", "k1"), ("b", "k1"), ("c", "k2")):
        deidentify(tmp_path / "in", tmp_path / name, DeidOptions(key=str(tmp_path / key)))
    a, b, c = (outputs(tmp_path / n)[0] for n in "abc")
    assert a.read_bytes() == b.read_bytes() and a.name == b.name
    assert a.name != c.name and pydicom.dcmread(a).PatientID != pydicom.dcmread(c).PatientID


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
)
def test_every_encoding_is_read_and_kept(tmp_path: Path, syntax: str):
    source = person(PixelData=np.arange(256, dtype=">u2" if syntax.endswith("2.2") else "<u2").tobytes())
    source.file_meta.TransferSyntaxUID = syntax
    ds = one(tmp_path, "descriptors", source=source)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert ds.pixel_array.ravel().tolist() == list(range(256))
    assert found_in(outputs(tmp_path / "out")[0].read_bytes()) == []


def test_compressed_pixels_stay_as_they_are(tmp_path: Path):
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "MR_small_RLE.dcm"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_bytes(path.read_bytes())
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    before, after = pydicom.dcmread(path), pydicom.dcmread(outputs(tmp_path / "out")[0])
    assert (
        after.PixelData == before.PixelData and after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    )


def test_private_attributes_that_are_safe_stay_by_option_with_their_creator_only(tmp_path: Path):
    source = person()
    block = source.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, "DS", "0.000587")
    block.add_new(0x01, "LO", "Kwiatkowski")
    ds = one(tmp_path, "safe-private", source=source)
    kept = ds.private_block(0x7053, "Philips PET Private Group")
    assert kept[0x00].value == pytest.approx(0.000587) and 0x01 not in kept
    assert [tag.group for tag in ds.keys() if tag.group % 2] == [0x7053, 0x7053]  # noqa: SIM118


def test_overlays_curves_and_unknown_attributes_go(tmp_path: Path):
    source = person()
    for tag, vr, value in ((0x60000010, "US", 16), (0x60000011, "US", 16), (0x60000040, "CS", "G"), (0x60003000, "OW", b"\0" * 32),
                           (0x50000010, "US", 4), (0x00180FFE, "LO", "unknown"), (0xFFFCFFFC, "OB", b"Kwiatkowski ")):  # fmt: skip
        source.add_new(tag, vr, value)
    ds = one(tmp_path, source=source)
    assert not [tag for tag in ds.keys() if tag.group in (0x5000, 0x6000, 0xFFFC)] and 0x00180FFE not in ds  # noqa: SIM118


def test_an_overlay_without_text_stays_by_option(tmp_path: Path):
    source = person()
    for tag, vr, value in (
        (0x60000010, "US", 16),
        (0x60000011, "US", 16),
        (0x60000040, "CS", "G"),
        (0x60003000, "OW", b"\x0f\0" * 16),
    ):
        source.add_new(tag, vr, value)
    ds = one(tmp_path, "graphics", source=source)
    assert ds[0x60003000].value == b"\x0f\0" * 16 and ds[0x60000010].value == 16


def test_bytes_that_hold_a_name_are_taken_out(tmp_path: Path):
    source = person()
    source.add_new(0x00282000, "OB", b"profile of Kwiatkowski.")  # ICC Profile: outside the table
    assert "ICCProfile" not in one(tmp_path, source=source)


def test_a_name_in_the_pixels_bytes_keeps_the_file_back(tmp_path: Path):
    write(tmp_path / "in", person(PixelData=b"..Kwiatkowski.." + bytes(497)), person("2"))
    done = deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    assert done.outcomes == {"written": 1, "leftover": 1} and len(outputs(tmp_path / "out")) == 1


def test_structured_reports(tmp_path: Path):
    item = pydicom.Dataset()
    item.ValueType, item.TextValue, item.PersonName = "TEXT", "Seen with Wilhelmina", "Thistlewood^B"
    item.MeasuredValueSequence = [pydicom.Dataset()]
    item.MeasuredValueSequence[0].NumericValue = "12.5"
    source = person(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR", ContentSequence=[item])
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    emptied = one(tmp_path / "a", source=source)
    assert len(emptied.ContentSequence) == 1 and len(emptied.ContentSequence[0]) == 0
    cleaned = one(tmp_path / "b", "structured", "descriptors", source=source).ContentSequence[0]
    assert cleaned.ValueType == "TEXT" and "Wilhelmina" not in str(cleaned.get("TextValue"))
    assert cleaned.PersonName == "REMOVED" and cleaned.MeasuredValueSequence[0].NumericValue == 12.5


def test_the_same_object_twice_and_another_under_its_uid(tmp_path: Path):
    write(tmp_path / "in", person(), person(), person(KVP="80"))
    done = deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    assert done.outcomes == {"written": 1, "duplicate": 1, "conflict": 1}
    assert pydicom.dcmread(outputs(tmp_path / "out")[0]).KVP == 120


def test_an_object_without_a_uid_gets_one(tmp_path: Path):
    source = person()
    data = io.BytesIO()
    del source.SOPInstanceUID
    pydicom.dcmwrite(data, source, implicit_vr=False, little_endian=True)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_bytes(data.getvalue())
    assert deidentify(tmp_path / "in", tmp_path / "out", DeidOptions()).outcomes == {"written": 1}
    assert pydicom.dcmread(outputs(tmp_path / "out")[0]).SOPInstanceUID == outputs(tmp_path / "out")[0].stem


def test_report_ledger_links_and_their_modes(tmp_path: Path):
    write(tmp_path / "in", person())
    (tmp_path / "in" / "notes.txt").write_text("Kwiatkowski")
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(keep=("uids",)))
    report = json.loads((tmp_path / "out" / "deid.json").read_text())
    assert report["files"] == {"other": 1, "written": 1} and report["codes"][1]["code"] == "113110"
    rows = {
        (r["attribute"], r["action"]): int(r["count"]) for r in csv.DictReader((tmp_path / "out" / "ledger.csv").open())
    }
    assert rows["PatientName", "empty"] == rows["SOPInstanceUID", "keep"] == rows["private", "remove"] == 1
    links = list(csv.DictReader((tmp_path / "out.key.links.csv").open()))
    assert [(r["source"], r["outcome"]) for r in links] == [("Kwiatkowski_0.dcm", "written"), ("notes.txt", "other")]
    for path in [p for p in tmp_path.rglob("*") if p.is_file() and "in" not in p.relative_to(tmp_path).parts]:
        assert os.name != "posix" or stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_second_call_does_only_what_is_new(tmp_path: Path):
    write(tmp_path / "in", person())
    told: list[tuple[int, int]] = []
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    first = outputs(tmp_path / "out")[0].stat().st_mtime_ns
    (tmp_path / "in" / "new.dcm").write_bytes(packed(person("2")))
    done = deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(), lambda n, of: told.append((n, of)))
    assert done.outcomes == {"written": 2} and told == [(2, 2)]
    assert min(p.stat().st_mtime_ns for p in outputs(tmp_path / "out")) == first


def test_what_cannot_be_asked(tmp_path: Path):
    write(tmp_path / "in", person())
    inside = {"out within source": tmp_path / "in" / "out", "source within out": tmp_path, "the same": tmp_path / "in"}
    for out in inside.values():
        with pytest.raises(OptionError, match="apart from the source"):
            deidentify(tmp_path / "in", out, DeidOptions())
    with pytest.raises(OptionError, match="outside the output"):
        deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(key=str(tmp_path / "out" / "k")))
    with pytest.raises(OptionError, match="burned_in"):
        deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(burned_in="maybe"))
    with pytest.raises(ReadError, match="exists"):
        deidentify(tmp_path / "none", tmp_path / "out", DeidOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="holds none"):
        deidentify(tmp_path / "empty", tmp_path / "out", DeidOptions())
    deidentify(tmp_path / "in", tmp_path / "out", DeidOptions())
    with pytest.raises(OptionError, match="same settings"):
        deidentify(tmp_path / "in", tmp_path / "out", DeidOptions(keep=("dates",)))


def test_the_command_counts_and_names_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write(tmp_path / "in", person(), person("2", BurnedInAnnotation="YES"))
    assert main(["deid", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--keep", "dates"]) == 1
    shown = capsys.readouterr().out
    assert "1 written" in shown and "1 held" in shown and found_in(shown.encode()) == []
    assert main(["deid", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--keep", "nothing"]) == 2


def test_a_transfer_syntax_newer_than_the_library_is_written_as_it_came(tmp_path: Path):
    source = person()
    source.PixelData = pydicom.encaps.encapsulate([b"\x01\x02\x03\x04"])
    source["PixelData"].VR = "OB"
    data = packed(source)
    newer = b"1.2.840.10008.1.2.8.1"  # Deflated Image Frame Compression
    at = data.index(b"1.2.840.10008.1.2.1\0\x02\0")
    length = int.from_bytes(data[140:144], "little") + 2
    data = data[:140] + length.to_bytes(4, "little") + data[144 : at - 2] + b"\x16\0" + newer + b"\0" + data[at + 20 :]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_bytes(data)
    assert deidentify(tmp_path / "in", tmp_path / "out", DeidOptions()).outcomes == {"written": 1}
    made = pydicom.dcmread(outputs(tmp_path / "out")[0])
    assert made.file_meta.TransferSyntaxUID == newer.decode() and made.PixelData == source.PixelData
