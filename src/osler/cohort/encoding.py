"""Which text encoding the bytes of a table are in, decided only where it can be decided safely."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from osler.errors import ReadError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip

#: Bytes above 127 that Western European text in Windows-1252 uses: letters with marks, ß, and the signs of measurements,
#: quotation and money. Others (control codes, box drawing in older encodings) make the guess unsafe.
_WESTERN = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŠšŽžŸŒœ°±²³µ·¹º½¼¾×÷€£§«»‘’“”„–—…®©™‰ª\u00a0".encode("cp1252")
)

#: Bytes that text is made of; a file with many others is no text.
_PRINTED = bytes(b for b in range(256) if b >= 32 or b in b"\t\n\r\f\v\x1a\x1b")


def by_mark(head: bytes) -> str:
    """The encoding that a byte order mark or a pattern of NULs shows, or ""."""
    for mark, name in sorted(_MARKS.items(), key=lambda pair: -len(pair[0])):
        if head.startswith(mark):
            return name
    sample = head[:4096]
    if len(sample) >= 8:
        even, odd = sample[0::2].count(0) / len(sample[0::2]), sample[1::2].count(0) / len(sample[1::2])
        if odd > 0.8 and even < 0.05:
            return "utf-16-le"
        if even > 0.8 and odd < 0.05:
            return "utf-16-be"
    return ""


def is_western(data: bytes) -> bool:
    """Whether bytes that are not UTF-8 read safely as Windows-1252: only signs of Western text, none in a UTF-8
    pair.
    """
    high = data.translate(None, bytes(range(128)))
    if not high or not frozenset(high) <= _WESTERN:
        return False
    return data.decode("utf-8", "ignore").isascii()


def to_utf8(steps: Iterable[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """The same text in UTF-8, step by step, without byte order mark.

    Raises:
        ReadError: a step does not decode (code `read-encoding`), with the line where it happened.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    for step in steps:
        pending = decoder.getstate()[0]
        try:
            text = decoder.decode(step)
        except UnicodeDecodeError as error:
            raise _wrong(name, line + (pending + step)[: error.start].count(b"\n")) from error
        line += text.count("\n")
        yield text.encode("utf-8", "surrogatepass") if encoding.startswith("utf-16") else text.encode("utf-8")
    try:
        rest = decoder.decode(b"", True)
    except UnicodeDecodeError as error:
        raise _wrong(name, line) from error
    if rest:
        yield rest.encode("utf-8")


def decide(steps: Iterable[bytes], name: str) -> str:
    """The encoding of a whole text: "utf-8", "utf-8-sig", "utf-16...", "utf-32" or "cp1252".

    Raises:
        ReadError: it is none that can be told safely (code `read-encoding`), with the line of the first wrong byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    line, first, wrong, high = 1, True, 0, bytearray()
    for step in steps:
        if first:
            first = False
            found = by_mark(step)
            if found:
                return found
            if len(step[:8192].translate(None, _PRINTED)) > 0.05 * len(step[:8192]):
                raise ReadError(f"'{name}' must be a text table, it is a binary file: check its name", "read-format")
        pending = decoder.getstate()[0]  # the first bytes of a character that the last step cut through
        if not wrong and (pending or not step.isascii()):
            try:
                decoder.decode(step)
            except UnicodeDecodeError as error:
                wrong = line + (pending + step)[: error.start].count(b"\n")
        if not step.isascii() and len(high) < 1 << 22:
            high += b"".join(piece for piece in step.split(b"\n") if not piece.isascii())[: 1 << 22]
        line += step.count(b"\n")
    if not wrong and not decoder.getstate()[0]:
        return "utf-8"
    if is_western(bytes(high)):
        return "cp1252"
    raise _wrong(name, wrong or line)


def _wrong(name: str, line: int) -> ReadError:
    return ReadError(
        f"'{name}' must be text in UTF-8, line {line:,} holds bytes that are not: save it again as UTF-8",
        "read-encoding",
    )
