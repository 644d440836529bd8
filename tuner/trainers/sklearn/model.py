"""SklearnModel: the best epoch of a trial as a folder that loads anywhere, and back.

model.skops holds the estimator, model.json the rest; nothing is pickled. Models that are on disk have to
stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, InputPart, TargetUnits, Task
from tuner.core.spec import StudySpec
from tuner.data import Scaling, flat, width
from tuner.errors import TrialError, TunerError, described
from tuner.trainers import threshold
from tuner.trainers.model import describe, encoded, indices, write_description
from tuner.trainers.prepared_model import PreparedModel
from tuner.trainers.sklearn.estimators import estimator_class, of_label
from tuner.trainers.sklearn.measures import probabilities, row_losses
from tuner.trainers.threshold import Threshold

FORMAT = 1
"""The version of what `SklearnModel.write` writes."""

ESTIMATOR = "model.skops"
"""The file of a model's estimator."""

_CONTEXT = ("input_shape", "outputs", "task", "classes", "features", "vocabulary")
"""What is told of the data."""


@dataclass(frozen=True)
class SklearnModel(PreparedModel):
    """A fitted estimator with everything that its inputs need.

    Attributes:
        module: the estimator; takes scaled, flat inputs (N, D).
    """

    module: Any
    takes = "estimator"

    def probabilities(self, rows: Any) -> NDArray[np.float32]:
        """See `PreparedModel`; not every estimator has them."""
        if not hasattr(self.module, "predict_proba"):
            raise TrialError(f"{type(self.module).__name__} has no probabilities; use predict")
        return super().probabilities(rows)

    def said(self, x: NDArray[Any]) -> NDArray[Any]:
        """See `PreparedModel`."""
        return np.asarray(self.module.predict(self._flat(x)))

    def shares(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """See `PreparedModel`."""
        return probabilities(self.module, self._flat(x), len(self.description["context"]["classes"]))

    def losses(self, rows: Any, truth: NDArray[Any]) -> NDArray[np.float64]:
        """The loss of each row, (N,), as `measures.measure` has it.

        Raises:
            TrialError: the rows do not fit the model.
        """
        table, x = self.description, self._flat(encoded(rows, self.description, self.takes))
        if table["context"]["task"] == Task.REGRESSION:
            units = TargetUnits.from_table(table["target"], np.float64)
            found = np.asarray(self.module.predict(x), np.float64).reshape(np.shape(truth))
            squares = (found - units.standardized(truth)) ** 2
            return np.asarray(squares.reshape(len(squares), -1).mean(axis=1))
        places = indices(truth, table)
        if not hasattr(self.module, "predict_proba"):
            wrong = np.asarray(self.module.predict(x)) != places
            return np.asarray(wrong.reshape(len(wrong), -1).mean(axis=1))
        return row_losses(self.module, x, places)

    @property
    def width(self) -> int:
        """How many columns the estimator takes."""
        context, parts = self.description["context"], Scaling.from_table(self.description["scaling"]).parts
        one = InputPart("", tuple(context["input_shape"]), context.get("vocabulary", 0))
        return width([part for part, _ in parts] or [one])

    @property
    def size_bytes(self) -> int:
        """Of the estimator as skops writes it."""
        from skops import io

        return len(io.dumps(self.module))

    def write(self, folder: Path) -> None:
        """Write it into an existing, empty folder; model.json, which makes it a model, comes last.

        Raises:
            TrialError: the estimator has parts that skops cannot write.
        """
        from skops import io  # it looks at every estimator there is, which takes a second

        try:
            io.dump(self.module, folder / ESTIMATOR)
        except OSError:
            raise
        except Exception as error:  # skops has no error of its own for this
            raise TrialError(f"skops cannot write it: {error}") from error
        write_description(folder, self.description)

    def _flat(self, x: NDArray[Any]) -> NDArray[np.float32]:
        table = self.description
        return flat(Scaling.from_table(table["scaling"]), x, table["context"].get("vocabulary", 0))


def preparation(estimator: Any, scaling: Scaling, data: Dataset, spec: StudySpec) -> dict[str, Any]:
    """The part of model.json that predicting needs: how raw rows become inputs, and what outputs mean.

    Args:
        estimator: fitted on the training split of `data`.
        scaling: of its inputs.
        data: knows the encoding, the classes and the target's units.
        spec: says whether there is a threshold.
    """
    table: dict[str, Any] = {
        "context": {name: getattr(data, name) for name in _CONTEXT},
        "scaling": scaling.to_table(),
        "target": data.units.to_table(),
        "encoding": dict(data.encoding),
        **({"labels": dict(data.labels)} if data.labels else {}),
    }
    if (deciding := Threshold.of(spec, data.task)) is not None:
        judged = data.validation
        shares = probabilities(estimator, flat(scaling, judged.x, data.vocabulary), len(data.classes))
        table[threshold.KEY] = deciding.table(judged.y, shares, data, judged.weight)
    return table


def load(folder: Path) -> SklearnModel:
    """Read what `SklearnModel.write` wrote, in this process or any other.

    Nothing is made but what skops trusts by itself, further classes of scikit-learn, and the class
    that model.json names as the estimator's, which is imported for it.

    Raises:
        TrialError: the folder is missing or damaged, or holds anything else; one line.
        PluginError: the package of the estimator is not installed.
    """
    description = describe(folder, FORMAT)
    path = folder / ESTIMATOR
    try:
        known = estimator_class(description["estimator"])
        estimator = read(path.read_bytes(), known, str(path))
        if type(of_label(estimator)) is not known:
            raise TrialError(f"{path}: holds a {type(estimator).__name__}, not a {known.__name__}")
        _check(description)
    except TunerError:
        raise
    except Exception as error:
        raise TrialError(f"{folder}: is damaged: {described(error)}") from error
    return SklearnModel(description, estimator)


def read(text: bytes, known: type[Any], place: str) -> Any:
    """Read what skops wrote, made of nothing but what `load` allows.

    Args:
        text: the bytes.
        known: the estimator's class.
        place: where they come from, for the user.

    Raises:
        TrialError: there is anything else in it.
    """
    from skops import io

    foreign = io.get_untrusted_types(data=text)
    own = f"{known.__module__}.{known.__qualname__}"
    refused = [name for name in foreign if name != own and not _is_class_of_sklearn(name)]
    if refused:
        raise TrialError(f"{place}: holds {', '.join(refused)}, which may run any code; it is not loaded")
    return io.loads(text, trusted=foreign)


def _check(description: Mapping[str, Any]) -> None:
    Scaling.from_table(description["scaling"])
    for section, keys in (
        ("context", ("input_shape", "task", "classes", "features")),
        ("target", ("shift", "scale")),
        ("encoding", ()),
    ):
        for key in keys:
            if key not in description[section]:
                raise KeyError(f"{section}.{key}")


def _is_class_of_sklearn(name: str) -> bool:
    """Whether a type is scikit-learn's; functions are none, since estimators may call what they hold."""
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] != "sklearn":
        return False
    try:
        return isinstance(getattr(import_module(module), attribute, None), type)
    except ImportError:
        return False


def absolute(reference: str) -> str:
    """The reference, with the whole path of the file where it names one."""
    name, _, attribute = reference.rpartition(":")
    return f"{Path(name).resolve()}:{attribute}" if name.endswith(".py") else reference
