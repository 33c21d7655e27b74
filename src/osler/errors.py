"""Every error that Osler raises, in one tree.

    OslerError                       code, message, exit code
    ├── InputError                   exit 2: the user's file, name or option must change
    │   ├── ReadError                a file cannot be read as what it claims to be
    │   ├── ColumnError              a column is absent, doubled or of the wrong kind
    │   ├── TargetError              the target cannot be learnt from (constant, one class, too few rows)
    │   ├── OptionError              an option has a value it cannot have
    │   ├── LimitError               an input is larger, deeper or more compressed than is safe
    │   ├── MissingExtraError        an optional library is not installed
    │   └── PredictorError           a saved predictor is not whole, not ours or was changed
    ├── ViolationError               exit 1: the answer is no (a leak, a failed verification)
    └── InternalError                exit 1: Osler's own fault

A message is one sentence: which thing must be what, what it was, and what to do. It names rows and columns,
never a patient's value. `code` is stable: the HTTP service answers with the same code as a problem document.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CODES: dict[str, str] = {
    "internal": "Osler's own fault; run again with --debug and report it",
    "input": "an input is not what it must be",
    "read-missing": "the path does not exist",
    "read-empty": "the file has no rows",
    "read-truncated": "the compressed file ends too early",
    "read-encoding": "the file is not in a text encoding that Osler reads",
    "read-format": "the file is not of the format that its name says",
    "read-header": "the header has doubled or empty column names",
    "read-outside": "a path in a cell or option leads outside the folder of the table",
    "read-database": "a database address, table or query cannot be read",
    "structure": "a structure file or molecule cannot be read, or lacks the protein or coordinates that are needed",
    "image-format": "a picture or scan is not of the format that its name says, or is damaged",
    "image-pixels": "a DICOM file or folder holds no pixels",
    "image-empty": "a picture or scan has no bytes",
    "image-truncated": "a picture or scan ends before its last pixel, or a packed frame is damaged",
    "image-codec": "pixels are packed in a way that no open decoder here reads",
    "image-frame": "a file of several pictures needs `#k`, or has no picture of that number",
    "image-dims": "a volume stands where a picture must, or a picture where a volume must",
    "series-geometry": "a series does not say where its slices lie or how far its pixels are apart",
    "series-orientation": "slices of a series lie in several orientations, sizes or spacings",
    "series-few": "a series has too few slices for a volume",
    "series-duplicates": "several slices of a series lie at one place",
    "series-tilt": "slices slide sideways: the gantry was tilted",
    "series-gap": "slices of a series are missing or unevenly spaced",
    "series-localizer": "a series is a localizer, no volume",
    "series-patients": "files of one series name several patients",
    "series-several": "a folder holds several volumes and the reference names none of them",
    "boxes-format": "boxes are in no form that Osler reads, or have other axes than their scan",
    "mask-geometry": "a mask does not lie on the voxels of its image",
    "mask-scan": "a mask has no scan of its name beside it",
    "mask-labels": "a mask holds colours, broken numbers or more labels than classes",
    "column-unknown": "no column has this name",
    "column-kind": "a column is not of the kind that is needed",
    "column-empty": "a column has no values at all",
    "target-absent": "no target column was named or found",
    "target-constant": "the target has one value only",
    "target-class": "a class has too few units for the folds",
    "target-rows": "there are fewer rows or units than folds",
    "target-competing": "the event column holds competing events, which are not supported yet",
    "option": "an option has a value it cannot have",
    "model-diverged": "training a network lost finite numbers; the message names where",
    "generator-collapsed": "a generator gives the same few molecules; training was stopped",
    "system": "the operating system refused a read or write: no space, no permission, a name it cannot hold",
    "limit-size": "an input is larger than the limit",
    "limit-ratio": "a compressed input unpacks to more than is safe",
    "limit-depth": "an input is nested deeper than the limit",
    "extra-missing": "an optional library is needed; the message names the extra to install",
    "predictor-format": "the folder is not a saved predictor",
    "predictor-changed": "a member of the saved predictor does not match its SHA-256",
    "predictor-version": "the predictor was saved in a format this release does not know",
    "run-missing": "the folder is not a finished run",
    "leak": "the asked split or table would leak information between parts",
    "violation": "verification found a violation",
    "address": "a server address is not safe without TLS",
    "token": "the token is absent, wrong or expired",
    "throttled": "too many wrong tokens came from this address; wait a minute",
    "host": "the request names a host that this server is not",
    "origin": "a page of another origin made this request",
    "route": "the server has no such page or call",
    "method": "the call exists, but not with this HTTP method",
    "media-type": "the body is not of the content type that the call reads",
    "json": "the body is not strict JSON",
    "timeout": "the request came too slowly, or its answer took too long",
    "busy": "more requests are waiting than the server holds; try again",
    "audit": "the audit file cannot be written, so no answer is given",
    "export": "something in the predictor cannot be written in the asked format; the message names it",
    "data-unknown": "the catalogue has no data set of this name",
    "data-hash": "a data file does not match its SHA-256",
    "data-absent": "a data file is in no local place and the network was not allowed",
}

#: Code → what to do about it. Both dicts make docs/reference/errors.md.
CURES: dict[str, str] = {
    "internal": "send the trace of `--debug`; it holds no values of your table",
    "input": "change what the sentence names",
    "read-missing": "check the path; the nearest name is suggested",
    "read-empty": "export the table again with its rows",
    "read-truncated": "copy or pack the file again",
    "read-encoding": "save the file as UTF-8",
    "read-format": "name the file by what it is, or export it in a format of [reading](reading.md)",
    "read-header": "give every column a name of its own in the first row",
    "read-outside": "copy the file into the folder of the table",
    "read-database": "check address, table name and query",
    "structure": "export the structure again, or name the file that holds what the sentence asks for",
    "image-format": "export the picture again, as PNG, JPEG, TIFF, DICOM, NIfTI, NRRD or MHA",
    "image-pixels": "name a file or folder that holds pictures; reports and plans do not",
    "image-empty": "copy or fetch the file again",
    "image-truncated": "copy or fetch the file again",
    "image-codec": "save it as JPEG-LS, JPEG 2000 or unpacked with the tool it came from",
    "image-frame": "write `FILE#k`, counted from 0, or `FILE.npz#MEMBER/k`",
    "image-dims": "declare the column with `--column NAME=image` or `NAME=volume`",
    "series-geometry": "read its files as pictures, or export it with positions and spacing",
    "series-orientation": "name one of its stacks, or separate them",
    "series-few": "read its files as pictures, or fetch the missing slices",
    "series-duplicates": "separate its times, echoes or acquisitions",
    "series-tilt": "straighten it with a tool made for it, then read that",
    "series-gap": "fetch the missing slices",
    "series-localizer": "name the series that was planned on it",
    "series-patients": "separate the patients' files",
    "series-several": "write `FOLDER#SeriesInstanceUID`; `osler look FOLDER` lists them",
    "boxes-format": "write them in one of the forms of docs/reference/modalities/boxes.md",
    "mask-geometry": "resample the mask to its image, or name the image that it was drawn on",
    "mask-scan": "name the mask as its scan, in a folder beside it, or list both in a table",
    "mask-labels": "save the mask as whole numbers without losses (PNG, NIfTI, NRRD); of things apart say `instances=true`",
    "column-unknown": "take the suggested name; `osler look` lists all",
    "column-kind": "declare the column with `--column NAME=MODALITY`, or give another",
    "column-empty": "leave the column out with `--ignore`",
    "target-absent": "add `--target COLUMN`, or `--duration` and `--event`",
    "target-constant": "name another target, or a table with both outcomes",
    "target-class": "merge rare classes, lower `--folds`, or gather more units",
    "target-rows": "lower `--folds`, or gather more units",
    "target-competing": "name one event with `--event COLUMN==VALUE`",
    "option": "give a value that the sentence allows; `osler COMMAND --help` lists them",
    "model-diverged": "lower the learning rate, or look for extreme values",
    "generator-collapsed": "lower the rates of generator and critic, raise `--likelihood` or the temperature",
    "system": "free space, or name a folder that you may write to; the same command continues",
    "limit-size": "split the table, or write it as Parquet",
    "limit-ratio": "unpack the file by hand if you trust it",
    "limit-depth": "flatten the JSON",
    "extra-missing": "install the extra that the sentence names",
    "predictor-format": "fit again, or ask who made the predictor",
    "predictor-changed": "copy the predictor again from where it was saved",
    "predictor-version": "use the release that saved it, or a later one",
    "run-missing": "name the folder that `osler fit` wrote; give an unfinished fit again",
    "leak": "declare the unit with `--unit`, or leave the named column out",
    "violation": "do not use the run; fit again from an unchanged table",
    "address": "give a certificate, or serve on 127.0.0.1",
    "token": "send the token that `osler serve` printed",
    "throttled": "wait a minute, then send the right token",
    "host": "use a host name that the server was started with",
    "origin": "open the form from the server's own address",
    "route": "see `/openapi.json` for the calls",
    "method": "see `/openapi.json` for the method",
    "media-type": "send the body as `application/json`",
    "json": "send one JSON object without doubled keys or NaN",
    "timeout": "send fewer rows at once",
    "busy": "try again after a moment",
    "audit": "make the audit file writable, then try again",
    "export": "export to the other format, or fit without the named part",
    "data-unknown": "`osler data list` shows the names",
    "data-hash": "remove the file and get it again",
    "data-absent": "set OSLER_DATA_MIRROR to a folder that has it, or allow the network",
}



class OslerError(Exception):
    """The root of all errors that Osler raises on purpose.

    Args:
        message: one sentence, no patient values.
        code: a key of `CODES`.
    """

    exit_code = 1
    default_code = "internal"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        if self.code not in CODES:
            raise AssertionError(f"error code {self.code!r} is not in osler.errors.CODES")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Message and code both come back from a worker process."""
        return type(self), (self.message, self.code)


class InputError(OslerError):
    """The user's input must change (exit code 2)."""

    exit_code = 2
    default_code = "input"


class ReadError(InputError):
    """A file cannot be read as what it claims to be."""

    default_code = "read-format"


class ColumnError(InputError):
    """A column is absent, doubled or of the wrong kind."""

    default_code = "column-unknown"


class TargetError(InputError):
    """The target cannot be learnt from."""

    default_code = "target-absent"


class OptionError(InputError):
    """An option has a value it cannot have."""

    default_code = "option"


class LimitError(InputError):
    """An input is larger, deeper or more compressed than is safe."""

    default_code = "limit-size"


class MissingExtraError(InputError):
    """An optional library is not installed."""

    default_code = "extra-missing"


class PredictorError(InputError):
    """A saved predictor is not whole, not ours or was changed."""

    default_code = "predictor-format"


class ViolationError(OslerError):
    """The answer is no: a leak, a failed verification (exit code 1)."""

    default_code = "violation"


class InternalError(OslerError):
    """Osler's own fault (exit code 1)."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that suggests the closest known name, or lists the first few; empty if nothing is known."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    lower = {k.lower(): k for k in known}
    if name.lower() in lower:
        close = [lower[name.lower()]]
    if close:
        return f"did you mean '{close[0]}'?"
    if not known:
        return ""
    shown = ", ".join(f"'{k}'" for k in known[:8])
    return f"known: {shown}{', ...' if len(known) > 8 else ''}"
