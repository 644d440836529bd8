"""TorchModel: the best epoch of a trial as a folder that loads anywhere, and back.

model.safetensors holds the weights and the scaling, model.json the rest, and a network's own file
lies beside them; nothing is pickled. Written by sessions, stacked and fused rows alike. Models that are on
disk have to stay readable.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, TargetUnits, Task
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial
from tuner.data import Scaling, read_part
from tuner.errors import TrialError, described
from tuner.trainers import threshold
from tuner.trainers.model import describe, description_of, encoded, indices, write_description
from tuner.trainers.plain_losses import PlainLoss
from tuner.trainers.prepared_model import PreparedModel
from tuner.trainers.references import brought
from tuner.trainers.threshold import Threshold
from tuner.trainers.torch import array_losses
from tuner.trainers.torch.array_losses import TensorLoss
from tuner.trainers.torch.context import MLP, NetworkContext, context_of, model_of
from tuner.trainers.torch.mlp import PlainMlp
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.shipped import SHIPPED
from tuner.trainers.weights import copied
from tuner.trainers.weights import read as load_weights
from tuner.trainers.weights import write as save_weights

if TYPE_CHECKING:
    from tuner.trainers.torch.losses import Loss
    from tuner.trainers.torch.scaled_network import ScaledNetwork

FORMAT = 1
"""The version of what `write` writes."""

PRUNED = "pruned"
"""The key by which a description says that a network of one's own may have lost units after it was built."""

UNKNOWN = -math.log(np.finfo(np.float32).eps)
"""The loss of a row whose class was not met in training; see `Model.losses`."""


@dataclass(frozen=True)
class TorchModel(PreparedModel):
    """A trained network with everything that its inputs need.

    Attributes:
        folder: where it lies, with the files that it brings.
        plain: computes the shipped `mlp` on the CPU without PyTorch, until `module` is asked for.
    """

    folder: Path
    plain: PlainMlp | None = None
    takes = "network"

    @cached_property
    def module(self) -> ScaledNetwork:
        """In evaluation mode, on the CPU until it is moved."""
        from tuner.trainers.torch.scaled_network import read

        return read(self.folder, self.description, _context(self.description))

    def probabilities(self, rows: Any) -> NDArray[np.float32]:
        """See `PreparedModel`; a model of numbers has none."""
        if self.description["context"]["task"] == Task.REGRESSION:
            raise TrialError("a regression model has no probabilities; use predict")
        return super().probabilities(rows)

    def said(self, x: NDArray[Any]) -> NDArray[Any]:
        """See `PreparedModel`."""
        outputs = self.outputs(x)
        if self.description["context"]["task"] != Task.REGRESSION:
            return self._loss.indices(outputs)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def shares(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """See `PreparedModel`."""
        return self._loss.probabilities(self.outputs(x))

    def outputs(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Logits or standardized targets, (N, outputs), of rows that are encoded and not yet scaled."""
        # A module that was handed out may have been changed.
        if self.plain is not None and "module" not in vars(self):
            return self.plain.outputs(x)
        import torch

        with torch.no_grad():
            given = torch.tensor(x, device=self.module.shift.device)
            outputs = self._judged(given.int() if self.description["context"].get("vocabulary") else given)
            found: NDArray[np.float32] = outputs.float().numpy(force=True)
        return found

    def losses(self, rows: Any, truth: NDArray[Any]) -> NDArray[np.float64]:
        """The loss of each row, (N,), in the units that it was trained in.

        Raises:
            TrialError: the rows do not fit the model.
        """
        return self._losses(self.outputs(encoded(rows, self.description, self.takes)), truth)

    def losses_of(self, predicted: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
        """The same of anything that `probabilities`, or of numbers `predict`, may return."""
        if self.description["context"]["task"] != Task.REGRESSION:
            return self._losses(self._loss.logits(predicted), truth)
        values = TargetUnits.from_table(self.description["target"]).standardized(predicted)
        return self._losses(np.asarray(values, np.float32).reshape(len(truth), -1), truth)

    def _losses(self, outputs: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        if self.description["context"]["task"] == Task.REGRESSION:
            units = TargetUnits.from_table(self.description["target"])
            y = units.standardized(truth.astype(np.float32))
            return self._loss.rows(outputs, self._loss.targets(y))
        y = indices(truth, self.description)
        losses = self._loss.rows(outputs, self._loss.targets(np.maximum(y, 0)))
        return np.where(y < 0, UNKNOWN, losses) if y.ndim == 1 else losses

    @property
    def size_bytes(self) -> int:
        """Of the network's parameters."""
        if self.plain is not None:
            return self.plain.size_bytes
        return sum(p.numel() * p.element_size() for p in self.module.network.parameters())

    @cached_property
    def _judged(self) -> ScaledNetwork:
        """The module, or what computes it in 8-bit integers where the trial was judged so."""
        if not Recipe.of(self.description["params"]).is_quantized:
            return self.module
        import torch

        from tuner.trainers.torch.int8 import Int8Network

        context, found = self.description["context"], copy.copy(self.module)
        found._modules = dict(self.module._modules)
        kind = torch.int32 if context.get("vocabulary") else torch.float32
        found.network = Int8Network(
            copy.deepcopy(self.module.network).cpu(), torch.ones((1, *context["input_shape"]), dtype=kind)
        )
        return found

    @cached_property
    def _loss(self) -> PlainLoss | TensorLoss:
        table, context = self.description["loss"], self.description["context"]
        return array_losses.build(table["name"], table["units"], Task(context["task"]), self.folder)


def write(
    folder: Path,
    *,
    trial: Trial,
    loss: Loss | PlainLoss,
    scaling: Scaling,
    data: Dataset,
    best: Reading,
    weights: Mapping[str, Any],
    spec: StudySpec,
) -> None:
    """Write a model into an existing, empty folder; model.json, which makes it one, comes last.

    Args:
        folder: where.
        trial: whose model it is.
        loss: what its outputs mean.
        scaling: what its inputs went through.
        data: what the network was built for; the encoding of the inputs and the units of the target.
        best: the reading of the epoch that `weights` are from.
        weights: the network's state by name, arrays or tensors.
        spec: of the study; files that its network and its loss name are copied.
    """
    arrays = _arrays(scaling)
    for i, (_, own) in enumerate(scaling.parts):
        arrays |= {f"parts.{i}.{name}": array for name, array in _arrays(own).items()}
    # Names of tied weights share their memory, which a file of safetensors cannot.
    save_weights(copied({**{f"network.{name}": each for name, each in weights.items()}, **arrays}), folder)
    shape = asdict(context_of(trial, data, loss.outputs))
    del shape["params"]
    description = {
        **description_of(trial, best, "torch", FORMAT),
        "network": brought(model_of(spec, data), folder),
        "context": shape,
        "loss": {"name": brought(loss.name, folder), "units": loss.units},
        "scaling": scaling.kind,
        "target": data.units.to_table(),
        "encoding": dict(data.encoding),
        **({"labels": dict(data.labels)} if data.labels else {}),
        **({PRUNED: True} if spec.trainer.teacher and model_of(spec, data) not in SHIPPED else {}),
    }
    write_description(folder, description)
    deciding = Threshold.of(spec, data.task)
    if deciding is not None:
        judged = data.validation
        shares = load(folder).shares(judged.x)
        table = deciding.table(judged.y, shares, data, judged.weight)
        write_description(folder, description | {threshold.KEY: table})


def _arrays(scaling: Scaling) -> dict[str, NDArray[np.float32]]:
    curves = {"knots": scaling.knots, "levels": scaling.levels} if len(scaling.knots) else {}
    return {"shift": scaling.shift, "factor": scaling.factor, **curves}


def load(folder: Path) -> TorchModel:
    """Read what `write` wrote, in this process or any other.

    A network of one's own is built by running its file, or by importing its package.

    Raises:
        TrialError: the folder is missing or damaged, or the network's package is not installed.
    """
    description = describe(folder, FORMAT)
    try:
        context = _context(description)
        is_plain = not Recipe.of(context.params).is_quantized
        if description["network"] == MLP and is_plain:
            return TorchModel(description, folder, plain=_plain(folder, description, context))
        model = TorchModel(description, folder)
        _ = model.module
    # A network of one's own may raise anything.
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise TrialError(f"{folder}: the model cannot be built: {described(error)}") from error
    return model


def _context(description: Mapping[str, Any]) -> NetworkContext:
    table: dict[str, Any] = {
        n: tuple(v) if isinstance(v, list) else v for n, v in description["context"].items()
    }
    table |= {"parts": tuple(map(read_part, table.get("parts", ())))}
    return NetworkContext(**{**table, "task": Task(table["task"]), "params": description["params"]})


def _plain(folder: Path, description: Mapping[str, Any], context: NetworkContext) -> PlainMlp:
    arrays = load_weights(folder, "numpy")
    curves = {name: arrays.pop(name) for name in ("shift", "factor", "knots", "levels") if name in arrays}
    scaling = Scaling(description["scaling"], **curves, masked=context.masked)
    return PlainMlp.of(context, {n.removeprefix("network."): each for n, each in arrays.items()}, scaling)
