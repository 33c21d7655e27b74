"""A matrix as LightGBM sees it: values in coarse bins, worked out anew for the rows of one question, or once for many
questions.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

#: Settings that decide how values are put into bins.
_BIN_SETTINGS = ("max_bin", "feature_pre_filter", "force_row_wise", "num_threads", "verbosity")


class Table:
    """Rows of a design's matrix.

    Args:
        X: (n, p) matrix.
    """

    def __init__(self, X: np.ndarray) -> None:
        self.X = X
        self.shape: tuple[int, int] = X.shape

    def part(self, rows: np.ndarray, y: np.ndarray, w: np.ndarray, settings: dict[str, Any], like: Any = None) -> Any:
        """A LightGBM data set of some rows.

        Args:
            rows: positions in this table, in ascending order. y, w: (n,) targets and weights of all its rows.
            like: the data set of the training rows, whose bins are taken over.
        """
        import lightgbm

        X = self.X if len(rows) == len(self.X) else self.X[rows]
        return lightgbm.Dataset(X, y[rows], weight=w[rows], params=settings, reference=like)


class SharedBins:
    """A matrix whose bins are worked out once and shared by all labels of its rows.

    Args:
        X: (n, p) matrix. settings: LightGBM's, of which those count that concern bins.
    """

    def __init__(self, X: np.ndarray, settings: dict[str, Any]) -> None:
        self._X = X
        self._settings = {name: settings[name] for name in _BIN_SETTINGS}

    @cached_property
    def _whole(self) -> Any:
        import lightgbm

        return lightgbm.Dataset(self._X, np.zeros(len(self._X)), params=self._settings).construct()

    def of(self, rows: np.ndarray) -> SharedTable:
        """The rows of one label: positions in the matrix, in ascending order."""
        return SharedTable(self._whole, rows, self._X.shape[1])


class SharedTable(Table):
    """Rows of a matrix whose bins are there already."""

    def __init__(self, whole: Any, rows: np.ndarray, width: int) -> None:
        self._whole, self._rows = whole, rows
        self.shape = (len(rows), width)

    def part(self, rows: np.ndarray, y: np.ndarray, w: np.ndarray, settings: dict[str, Any], like: Any = None) -> Any:
        """As `Table.part`, with the bins of all rows."""
        found = self._whole.subset(self._rows[rows]).construct()  # a label given before would be lost
        found.set_label(y[rows])
        found.set_weight(w[rows])
        return found
