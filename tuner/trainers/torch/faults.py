"""What in a study the torch trainer cannot work with, found before anything is trained.

A sentence each, ``key: what; what to do``; nothing is raised and nothing is built.
"""

from __future__ import annotations

from collections.abc import Iterator

from tuner.core.dataset import Dataset
from tuner.core.spec import StudySpec
from tuner.core.trial import NUMBERS
from tuner.errors import PluginError, near
from tuner.trainers import row_weights, scores, threshold
from tuner.trainers.device import device_fault, device_faults
from tuner.trainers.torch import costs, losses
from tuner.trainers.torch.networks import SHIPPED, builder
from tuner.trainers.torch.recipe import NAMES, NETWORK, range_faults


def default_model(data: Dataset) -> str:
    """The network of a study that names none: cnn for images, mlp for tables."""
    return "cnn" if len(data.input_shape) == 3 else "mlp"


def validate(spec: StudySpec, data: Dataset | None) -> list[str]:
    """Every fault of the study."""
    found = [*_trainer_faults(spec)]
    if data is None:
        return [*found, 'data: is missing; the torch trainer needs [data] source = "..."']
    model = spec.trainer.model or default_model(data)
    if fault := _model_fault(model, data):
        found.append(f"trainer.model: {fault}")
    for key, fault in (
        ("loss", losses.fault(spec.trainer.loss, data.task)),
        ("score", scores.fault(spec.trainer.score, data.task)),
    ):
        found += [f"trainer.{key}: {fault}"] if fault else []
    found += [*row_weights.faults(spec, data), *threshold.faults(spec, data)]
    return [*found, *_space_faults(spec, model)]


def _trainer_faults(spec: StudySpec) -> Iterator[str]:
    yield from device_faults(spec.trainer.devices, device_fault)
    if spec.trainer.settings:
        yield (
            f"trainer.settings: the torch trainer takes none, found {', '.join(spec.trainer.settings)}; "
            "give constants in [space.fixed]"
        )
    known = (*NUMBERS, *costs.NAMES)
    for key, name in spec.objectives().named():
        if name not in known:
            yield f"objective.{key}: unknown name {name!r}; {near(name, known)}"


def _model_fault(model: str, data: Dataset) -> str | None:
    if model == "cnn" and len(data.input_shape) != 3:
        return f'cnn needs images (C, H, W), found rows of shape {data.input_shape}; give model = "mlp"'
    if model in SHIPPED:
        return None
    try:
        found = builder(model)
    except PluginError as error:
        return str(error)
    return None if callable(found) else f"{model} is no function; give one: build(params, context)"


def _space_faults(spec: StudySpec, model: str) -> Iterator[str]:
    shipped = model in SHIPPED
    for place, values in (("space", spec.space.parameters), ("space.fixed", spec.space.fixed)):
        for name, value in values.items():
            if name not in NAMES:
                # A network of one's own may take any parameter.
                if shipped:
                    yield f"{place}.{name}: {model} has no such parameter; {near(name, NAMES)}"
            elif shipped or name not in NETWORK:
                yield from (f"{place}.{name}: {fault}" for fault in range_faults(name, value))
