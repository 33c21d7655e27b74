"""Docking: molecules of a table into a protein."""

from osler.instruments.dock.instrument import Dock, DockOptions

__all__ = ["Dock", "DockOptions"]
