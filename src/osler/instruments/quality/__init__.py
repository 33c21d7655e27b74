"""`osler quality`: what may be wrong with scans before anyone measures or learns from them."""

from osler.instruments.quality.instrument import Quality, QualityOptions

__all__ = ["Quality", "QualityOptions"]
