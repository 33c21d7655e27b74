"""`osler mesh`: surfaces of marked regions as files for viewers and printers."""

from osler.instruments.mesh.instrument import Mesh, MeshOptions

__all__ = ["Mesh", "MeshOptions"]
