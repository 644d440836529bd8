"""predict: what a kept model says of rows that it never saw, as a table."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from tuner.api.workbench import load
from tuner.artifacts import DESCRIPTION
from tuner.core.dataset import Task
from tuner.data import labels, read_rows, rows_of, untold
from tuner.errors import DataError, SpecError, StudyNotFound, TrialError
from tuner.trainers import ensemble as ensemble_of
from tuner.trainers import load_model
from tuner.trainers.model import Model

PREDICTION, PROBABILITY = "prediction", "probability"
"""The names of the columns; that of a probability goes on with an underscore and its class."""


def predict(
    model: str | Path,
    rows: Any,
    *,
    trial: int | None = None,
    ensemble: int | None = None,
    keep: bool = False,
    storage: str | None = None,
    models: str | Path | None = None,
) -> pd.DataFrame:
    """Predict rows with the model of a study, or with one that `export` wrote.

    What is new to the model in the rows, e.g. a category that training never had, is logged as a warning.

    Args:
        model: a folder that holds a model; or the name of a stored study, whose trial to take it is.
        rows: a CSV, Parquet or NPZ file, or such a CSV opened for reading; or rows in memory. Columns may
            stand in any order, and further ones, such as the target, are not looked at.
        trial: another trial of the study.
        ensemble: the mean of so many of its best kept models; see `Study.best_kept`.
        keep: put the columns of the rows before the predictions.
        storage: the database's URL.
        models: the folder for the models of all studies, where they were moved.

    Returns:
        A row for each row, or for each sequence of rows, with its id and the time of its last step:
        ``prediction``, and for classes ``probability_<class>`` each where the model has
        probabilities; of several targets ``prediction_0`` and so on.

    Raises:
        StudyNotFound: there is neither such a folder nor such a study.
        TrialError: the model was not kept or cannot predict by itself, or the rows do not fit it.
        DataError: the rows cannot be read.
        SpecError: an option makes no sense.
    """
    kept = _model(model, trial, ensemble, storage, models)
    where, given = _rows(rows)
    try:
        table = _predicted(kept, given)
    except TrialError as error:
        raise TrialError(f"{where}: {str(error).removeprefix('rows: ')}") from error
    if not keep:
        return table
    if not isinstance(given, pd.DataFrame):
        raise SpecError(f"{where}: the rows have no columns to keep; leave keep out")
    if len(given) != len(table):
        raise SpecError(f"{where}: the rows are steps, and sequences of them are predicted; leave keep out")
    both = [name for name in table.columns if name in given.columns]
    if both:
        raise SpecError(f"{where}: has a column '{both[0]}' already; rename it, or leave keep out")
    return pd.concat([given.reset_index(drop=True), table], axis=1)


def _model(
    name: str | Path, trial: int | None, count: int | None, storage: str | None, models: str | Path | None
) -> Model:
    if trial is not None and count is not None:
        raise SpecError("predict: an ensemble is of several trials; give either trial or ensemble")
    folder = Path(name)
    if any((place / DESCRIPTION).is_file() for place in (folder, folder / "model")):
        if trial is not None or count is not None:
            raise SpecError(f"{folder}: is a model itself; name a study to choose trials")
        return load_model(folder)
    no_model = SpecError(f"{folder}: holds no model; give a folder that `tune export` wrote, or a study")
    if isinstance(name, Path):
        raise no_model
    try:
        study = load(name, storage=storage, models=models)
    except StudyNotFound:
        if folder.is_dir():  # which may have the name of a study: that of its pictures
            raise no_model from None
        raise
    if count is not None:
        return ensemble_of([each.folder for each in study.best_kept(count)])
    return load_model((study.recommended if trial is None else study.trial(trial)).folder)


def _rows(rows: Any) -> tuple[str, Any]:
    """What the rows are called in messages, and the rows."""
    if isinstance(rows, str | Path):
        return str(rows), read_rows(Path(rows).expanduser(), str(rows))
    if hasattr(rows, "read"):
        return _read(rows)
    found = rows_of(rows)
    return "rows", found if hasattr(found, "__len__") else np.asarray(found)


def _read(file: IO[bytes]) -> tuple[str, Any]:
    where = str(getattr(file, "name", "rows")).strip("<>")
    with tempfile.TemporaryDirectory(prefix="tuner-") as folder:
        place = Path(folder) / "rows.csv"
        with place.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        return where, read_rows(place, where)


def _predicted(model: Model, rows: Any) -> pd.DataFrame:
    """The predictions; those of sequences of rows behind what each sequence is known by."""
    if not len(rows):
        raise DataError("rows: there are none; give at least one")
    table, encoding = _predictions(model, rows), model.description.get("encoding", {})
    return pd.concat([labels(rows, encoding), table], axis=1) if "steps" in encoding else table


def _predictions(model: Model, rows: Any) -> pd.DataFrame:
    found = model.predict(rows)
    if found.ndim == 2:
        return pd.DataFrame({f"{PREDICTION}_{i}": found[:, i] for i in range(found.shape[1])})
    columns: dict[str, Any] = {PREDICTION: found}
    context = model.description.get("context", {})
    probabilities = getattr(model, "probabilities", None)
    if context.get("task") == Task.CLASSIFICATION and probabilities is not None:
        try:
            with untold():
                shares = probabilities(rows)
        except TrialError:  # an estimator without them
            return pd.DataFrame(columns)
        columns |= {f"{PROBABILITY}_{name}": shares[:, i] for i, name in enumerate(context["classes"])}
    return pd.DataFrame(columns)
