"""Kinds of columns: one file each, found through INDEX."""

from osler import registry
from osler.modalities.base import Modality

INDEX = {
    "number": "osler.modalities.number:Number",
    "category": "osler.modalities.category:Category",
    "boolean": "osler.modalities.boolean:Boolean",
    "date": "osler.modalities.date:Date",
    "text": "osler.modalities.text:Text",
    "image": "osler.modalities.image:Image",
    "volume": "osler.modalities.volume:Volume",
    "mask": "osler.modalities.mask:Mask",
    "boxes": "osler.modalities.boxes:Boxes",
    "molecule": "osler.modalities.molecule:Molecule",
    "protein": "osler.modalities.protein:Protein",
}


def get(name: str) -> Modality:
    """The modality of this name."""
    return registry.load(INDEX, "modalities", name)()


__all__ = ["INDEX", "Modality", "get"]
