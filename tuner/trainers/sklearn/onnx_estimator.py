"""An estimator as an ONNX graph: scaled, flat inputs in; labels and probabilities, or numbers out.

Needs `tuner[onnx]`; imported where a graph is asked for.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from sklearn.multioutput import MultiOutputClassifier

from tuner.errors import PluginError, TrialError, first_line


def graph_of(estimator: Any, columns: int) -> bytes:
    """Convert a fitted estimator.

    Args:
        estimator: what was trained.
        columns: of its inputs.

    Raises:
        PluginError: skl2onnx is not installed.
        TrialError: it has no converter of this estimator.
    """
    try:
        from skl2onnx import to_onnx
    except ImportError as error:
        raise PluginError(f"ONNX: {error.name} is not installed; pip install 'tuner[onnx]'") from error
    _mend_boosting()
    estimator = _of_whole_labels(estimator)
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made: Any = to_onnx(estimator, np.zeros((1, columns), np.float32), options=options)
    except Exception as error:
        raise TrialError(
            f"{type(estimator).__name__} cannot be written as an ONNX graph: {first_line(error)}; "
            "use --format skops"
        ) from error
    found: bytes = made.SerializeToString()
    return found


def _of_whole_labels(estimator: Any) -> Any:
    """The same with labels 0 and 1 as integers: the graph would have texts for 0.0 and 1.0."""
    if not isinstance(estimator, MultiOutputClassifier):
        return estimator
    found = copy.deepcopy(estimator)
    for each in found.estimators_:
        each.classes_ = np.asarray(each.classes_, np.int64)
    found.classes_ = [each.classes_ for each in found.estimators_]
    return found


@cache
def _mend_boosting() -> None:
    """Have truth values of trees written as integers, which onnx asks of skl2onnx since 1.20."""
    from skl2onnx.common._registration import get_converter, register_converter

    switches: dict[str, list[Any]] = {"raw_scores": [True, False]}
    shown = {key: [True, False] for key in ("nocl", "output_class_labels")} | {
        "zipmap": [True, False, "columns"]
    }
    for kind, more in (("Classifier", shown), ("Regressor", {})):
        name = f"SklearnHistGradientBoosting{kind}"
        register_converter(name, _whole(get_converter(name)), overwrite=True, options=switches | more)


def _whole(convert: Callable[..., None]) -> Callable[..., None]:
    def converted(scope: Any, operator: Any, container: Any) -> None:
        add = container.add_node

        def add_whole(*given: Any, nodes_missing_value_tracks_true: Any = None, **attributes: Any) -> None:
            if nodes_missing_value_tracks_true is not None:
                whole = [int(each) for each in nodes_missing_value_tracks_true]
                attributes["nodes_missing_value_tracks_true"] = whole
            add(*given, **attributes)

        container.add_node = add_whole
        try:
            convert(scope, operator, container)
        finally:
            del container.add_node

    return converted
