"""Heat maps on the terminal and as files: where in the scan of one row the evidence for its answer lies."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from osler.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

    from osler.engine.heat import Heat


def whole(row: int | None, overlay: Path | None, mask: str) -> None:
    """Refuse flags that do not go together.

    Raises:
        OptionError: a drawing or a mask without a row, or a drawing that is no PNG.
    """
    if row is None and (overlay is not None or mask):
        raise OptionError("--overlay and --mask must come with --row, it was not given: add --row 1")
    if overlay is not None and overlay.suffix.lower() != ".png":
        raise OptionError(f"--overlay must name a file that ends in .png, was '{overlay.name}'")


def row(run: Path, path: str, number: int, asked: tuple[str, str], wanted: tuple[Path | None, str]) -> None:
    """The maps of one row: where most is, and the files that are wanted.

    Args:
        asked: way and class. wanted: the PNG file, and the mask's file.

    Raises:
        OptionError: something about scans is wanted of a row without one.
    """
    from osler.engine.explain import chosen_rows, table_of
    from osler.engine.heat import heat_of, scan_columns
    from osler.engine.predict import open_predictor

    predictor = open_predictor(run)
    (way, output), (overlay, mask) = asked, wanted
    names = scan_columns(predictor) if way != "none" else []
    cohort = chosen_rows(table_of(predictor, path), [number]) if names else None
    found = [h for name in names if (h := heat_of(predictor, cohort, name, way, output)[0]) is not None]
    if not found and (overlay is not None or mask):
        raise OptionError("row must have a picture or volume that can be read to draw its map, this one has none: name another")
    for i, heat in enumerate(found, 1):
        inside = _mask(mask, heat) if mask else None
        for line in lines(heat, inside):
            print(line)
        if overlay is not None:
            write(heat, overlay if i == 1 else overlay.with_name(f"{overlay.stem}-{i}.png"), inside)


def lines(heat: Heat, inside: np.ndarray | None = None) -> list[str]:
    """What a map says in words."""
    of = f" for {heat.output} (probability {heat.answer:.3f})" if heat.output else f" for a higher answer ({heat.answer:.4g})"
    said = [f"{heat.column}: evidence{of}, by {heat.way}"]
    if not heat.values.any():
        return [*said, "nothing in the scan speaks for it"]
    at = ", ".join(f"{axis} {place}" for axis, place in zip("xyz", heat.peak))
    said.append(f"hottest at {at} (counted from 0); half of the heat lies in {100 * heat.narrow():.1f} % of the scan")
    if inside is not None:
        area, share = float(inside.mean()), heat.share_inside(inside)
        said.append(f"inside the mask: {100 * share:.1f} % of the heat; the mask covers {100 * area:.1f} % of the scan")
    return said


def write(heat: Heat, path: Path, inside: np.ndarray | None = None) -> None:
    """The drawing, and of a volume its map on the volume's own grid, as a file of the same name that ends in .nii.gz."""
    from osler.adapters.imaging import nifti
    from osler.adapters.imaging.overlay import png
    from osler.engine.files import write_atomic
    from osler.engine.heat import drawn

    files = {path: png(drawn(heat, inside))}
    if heat.values.ndim == 3:
        data = nifti.encoded(heat.values, heat.scan.affine)
        files[path.with_name(f"{path.stem}.nii.gz")] = gzip.compress(data, mtime=0)
    for target, data in files.items():
        write_atomic(target, data)
        print(f"written: {target}")


def _mask(reference: str, heat: Heat) -> np.ndarray:
    from osler.adapters.imaging.scan import read

    return read(reference, None, heat.values.ndim).values.max(axis=0) > 0
