"""What MLflow loads for a model that `osler export --format mlflow` wrote. MLflow itself is not needed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osler.adapters.frames import to_polars
from osler.engine.predict import rows_cohort
from osler.engine.predictor import Predictor
from osler.errors import ColumnError, nearest


class Served:
    """A predictor as MLflow's python_function calls it.

    Args:
        predictor: what answers.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """A pandas table of rows in, a pandas table of prediction columns out.

        Args:
            model_input: columns by name; absent columns are not known.
            params: MLflow passes them on; there are none.

        Raises:
            ColumnError: a column is none of the model's; the nearest is suggested.
        """
        table = to_polars(model_input)
        known = [c.name for c in self.predictor.inputs]
        strange = [name for name in table.columns if name not in known]
        if strange or not table.columns:
            hint = nearest(strange[0], known) if strange else nearest("", known)
            raise ColumnError(f"the table must hold columns of the model only, {len(strange)} are none of them: {hint}")
        answered = self.predictor.predict(rows_cohort(self.predictor, table.to_dicts()))
        names = [c.name for c in answered.role("prediction")]
        return type(model_input)({name: answered.table[name].to_list() for name in names})


def _load_pyfunc(data_path: str) -> Served:
    """MLflow's entry point: the path of the predictor folder (or of the folder around it)."""
    folder = Path(data_path)
    return Served(Predictor.load(folder if (folder / "manifest.json").is_file() else folder / "predictor"))
