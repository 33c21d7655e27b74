"""The decisions for one file: profile, pseudonyms and the terms of its patient put together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from osler.instruments.deid import dates
from osler.instruments.deid.burned import shows_text
from osler.instruments.deid.profile import Profile
from osler.instruments.deid.pseudonyms import Pseudonyms
from osler.instruments.deid.text import Terms


@dataclass(frozen=True)
class FilePlan:
    """What `adapters.imaging.dicom_deid.apply` asks for.

    Attributes:
        profile: actions by attribute.
        pseudonyms: replacements.
        terms: what must not be left in texts and bytes.
        sop_class: the file's SOP class.
        pseudonym: the patient's new name and identifier.
        span: how far the patient's dates move.
    """

    profile: Profile
    pseudonyms: Pseudonyms
    terms: Terms
    sop_class: str
    pseudonym: str
    span: timedelta

    @property
    def moves_times(self) -> bool:
        """Whether times of day move too."""
        return self.pseudonyms.times and "dates" in self.profile.keep

    def action(self, tag: int, vr: str, sop_class: str, parent: int = 0) -> str:
        """The profile's action."""
        return self.profile.action(tag, vr, sop_class, parent)

    def is_safe(self, creator: str, tag: int) -> bool:
        """Whether a private attribute stays."""
        return self.profile.is_safe(creator, tag)

    def uid(self, value: str) -> str:
        """The replacement of a UID."""
        return self.pseudonyms.uid(value) if value else ""

    def moved(self, vr: str, value: str, clock: str = "") -> str:
        """A date, time or moment moved by the patient's span; with `clock`, the part `vr` of the pair moved together."""
        if clock:
            return dates.moved_pair(value, clock, self.span)[vr == "TM"]
        if vr == "DA":
            return dates.moved_date(value, self.span)
        return dates.moved_time(value, self.span) if vr == "TM" else dates.moved_moment(value, self.span)

    def scrubbed(self, text: str) -> str:
        """A retained text without the terms."""
        return self.terms.scrubbed(text)

    def cleaned(self, text: str) -> str:
        """A free text without terms and without what looks identifying."""
        return self.terms.cleaned(text)

    def left_in(self, data: bytes) -> int:
        """How many terms bytes hold."""
        return self.terms.left_in(data)

    def shows_text(self, bits: bytes, rows: int, columns: int) -> bool:
        """Whether an overlay shows text; one whose bits do not fit its size counts as showing it."""
        need = rows * columns
        if not 0 < need <= 8 * len(bits):
            return True
        plane = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[:need].reshape(rows, columns)
        return shows_text(plane.astype(np.float32), borders_only=False)
