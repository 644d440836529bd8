"""The optimizers: sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, and classes of one's own.

The shipped ones are `OptimizerRule`: the coefficients of the one update that trials take, alone and as rows.
Any other is a class of PyTorch's kind, or a function that returns an optimizer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuner import registry
from tuner.core.spec import StudySpec
from tuner.core.trial import Params
from tuner.errors import TrialError
from tuner.fused import UpdateRule
from tuner.fused import recipe as rules
from tuner.trainers.torch.recipe import OPTIMIZERS, Recipe, ends

if TYPE_CHECKING:
    from torch import optim


@dataclass(frozen=True, slots=True)
class OptimizerRule:
    """An optimizer whose every step is a first-order update, element by element.

    Attributes:
        rule: its coefficients for a recipe, see `tuner.fused.UpdateRule`; clipping, penalties and weight
            decay are none of its business.
    """

    rule: Callable[[Recipe], UpdateRule]


def rule(recipe: Recipe) -> UpdateRule:
    """The coefficients of a recipe's optimizer, which has to be an `OptimizerRule`."""
    found: OptimizerRule = registry.load(recipe.optimizer, OPTIMIZERS)
    return found.rule(recipe)


def is_rule(name: str) -> bool:
    """Whether trials with an optimizer can train side by side."""
    return isinstance(registry.load(name, OPTIMIZERS), OptimizerRule)


def first_own(spec: StudySpec) -> str | None:
    """The first optimizer of a study's space that is no `OptimizerRule`."""
    given = spec.space.fixed.get("optimizer", spec.space.parameters.get("optimizer"))
    names = map(str, () if given is None else ends(given))
    return next((name for name in names if not is_rule(name)), None)


def own(recipe: Recipe, weights: Any, params: Params) -> tuple[optim.Optimizer, bool]:
    """Set up an optimizer that is no rule.

    It is given ``lr``, and ``weight_decay``, ``momentum``, ``betas`` and ``eps`` where the trial has such
    parameters and it takes them.

    Returns:
        The optimizer, and whether the weight decay is its own.

    Raises:
        TrialError: what was returned is no optimizer.
    """
    from torch import optim

    found = registry.load(recipe.optimizer, OPTIMIZERS)
    takes = inspect.signature(found).parameters
    given: dict[str, Any] = {
        name: getattr(recipe, name) for name in ("weight_decay", "momentum") if name in params
    }
    if "beta1" in params or "beta2" in params:
        given["betas"] = (recipe.beta1, recipe.beta2)
    if "epsilon" in params:
        given["eps"] = recipe.epsilon
    given = {name: value for name, value in given.items() if name in takes}
    made = found(weights, lr=recipe.learning_rate, **given)
    if not isinstance(made, optim.Optimizer):
        raise TrialError(f"{recipe.optimizer}: gave a {type(made).__name__}; return a torch.optim.Optimizer")
    return made, "weight_decay" in given


sgd = OptimizerRule(lambda _: rules.sgd())
momentum = OptimizerRule(lambda r: rules.momentum(r.momentum))
nesterov = OptimizerRule(lambda r: rules.momentum(r.momentum, nesterov=True))
adagrad = OptimizerRule(lambda r: rules.adagrad(r.epsilon))
rmsprop = OptimizerRule(lambda r: rules.rmsprop(r.rms_decay, r.epsilon))
# The decay, which tells adamw from adam, is the recipe's.
adam = OptimizerRule(lambda r: rules.adam(r.beta1, r.beta2, r.epsilon))
