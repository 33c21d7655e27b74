"""A network from its description in a plan."""

from __future__ import annotations

from typing import Any

from torch import nn

from osler.models.neural.segmentation.pathways import DeepMedic
from osler.models.neural.segmentation.unet import UNet

KINDS = {"unet": UNet, "deepmedic": DeepMedic}


def network_of(description: dict[str, Any]) -> nn.Module:
    """The network that a plan describes, with fresh weights from torch's generator."""
    return KINDS[description["kind"]](description)
