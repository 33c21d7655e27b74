"""Meshes checked and written through trimesh, the only place where it is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from osler.registry import optional

#: Kinds of mesh files that are written.
KINDS = ("stl", "obj", "ply", "glb")


@dataclass(frozen=True)
class Body:
    """One named surface: vertices (n, 3) in mm, faces (m, 3), and its colour (red, green, blue from 0 to 255)."""

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    colour: tuple[int, int, int] = (200, 200, 200)


def checked(vertices: np.ndarray, faces: np.ndarray) -> dict[str, bool]:
    """Whether a surface is watertight (every edge has two faces), turned one way throughout, and outward.

    Raises:
        MissingExtraError: trimesh is not installed.
    """
    mesh = optional("trimesh", "imaging").Trimesh(vertices, faces, process=False)
    is_one_way = bool(mesh.is_winding_consistent)
    return {"watertight": bool(mesh.is_watertight), "one_way": is_one_way, "outward": is_one_way and bool(mesh.volume > 0)}


def written(bodies: Sequence[Body], kind: str) -> bytes:
    """A mesh file: binary STL, OBJ, binary PLY, or GLB in which every body keeps its name and colour; the others hold one surface.

    Args:
        bodies: what to write; several are joined unless `kind` is "glb".
        kind: one of `KINDS`.

    Raises:
        MissingExtraError: trimesh is not installed.
    """
    trimesh = optional("trimesh", "imaging")
    meshes = []
    for body in bodies:
        mesh = trimesh.Trimesh(body.vertices, body.faces, process=False)
        if kind == "glb":
            colour = [*(c / 255 for c in body.colour), 1.0]
            material = trimesh.visual.material.PBRMaterial(name=body.name, baseColorFactor=colour, metallicFactor=0.0, roughnessFactor=0.8)
            mesh.visual = trimesh.visual.TextureVisuals(material=material)
        meshes.append(mesh)
    if kind == "glb":
        scene = trimesh.Scene()
        for body, mesh in zip(bodies, meshes, strict=True):
            scene.add_geometry(mesh, node_name=body.name, geom_name=body.name)
        return bytes(scene.export(file_type="glb"))
    whole = meshes[0] if len(meshes) == 1 else trimesh.util.concatenate(meshes)
    made = whole.export(file_type=kind)
    return made.encode() if isinstance(made, str) else bytes(made)


def read(data: bytes, kind: str) -> list[Body]:
    """The surfaces of a mesh file, each with its name (empty but for GLB).

    Raises:
        MissingExtraError: trimesh is not installed.
    """
    import io

    scene = optional("trimesh", "imaging").load_scene(io.BytesIO(data), file_type=kind)
    return [Body(name if kind == "glb" else "", np.asarray(m.vertices), np.asarray(m.faces)) for name, m in scene.geometry.items()]
