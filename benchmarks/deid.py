"""De-identification: 1,000 files with synthetic identifiers in every representation and nesting, and what is left of them.

    python benchmarks/deid.py [--files 1000] [--peer PYTHON]

Bases are the test files of pydicom and, where OSLER_DATA_MIRROR has them, real MR, CT, SR and SEG objects. Into each copy go a
made-up patient, made-up physicians and numbers: into attributes of the table of every representation, into attributes
outside the table, nested sequences, private blocks, overlays, file meta and preamble. Then the tool runs, and

- every output file is searched, as bytes and after inflating, for every identifier as ASCII, Latin-1, UTF-8 and UTF-16,
  in any case: a hit is a direct identifier left;
- every attribute of every source file is compared with the output under Table E.1-1: a compound action such as X/Z/D is
  right where any of its alternatives was done.

`--peer` names a Python in which dicognito and deid are installed: the same files, the same two counts, CPU seconds.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
from pydicom.datadict import DicomDictionary, dictionary_has_tag, repeater_has_tag
from pydicom.dataset import Dataset, FileMetaDataset

from osler.instruments.deid import profile

pydicom.config.settings.reading_validation_mode = pydicom.config.settings.writing_validation_mode = (
    pydicom.config.IGNORE
)
FIRST = "Wilhelmina Ottokar Brünhilde Zephyrine Ignatius Quirin Þorvaldur Anneliese Barnabas Eulalia".split()  # noqa: SIM905
LAST = "Kwiatkowski Überreuter Fitzgibbon Ávalos-Quiñones Mbanefo Szczepański Thistlewood Oyelaran Vandersloot Gudmundsdottir".split()  # noqa: SIM905
STREETS = "Holunderweg Marzipanallee Quittengasse Rhabarberstraße Sanddornplatz".split()  # noqa: SIM905
TEXTS = ("LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "CS")
FIXED = {"SpecificCharacterSet", "SOPClassUID", "Modality", "PatientIdentityRemoved", "DeidentificationMethod",
         "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified", "RecognizableVisualFeatures"}  # fmt: skip


def bases() -> list[Dataset]:
    """Whole, readable objects without burned-in text to plant into."""
    found, packed = [], []
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*.dcm")):
        packed.append(path.read_bytes())
    mirror = Path(os.environ.get("OSLER_DATA_MIRROR", "nowhere")) / "imaging"
    for name in ("dicom_mr_glioma_multisequence.zip", "ct_body_totalseg_examples.zip", "dicom_seg_sr_examples.zip"):
        if (mirror / name).is_file():
            with zipfile.ZipFile(mirror / name) as archive:
                packed += [archive.read(n) for n in sorted(archive.namelist()) if n.endswith(".dcm")][:30]
    for data in packed:
        try:
            dataset = pydicom.dcmread(io.BytesIO(data))
            if (
                "SOPInstanceUID" in dataset
                and "SOPClassUID" in dataset
                and len(data) < 600_000
                and "DirectoryRecordSequence" not in dataset
            ):
                pydicom.dcmwrite(io.BytesIO(), dataset, enforce_file_format=True)
                dataset.remove_private_tags()
                dataset.walk(_nobody)
                found.append(dataset)
        except Exception as error:
            print(f"left out as a base: {type(error).__name__}")
    return found


def _nobody(ds: Dataset, element: pydicom.DataElement) -> None:
    """A base names nobody of its own: words that it shares with its old names would be scrubbed rightly, and count as wrong."""
    if element.VR == "PN" or element.keyword in ("StudyID", "AccessionNumber", "PatientID", "OtherPatientIDs", "InstitutionName", "StationName",
                                                 "InstitutionAddress", "DeviceSerialNumber", "RequestedProcedureID"):  # fmt: skip
        element.value = ""


class Person:
    """A made-up patient with everything that names him."""

    def __init__(self, rng: np.random.Generator) -> None:
        def pick(words: list[str]) -> str:
            return words[int(rng.integers(len(words)))]

        self.name = f"{pick(LAST)}^{pick(FIRST)}"
        self.doctor = f"{pick(LAST)}^{pick(FIRST)}^^Dr"
        self.id = f"MRN{rng.integers(10**8, 10**9)}"
        self.number = str(rng.integers(10**8, 10**9))
        self.accession = f"ACC{rng.integers(10**6, 10**7)}"
        self.birth = f"{rng.integers(1921, 1999)}{rng.integers(1, 13):02d}{rng.integers(1, 28):02d}"
        self.address = f"{pick(STREETS)} {rng.integers(1, 200)}, Fabelstadt"
        self.phone = f"+49-555-{rng.integers(10**6, 10**7)}"
        self.hospital = f"St. Mirabilis {rng.integers(10, 99)} Hospital"
        self.uid = f"1.2.826.0.1.3680043.9.{rng.integers(10**12, 10**13)}"

    def direct(self, keep: tuple[str, ...] = ()) -> list[str]:
        """What must not be found; a hospital that is to be retained may be."""
        parts = [p for name in (self.name, self.doctor) for p in name.split("^") if len(p) > 3]
        hospital = [] if "institution" in keep else [self.hospital]
        return [*parts, self.id, self.number, self.accession, self.birth, self.address, self.phone, *hospital, self.uid]


def plant(base: Dataset, person: Person, rng: np.random.Generator, tables: dict[str, list[int]]) -> Dataset:
    """A copy of a base that is full of a person."""
    ds = pydicom.dcmread(io.BytesIO(_bytes(base)))
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        f"{person.uid}.{rng.integers(10**9)}" for _ in range(3)
    )
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = person.name, person.id, person.birth
    ds.OtherPatientIDs, ds.AccessionNumber, ds.ReferringPhysicianName = [person.number], person.accession, person.doctor
    ds.PatientAddress, ds.PatientTelephoneNumbers, ds.InstitutionName = person.address, [person.phone], person.hospital
    ds.BurnedInAnnotation = "NO"
    _fill(ds, person, rng, tables, 26)
    ds.ReceiveCoilName, ds.SequenceName = person.name.split("^")[0][:16], f"fl3d {person.name.split('^')[0]}"[:16]
    ds.ImplantName = f"for {person.doctor.split('^')[0]}"
    ds.ProcedureStepLabel = f"see {person.id}"
    inner = Dataset()
    _fill(inner, person, rng, tables, 8)
    inner.RequestedProcedureDescription = f"MR brain of {person.name.replace('^', ' ')}, born {person.birth}"
    middle = Dataset()
    middle.ReferencedSOPInstanceUID = f"{person.uid}.7"
    middle.RequestAttributesSequence = [inner]
    ds.ReferencedInstanceSequence = [middle]
    ds.StudyDescription = f"CT for {person.name.replace('^', ', ')} tel {person.phone}"
    block = ds.private_block(0x0099, "FABLE 1", create=True)
    block.add_new(1, "LO", person.name)
    block.add_new(2, "SQ", [inner])
    block.add_new(3, "UN", person.name.encode("utf-16-le"))
    ds.add_new(0x60000010, "US", 8)
    ds.add_new(0x60000011, "US", 8)
    ds.add_new(0x60003000, "OW", b"\x00" * 8)
    ds.add_new(0x60004000, "LT", person.name)
    ds.DataSetTrailingPadding = person.id.encode() + b"\0"
    ds.preamble = person.id.encode().ljust(128, b"\0")
    ds.file_meta.SourceApplicationEntityTitle = _short(person.name.split("^")[0])
    return ds


def _fill(ds: Dataset, person: Person, rng: np.random.Generator, tables: dict[str, list[int]], count: int) -> None:
    """Identifiers in random attributes of the table, of every representation."""
    words = [
        person.name,
        person.doctor,
        person.id,
        person.address,
        person.phone,
        f"seen {person.birth} by {person.doctor}",
    ]
    for vr in rng.choice(sorted(tables), count):
        tag = tables[vr][int(rng.integers(len(tables[vr])))]
        if tag in ds:
            continue
        word = words[int(rng.integers(len(words)))]
        of_things = any(
            f"{o}:K" in profile.attributes()[f"{tag:08X}"] for o in ("devices", "institution", "characteristics")
        )
        if of_things and vr in (*TEXTS, "UI"):
            ds.add_new(tag, vr, "1.2.276.0.7230010.3.99" if vr == "UI" else "Fable scanner 9"[:16])
            continue
        values = {"DA": person.birth, "DT": f"{person.birth}101500", "TM": "101500", "DS": person.number, "IS": person.number,
                  "UI": f"{person.uid}.{rng.integers(99)}", "AS": "045Y", "US": 7, "OB": word.encode("utf-8") + b" ", "UN": b"x" + word.encode("utf-16-be"),
                  "UR": f"http://fable.example/{person.id}"}  # fmt: skip
        if vr == "SQ":
            item = Dataset()
            item.PersonName = person.doctor
            item.CodeMeaning = person.name.replace("^", " ")
            ds.add_new(tag, "SQ", [item])
        else:
            ds.add_new(tag, vr, values.get(vr, _short(word) if vr in ("SH", "CS", "AE") else word))


def _short(word: str) -> str:
    """Sixteen letters that need no character set."""
    return word.encode("latin-1", "ignore").decode("latin-1")[:16]


def _bytes(ds: Dataset) -> bytes:
    out = io.BytesIO()
    if not hasattr(ds, "file_meta"):
        ds.file_meta = FileMetaDataset()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def make(folder: Path, count: int, rng: np.random.Generator) -> dict[int, Person]:
    """The files; number of a file → its person (every person has four files)."""
    listed = [int(t, 16) for t in profile.attributes() if "X" not in t and t != "PRIVATE" and int(t, 16) >> 16 > 4]
    tables: dict[str, list[int]] = {}
    skip = {0x00080018, 0x0020000D, 0x0020000E, 0x00100010, 0x00100020, 0x00080005}
    for tag in listed:
        if tag not in skip and tag in DicomDictionary:
            tables.setdefault(DicomDictionary[tag][0], []).append(tag)
    found, people, person = bases(), {}, Person(rng)
    print(f"{len(found)} bases, {len(listed)} attributes of the table, representations: {' '.join(sorted(tables))}")
    for i in range(count):
        person = Person(rng) if i % 4 == 0 else person
        data = _bytes(plant(found[i % len(found)], person, rng, tables))
        # The number tells which output belongs to which source: an attribute that every profile retains.
        ds = pydicom.dcmread(io.BytesIO(data))
        ds.InstanceNumber = i + 1
        (folder / f"{person.name.split('^')[0]}_{i}.dcm").write_bytes(_bytes(ds))
        people[i + 1] = person
    return people


def left(data: bytes, words: list[str]) -> list[str]:
    """Which words are in the bytes of a file."""
    if b"1.2.840.10008.1.2.1.99" in data[:1000]:
        length = int.from_bytes(data[140:144], "little")
        data += zlib.decompress(data[144 + length :], -15)
    low = data.lower()
    found = []
    for word in words:
        forms = {
            w.encode(e, "ignore").lower()
            for w in (word, word.lower(), word.upper())
            for e in ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
        }
        found += [word for form in forms if len(form) > 3 and form in low][:1]
    return found


def right(
    source: Dataset, made: Dataset, keep: tuple[str, ...], counts: Counter, person: Person, wrong: Counter
) -> None:
    """Count attributes whose treatment is what the table asks."""
    for element in source:
        tag = int(element.tag)
        word = element.keyword
        if tag >> 16 == 2 or word in FIXED or word in ("InstanceNumber", "BurnedInAnnotation"):
            continue
        want = expected(tag, element.VR, keep)
        got = made.get(element.tag)
        alright = any(_did(code, element, got, keep, person) for code in want.split("/"))
        counts["right" if alright else "wrong"] += 1
        if not alright:
            wrong[f"{word or element.tag} {element.VR} {want}"] += 1
        if element.VR == "SQ" and got is not None and want in ("K", "C", "U", "X/Z/U*"):
            for one, other in zip(element.value, got.value, strict=False):
                right(one, other, keep, counts, person, wrong)


def expected(tag: int, vr: str, keep: tuple[str, ...]) -> str:
    """The table's code for an attribute under the options."""
    group = tag >> 16
    name = (
        "50XXXXXX"
        if 0x5000 <= group < 0x5100
        else f"60XX{tag & 0xFFFF:04X}"
        if 0x6000 <= group < 0x6100
        else f"{tag:08X}"
    )
    if group % 2:
        return "X"
    if 0x6000 <= group < 0x6100 and "graphics" not in keep:
        return "X"
    row = profile.attributes().get(name)
    if row is None:
        protected = {
            "DA": "X/Z/D/C",
            "DT": "X/Z/D/C",
            "TM": "X/Z/D/C",
            "PN": "X/Z/D",
            "AE": "X/Z/D/K",
            "UR": "X/Z/D/K",
            "UI": "U/K",
        }
        return protected.get(vr, "K") if dictionary_has_tag(tag) or repeater_has_tag(tag) else "X"
    basic, *options = row.split()
    asked = {o.split(":")[1] for o in options if o.split(":")[0] in keep}
    return "C" if "C" in asked else "K" if "K" in asked else basic


def _did(code: str, element: object, got: object, keep: tuple[str, ...], person: Person) -> bool:
    value = element.value
    if code == "X":
        return got is None
    if got is None:
        # Bytes that hold an identifier are taken out even where the table would retain them.
        return code in ("K", "C") and isinstance(value, bytes) and bool(value)
    is_empty = got.value is None or got.value == "" or (hasattr(got.value, "__len__") and len(got.value) == 0)
    changed = str(got.value) != str(value)
    was_empty = value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0)
    if code == "Z":
        return is_empty or changed
    if code in ("D", "U", "U*"):
        return (
            was_empty
            or (element.VR == "SQ" and not is_empty)
            or (not is_empty and (changed or str(value).startswith("1.2.840.10008.")))
        )
    if element.VR in ("DA", "DT") and code == "C":
        return changed or was_empty
    if element.VR == "SQ" or code == "C":
        return True
    named = any(w.lower() in str(value).lower() for w in person.direct(keep))
    return changed if named and element.VR not in ("OB", "OW", "UN") else True if named else not changed


def judge(source: Path, out: Path, people: dict[int, Person], keep: tuple[str, ...]) -> str:
    """Both counts for one output folder."""
    sources = {int(pydicom.dcmread(p, stop_before_pixels=True).InstanceNumber): p for p in source.rglob("*.dcm")}
    counts, wrong, hits, files, names = Counter(), Counter(), Counter(), 0, 0
    for path in (p for p in out.rglob("*") if p.is_file() and p.suffix == ".dcm"):
        data = path.read_bytes()
        made = pydicom.dcmread(io.BytesIO(data), force=True)
        number = int(made.get("InstanceNumber") or 0)
        if number not in people:
            counts["lost number"] += 1
            continue
        files += 1
        person = people[number]
        hits.update(left(data, person.direct(keep)))
        names += any(word.lower() in str(path.relative_to(out)).lower() for word in person.direct())
        right(pydicom.dcmread(sources[number]), made, keep, counts, person, wrong)
    share = counts["right"] / max(counts["right"] + counts["wrong"], 1)
    text = (f"{files} files out, direct identifiers left {sum(hits.values())} in {len(hits)} different words, in file names {names}; "
            f"right actions {counts['right']:,} of {counts['right'] + counts['wrong']:,} = {100 * share:.3f} %")  # fmt: skip
    return text + ("; most often wrong: " + ", ".join(f"{k} ({n})" for k, n in wrong.most_common(6)) if wrong else "")


def timed(command: list[str], **more: object) -> float:
    """CPU seconds of a child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        print(done.stdout[-300:], done.stderr[-600:])
    elif done.stdout:
        print("   ", done.stdout.strip().replace("\n", "\n    ")[-500:])
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


DEID = """
import sys, os, glob
from deid.config import DeidRecipe
from deid.dicom import get_files, replace_identifiers
files = list(get_files(sys.argv[1]))
replace_identifiers(dicom_files=files, deid=DeidRecipe(), save=True, output_folder=sys.argv[2], remove_private=True, force=True)
"""

DICOGNITO = """
import sys
from dicognito.__main__ import main
main(["--output-directory", sys.argv[1], "--quiet", sys.argv[2]])
"""


def main() -> None:
    """Make, run, judge, print."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peer", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        source = work / "source"
        source.mkdir()
        people = make(source, asked.files, np.random.default_rng(asked.seed))
        everything = tuple(o for o in profile.OPTIONS if o not in ("full-dates", "uids"))
        for label, keep in (
            ("basic profile", ()),
            ("dates", ("dates",)),
            ("every option but full dates and UIDs", everything),
        ):
            out = work / "out"
            flags = [part for option in keep for part in ("--keep", option)]
            spent = timed(
                [
                    sys.executable,
                    "-m",
                    "osler",
                    "deid",
                    str(source),
                    "--out",
                    str(out),
                    "--key",
                    str(work / "key"),
                    *flags,
                ]
            )
            print(f"osler, {label}: {spent:.1f} CPU s; {judge(source, out, people, keep)}", flush=True)
            held = work / "out-held"
            print(
                f"    held apart: {judge(source, held, people, keep)}" if held.exists() else "    none held apart",
                flush=True,
            )
            shutil.rmtree(out)
            shutil.rmtree(held, ignore_errors=True)
        if asked.peer:
            out = work / "peer"
            out.mkdir()
            spent = timed([asked.peer, "-c", DICOGNITO, str(out), str(source)])
            print(f"dicognito: {spent:.1f} CPU s; {judge(source, out, people, ())}", flush=True)
            shutil.rmtree(out)
            out.mkdir()
            spent = timed([asked.peer, "-c", DEID, str(source), str(out)])
            print(f"deid, its default recipe: {spent:.1f} CPU s; {judge(source, out, people, ())}", flush=True)


if __name__ == "__main__":
    main()
