"""`osler deid`: a folder of DICOM files without the people in it.

Two passes. The first reads headers and gathers, per patient, the names and identifiers that no text may keep. The
second changes each file by the profile, looks at what it wrote once more for anything of the patient, and only then
gives it its name. Nothing that identifies is printed: files are counted, and who needs to know which file was refused
finds it in the table of links, which lies beside the key and is as secret as it.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from osler.adapters.imaging import dicom_deid, dicom_deid_pixels
from osler.adapters.imaging import dicom_deid_file as reading
from osler.cohort.atomic import sweep, write_atomic
from osler.errors import InputError, LimitError, OptionError, ReadError
from osler.instruments.deid import burned, deface, record
from osler.instruments.deid.heads import Heads
from osler.instruments.deid.plan import FilePlan
from osler.instruments.deid.profile import OPTIONS, VISUAL, Profile, edition
from osler.instruments.deid.pseudonyms import Pseudonyms, key_at
from osler.instruments.deid.text import Terms

_BURNED = ("test", "strict", "off")
#: Outcome → what it means, for the report.
OUTCOMES = {
    "written": "de-identified",
    "held": "suspected of text burned into the pixels, or of a face that could not be taken off; kept apart",
    "duplicate": "the same object as another file",
    "conflict": "another object under the same UID as another file; refused",
    "leftover": "an identifier was still in the bytes after all rules; refused",
    "other": "no DICOM file, or a DICOMDIR; left out",
    "refused": "damaged, hostile or too large",
}


@dataclass(frozen=True)
class DeidOptions:
    """Options of `osler deid`."""

    keep: tuple[str, ...] = field(default=(), metadata={"help": f"option of the profile: {', '.join(OPTIONS)}"})
    key: str = field(
        default="", metadata={"help": "file of the secret key, made if absent; default OUT.key beside the output"}
    )
    burned_in: str = field(
        default="test",
        metadata={
            "help": "pictures that may show text: test (look for it), strict (hold all back) or off (only those that say so)"
        },
    )
    deface: bool = field(default=False, metadata={"help": "take the face off MR and CT series of heads"})
    weekdays: bool = field(default=False, metadata={"help": "dates move by whole weeks (with --keep dates)"})
    shift_times: bool = field(default=False, metadata={"help": "times of day move too (with --keep dates)"})


@dataclass(frozen=True)
class Deidentified:
    """What a run gives back: counts only.

    Attributes:
        outcomes: outcome → files.
        counts: (attribute, action) → how often.
        out, held, key: where the files, those kept apart, and the key are.
    """

    outcomes: Counter[str]
    counts: Counter[tuple[str, str]]
    out: Path
    held: Path
    key: Path


@dataclass
class _Known:
    """What the first pass gathered."""

    terms: dict[str, Terms]
    heads: dict[str, list[Path]]
    series: dict[Path, str]


def deidentify(
    folder: Path, out: Path, options: DeidOptions, told: Callable[[int, int], None] = lambda done, of: None
) -> Deidentified:
    """De-identify every DICOM file below a folder into another folder; the same call goes on after a kill.

    Args:
        folder: the source; nothing is written there.
        out: where `PATIENT/STUDY/SERIES/OBJECT.dcm`, `deid.json` and `ledger.csv` go, under new names.
        options: what is kept and how.
        told: called with files done and files in all.

    Raises:
        ReadError: the folder does not exist or holds no file.
        OptionError: an option cannot be, or the folders lie within each other.
    """
    profile, key = _checked(folder, out, options), _key_path(out, options)
    paths = _files(folder)
    pseudonyms = Pseudonyms(key_at(key), options.weekdays, options.shift_times)
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    sweep(out)
    settings = asdict(options) | {
        "key": pseudonyms.mark("fingerprint"),
        "edition": edition(),
        "version": version("osler"),
    }
    run = _Run(folder, out, options, profile, pseudonyms, record.Journal(out, settings))
    try:
        marks = run.all(paths, told)
    finally:
        run.journal.close()
    _report(run, key, marks)
    return Deidentified(run.journal.outcomes(), run.journal.counts(), out, run.held, key)


def _checked(folder: Path, out: Path, options: DeidOptions) -> Profile:
    if not folder.is_dir():
        raise ReadError("the source must be a folder that exists, it is none: check its name", "read-missing")
    source, target = folder.resolve(), out.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise OptionError(
            "option 'out' must be a folder apart from the source, one lies within the other: name another"
        )
    if options.burned_in not in _BURNED:
        raise OptionError(
            f"option 'burned_in' must be one of {', '.join(_BURNED)}, was '{options.burned_in}': choose one"
        )
    return Profile(options.keep)


def _key_path(out: Path, options: DeidOptions) -> Path:
    path = Path(options.key) if options.key else out.with_name(f"{out.name}.key")
    if out.resolve() in path.resolve().parents:
        raise OptionError("option 'key' must be a file outside the output, which may be shared: name another")
    return path


def _files(folder: Path) -> list[Path]:
    """Ordinary files below a folder in the order of their names; links are not followed."""
    found = []
    for place, folders, names in os.walk(folder):
        folders.sort()
        found += [p for p in (Path(place, name) for name in sorted(names)) if p.is_file() and not p.is_symlink()]
    if not found:
        raise ReadError("the source must hold files, it holds none: name another folder", "read-empty")
    return found


class _Run:
    """One call of `deidentify`."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        options: DeidOptions,
        profile: Profile,
        pseudonyms: Pseudonyms,
        journal: record.Journal,
    ) -> None:
        self.folder, self.out, self.options = folder, out, options
        self.profile, self.pseudonyms, self.journal = profile, pseudonyms, journal
        self._method = f"Osler {version('osler')}, {edition()}"
        self.held = out.with_name(f"{out.name}-held")
        self._names = {line["name"]: mark for mark, line in journal.lines.items() if line["name"]}

    def all(self, paths: list[Path], told: Callable[[int, int], None]) -> dict[str, Path]:
        """Every file once; gives mark → path."""
        marks = {self._mark(path): path for path in paths}
        todo = {mark: path for mark, path in marks.items() if not self._is_done(mark)}
        if todo:
            known = self._surveyed(paths)
            heads = Heads(known.heads)
            order = sorted(todo.items(), key=lambda item: (known.series.get(item[1], ""), item[1]))
            for done, (mark, path) in enumerate(order, len(marks) - len(todo) + 1):
                self._one(mark, path, known, heads)
                told(done, len(marks))
        return marks

    def _mark(self, path: Path) -> str:
        state = path.stat()
        return self.pseudonyms.mark(f"{path.relative_to(self.folder)}\0{state.st_size}\0{state.st_mtime_ns}")

    def _is_done(self, mark: str) -> bool:
        line = self.journal.lines.get(mark)
        if line is None or (line["outcome"] == "written" and not (self.out / line["name"]).is_file()):
            return False
        return line["outcome"] != "held" or (self.held / line["name"]).is_file()

    def _surveyed(self, paths: list[Path]) -> _Known:
        """The first pass: terms of each patient, series of heads."""
        gathered: dict[str, dict[str, set[str]]] = {}
        known = _Known({}, {}, {})
        for path in paths:
            try:
                found = reading.survey(reading.parse(_bytes(path), with_pixels=False))
            except InputError:
                continue  # the second pass says why
            sets = gathered.setdefault(found.patient, {"names": set(), "phrases": set(), "births": set()})
            sets["names"] |= set(found.names)
            sets["phrases"] |= set(self._phrases(found))
            sets["births"] |= set(found.births)
            known.series[path] = found.series if self.options.deface else ""
            if self.options.deface and deface.is_head(found.shown):
                known.heads.setdefault(found.series, []).append(path)
        known.terms = {p: Terms(s["names"], s["phrases"], s["births"]) for p, s in gathered.items()}
        return known

    def _phrases(self, found: reading.Surveyed) -> list[str]:
        """Identifiers that the options do not keep."""
        kept = self.profile.keep
        uids = {found.study, found.series, found.instance}
        phrases = [p for p in found.phrases if "uids" not in kept or (p not in uids and not _is_uid(p))]
        phrases += [] if "institution" in kept else found.places
        return [*phrases, *([] if "devices" in kept else found.devices)]

    def _one(self, mark: str, path: Path, known: _Known, heads: Heads) -> None:
        counts: Counter[tuple[str, str]] = Counter()
        try:
            with reading.guarded():
                outcome, name = self._changed(mark, path, known, heads, counts)
        except LimitError:
            outcome, name = "refused", ""
        except ReadError as error:
            outcome, name = "other" if "leave it out" in error.message else "refused", ""
        self.journal.add(mark, outcome, name, counts if outcome in ("written", "held") else Counter())
        if name:
            self._names[name] = mark

    def _changed(
        self, mark: str, path: Path, known: _Known, heads: Heads, counts: Counter[tuple[str, str]]
    ) -> tuple[str, str]:
        """Outcome and new name of one file, which is written if it may be."""
        dataset = reading.parse(_bytes(path))
        found = reading.survey(dataset)
        plan, name = self._plan(found, known), self._name(found, mark)
        is_held = self._may_show_text(dataset, found)
        faceless = found.series in heads
        if faceless and not heads.take_off(dataset, found.series, found.instance):
            is_held, faceless = True, False
        dicom_deid.apply(dataset, plan, counts)
        codes = [*self.profile.codes(), *([VISUAL] if faceless else [])]
        reading.stamp(dataset, codes, self._method, self.profile.temporal, name[:-4].rpartition("/")[2])
        data = reading.to_bytes(dataset)
        if plan.left_in(data):
            return "leftover", ""
        return self._written(mark, name, data, is_held)

    def _plan(self, found: reading.Surveyed, known: _Known) -> FilePlan:
        terms = known.terms.get(found.patient) or Terms(found.names, self._phrases(found), found.births)
        patient = self.pseudonyms.patient(found.patient)
        span = self.pseudonyms.span(found.patient)
        return FilePlan(self.profile, self.pseudonyms, terms, found.sop_class, patient, span)

    def _may_show_text(self, dataset: Any, found: reading.Surveyed) -> bool:
        kind = burned.suspicion(found.sop_class, found.shown)
        if not kind or not dicom_deid_pixels.has_pixels(dataset):
            return kind == "declared"
        if kind == "declared" or self.options.burned_in == "strict":
            return kind == "declared" or str(found.shown.get("BurnedInAnnotation") or "").upper() != "NO"
        if self.options.burned_in == "off":
            return False
        frames = None if "EncapsulatedDocument" in dataset else dicom_deid_pixels.frames(dataset)
        return frames is None or any(burned.shows_text(frame, borders_only=False) for frame in frames)

    def _name(self, found: reading.Surveyed, mark: str) -> str:
        """A path made of new UIDs only, whatever the file's own say."""
        parts = [self.pseudonyms.uid(f"{kind}\0{value or mark}") if not value or value.startswith("1.2.840.10008.") else self.pseudonyms.uid(value)
                 for kind, value in (("study", found.study), ("series", found.series), ("object", found.instance))]  # fmt: skip
        return "/".join([self.pseudonyms.patient(found.patient), *parts]) + ".dcm"

    def _written(self, mark: str, name: str, data: bytes, is_held: bool) -> tuple[str, str]:
        target = (self.held if is_held else self.out) / name
        if self._names.get(name, mark) != mark and target.is_file():
            return ("duplicate", "") if target.read_bytes() == data else ("conflict", "")
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(target, data)
        return ("held" if is_held else "written"), name


def _is_uid(text: str) -> bool:
    return text.count(".") >= 3 and text.replace(".", "").isdigit()


def _bytes(path: Path) -> bytes:
    """A file's bytes; only as many as tell that it is no DICOM."""
    if path.stat().st_size > reading.MAX_FILE:
        raise LimitError(
            f"a DICOM file must be at most {reading.MAX_FILE >> 30} GiB, one is larger: split its frames into files"
        )
    with path.open("rb") as source:
        head = source.read(132)
        return head + source.read() if reading.looks_like_dicom(head) else head


def _report(run: _Run, key: Path, marks: dict[str, Path]) -> None:
    """`deid.json` and `ledger.csv` in the output, the table of links beside the key."""
    outcomes = run.journal.outcomes()
    body = {
        "made_by": f"osler {version('osler')}", "profile": edition(), "options": {**asdict(run.options), "key": ""},
        "codes": [{"code": code, "meaning": meaning} for code, meaning in run.profile.codes()],
        "files": dict(sorted(outcomes.items())), "meaning": {k: v for k, v in OUTCOMES.items() if k in outcomes},
    }  # fmt: skip
    write_atomic(run.out / "deid.json", json.dumps(body, indent=1).encode())
    write_atomic(run.out / "ledger.csv", record.ledger(run.journal.counts()))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("source", "outcome", "name"))
    for mark, path in marks.items():
        line = run.journal.lines[mark]
        writer.writerow((str(path.relative_to(run.folder)), line["outcome"], line["name"]))
    write_atomic(key.with_name(f"{key.name}.links.csv"), out.getvalue().encode("utf-8", "surrogateescape"))
