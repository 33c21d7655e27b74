"""Pictures and scans through a real server: bytes in the request, the same numbers as from a folder, and never a path."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import osler
from osler.adapters.imaging import scan
from osler.cohort.column import Column
from osler.report import viewer
from osler.service import uploads
from osler.service.problems import Problem
from tests.adapters.imaging.files import series, straight
from tests.service.conftest import Server, Start

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 pictures, bright or dark, and the age of who is on them."""
    root, rng = tmp_path_factory.mktemp("clinic"), np.random.default_rng(4)
    rows = []
    for i in range(48):
        picture = rng.integers(0, 120, (24, 24)) + 100 * (i % 2)
        Image.fromarray(picture.astype(np.uint8)).save(root / f"s{i:02d}.png")
        rows.append((f"s{i:02d}.png", f"p{i:02d}", 30 + i, "bright" if i % 2 else "dark"))
    pl.DataFrame(rows, schema=["picture", "who", "age", "y"], orient="row").write_csv(root / "table.csv")
    return root


@pytest.fixture(scope="module")
def run(clinic: Path, tmp_path_factory: pytest.TempPathFactory):
    return osler.fit(
        clinic / "table.csv", tmp_path_factory.mktemp("runs") / "bright", target=("y",), unit=("who",), column=("picture=image:size=16+16",),
        model=("network:epochs=3,members=1,width=8",), folds=2, repeats=1, explain=False, boot=50, workers=1, silent=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(start: Start, run) -> Server:
    return start(run.folder)


def base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_bytes_are_answered_as_files_are(server: Server, run, clinic: Path):
    expected = osler.predict(run, clinic / "table.csv").table
    rows = [{"picture": base64_of(clinic / f"s{i:02d}.png"), "age": 30 + i} for i in (0, 1, 7)]
    with server.client() as client:
        found = client.post("/predict", json={"rows": rows}).json()["predictions"]
        blank = client.post("/predict", json={"rows": [{"picture": None, "age": 40}]})
    for i, answer in zip((0, 1, 7), found):
        assert answer["y_prob_bright"] == pytest.approx(expected["y_prob_bright"][i], abs=1e-6)
    assert blank.status_code == 200


@pytest.mark.parametrize(
    ("value", "says"),
    [("s00.png", "base64"), ("/etc/hostname", "base64"), ("../../etc/passwd", "base64"), ("", "empty"), ("aGVsbG8=", "image-format"),
     (base64.b64encode(b"\x89PNG\r\n\x1a\n and nothing more").decode(), "image-format")],
)  # fmt: skip
def test_a_path_or_a_damaged_file_is_refused_by_row_and_column(server: Server, value: str, says: str):
    with server.client() as client:
        answer = client.post("/predict", json={"rows": [{"age": 40}, {"picture": value, "age": 50}]})
    assert answer.status_code == 422
    assert answer.json()["code"] == "column-kind"
    assert "row 2, column 'picture'" in answer.json()["detail"] and says in answer.json()["detail"]
    assert value not in answer.json()["detail"] or not value


def test_a_large_picture_passes_and_a_larger_body_does_not(server: Server):
    held = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500)).astype(np.uint8)).save(held, "png")
    assert len(held.getvalue()) > 1 << 21
    with server.client() as client:
        assert client.post("/predict", json={"rows": [{"picture": base64.b64encode(held.getvalue()).decode()}]}).status_code == 200
        refused = client.post("/predict", content=b" " * (uploads.MOST_BODY + 1), headers={"content-type": "application/json"})
    assert refused.status_code == 413


def test_the_page_takes_a_file(server: Server, run, clinic: Path):
    expected = osler.predict(run, clinic / "table.csv").table["y_prob_bright"][1]
    with server.client(follow_redirects=True) as client:
        page = client.get("/").text
        assert 'type="file"' in page and 'enctype="multipart/form-data"' in page
        key = re.search(r'name="form key" value="([^"]+)"', page).group(1)
        order = [name.strip() for name in re.findall(r'<label for="c\d+">([^<]+)', page)]
        fields = {name: f"c{i}" for i, name in enumerate(order, 1)}
        given = {"form key": key, fields["age"]: "31"}
        shown = client.post("/", data=given, files={fields["picture"]: ("../x.png", (clinic / "s01.png").read_bytes())})
        nothing = client.post("/", data=given, files={fields["picture"]: ("", b"")})
        wrong = client.post("/", data=given, files={fields["picture"]: ("x.png", b"no picture")})
        foreign = client.post("/", data={**given, "form key": "x"}, files={fields["picture"]: ("x.png", b"")})
    assert shown.status_code == 200 and f"{expected:.1%}" in shown.text
    assert nothing.status_code == 200
    assert wrong.status_code == 422 and 'role="alert"' in wrong.text
    assert foreign.status_code == 403


def test_the_page_shows_the_scan_with_its_heat_map_and_the_viewer_holds_it(server: Server, run, clinic: Path):
    with server.client(follow_redirects=True) as client:
        page = client.get("/").text
        assert "Predict and view the scan" in page
        key = re.search(r'name="form key" value="([^"]+)"', page).group(1)
        order = [name.strip() for name in re.findall(r'<label for="c\d+">([^<]+)', page)]
        fields = {name: f"c{i}" for i, name in enumerate(order, 1)}
        given, sent = {"form key": key, fields["age"]: "31"}, (clinic / "s01.png").read_bytes()
        shown = client.post("/", data=given, files={fields["picture"]: ("x.png", sent)})
        viewed = client.post("/", data={**given, "show": "scans"}, files={fields["picture"]: ("x.png", sent)})
        without = client.post("/", data={**given, "show": "scans"}, files={fields["picture"]: ("", b"")})
    assert len(re.findall(r'<img src="data:image/jpeg;base64,[A-Za-z0-9+/=]+" alt="picture with its heat map"/>', shown.text)) == 1
    assert "by gradients" in shown.text
    assert "img-src data:" in shown.headers["content-security-policy"]
    assert "script-src" not in shown.headers["content-security-policy"]
    policy = viewed.headers["content-security-policy"]
    assert policy.startswith(viewer.policy())
    assert "frame-ancestors 'none'" in policy
    cases = json.loads(viewed.text.partition('id="scene-data">')[2].partition("</script>")[0])
    assert [layer["kind"] for layer in cases[0]["layers"]] == ["scan", "heat"]
    assert cases[0]["flat"]
    assert "x.png" not in viewed.text
    assert without.status_code == 200
    assert "scene-data" not in without.text


def test_explain_tells_where_the_heat_is(server: Server, clinic: Path):
    with server.client() as client:
        answer = client.post("/explain", json={"rows": [{"picture": base64_of(clinic / "s01.png"), "age": 31}, {"age": 40}]})
    found = answer.json()["explanations"]
    heat = found[0]["heat"]["picture"]
    assert heat["way"] == "gradients"
    assert heat["of"] in ("bright", "dark")
    assert 0 <= heat["narrow"] <= 1
    assert len(heat["peak"]) == 2
    assert "heat" not in found[1]


def test_the_schema_says_base64(server: Server):
    with server.client() as client:
        schema = client.get("/openapi.json").text
    assert '"contentEncoding": "base64"' in schema or '"contentEncoding":"base64"' in schema


VOLUME = (Column("scan", "volume"),)


def zipped(files: dict[str, bytes]) -> str:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return base64.b64encode(held.getvalue()).decode()


def test_a_zipped_series_is_a_volume_whatever_its_names_are(tmp_path: Path):
    """Members called like paths upwards are written under numbers; when the answer is made nothing is left."""
    series(tmp_path / "series", np.random.default_rng(0).integers(0, 900, (5, 12, 10)).astype(np.uint16), straight(5))
    files = {f"../../up/{p.name}": p.read_bytes() for p in (tmp_path / "series").iterdir()}
    with uploads.received([{"scan": zipped(files)}, {"scan": None}], VOLUME) as (rows, root):
        found = scan.read(rows[0]["scan"], root)
        assert np.array_equal(found.values, scan.read("series", tmp_path).values)
        assert sorted(p.name for p in (root / rows[0]["scan"]).iterdir()) == [f"{i:05d}" for i in range(5)]
        assert rows[1]["scan"] is None
    assert not root.exists()


def test_zips_that_are_too_much_are_refused(monkeypatch: pytest.MonkeyPatch):
    bomb = {"a.dcm": bytes(300 << 20)}
    for files, changed in ((bomb, {}), ({"a": b"1", "b": b"2"}, {"MOST_SLICES": 1})):
        for name, value in changed.items():
            monkeypatch.setattr(uploads, name, value)
        with pytest.raises(Problem) as caught, uploads.received([{"scan": zipped(files)}], VOLUME):
            pass
        assert caught.value.status == 413
    broken = base64.b64encode(b"PK\x03\x04" + bytes(100)).decode()
    with pytest.raises(Problem, match="whole zip"), uploads.received([{"scan": broken}], VOLUME):
        pass


@pytest.mark.parametrize("body", [b"", b"--x", b"--x\r\nContent-Type: a\r\n\r\nb\r\n--x--", b"--x\r\n\r\n--x--", b"--y\r\n--y--"])
def test_broken_forms_are_no_forms(body: bytes):
    with pytest.raises(ValueError):
        uploads.fields_of(body, b"x")
