"""Start: a trial's network with its first weights, for sessions and stacked rows; see `first_weights`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from tuner.core.trial import Trial
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.torch.context import context_of
from tuner.trainers.torch.initialization import initialize
from tuner.trainers.torch.networks import build
from tuner.trainers.torch.rates import shares
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.shipped import SHIPPED
from tuner.trainers.torch.training_tensors import TrainingTensors
from tuner.trainers.torch.unit_pruning import fit, prune


def network_of(trial: Trial, model: str, tensors: TrainingTensors, rates: Mapping[str, float]) -> nn.Module:
    """Build the trial's network, on the tensors' device.

    A network of one's own is initialized only where `init` is among the parameters; with a teacher, whose
    weights it begins with, none is.

    Args:
        trial: whose network it is.
        model: its name or reference.
        tensors: what it is for.
        rates: `[trainer.rates]`; what they freeze is not trained.

    Raises:
        PluginError: the reference leads nowhere.
        TrialError: what was built is no module, or the rates do not fit it, or it cannot be pruned.
    """
    recipe, device = Recipe.of(trial.params), tensors.device
    with GlobalRng(trial.seed("build"), str(device)):
        module = build(model, trial.params, context_of(trial, tensors.data, tensors.loss.outputs))
        if any(isinstance(p, nn.UninitializedParameter) for p in module.parameters()):
            # Lazy layers take their shapes from the first inputs they see.
            inputs = tensors.inputs(recipe.scaling)
            module.eval()(inputs.validation[:2].cpu())
    first, is_own = None, model not in SHIPPED
    if tensors.teacher is not None:
        if is_own and tensors.teacher.has_lost_units and not recipe.from_scratch:
            fit(module, {name: each.shape for name, each in tensors.teacher.weights.items()})
        shapes = {name: tuple(each.shape) for name, each in module.state_dict().items()}
        first = tensors.teacher.first_weights(recipe, shapes)
    if first is not None:
        module.load_state_dict({name: torch.from_numpy(array) for name, array in first.items()})
    elif not is_own or "init" in trial.params:
        generator = torch.Generator().manual_seed(trial.seed("initialization"))
        initialize(module, recipe.init, recipe.init_gain, generator)
    if is_own and tensors.teacher is not None and recipe.prunes_units:
        x = tensors.inputs(recipe.scaling).validation[:1].cpu()
        prune(module, x.repeat(2, *[1] * (x.ndim - 1)), recipe.pruned)
    for name, share in shares(module, rates).items():
        if not share:
            module.get_parameter(name).requires_grad_(False)
    return module.to(device)
