"""`osler measure`: size, shape and intensities of marked regions, and their growth."""

from osler.instruments.measure.instrument import Measure, MeasureOptions

__all__ = ["Measure", "MeasureOptions"]
