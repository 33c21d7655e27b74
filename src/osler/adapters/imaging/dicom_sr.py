"""Measurements and findings as a structured report, TID 1500 "Measurement Report" of PS3.16, through highdicom."""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass
from typing import Any

from osler.adapters.imaging.dicom_results import Algorithm, Code, Source, library
from osler.errors import OptionError

#: Feature of `osler measure` → its code and its unit in UCUM (code, meaning): CID 7469, 7470 and the IBSI codes of PS3.16.
FEATURES: dict[str, tuple[Code, tuple[str, str]]] = {
    "volume_mm3": (Code("118565006", "SCT", "Volume"), ("mm3", "cubic millimeter")),
    "surface_area_mm2": (Code("C0JK", "IBSI", "Surface Area of Mesh"), ("mm2", "square millimeter")),
    "diameter_3d_mm": (Code("L0JK", "IBSI", "Maximum 3D Diameter of a Mesh"), ("mm", "millimeter")),
    "long_axis_mm": (Code("103339001", "SCT", "Long axis"), ("mm", "millimeter")),
    "short_axis_mm": (Code("103340004", "SCT", "Short axis"), ("mm", "millimeter")),
    "probability": (Code("122157", "DCM", "Probability"), ("1", "no units")),
}
_PROCEDURE = ("363679005", "SCT", "Imaging procedure")


@dataclass(frozen=True)
class Finding:
    """One finding with what was measured of it.

    Attributes:
        code: what it is.
        measured: feature (a key of FEATURES) → value in its unit.
        segment: the segment of the segmentation that marks it, or None where it is one of the whole series.
        present: whether it is there, as the predictor's operating point decides; None where nobody decided.
    """

    code: Code
    measured: dict[str, float]
    segment: int | None = None
    present: bool | None = None


def report(findings: list[Finding], source: Source, algorithm: Algorithm, segmentation: Any = None) -> Any:
    """A measurement report as a pydicom data set (Comprehensive 3D SR). It is marked as not verified: a person has not read it.

    Args:
        segmentation: the data set that `segment` of the findings refers to.

    Raises:
        OptionError: nothing was found, a value is not finite or has no code, or a segment is named and no segmentation.
        MissingExtraError: highdicom is not installed.
    """
    highdicom = library()
    if not findings:
        raise OptionError("a report must hold a finding, it holds none: give a mask or a probability")
    seed = hashlib.sha256(repr((findings, algorithm, str(getattr(segmentation, "SOPInstanceUID", "")))).encode()).digest()
    sr = highdicom.sr
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=source.uid("device", algorithm.name, algorithm.version), manufacturer_name="Osler", model_name=algorithm.name, name=algorithm.name[:64]
    )
    kind = sr.CodedConcept(*("121007", "DCM", "Device"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = sr.MeasurementReport(
            observation_context=sr.ObservationContext(observer_device_context=sr.ObserverContext(observer_type=kind, observer_identifying_attributes=device)),
            procedure_reported=sr.CodedConcept(*_PROCEDURE),
            imaging_measurements=[_group(sr, one, source, algorithm, segmentation, seed, i) for i, one in enumerate(findings, 1)],
        )  # fmt: skip
        made = sr.Comprehensive3DSR(
            evidence=[*source.datasets, *([segmentation] if segmentation is not None else [])], content=content[0],
            series_instance_uid=source.uid("report series", seed), series_number=9002, sop_instance_uid=source.uid("report", seed),
            instance_number=1, manufacturer="Osler", is_complete=True, is_final=False, is_verified=False,
        )  # fmt: skip
    made.SeriesDescription = f"{algorithm.name}: measurements"[:64]
    return made


def _group(sr: Any, one: Finding, source: Source, algorithm: Algorithm, segmentation: Any, seed: bytes, number: int) -> Any:
    """TID 1411 for a finding that a segment marks, TID 1501 for one of the whole series."""
    tracking = sr.TrackingIdentifier(uid=source.uid("finding", seed, str(number)), identifier=f"{one.code.meaning} {number}"[:64])
    told = {
        "tracking_identifier": tracking, "finding_type": sr.CodedConcept(one.code.value, one.code.scheme, one.code.meaning),
        "measurements": [_measurement(sr, name, value) for name, value in one.measured.items()] or None,
        "qualitative_evaluations": _evaluated(sr, one),
    }  # fmt: skip
    identified = sr.AlgorithmIdentification(name=algorithm.name, version=algorithm.version)
    if one.segment is None:
        images = [sr.SourceImageForMeasurementGroup.from_source_image(image) for image in source.datasets]
        return sr.MeasurementsAndQualitativeEvaluations(**told, algorithm_id=identified, source_images=images)
    if segmentation is None:
        raise OptionError("a finding that a segment marks must come with its segmentation, none was given: write the segmentation too")
    series = sr.SourceSeriesForSegmentation(str(source.datasets[0].SeriesInstanceUID))
    marked = sr.ReferencedSegment(segmentation.SOPClassUID, segmentation.SOPInstanceUID, one.segment, source_series=series)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(**told, algorithm_id=identified, referenced_segment=marked)


def _measurement(sr: Any, name: str, value: float) -> Any:
    if name not in FEATURES or not math.isfinite(value):
        raise OptionError(f"a measurement must be a finite number of a feature that has a code, '{name}' is not: leave it out")
    code, unit = FEATURES[name]
    return sr.Measurement(
        name=sr.CodedConcept(code.value, code.scheme, code.meaning), value=float(f"{value:.10g}"), unit=sr.CodedConcept(unit[0], "UCUM", unit[1])
    )


def _evaluated(sr: Any, one: Finding) -> list[Any] | None:
    if one.present is None:
        return None
    answer = ("52101004", "SCT", "Present") if one.present else ("2667000", "SCT", "Absent")
    return [sr.QualitativeEvaluation(name=sr.CodedConcept(one.code.value, one.code.scheme, one.code.meaning), value=sr.CodedConcept(*answer))]
