"""Drawn tasks: rows as scans with masks or boxes, models that draw, and what their drawings are worth."""
