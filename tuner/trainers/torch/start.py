"""Start: what a trial's network must fit, and the network with its first weights.

Sessions, stacked and fused rows all begin here, so that a trial has the same first weights in each.
"""

from __future__ import annotations

import torch
from torch import nn

from tuner.core.seeds import derive
from tuner.core.trial import Trial
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.torch.initialization import initialize
from tuner.trainers.torch.networks import SHIPPED, NetworkContext, build
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.training_tensors import TrainingTensors


def context_of(trial: Trial, tensors: TrainingTensors) -> NetworkContext:
    """What the trial's network must fit."""
    data = tensors.data
    return NetworkContext(
        data.input_shape, tensors.loss.outputs, data.task, data.classes, data.features, trial.params
    )


def network_of(trial: Trial, model: str, tensors: TrainingTensors) -> nn.Module:
    """Build the trial's network, on the tensors's device.

    A network of one's own is initialized only where `init` is among the parameters.

    Raises:
        PluginError: the reference leads nowhere.
        TrialError: what was built is no module.
    """
    recipe, device = Recipe.of(trial.params), tensors.device

    def seed(purpose: str) -> int:
        return derive(trial.study_seed, trial.number, purpose)

    with GlobalRng(seed("build"), str(device)):
        module = build(model, trial.params, context_of(trial, tensors))
        if any(isinstance(p, nn.UninitializedParameter) for p in module.parameters()):
            # Lazy layers take their shapes from the first inputs they see.
            inputs = tensors.inputs(recipe.scaling or tensors.data.scaling)
            module.eval()(inputs.validation[:2].cpu())
    if model in SHIPPED or "init" in trial.params:
        generator = torch.Generator().manual_seed(seed("initialization"))
        initialize(module, recipe.init, recipe.init_gain, generator)
    return module.to(device)
