"""DICOM files for de-identification: read within limits, surveyed, stamped and written to bytes, through pydicom."""

from __future__ import annotations

import io
import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from osler import registry
from osler.errors import InputError, LimitError, ReadError

#: Largest file, largest unpacked data set, and most that deflated bytes may grow.
MAX_FILE = 4 << 30
MAX_UNPACKED = 2 << 30
MAX_RATIO = 200
MAX_DEPTH = 64
#: Nesting up to which a failing write may be left to pydicom.
_PLAIN_DEPTH = 4
_DEFLATED = "1.2.840.10008.1.2.1.99"
_RAW = "1.2.840.10008.5.1.4.1.1.66"
_DIRECTORY = "1.2.840.10008.1.3.10"
#: Identifiers whose whole value must not be found elsewhere, by keyword.
_PHRASES = (  # noqa: SIM905
    "PatientID OtherPatientIDs AccessionNumber AdmissionID StudyID PatientAddress PatientTelephoneNumbers "
    "PatientTelecomInformation MedicalRecordLocator MilitaryRank CountryOfResidence InsurancePlanIdentification "
    "IssuerOfPatientID ServiceEpisodeID FillerOrderNumberImagingServiceRequest PlacerOrderNumberImagingServiceRequest "
    "RequestedProcedureID ScheduledProcedureStepID PerformedProcedureStepID ReferringPhysicianAddress "
    "ReferringPhysicianTelephoneNumbers PersonTelephoneNumbers PersonAddress StudyInstanceUID SeriesInstanceUID "
    "SOPInstanceUID"
).split()
_PLACES = ["InstitutionName", "InstitutionAddress"]
_DEVICES = ["StationName", "DeviceSerialNumber"]


@dataclass(frozen=True)
class Surveyed:
    """What a file says of whom and what it shows; never to be printed.

    Attributes:
        patient: what tells patients apart: identifier, else name and birth, else the study.
        study, series, instance, sop_class: UIDs.
        names, phrases, places, devices, births: terms that must not stay.
        shown: facts that decide on burned-in text and on defacing, by keyword.
    """

    patient: str
    study: str
    series: str
    instance: str
    sop_class: str
    names: tuple[str, ...]
    phrases: tuple[str, ...]
    places: tuple[str, ...]
    devices: tuple[str, ...]
    births: tuple[str, ...]
    shown: dict[str, Any]


def looks_like_dicom(head: bytes) -> bool:
    """Whether the first 132 bytes are those of a DICOM file, with or without preamble."""
    if head[128:132] == b"DICM":
        return True
    return (head[:2] in (b"\x08\0", b"\x02\0") and head[2:4] != b"\0\0") or head[:2] in (b"\0\x08", b"\0\x02")


@contextmanager
def silently() -> Iterator[None]:
    """pydicom without warnings and log lines, which quote values, and without refusing odd ones."""
    config = registry.optional("pydicom.config", "imaging")
    log = logging.getLogger("pydicom")
    kept = config.settings.reading_validation_mode, config.settings.writing_validation_mode, log.disabled
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode, config.settings.writing_validation_mode, log.disabled = kept


@contextmanager
def guarded() -> Iterator[None]:
    """`silently`, and whatever pydicom raises over a damaged file becomes one typed sentence without its values.

    Raises:
        ReadError: the file is damaged.
        LimitError: it is nested deeper, or larger in memory, than can be.
    """
    try:
        with silently():
            yield
    except InputError:
        raise
    except RecursionError as error:
        raise LimitError(
            "sequences of a DICOM file must be nested less deep: it is damaged or hostile", "limit-depth"
        ) from error
    except MemoryError as error:
        raise LimitError("a DICOM file must fit in memory, one does not") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's: no space, no permission
        raise ReadError(
            f"a DICOM file must be whole, one is damaged ({type(error).__name__}): send it again"
        ) from error


def parse(data: bytes, with_pixels: bool = True) -> Any:
    """A data set from the bytes of a file.

    Raises:
        ReadError: no DICOM, a directory of DICOM files, or damaged.
        LimitError: it unpacks or nests further than is safe.
    """
    pydicom = registry.optional("pydicom", "imaging")
    if not looks_like_dicom(data[:132]):
        raise ReadError("a file must be DICOM, one is not: leave it out")
    with guarded():
        _check_deflated(data)
        dataset = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=not with_pixels)
        _check_kind(dataset)
    return dataset


def _check_kind(dataset: Any) -> None:
    """An object of its own, no directory of other files and no chance bytes."""
    meta = getattr(dataset, "file_meta", None)
    if str(getattr(meta, "MediaStorageSOPClassUID", "")) == _DIRECTORY or "DirectoryRecordSequence" in dataset:
        raise ReadError("a DICOMDIR lists names and files of patients and is not de-identified: leave it out")
    if not str(dataset.get("SOPClassUID", "")) and "PixelData" not in dataset and len(dataset) < 4:
        raise ReadError("a DICOM file must name its SOP class, one has none: it is damaged or no DICOM")


def _check_deflated(data: bytes) -> None:
    """A deflated data set is unpacked once without keeping it, to see how much it becomes."""
    filereader = registry.optional("pydicom.filereader", "imaging")
    stream = io.BytesIO(data)
    if data[128:132] != b"DICM":
        return
    stream.seek(132)
    meta = filereader._read_file_meta_info(stream)
    if str(meta.get("TransferSyntaxUID", "")) != _DEFLATED:
        return
    packed = data[stream.tell() :]
    most = min(MAX_UNPACKED, MAX_RATIO * len(packed) + (64 << 20))
    unpacking, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while packed and not unpacking.eof:
        total += len(unpacking.decompress(packed, 1 << 20))
        packed = unpacking.unconsumed_tail
        if total > most:
            raise LimitError(
                "a deflated DICOM file must unpack to at most 200 times its size and 64 MiB: it is hostile",
                "limit-ratio",
            )


def survey(dataset: Any) -> Surveyed:
    """Who and what a data set names, every sequence included."""
    found: dict[str, set[str]] = {"names": set(), "phrases": set(), "places": set(), "devices": set(), "births": set()}
    with guarded():
        _gather(dataset, found, 0)
        top = {key: str(dataset.get(key, "") or "").strip() for key in
               ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")}  # fmt: skip
        shown = {key: dataset.get(key) for key in
                 ("Modality", "ImageType", "BurnedInAnnotation", "PhotometricInterpretation", "ConversionType", "BodyPartExamined",
                  "StudyDescription", "SeriesDescription", "ProtocolName", "Rows", "Columns", "NumberOfFrames", "RecognizableVisualFeatures",
                  "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "AnatomicRegionSequence")}  # fmt: skip
    patient = top["PatientID"].casefold() or "^".join((top["PatientName"].casefold(), top["PatientBirthDate"])).strip(
        "^"
    )
    return Surveyed(
        patient or top["StudyInstanceUID"], top["StudyInstanceUID"], top["SeriesInstanceUID"], top["SOPInstanceUID"],
        top["SOPClassUID"], *(tuple(sorted(found[k])) for k in ("names", "phrases", "places", "devices", "births")), shown,
    )  # fmt: skip


def _gather(dataset: Any, found: dict[str, set[str]], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LimitError(
            f"sequences of a DICOM file must be nested at most {MAX_DEPTH} deep: it is damaged or hostile",
            "limit-depth",
        )
    datadict = registry.optional("pydicom.datadict", "imaging")
    wanted = {**dict.fromkeys(_PHRASES, "phrases"), **dict.fromkeys(_PLACES, "places"), **dict.fromkeys(_DEVICES, "devices"),
              "PatientBirthDate": "births"}  # fmt: skip
    for tag in list(dataset.keys()):
        if tag.group % 2:
            continue
        item = dataset.get_item(tag)
        known = datadict.dictionary_has_tag(tag)
        vr = item.VR if item.VR not in (None, "UN") else datadict.dictionary_VR(tag) if known else "UN"
        kind = "names" if vr == "PN" else wanted.get(datadict.keyword_for_tag(tag), "") if known else ""
        if vr == "SQ":
            for inner in dataset[tag].value or ():
                _gather(inner, found, depth + 1)
        elif kind:
            value = dataset[tag].value
            many = value if hasattr(value, "__iter__") and not isinstance(value, str) and vr != "PN" else [value]
            many = value if dataset[tag].VM > 1 else many
            found[kind] |= {str(one) for one in many if one}


def stamp(dataset: Any, codes: list[tuple[str, str]], method: str, temporal: str, instance: str) -> None:
    """Say in the data set what was done to it (PS3.15 E.1.1, items 6 and 7); file meta and preamble are made new.

    Args:
        dataset: a data set after `dicom_deid.apply`.
        codes: code and meaning of profile and options.
        method: De-identification Method, in words.
        temporal: Longitudinal Temporal Information Modified.
        instance: the UID of an object that came without.
    """
    pydicom = registry.optional("pydicom", "imaging")
    meta = dataset.file_meta if hasattr(dataset, "file_meta") else pydicom.dataset.FileMetaDataset()
    fresh = pydicom.dataset.FileMetaDataset()
    dataset.SOPClassUID = str(dataset.get("SOPClassUID", "") or meta.get("MediaStorageSOPClassUID", "") or _RAW)
    dataset.SOPInstanceUID = str(dataset.get("SOPInstanceUID", "") or instance)
    fresh.MediaStorageSOPClassUID, fresh.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    fresh.ImplementationVersionName = "OSLER"
    fresh.TransferSyntaxUID = str(meta.get("TransferSyntaxUID", "")) or _syntax(dataset)
    dataset.file_meta, dataset.preamble = fresh, b"\0" * 128
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = method[:64]
    dataset.LongitudinalTemporalInformationModified = temporal
    items = []
    for value, meaning in codes:
        code = pydicom.Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning[:64]
        items.append(code)
    dataset.DeidentificationMethodCodeSequence = items
    if any(value == "113102" for value, _ in codes):
        dataset.RecognizableVisualFeatures = "NO"


def _syntax(dataset: Any) -> str:
    """The transfer syntax of a data set that came without file meta."""
    is_implicit, is_little = dataset.original_encoding
    if is_implicit:
        return "1.2.840.10008.1.2"
    return "1.2.840.10008.1.2.1" if is_little or is_little is None else "1.2.840.10008.1.2.2"


def to_bytes(dataset: Any) -> bytes:
    """The file's bytes: preamble, new file meta, data set.

    Raises:
        ReadError: something in it cannot be written as DICOM.
    """
    pydicom = registry.optional("pydicom", "imaging")
    out = io.BytesIO()
    with guarded():
        if _depth(dataset) > _PLAIN_DEPTH:
            _check_items(dataset, dataset.get("SpecificCharacterSet") or "ISO_IR 6")
        known = pydicom.uid.UID(dataset.file_meta.TransferSyntaxUID).is_transfer_syntax
        # Syntaxes newer than pydicom are encapsulated ones: explicit, little-endian attributes around the frames.
        if known:
            pydicom.dcmwrite(out, dataset, enforce_file_format=True)
        else:
            pydicom.dataset.validate_file_meta(dataset.file_meta, enforce_standard=True)
            dataset.file_meta.FileMetaInformationGroupLength = 0
            pydicom.dcmwrite(out, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    return out.getvalue()


def _items(dataset: Any) -> Iterator[Any]:
    """The data sets of a data set's sequences."""
    for tag in dataset.keys():  # noqa: SIM118
        if dataset.get_item(tag).VR == "SQ":
            yield from dataset[tag].value or ()


def _depth(dataset: Any) -> int:
    return max((1 + _depth(item) for item in _items(dataset)), default=0)


def _check_items(dataset: Any, characters: Any) -> None:
    """Write every nested data set for itself, without its sequences: pydicom's message of a failure doubles with each
    level that it passes, which a hostile file of fifty levels would turn into all of the memory."""
    filewriter = registry.optional("pydicom.filewriter", "imaging")
    filebase = registry.optional("pydicom.filebase", "imaging")
    for item in _items(dataset):
        _check_items(item, characters)
        flat = type(item)()
        for tag in item.keys():  # noqa: SIM118
            if item.get_item(tag).VR != "SQ":
                flat[tag] = item[tag]
        scratch = filebase.DicomBytesIO()
        scratch.is_little_endian, scratch.is_implicit_VR = True, False
        filewriter.write_dataset(scratch, flat, characters)
