"""What column names must be, whatever the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from osler.cohort import limits
from osler.errors import LimitError, ReadError


def checked(names: Sequence[str], source: str) -> list[str]:
    """The names without outer spaces.

    Raises:
        ReadError: a name is empty or doubled, or the first line holds mostly numbers and some twice (code
            `read-header`).
        LimitError: there are more columns than `limits.MAX_COLUMNS`.
    """
    found = [str(n).replace("\0", "").strip() for n in names]
    if len(found) > limits.MAX_COLUMNS:
        raise LimitError(
            f"'{source}' must have at most {limits.MAX_COLUMNS:,} columns, it "
            f"has {len(found):,}: make one row per record"
        )
    empty = [i + 1 for i, n in enumerate(found) if not n]
    if empty:
        many = f" and {len(empty) - 1:,} more" if len(empty) > 1 else ""
        raise ReadError(
            f"every column of '{source}' must have a name, column {empty[0]:,}{many} has none in row 1 (the header): "
            "name it, or write the table without its row index", "read-header",
        )  # fmt: skip
    twice = [n for n, c in Counter(found).items() if c > 1]
    if twice:
        where = [i + 1 for i, n in enumerate(found) if n == twice[0]]
        if sum(_is_number(n) for n in found) > 0.5 * len(found):
            raise ReadError(
                f"the first line of '{source}' must name the columns, it holds mostly numbers: add a header",
                "read-header",
            )
        raise ReadError(
            f"column names of '{source}' must differ, columns {where[0]} and "
            f"{where[1]} have the same in row 1 (the header): "
            "rename one, or add a header if there is none", "read-header",
        )  # fmt: skip
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
