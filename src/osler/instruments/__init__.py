"""Specialised tools: one file or folder each, found through INDEX; each is a command of the same name."""

from osler import registry
from osler.instruments.base import Findings, Instrument

INDEX = {
    "cluster": "osler.instruments.cluster:Cluster",
    "reduce": "osler.instruments.reduce:Reduce",
    "rules": "osler.instruments.rules:Rules",
    "missing": "osler.instruments.missing:Missing",
    "tableone": "osler.instruments.tableone:TableOne",
    "dock": "osler.instruments.dock:Dock",
    "measure": "osler.instruments.measure:Measure",
    "mesh": "osler.instruments.mesh:Mesh",
    "quality": "osler.instruments.quality:Quality",
}


def get(name: str) -> Instrument:
    """The instrument of this name."""
    return registry.load(INDEX, "instruments", name)()


__all__ = ["INDEX", "Findings", "Instrument", "get"]
