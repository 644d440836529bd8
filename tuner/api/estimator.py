"""A study as an estimator of scikit-learn: `Tuned`, `TunedClassifier`, `TunedRegressor`.

The rules of scikit-learn's estimators hold, and `sklearn.utils.estimator_checks` pass but for one, that a
weight of two is exactly the same as a row that stands there twice: a search divides its rows. Parameters are
stored as they are given, `fit` does all the work, and what it finds ends in an underscore. A fitted
estimator holds its model as the bytes of the model's folder, so it can be pickled and outlives the database
that it was searched in.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from tuner.api.run import start
from tuner.api.stored import free_name, names
from tuner.core.dataset import Task
from tuner.data import rows_of, target
from tuner.errors import DataError, SpecError, StudyExists
from tuner.results import Study
from tuner.trainers import load_model
from tuner.trainers.model import Model

_NAME = "tuned"
"""The name of the study; in a database of the user's own a number follows where it is taken."""


_FOLDS = 5
_FOLDED = range(50, 5000)
"""The numbers of rows that are folded: fewer divide badly, and of more one split is enough to judge by."""

_WEIGHT = "sample_weight of fit"
"""What the weights are called in the study; no column of the rows should have that name."""


class ModelFiles:
    """The files of a model's folder, in memory; written out and loaded when the model is first needed."""

    def __init__(self, folder: Path) -> None:
        """Read them from where they lie now."""
        files = (path for path in folder.rglob("*") if path.is_file())
        self.files = {str(path.relative_to(folder)): path.read_bytes() for path in files}
        self._model: Model | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "_model": None}

    @property
    def model(self) -> Model:
        """The model, as `tuner.load_model` returns it."""
        if self._model is None:
            # A network of the user's own is read from its file, also later.
            place = Path(tempfile.mkdtemp(prefix="tuner-"))
            weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
            for name, content in self.files.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(content)
            self._model = load_model(place)
        return self._model


class Tuned(BaseEstimator):  # type: ignore[misc]
    """A network whose hyperparameters `fit` searches; classifies or regresses, as the target asks for.

    In cross-validation and in ensembles use `TunedClassifier` or `TunedRegressor`: scikit-learn asks
    there before the target is known. Of 50 to 5,000 rows every configuration of the shipped network is
    trained on five folds, and the mean of its five networks predicts; else, and where `settings` says
    anything of the data, the rows given to `fit` are divided into training and validation rows. No row is
    locked for a test, as whoever calls `score` has rows of their own.

    Args:
        space: names of spaces, or parameters by name; None: inferred from the data.
        trials: how many configurations are tried.
        seconds: a limit of wall time for the search.
        epochs: epochs of a trial that nothing stops; None: inferred from the data.
        scoring: a score as in `[trainer] score`, which is then searched for; None: the validation loss is.
        random_state: an int for the same search every time.
        database: the URL of a database that keeps the study; None: a temporary one.
        settings: further keys of a study file by dotted name, e.g. ``{"trainer.model": "mlp"}``.

    Attributes:
        best_params_: the configuration of the trial that was taken.
        best_value_: its validation loss, or validation score with `scoring`.
        trials_: every trial, see `Study.trials`.
        notes_: what was done to the data, a sentence each.
        study_name_: the study's name in `database`.
        classes_: the classes, where the target holds such.
        n_features_in_: how many columns were given.
        feature_names_in_: their names, where they have names that are text.
    """

    def __init__(
        self,
        *,
        space: Any = None,
        trials: int = 20,
        seconds: float | None = None,
        epochs: int | None = None,
        scoring: str | None = None,
        random_state: Any = None,
        database: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.space = space
        self.trials = trials
        self.seconds = seconds
        self.epochs = epochs
        self.scoring = scoring
        self.random_state = random_state
        self.database = database
        self.settings = settings

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Search, and keep the best trial's model.

        Args:
            X: (N, D) numbers, or a data frame with columns of any kind.
            y: (N,) classes or numbers, or (N, T) numbers.
            sample_weight: (N,) what each row counts, in training and in every loss and score; None: all the
                same. Only the ratios matter.

        Raises:
            ValueError: the data or a parameter cannot be used.
            TrialError: every trial failed.
        """
        x, y = self._given(X, y)
        weight = None if sample_weight is None else self._weight(sample_weight, x)
        task = self._task_of(y)
        if task is Task.CLASSIFICATION:
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
            self.classes_, y = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise ValueError("y has one class only; two or more are needed")
        else:
            y = check_array(y, ensure_2d=False, dtype=np.float64)
            self.__dict__.pop("classes_", None)
        try:
            self._search(x, y, task, weight)
        except (DataError, SpecError) as error:
            raise ValueError(str(error)) from error
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Classes as they stand in the target, (N,), or numbers, (N,) or (N, T)."""
        check_is_fitted(self)
        found = self.model_.predict(self._rows(X))
        if self._task is Task.CLASSIFICATION:
            classes: NDArray[Any] = self.classes_[found.astype(np.intp)]
            return classes
        return np.asarray(found, np.float64)

    def _classifies(self) -> bool:
        return getattr(self, "_task", None) is Task.CLASSIFICATION

    @available_if(lambda self: self._classifies())  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """The probability of each class, (N, C), in the order of `classes_`."""
        check_is_fitted(self)
        model: Any = self.model_
        found = model.probabilities(self._rows(X))
        places = [int(name) for name in model.description["context"]["classes"]]
        whole = np.zeros((len(found), len(self.classes_)))
        whole[:, places] = found
        return whole

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Accuracy of a classifier, R² of a regressor."""
        measure = accuracy_score if self._classifies() else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    @property
    def model_(self) -> Model:
        """The model of the trial that was taken, as `tuner.load_model` returns it."""
        files: ModelFiles = self.model_files_
        return files.model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_files_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = not isinstance(self, ClassifierMixin)
        return tags

    def _task_of(self, y: Any) -> Task:
        """What is predicted."""
        if type_of_target(y, input_name="y").startswith("continuous") or np.ndim(y) == 2:
            return Task.REGRESSION
        return target.read(pd.Series(np.asarray(y)), None, "y").task

    def _given(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:  # noqa: N803
        """What `fit` was given, as the study takes it; what scikit-learn forbids is refused."""
        x = rows_of(X)
        self._columns = list(x.columns) if isinstance(x, pd.DataFrame) else None
        if self._columns is None or y is None:
            return validate_data(self, X, y, multi_output=True, ensure_min_samples=2)  # type: ignore[no-any-return]
        validate_data(self, X, skip_check_array=True)
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
        check_consistent_length(x, y)
        return x, y

    def _rows(self, X: Any) -> Any:  # noqa: N803
        """Rows to predict, as the model takes them."""
        x = rows_of(X)
        if self._columns is None:
            return validate_data(self, X, reset=False)
        if isinstance(x, pd.DataFrame):
            validate_data(self, X, reset=False, skip_check_array=True)
            return x
        return pd.DataFrame(validate_data(self, X, reset=False, dtype=None), columns=self._columns)

    def _weight(self, given: Any, x: Any) -> NDArray[np.float64]:
        """What each row counts, (N,)."""
        weight = _check_sample_weight(given, x, dtype=np.float64, ensure_non_negative=True)
        if not weight.any():
            raise ValueError("sample_weight: all weights are zero; at least one has to be above")
        return np.asarray(weight)

    def _search(self, x: Any, y: NDArray[Any], task: Task, weight: NDArray[np.float64] | None) -> None:
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        settings = {
            "data.task": str(task),
            "data.test": 0.0,
            **({"data.folds": _FOLDS} if self._is_folded(len(y)) else {}),
            "trainer.executor": "inline",
            "trainer.workers": 1,
            **({"trainer.epochs": self.epochs} if self.epochs is not None else {}),
            **({"trainer.score": self.scoring} if self.scoring is not None else {}),
            **(self.settings or {}),
            **({"data.weight": _WEIGHT} if weight is not None else {}),
        }
        rows = (x, y) if weight is None else {"X": x, "y": y, _WEIGHT: weight}
        with self._place() as (storage, models):
            while True:
                with suppress(StudyExists):  # another process may take a name at the same time
                    study = start(
                        name=free_name(_NAME, names(storage=storage)),
                        data=rows,
                        space=self.space,
                        metric=None if self.scoring is None else "val_score",
                        trials=self.trials,
                        seconds=self.seconds,
                        storage=storage,
                        models=models,
                        seed=seed,
                        settings=settings,
                        progress=False,
                    )
                    self._keep(study, task)
                    return

    def _is_folded(self, rows: int) -> bool:
        own = tuple(self.settings or {})
        has_own = any(key.startswith(("data.", "trainer.use", "trainer.model")) for key in own)
        return rows in _FOLDED and not has_own

    @contextmanager
    def _place(self) -> Iterator[tuple[str, str | None]]:
        """The database, and the folder for models."""
        if self.database is not None:
            yield self.database, None
            return
        with tempfile.TemporaryDirectory(prefix="tuner-") as folder:
            yield f"sqlite:///{folder}/tuner.db", folder

    def _keep(self, study: Study, task: Task) -> None:
        view = study.recommended
        self._task = task
        self.model_files_ = ModelFiles(view.folder)
        self.best_params_, self.best_value_ = view.params, view.value
        self.trials_, self.notes_, self.study_name_ = study.trials, study.notes, study.name


class TunedClassifier(ClassifierMixin, Tuned):  # type: ignore[misc]
    """A classifier whose hyperparameters `fit` searches; see `Tuned`."""

    def _task_of(self, y: Any) -> Task:  # noqa: ARG002
        return Task.CLASSIFICATION

    def _classifies(self) -> bool:
        return True


class TunedRegressor(RegressorMixin, Tuned):  # type: ignore[misc]
    """A regressor whose hyperparameters `fit` searches; see `Tuned`."""

    def _task_of(self, y: Any) -> Task:  # noqa: ARG002
        return Task.REGRESSION
