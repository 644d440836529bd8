"""One step of the recipe: penalties and clipping around an optimizer's rule.

Gradients have to be complete when `step` is called. In the notation of the optimizers' papers, with g the
gradient of the mean loss, p the parameters and r the rate::

    g += l1 sign(p);  clip g by value or by norm;  g += l2 p
    p *= 1 - r weight_decay;  rule(p, g, r);  clip p

All of it applies to every trainable parameter, biases and normalization included, as in torch.optim, to
which the tests hold it. PyTorch's optimizers load its compiler, two seconds of every process, so only a study
that names one waits for them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tuner import registry
from tuner.core.trial import Params
from tuner.errors import TrialError
from tuner.fused.recipe import LEAST_FLOOR, UpdateRule
from tuner.trainers.torch.optimizers import OptimizerRule, own
from tuner.trainers.torch.rates import shares
from tuner.trainers.torch.recipe import OPTIMIZERS, Recipe

Weights = list[nn.Parameter]


class TorchUpdate:
    """The optimizer of one trial.

    The module's parameters become views of one flat tensor (one for each dtype and rate), so that a step
    costs a handful of operations however many layers there are. Every rule works element by
    element, so its numbers are those of the separate tensors. An optimizer that is no rule is given
    the separate tensors.

    Attributes:
        weights: the flat tensors.
    """

    def __init__(self, recipe: Recipe, module: nn.Module, params: Params, rates: Mapping[str, float]) -> None:
        """Take over a network's parameters.

        Args:
            recipe: how it trains.
            module: the network.
            params: of the trial, for optimizers that are no rule.
            rates: see `rates`.

        Raises:
            TrialError: nothing in the network is trained.
        """
        self._recipe, self._weight_decay = recipe, recipe.weight_decay
        self._shares, parts = _parts(module, rates)
        self.weights = [_flatten(part) for part in parts]
        found = registry.load(recipe.optimizer, OPTIMIZERS)
        self._moments: list[_Moments] = []
        if isinstance(found, OptimizerRule):
            self._moments = [_Moments(found.rule(recipe), flat) for flat in self.weights]
        else:
            self._optimizer, decays = own(recipe, self._groups(parts), params)
            self._weight_decay = 0.0 if decays else recipe.weight_decay

    def clear(self) -> None:
        """Set the gradients to zero; backward adds to them."""
        for weights in self.weights:
            _gradient(weights).zero_()

    def state(self) -> dict[int, dict[str, Any]]:
        """The optimizer's moments and counters themselves, by flat tensor and name."""
        if self._moments:
            return {at: moments.state for at, moments in enumerate(self._moments)}
        found: dict[int, dict[str, Any]] = self._optimizer.state_dict()["state"]
        return found

    def restore(self, state: dict[int, dict[str, Any]]) -> None:
        """Take over moments and counters, which then belong to the optimizer."""
        if self._moments:
            for at, moments in enumerate(self._moments):
                moments.restore(state.get(at, {}))
            return
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": state})

    @torch.no_grad()
    def step(self, rate: float) -> Tensor:
        """Update the parameters in place.

        Returns:
            The 2-norm of the gradient, with l1 and before clipping; 0-d, on the parameters' device.
        """
        recipe, gradients = self._recipe, [_gradient(weights) for weights in self.weights]
        if recipe.l1:
            for weights, gradient in zip(self.weights, gradients, strict=True):
                gradient.add_(weights.sign(), alpha=recipe.l1)
        norm = _norm(gradients)
        if recipe.clipping == "norm":
            clipped = (recipe.clip_norm / (norm + 1e-6)).clamp(max=1.0)  # as torch's clip_grad_norm_
            for gradient in gradients:
                gradient.mul_(clipped)
        elif recipe.clipping == "value":
            for gradient in gradients:
                gradient.clamp_(-recipe.clip_value, recipe.clip_value)
        for weights, gradient, share in zip(self.weights, gradients, self._shares, strict=True):
            if recipe.l2:
                gradient.add_(weights, alpha=recipe.l2)
            if self._weight_decay:
                weights.mul_(1 - rate * share * self._weight_decay)
        for moments, share in zip(self._moments, self._shares, strict=False):
            moments.step(rate * share)
        if not self._moments:
            for group in self._optimizer.param_groups:
                group["lr"] = rate * group.get(_SHARE, 1.0)
            self._optimizer.step()
        if recipe.clip_parameters:
            for weights in self.weights:
                weights.clamp_(-recipe.clip_parameters, recipe.clip_parameters)
        return norm

    def _groups(self, parts: Sequence[Weights]) -> Weights | list[dict[str, Any]]:
        """Parameters as an optimizer takes them: with their shares of the rate where these differ."""
        if all(share == 1 for share in self._shares):
            return [p for part in parts for p in part]
        return [{"params": part, _SHARE: share} for part, share in zip(parts, self._shares, strict=True)]


class _Moments:
    """The moments of a flat tensor under an `UpdateRule`, whose formula is there.

    Attributes:
        state: number of steps and moments, by name.
    """

    def __init__(self, rule: UpdateRule, weights: nn.Parameter) -> None:
        self._rule, self._weights = rule, weights
        self.state: dict[str, Any] = {"steps": 0}
        self.state |= {name: torch.zeros_like(weights) for name in ("first", "second") if getattr(rule, name)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a state of this rule, also one that torch.optim has kept for an earlier tuner."""
        state = {_OF_TORCH.get(name, name): value for name, value in state.items()}
        self.state["steps"] = int(state.get("steps", 0))
        for name in self.state.keys() - {"steps"}:
            self.state[name] = state[name].to(self._weights.device)

    def step(self, rate: float) -> None:
        """Move the tensor by its gradient."""
        rule, state, gradient = self._rule, self.state, _gradient(self._weights)
        state["steps"] += 1
        root, change = 1.0, gradient * rule.plain
        if rule.unbiased:
            rate /= 1 - rule.first_keep ** state["steps"]
            root = 1 / math.sqrt(1 - rule.second_keep ** state["steps"])
        if rule.first:
            m = state["first"].mul_(rule.first_keep).add_(gradient, alpha=rule.first_add)
            change.add_(m, alpha=rule.averaged)
        if rule.second:
            v = state["second"].mul_(rule.second_keep).addcmul_(gradient, gradient, value=rule.second_add)
            change.div_(v.sqrt().mul_(root).add_(max(rule.floor, LEAST_FLOOR)))
        self._weights.add_(change, alpha=-rate)


_OF_TORCH = {
    "step": "steps",
    "momentum_buffer": "first",
    "exp_avg": "first",
    "exp_avg_sq": "second",
    "square_avg": "second",
    "sum": "second",
}
"""What torch.optim calls the numbers of `_Moments.state`."""

_SHARE = "share"
"""The share of the learning rate among the settings of an optimizer's group."""


def _parts(module: nn.Module, rates: Mapping[str, float]) -> tuple[list[float], list[Weights]]:
    """The trained parameters of each share of the rate and each dtype, and these shares."""
    own, parts = shares(module, rates), defaultdict(list)
    for name, p in module.named_parameters():
        if p.requires_grad:
            parts[str(p.dtype), own[name]].append(p)
    if not parts:
        raise TrialError("the network has no trainable parameter; nothing can be learned")
    found = sorted(parts)
    return [share for _, share in found], [parts[key] for key in found]


def _flatten(part: Weights) -> nn.Parameter:
    flat = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in part]))
    flat.grad = torch.zeros_like(flat)
    start = 0
    for p in part:
        stop = start + p.numel()
        p.data = flat.data[start:stop].view(p.shape)
        p.grad = flat.grad[start:stop].view(p.shape)
        start = stop
    return flat


def _gradient(weights: nn.Parameter) -> Tensor:
    if weights.grad is None:
        raise RuntimeError("the flat gradient is gone")
    return weights.grad


def _norm(gradients: list[Tensor]) -> Tensor:
    norms: list[Tensor] = [torch.linalg.vector_norm(gradient) for gradient in gradients]
    if len(norms) == 1:
        return norms[0]
    whole: Tensor = torch.linalg.vector_norm(torch.stack([norm.float() for norm in norms]))
    return whole
