"""Objects in folders of received and of fetched series: stored whole or not at all, within what is left."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from osler.adapters.imaging import dicom_folder
from osler.adapters.imaging.dicom_folder import SeriesFolder, stored
from osler.adapters.imaging.dicom_inbox import Inbox
from osler.adapters.imaging.dicom_net import DONE, NO_ROOM, ODD, OTHER
from tests.adapters.imaging.files import UID, dicom


def object_of(number: int) -> bytes:
    held = io.BytesIO()
    one = dicom(np.full((4, 4), number, np.int16), InstanceNumber=number)
    one.save_as(held, enforce_file_format=True)
    return held.getvalue()


def test_an_object_is_stored_within_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "series" / "a.dcm"
    assert stored(tmp_path, target, b"12345", 4) == NO_ROOM
    assert not target.parent.exists()
    assert stored(tmp_path, target, b"12345", 5) == DONE
    assert target.read_bytes() == b"12345"
    monkeypatch.setattr(dicom_folder, "MAX_OBJECT", 3)
    assert stored(tmp_path, target.with_name("b.dcm"), b"12345", 100) == NO_ROOM
    (tmp_path / "file").write_bytes(b"")
    assert stored(tmp_path, tmp_path / "file" / "c.dcm", b"1", 9) == NO_ROOM  # the disk refuses it
    assert sorted(p.name for p in tmp_path.rglob("*.dcm")) == ["a.dcm"]


def test_both_folders_count_what_they_hold(tmp_path: Path):
    first, second = object_of(1), object_of(2)
    inbox = Inbox(tmp_path / "in", len(first) + 10)
    assert [inbox.keep(f"{UID}.1", first), inbox.keep(f"{UID}.1", first), inbox.keep(f"{UID}.2", second)] == [DONE, DONE, NO_ROOM]
    assert inbox.keep(f"{UID}.1", second) == OTHER
    assert Inbox(tmp_path / "in", len(first) + 10).keep(f"{UID}.2", second) == NO_ROOM  # counted again after a start
    series = SeriesFolder(tmp_path / "series", len(first) + 10)
    series.expect([{"SOPInstanceUID": f"{UID}.{i}", "SeriesInstanceUID": f"{UID}.9"} for i in (1, 2)])
    assert [series.keep(f"{UID}.1", first), series.keep(f"{UID}.1", first), series.keep(f"{UID}.2", second)] == [DONE, DONE, NO_ROOM]
    assert series.keep(f"{UID}.3", first) == ODD
    assert len(list((tmp_path / "series").rglob("*.dcm"))) == 1
