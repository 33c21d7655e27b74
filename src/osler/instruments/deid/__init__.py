"""De-identification of folders of DICOM files by PS3.15 Annex E."""

from osler.instruments.deid.folder import Deidentified, DeidOptions, deidentify

__all__ = ["DeidOptions", "Deidentified", "deidentify"]
