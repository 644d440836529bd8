"""What in a study the torch trainer cannot work with, found before anything is trained.

A sentence each, ``key: what; what to do``; nothing is raised and nothing is built.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from tuner.core.dataset import Dataset, InputKind
from tuner.core.space import Parameter
from tuner.core.spec import StudySpec
from tuner.core.trial import NUMBERS, Value
from tuner.errors import PluginError, TunerError, first_line, near
from tuner.trainers import row_weights, scores, threshold
from tuner.trainers.device import device_fault, device_faults
from tuner.trainers.torch import array_losses
from tuner.trainers.torch.context import builder, model_of
from tuner.trainers.torch.costs import IN_RUNTIME
from tuner.trainers.torch.costs import NAMES as COSTS
from tuner.trainers.torch.recipe import INT8, NAMES, TAUGHT, ends, range_faults
from tuner.trainers.torch.shipped import DEFAULTS, NETWORK, SHIPPED, own_setting, taking
from tuner.trainers.torch.teacher import Teacher

SEVERAL = DEFAULTS[InputKind.SEVERAL]
ONNX = ("onnx", "onnxruntime")
"""What numbers of a network in a runtime need."""


def validate(spec: StudySpec, data: Dataset | None) -> list[str]:
    """Every fault of the study."""
    found = [*_trainer_faults(spec)]
    if data is None:
        return [*found, 'data: is missing; the torch trainer needs [data] source = "..."']
    model = model_of(spec, data)
    for key, fault in (
        ("model", _model_fault(model, data)),
        ("loss", array_losses.fault(spec.trainer.loss, data.task)),
        ("score", scores.fault(spec.trainer.score, data.task)),
    ):
        found += [f"trainer.{key}: {fault}"] if fault else []
    found += [*row_weights.faults(spec, data), *threshold.faults(spec, data)]
    found += [*_space_faults(spec, model), *_mixing_faults(spec, data)]
    return [*found, *_taught_faults(spec, data, model)]


def _trainer_faults(spec: StudySpec) -> Iterator[str]:
    yield from device_faults(spec.trainer.devices, device_fault)
    if spec.trainer.settings:
        yield (
            f"trainer.settings: the torch trainer takes none, found {', '.join(spec.trainer.settings)}; "
            "give constants in [space.fixed]"
        )
    known = (*NUMBERS, *COSTS)
    for key, name in spec.objectives().named():
        if name not in known:
            yield f"objective.{key}: unknown name {name!r}; {near(name, known)}"
        elif name in IN_RUNTIME and not all(map(find_spec, ONNX)):
            yield f"objective.{key}: {name} needs onnxruntime; pip install 'tuner[onnx]'"


def _model_fault(model: str, data: Dataset) -> str | None:
    if model in SHIPPED:
        if data.kind in SHIPPED[model].kinds:
            return None
        needed = " or ".join(_INPUTS[kind] for kind in InputKind if kind in SHIPPED[model].kinds)
        return (
            f"{model} needs {needed}, found {_INPUTS[data.kind].partition(' ')[0]} of shape "
            f"{data.input_shape}; give one of {', '.join(taking(data.kind))}"
        )
    try:
        found = builder(model)
    except PluginError as error:
        return str(error)
    return None if callable(found) else f"{model} is no function; give one: build(params, context)"


_INPUTS = {
    InputKind.TABLE: "rows (D,)",
    InputKind.IMAGE: "images (C, H, W)",
    InputKind.SERIES: "series (T, F)",
    InputKind.TOKENS: "tokens (T,)",
    InputKind.SEVERAL: "several inputs, (D,) together",
}
"""What the inputs are, and the shape of each."""


def _space_faults(spec: StudySpec, model: str) -> Iterator[str]:
    shipped = model in SHIPPED
    for place, values in (("space", spec.space.parameters), ("space.fixed", spec.space.fixed)):
        for name, value in values.items():
            if model == SEVERAL and (own := own_setting(name)) is not None:
                yield from (f"{place}.{name}: {fault}" for fault in _faults_of_one(*own, value))
            elif name not in NAMES:
                # A network of one's own may take any parameter.
                if shipped:
                    yield f"{place}.{name}: {model} has no such parameter; {near(name, NAMES)}"
            elif shipped or name not in NETWORK or (spec.trainer.teacher and name in TAUGHT):
                faults = range_faults(name, value) or (_own_faults(model, name, value) if shipped else ())
                yield from (f"{place}.{name}: {fault}" for fault in faults)


def _faults_of_one(kind: InputKind, setting: str, value: Parameter | Value) -> Iterator[str]:
    """What is wrong with what `several` is told of one kind of inputs."""
    if setting != "network":
        yield from range_faults(setting, value)
        return
    for each in ends(value):
        if each not in (known := taking(kind)):
            yield f"unknown name {each!r}; {near(str(each), known)}"


def _own_faults(model: str, name: str, value: Parameter | Value) -> Iterator[str]:
    """What a shipped network has to say of a setting that is sound for some network."""
    if name in NETWORK - SHIPPED[model].settings:
        known = {owner: network.settings for owner, network in SHIPPED.items() if owner != SEVERAL}
        owners = ", ".join(owner for owner, settings in known.items() if name in settings)
        yield f"{model} has no such parameter; it is one of {owners}"
    elif name == "pooling":
        poolings = SHIPPED[model].poolings
        for each in ends(value):
            if each not in poolings:
                yield f"{model} does not pool by {each!r}; known: {', '.join(poolings)}"


def _taught_faults(spec: StudySpec, data: Dataset, model: str) -> Iterator[str]:
    settings = {**spec.space.parameters, **spec.space.fixed}
    if INT8 in ends(settings.get("quantization", "none")) and not all(map(find_spec, ONNX)):
        yield "space.quantization: int8 needs onnxruntime; pip install 'tuner[onnx]'"
    if spec.trainer.teacher is None:
        for name in TAUGHT:
            # In a network of one's own the names of shipped networks' settings are free.
            if name in settings and (name not in NETWORK or model in SHIPPED):
                yield f"space.{name}: there is no teacher; give [trainer] teacher, or use `tune compress`"
        if spec.confirm.lose_at_most:
            yield "confirm.lose_at_most: worse than what; give [trainer] teacher, or leave it out"
        return
    try:
        teacher = Teacher(Path(spec.trainer.teacher))
    except TunerError as error:
        yield f"trainer.teacher: {first_line(error)}; give the folder of a kept model"
        return
    table = teacher.members[0].description
    for name, its, mine in (
        ("network", table["network"].rpartition(":")[2], model.rpartition(":")[2]),
        ("inputs", tuple(table["context"]["input_shape"]), data.input_shape),
        ("classes", tuple(table["context"]["classes"]), data.classes),
    ):
        # Where categories are embedded, the inputs are others than the data's.
        if its != mine and not (name == "inputs" and table["context"].get("categories")):
            yield f"trainer.teacher: its {name} are {its}, this study's are {mine}; give a model of this data"
    leaves_out = model not in SHIPPED and _leaves_out_units(settings)
    if leaves_out and (fault := _fault_of_units(teacher)) is not None:
        yield f"space.pruned: {fault}"
    if spec.data is not None and (spec.data.folds or spec.data.reshuffle):
        yield (
            "trainer.teacher: it has trained on rows that other folds are judged by; leave out [data] folds "
            "and reshuffle"
        )


def _leaves_out_units(settings: Mapping[str, Parameter | Value]) -> bool:
    return any(ends(settings.get("pruned", 0))) and "units" in ends(settings.get("pruning", "units"))


def _fault_of_units(teacher: Teacher) -> str | None:
    """Why no units of a network of one's own can be left out; None where they can."""
    import torch

    from tuner.trainers.torch.unit_pruning import prune

    context = teacher.members[0].description["context"]
    kind = torch.int32 if context.get("vocabulary") else torch.float32
    network = copy.deepcopy(teacher.members[0].module.network)
    try:
        prune(network, torch.ones((2, *context["input_shape"]), dtype=kind), 0.5)
    except TunerError as error:
        return first_line(error)
    return None


def _mixing_faults(spec: StudySpec, data: Dataset) -> Iterator[str]:
    searched, fixed = spec.space.parameters.get("mixup"), spec.space.fixed.get("mixup")
    if not (fixed or (searched is not None and fixed is None)):
        return
    if any(part.kind is InputKind.TOKENS for part in data.inputs):
        yield "space.mixup: the mean of two words is no word; leave it out, and give token_dropout"
    elif any(part.masked for part in data.inputs):
        yield "space.mixup: series of different lengths cannot be mixed; leave it out, and give input_noise"
