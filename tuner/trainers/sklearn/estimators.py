"""Which estimator a study means, and what it takes.

Builds estimators and looks at their parameters, for `validate` before a study and for each trial's session.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from tuner import registry
from tuner.core.dataset import Task
from tuner.core.trial import Trial
from tuner.errors import PluginError, near
from tuner.trainers.row_weights import NAME

SHIPPED: Mapping[str, tuple[str, str]] = {
    "mlp": ("sklearn.neural_network:MLPClassifier", "sklearn.neural_network:MLPRegressor"),
    "sgd": ("sklearn.linear_model:SGDClassifier", "sklearn.linear_model:SGDRegressor"),
    "svm": ("sklearn.svm:SVC", "sklearn.svm:SVR"),
    "forest": ("sklearn.ensemble:RandomForestClassifier", "sklearn.ensemble:RandomForestRegressor"),
    "boosting": (
        "sklearn.ensemble:HistGradientBoostingClassifier",
        "sklearn.ensemble:HistGradientBoostingRegressor",
    ),
}
"""Short names: what they stand for where classes are predicted, and where numbers are."""

DEFAULT = "mlp"
"""The estimator of a study that names none."""

_RECIPE = ("scaling", NAME)


def recipe_of(found: type[Any]) -> tuple[str, ...]:
    """Parameters that are not the estimator's: the scaling of its inputs, what a row of each class counts."""
    own = inspect.signature(found).parameters
    return tuple(name for name in _RECIPE if name not in own or name == "scaling")


def takes_weights(estimator: Any) -> bool:
    """Whether rows that count differently can be fitted."""
    fit = estimator.partial_fit if hasattr(estimator, "partial_fit") else estimator.fit
    return "sample_weight" in inspect.signature(fit).parameters


def reference(model: str | None, task: Task) -> str:
    """What a study's `[trainer] model` refers to."""
    name = model or DEFAULT
    classifier, regressor = SHIPPED.get(name, (name, name))
    return classifier if task.is_of_classes else regressor


def estimator_class(reference: str) -> type[Any]:
    """The class that a reference names.

    Raises:
        PluginError: it leads nowhere, or to something that is no estimator class.
    """
    if ":" not in reference:
        raise PluginError(
            f"unknown name {reference!r}; {near(reference, SHIPPED)}; or give package.module:Class"
        )
    found = registry.load(reference)
    if not isinstance(found, type):
        raise PluginError(f"{reference} is a {type(found).__name__}; give the estimator's class")
    for method in ("fit", "predict", "get_params", "set_params"):
        if not callable(getattr(found, method, None)):
            raise PluginError(f"{reference} is no estimator: it has no {method}; derive from BaseEstimator")
    return found


def for_task(estimator: Any, task: Task) -> Any:
    """An estimator, or of several labels one for each."""
    from sklearn.multioutput import MultiOutputClassifier

    return MultiOutputClassifier(estimator) if task is Task.MULTILABEL else estimator


def of_label(estimator: Any) -> Any:
    """The estimator of which there is one for each label; any other as it is."""
    from sklearn.multioutput import MultiOutputClassifier

    return estimator.estimator if isinstance(estimator, MultiOutputClassifier) else estimator


def build(found: type[Any], settings: Mapping[str, Any], trial: Trial) -> Any:
    """Build a trial's estimator: the settings, then the params; random states from the trial's seed."""
    estimator = found(**settings)
    recipe = recipe_of(found)
    own = {name: value for name, value in trial.params.items() if name not in recipe}
    if own.get(NAME) == "none":
        own[NAME] = None  # type: ignore[assignment]  # no choice of a space is None
    estimator.set_params(**own)
    for name, value in estimator.get_params().items():
        if value is None and name.rpartition("__")[2] == "random_state":
            estimator.set_params(**{name: trial.seed(name)})
    return estimator
