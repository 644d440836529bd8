"""Which trials train as compiled rows, and why others do not. Imports no PyTorch."""

from __future__ import annotations

from tuner.core.dataset import Dataset, InputKind
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.fused import LossKind
from tuner.trainers import plain_losses
from tuner.trainers.torch import optimizers
from tuner.trainers.torch.context import MLP, model_of
from tuner.trainers.torch.recipe import AUGMENTATIONS, Recipe, ends

_COMPILED = {InputKind.TABLE: ("input_noise",), InputKind.IMAGE: ("input_noise",)}
"""What compiled rows can do to the batches of each kind of inputs."""


def why_none_fused(spec: StudySpec, data: Dataset, device: str) -> str | None:
    """Why no trial of a study can be compiled, in words; None when some can, or all."""
    model = model_of(spec, data)
    if model != MLP:
        return f"{model} trains one trial at a time; {MLP} can be fused"
    if device != "cpu":
        return f"on {device} trials train one at a time; fused training runs on the CPU"
    loss = plain_losses.name_of(spec, data.task)
    if loss.upper() not in LossKind.__members__:
        return f"the loss {loss} is your own, and no compiled one"
    if spec.trainer.precision != "float32":
        return f"precision {spec.trainer.precision} is not compiled; leave it out for compiled rows"
    if spec.trainer.rates:
        return "[trainer.rates] are not compiled; leave them out for compiled rows"
    searched = spec.space.parameters
    fixed = {name: value for name, value in spec.space.fixed.items() if name not in searched}
    return why_not_compiled(Trial(0, fixed, 0), data)


def why_not_fused(spec: StudySpec, data: Dataset, device: str) -> str | None:
    """Why not all trials of a study can be compiled, in words; None when they can."""
    if (why := why_none_fused(spec, data, device)) is not None:
        return why
    if (optimizer := optimizers.first_own(spec)) is not None:
        return f"the optimizer {optimizer} is your own, and no compiled one"
    settings = {**spec.space.fixed, **spec.space.parameters}
    for other in ("mixup", "batch_norm"):
        if all(
            name in spec.space.parameters or spec.space.fixed.get(name) for name in ("accumulation", other)
        ):
            return f"accumulation is not compiled with {other}; leave one of them out for compiled rows"
    sizes = spec.space.parameters.get("batch_size") or spec.space.fixed.get("batch_size")
    is_one = sizes is not None and 1 in ends(sizes)
    if is_one and "batch_norm" in {**spec.space.parameters, **spec.space.fixed}:
        return "batches of one row cannot be normalized"
    if "weights" in ends(settings.get("pruning", "units")):
        return "single weights are not pruned in compiled rows; leave out pruning for these"
    for name in _not_compiled(data):
        if name in spec.space.parameters:
            return f"{name} is not compiled for {data.kind} inputs; leave it out for compiled rows"
    return None


def why_not_compiled(trial: Trial, data: Dataset) -> str | None:
    """Why a trial of `mlp` cannot be compiled, in words; None when it can, if its study's loss can."""
    recipe = Recipe.of(trial.params)
    if not optimizers.is_rule(recipe.optimizer):
        return f"the optimizer {recipe.optimizer} is your own, and no compiled one"
    if recipe.accumulation > 1 and recipe.mixup:
        return "accumulation of mixed batches is not compiled; leave one of them out for compiled rows"
    if recipe.batch_norm and (recipe.accumulation > 1 or recipe.batch_size == 1):
        return "accumulation of normalized batches is not compiled, nor are batches of one row"
    if recipe.prunes_weights:
        return "single weights are not pruned in compiled rows; leave out pruning for these"
    for name in _not_compiled(data):
        if getattr(recipe, name):
            return f"{name} is not compiled for {data.kind} inputs; leave it out for compiled rows"
    return None


def _not_compiled(data: Dataset) -> list[str]:
    """The settings that only other rows have, for inputs of this kind."""
    known = _COMPILED.get(data.kind, ())
    return [name for name in AUGMENTATIONS[data.kind] if name not in known]
