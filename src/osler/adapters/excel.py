"""Excel and OpenDocument workbooks through fastexcel (calamine)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from osler.cohort.headers import checked
from osler.errors import ReadError
from osler.registry import optional


def read_sheet(path: Path) -> tuple[pl.DataFrame, str]:
    """The first sheet that holds anything, its first row as header, and the sheet's name. Cells keep their own types;
    a column of several types is text. Formulas are not computed: the value that was saved beside them is read.

    Raises:
        ReadError: no sheet holds a table (code `read-empty`).
    """
    workbook = optional("fastexcel", "all").read_excel(path)
    for name in workbook.sheet_names:
        grid = workbook.load_sheet(name, header_row=None, dtypes="string")
        if not grid.width or not grid.height:
            continue
        header = ["" if v is None else str(v) for v in grid.to_polars().row(0)]
        names = checked(header, path.name)
        sheet = workbook.load_sheet(name, header_row=None, skip_rows=1, column_names=names)
        if not sheet.height:
            return pl.DataFrame(schema=dict.fromkeys(names, pl.String())), name
        return sheet.to_polars(), name
    raise ReadError(
        f"'{path.name}' must hold a table, its sheets are empty: check that it was exported whole", "read-empty"
    )
