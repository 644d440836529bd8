"""An estimator as an ONNX graph: scaled, flat inputs in; labels and probabilities, or numbers out.

Needs `tuner[onnx]`; imported where a graph is asked for.
"""

from __future__ import annotations

import copy
import warnings
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
    from skl2onnx.common import tree_ensemble

    add = tree_ensemble.add_node

    def add_whole(*given: Any, nodes_missing_value_tracks_true: Any = 0, **more: Any) -> None:
        add(*given, nodes_missing_value_tracks_true=int(nodes_missing_value_tracks_true), **more)

    tree_ensemble.add_node = add_whole
