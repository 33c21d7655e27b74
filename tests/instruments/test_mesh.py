"""`osler mesh`: surfaces in patient millimetres, smoothed and decimated without losing volume or a hole, in four kinds of files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cli import main
from osler.cohort import Cohort, Column
from osler.errors import ColumnError, InputError, OptionError
from osler.instruments import scans
from osler.instruments.mesh import Mesh, MeshOptions
from tests.instruments.solids import box, ellipsoid, saved, steps, turned

pytest.importorskip("skimage")
pytest.importorskip("trimesh")
pytest.importorskip("nibabel")

from osler.adapters import trimesh_files
from osler.adapters.skimage_surface import surface
from osler.instruments.mesh.decimate import decimated
from osler.instruments.mesh.smooth import enclosed, holding_volume, smoothed, vertex_normals

SQUASHED = steps(1.6, 1.6, 5.0)


@pytest.fixture(scope="module")
def masks(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("masks")
    ball = ellipsoid((20, 20, 20), SQUASHED)
    saved(root / "ball.nii.gz", ball, SQUASHED)
    both = np.concatenate([ball, ball], axis=2).astype(np.float32)
    both[:, :, ball.shape[2] :] *= 3
    saved(root / "both.nii.gz", both, SQUASHED)
    saved(root / "empty.nii.gz", ball * 0, SQUASHED)
    return root


def meshed(path: Path, **options) -> tuple[dict, dict]:
    """The first line of the table, and the files."""
    found = Mesh().run(scans.files([{"mask": str(path)}]), MeshOptions(**options))
    return found.cohort.table.to_dicts()[0], found.files


def vertices_of(data: bytes, kind: str) -> np.ndarray:
    return np.vstack([b.vertices for b in trimesh_files.read(data, kind)])


@pytest.mark.parametrize("kind", trimesh_files.KINDS)
def test_every_kind_holds_the_same_ball_which_is_not_squashed(masks, kind):
    line, files = meshed(masks / "ball.nii.gz", kind=kind)
    (data,) = files.values()
    assert line["watertight"]
    assert line["outward"]
    sides = np.ptp(vertices_of(data, kind), axis=0)
    assert sides == pytest.approx([40, 40, 40], abs=2.6)  # half a slice and a little for smoothing


def test_binary_stl_is_counted_in_its_header(masks):
    line, files = meshed(masks / "ball.nii.gz")
    data = files["row1_label1.stl"]
    assert struct.unpack("<I", data[80:84])[0] == line["faces"]
    assert len(data) == 84 + 50 * line["faces"]


def test_ply_is_binary_and_obj_is_text(masks):
    assert b"format binary_little_endian" in meshed(masks / "ball.nii.gz", kind="ply")[1]["row1_label1.ply"][:200]
    assert meshed(masks / "ball.nii.gz", kind="obj")[1]["row1_label1.obj"].decode().count("\nf ") > 100


def test_labels_are_one_file_each_or_named_colours_of_one_glb(masks):
    _, files = meshed(masks / "both.nii.gz")
    assert sorted(files) == ["row1_label1.stl", "row1_label3.stl"]
    _, files = meshed(masks / "both.nii.gz", kind="glb")
    data = files["row1.glb"]
    assert data[:4] == b"glTF"
    assert sorted(b.name for b in trimesh_files.read(data, "glb")) == ["label 1", "label 3"]
    length = struct.unpack("<I", data[12:16])[0]
    said = json.loads(data[20 : 20 + length])
    colours = [m["pbrMetallicRoughness"]["baseColorFactor"] for m in said["materials"]]
    assert len(colours) == 2
    assert colours[0] != colours[1]


def test_only_the_asked_label_is_meshed(masks):
    assert sorted(meshed(masks / "both.nii.gz", label=3)[1]) == ["row1_label3.stl"]
    with pytest.raises(InputError, match="hold label 2"):
        meshed(masks / "both.nii.gz", label=2)


def test_the_surface_lies_in_the_patient(tmp_path):
    """One voxel at a known place of a turned scan with an origin, in both systems of axes."""
    affine = turned(steps(1, 2, 3), 30)
    affine[:3, 3] = 10, -20, 30
    mask = np.zeros((6, 6, 6))
    mask[4, 3, 2] = 1
    path = saved(tmp_path / "one.nii", mask, affine)
    place = (affine @ [2, 3, 4, 1])[:3]
    for axes, sign in (("lps", [1, 1, 1]), ("ras", [-1, -1, 1])):
        _, files = meshed(Path(path), smooth=0, axes=axes)
        assert vertices_of(files["row1_label1.stl"], "stl").mean(axis=0) == pytest.approx(place * sign, abs=1e-4)


def test_a_mirrored_scan_still_turns_outward(tmp_path):
    path = saved(tmp_path / "mirrored.nii", box((6, 5, 4)), steps(-1, 1, 1))
    line, _ = meshed(Path(path), smooth=5)
    assert line["outward"]
    assert line["volume_mm3"] > 0


@pytest.mark.parametrize("smooth", [0, 5, 40])
@pytest.mark.parametrize("faces", [0, 400])
def test_volume_is_kept_within_a_percent(masks, smooth, faces):
    line, _ = meshed(masks / "ball.nii.gz", smooth=smooth, faces=faces)
    assert abs(line["volume_change_percent"]) < 1
    assert line["volume_mm3"] == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.03)
    assert line["watertight"]
    assert line["outward"]
    if faces:
        assert line["faces"] == 400


def test_smoothing_rounds_a_ball():
    corners, faces = surface(ellipsoid((10, 10, 10), steps(1, 1, 1)))
    centre = corners.mean(axis=0)
    rough, even = (np.linalg.norm(v - centre, axis=1) for v in (corners, smoothed(corners, faces, 20)))
    assert even.std() < 0.6 * rough.std()
    assert np.array_equal(smoothed(corners, faces, 0), corners)


def test_single_voxels_beside_a_large_part_survive_smoothing(tmp_path):
    """An octahedron would shrink to nothing; it keeps its sixth of a voxel, and the large part its own volume."""
    mask = np.pad(ellipsoid((9, 9, 9), steps(1, 1, 1)), ((0, 0), (0, 0), (0, 12)))
    mask[11, 11, -3] = True
    alone = mask.copy()
    alone[:, :, :-4] = False
    for values in (mask, alone):
        line, _ = meshed(Path(saved(tmp_path / "voxel.nii", values, steps(1, 1, 1))), smooth=30)
        assert abs(line["volume_change_percent"]) < 0.1
        assert line["watertight"]
        assert line["outward"]


def test_normals_of_a_ball_point_away_from_its_centre():
    corners, faces = surface(ellipsoid((10, 10, 10), steps(1, 1, 1)))
    normals = vertex_normals(corners, faces)
    away = corners - corners.mean(axis=0)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1)
    assert (np.einsum("ij,ij->i", normals, away) > 0.7 * np.linalg.norm(away, axis=1)).all()


def test_a_surface_takes_the_volume_it_is_told():
    corners, faces = surface(ellipsoid((10, 10, 10), steps(1, 1, 1)))
    assert enclosed(holding_volume(corners, faces, 5000.0), faces) == pytest.approx(5000, rel=1e-4)
    assert enclosed(corners, faces[:, ::-1]) == pytest.approx(-enclosed(corners, faces))


@pytest.mark.parametrize("wanted", [1000, 300, 40, 4])
def test_fewer_faces_leave_no_hole_and_keep_the_euler_number(wanted):
    corners, faces = surface(ellipsoid((12, 9, 7), steps(1, 1, 1)))
    vertices, left = decimated(corners, faces, wanted)
    assert len(left) <= wanted
    checks = trimesh_files.checked(vertices, left)
    assert checks == {"watertight": True, "one_way": True, "outward": True}
    assert len(vertices) - len(left) // 2 == 2  # V - E + F with E = 3 F / 2


def test_a_ring_stays_a_ring():
    x, y, z = np.meshgrid(*(np.arange(-14, 15),) * 2, np.arange(-6, 7), indexing="ij")
    corners, faces = surface((np.hypot(np.hypot(x, y) - 9, z) <= 3.6).transpose(2, 1, 0))
    vertices, left = decimated(corners, faces, 200)
    assert len(left) == 200
    assert len(vertices) - len(left) // 2 == 0
    assert trimesh_files.checked(vertices, left)["watertight"]


def test_flat_sides_cost_nothing():
    """A box keeps its size exactly when its sides lose their faces."""
    corners, faces = surface(box((20, 16, 12)))
    vertices, left = decimated(corners, faces, 120)
    assert len(left) == 120
    assert np.ptp(vertices, axis=0) == pytest.approx([20, 16, 12], abs=0.05)
    assert enclosed(vertices, left) == pytest.approx(enclosed(corners, faces), rel=0.005)


def test_noise_stays_watertight():
    corners, faces = surface(np.random.default_rng(0).random((10, 10, 10)) < 0.4)
    vertices, left = decimated(corners, faces, len(faces) // 2)
    assert trimesh_files.checked(vertices, left)["watertight"]


def test_an_inside_out_or_open_surface_is_seen():
    corners, faces = surface(box((3, 3, 3)))
    assert not trimesh_files.checked(corners, faces[:, ::-1])["outward"]
    assert not trimesh_files.checked(corners, faces[1:])["watertight"]


def test_a_table_has_one_line_per_surface_and_says_what_was_refused(masks):
    frame = pl.DataFrame({"mask": ["both.nii.gz", "empty.nii.gz", None]})
    found = Mesh().run(Cohort(frame, (Column("mask", "mask"),), root=masks), MeshOptions(smooth=2))
    out = found.cohort.table
    assert out["row"].to_list() == [1, 1, 2, 3]
    assert out["file"].to_list() == ["row1_label1.stl", "row1_label3.stl", None, None]
    assert "marks none" in out["notes"][2]
    assert found.facts["surfaces"] == 2
    assert found.cohort.lineage[-1].name == "mesh"
    json.dumps(found.facts, allow_nan=False)
    again = Mesh().run(Cohort(frame, (Column("mask", "mask"),), root=masks), MeshOptions(smooth=2))
    assert again.files == found.files


def test_refusals(masks):
    with pytest.raises(InputError, match="marks none"):
        meshed(masks / "empty.nii.gz")
    for bad in ({"kind": "dxf"}, {"axes": "xyz"}, {"smooth": -1}, {"faces": -5}):
        with pytest.raises(OptionError):
            meshed(masks / "ball.nii.gz", **bad)
    with pytest.raises(ColumnError, match="--mask"):
        Mesh().run(Cohort(pl.DataFrame({"a": [1]}), (Column("a", "number"),)), MeshOptions())


def test_the_command_names_files_by_what_they_hold(masks, tmp_path, capsys):
    assert main(["mesh", str(masks / "ball.nii.gz"), "--faces", "500", "--out", str(tmp_path / "ball.ply")]) == 0
    assert (tmp_path / "ball.ply").read_bytes().startswith(b"ply")
    assert main(["mesh", str(masks / "both.nii.gz"), "--out", str(tmp_path / "both.stl")]) == 0
    assert sorted(p.name for p in tmp_path.glob("both*")) == ["both_label1.stl", "both_label3.stl"]
    (masks / "list.csv").write_text("mask\nball.nii.gz\n")
    assert main(["mesh", str(masks / "list.csv"), "--mask", "mask", "--out", str(tmp_path / "folder")]) == 0
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["row1_label1.stl", "table.csv"]
    assert main(["mesh", str(masks / "ball.nii.gz"), "--out", str(tmp_path / "ball.dxf")]) == 2
    assert "kind" in capsys.readouterr().err
