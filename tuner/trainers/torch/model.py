"""TorchModel: the best epoch of a trial as a folder that loads anywhere, and back.

model.safetensors holds the weights and the scaling, model.json the rest, and a network's own file
lies beside them; nothing is pickled. Written by sessions, stacked and fused rows alike. Models that are on
disk have to stay readable.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tuner import registry
from tuner.artifacts import DESCRIPTION
from tuner.core.dataset import Dataset, TargetUnits, Task
from tuner.core.spec import StudySpec
from tuner.core.trial import NUMBERS, Reading, Trial
from tuner.data import Scaling, encode, rows_of, tell
from tuner.data.targets import names_of
from tuner.errors import DataError, TrialError, described
from tuner.trainers import threshold
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.model import describe
from tuner.trainers.threshold import Threshold
from tuner.trainers.torch import losses
from tuner.trainers.torch.losses import Loss
from tuner.trainers.torch.networks import NetworkContext, build

FORMAT = 1
"""The version of what `write` writes."""

UNKNOWN = -math.log(np.finfo(np.float32).eps)
"""The loss of a row whose class was not met in training; see `Model.losses`."""

WEIGHTS = "model.safetensors"
"""The file of a model's weights."""


class ScaledNetwork(nn.Module):
    """A network behind its scaling: encoded, unscaled inputs in; logits or standardized targets out.

    Attributes:
        network: what was trained.
        shift: (D,) for tables, (C, 1, 1) for images; subtracted from the inputs.
        factor: shaped like `shift`; what they are multiplied by then.
        knots: (D, Q) for tables, (C, Q) for images; where the curves bend that inputs go through first; none
            where the scaling is linear.
        levels: shaped like `knots`; what these become.
    """

    shift: Tensor
    factor: Tensor
    knots: Tensor | None
    levels: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        shift: Tensor,
        factor: Tensor,
        knots: Tensor | None = None,
        levels: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("shift", shift)
        self.register_buffer("factor", factor)
        self.register_buffer("knots", knots)
        self.register_buffer("levels", levels)

    def forward(self, x: Tensor) -> Tensor:
        """Take (N, D) or (N, C, H, W); give (N, outputs)."""
        if self.knots is not None and self.levels is not None:
            x = _bent(x, self.knots, self.levels)
        outputs: Tensor = self.network((x - self.shift) * self.factor)
        return outputs[:, None] if outputs.ndim == 1 else outputs


def _bent(x: Tensor, knots: Tensor, levels: Tensor) -> Tensor:
    """Each column, or channel, through its curve, as `Scaling.apply` does."""
    columns = x.movedim(1, 0).flatten(1)  # (D, N)
    right = torch.searchsorted(knots, columns.contiguous(), right=True).clamp(1, knots.shape[1] - 1)
    (low, high), (below, above) = ((t.gather(1, right - 1), t.gather(1, right)) for t in (knots, levels))
    share = ((columns - low) / (high - low)).nan_to_num(0.0).clamp(0, 1)
    bent = below + share * (above - below)
    return bent.reshape(x.shape[1], len(x), *x.shape[2:]).movedim(0, 1)


@dataclass(frozen=True)
class TorchModel:
    """A trained network with everything that its inputs need.

    Attributes:
        module: in evaluation mode, on the device it was loaded to.
        description: what model.json says.
        folder: where it lies, with the files that it brings.
    """

    module: ScaledNetwork
    description: Mapping[str, Any]
    folder: Path

    def predict(self, rows: Any) -> NDArray[Any]:
        """Predict from raw rows: a data frame of any library, or an array (N, D) or (N, C, H, W).

        Columns of a data frame may stand in any order, and further ones beside them. What is new to the
        model in them, e.g. a category that training never had, is logged as a warning.

        Returns:
            (N,) names of classes, (N, L) of several labels, or (N,) or (N, T) targets in their original
            units.

        Raises:
            TrialError: the rows do not fit the model.
        """
        rows, table = rows_of(rows), self.description
        tell(rows, table["encoding"])
        outputs = self._outputs(rows)
        if labels := table.get("labels"):
            return names_of(self._loss.indices(outputs).numpy(force=True), labels)
        if table["context"]["task"] == Task.CLASSIFICATION:
            if threshold.KEY in table:
                shares = self._loss.probabilities(outputs).numpy(force=True)
                indices = threshold.predicted(shares, table)
            else:
                indices = self._loss.indices(outputs).numpy(force=True)
            named: NDArray[Any] = np.take(table["context"]["classes"], indices)
            return named
        values = TargetUnits.from_table(table["target"]).restored(outputs.numpy(force=True))
        return values[:, 0] if values.shape[1] == 1 else values

    def probabilities(self, rows: Any) -> NDArray[np.float32]:
        """The probability of each class, (N, C), in the order of ``description["context"]["classes"]``.

        Of several labels that of the second class of each, (N, L); see ``description["labels"]``.

        Raises:
            TrialError: the rows do not fit the model, or it predicts no classes.
        """
        if self.description["context"]["task"] == Task.REGRESSION:
            raise TrialError("a regression model has no probabilities; use predict")
        rows = rows_of(rows)
        tell(rows, self.description["encoding"])
        return self._loss.probabilities(self._outputs(rows)).numpy(force=True)

    @torch.no_grad()
    def of_encoded(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of each class, (N, C), for rows that are encoded already."""
        outputs = self.module(torch.tensor(x, device=self.module.shift.device)).float()
        return self._loss.probabilities(outputs).numpy(force=True)

    @torch.no_grad()
    def losses(self, rows: Any, truth: NDArray[Any]) -> NDArray[np.float64]:
        """The loss of each row, (N,), in the units that it was trained in.

        Raises:
            TrialError: the rows do not fit the model.
        """
        outputs, table = self._outputs(rows), self.description
        unknown = np.zeros(len(truth), np.bool_)
        if table["context"]["task"] == Task.CLASSIFICATION:
            places = {name: place for place, name in enumerate(table["context"]["classes"])}
            unknown = np.array([name not in places for name in truth], np.bool_)
            y = torch.tensor([places.get(name, 0) for name in truth])
        elif labels := table.get("labels"):
            y = torch.tensor(np.stack([truth[:, i] == pair[1] for i, pair in enumerate(labels.values())], 1))
        else:
            y = torch.tensor(TargetUnits.from_table(table["target"]).standardized(truth.astype(np.float32)))
        loss = self._loss
        targets = loss.targets(y).to(outputs.device)
        found = np.asarray(loss.rows(outputs, targets).numpy(force=True), np.float64)
        return np.where(unknown, UNKNOWN, found)

    @property
    def predicts(self) -> bool:
        """Always."""
        return True

    @property
    def size_bytes(self) -> int:
        """Of the network's parameters."""
        return sum(p.numel() * p.element_size() for p in self.module.network.parameters())

    @property
    def _loss(self) -> Loss:
        table, context = self.description["loss"], self.description["context"]
        return losses.build(table["name"], table["units"], Task(context["task"]), self.folder)

    @torch.no_grad()
    def _outputs(self, rows: Any) -> Tensor:
        table = self.description
        try:
            x = encode(rows, table["encoding"], table["context"]["features"])
        except DataError as error:
            raise TrialError(str(error)) from error
        needed = tuple(table["context"]["input_shape"])
        if x.shape[1:] != needed:
            raise TrialError(f"rows have shape {x.shape[1:]} each; the network needs {needed}")
        outputs: Tensor = self.module(torch.tensor(x, device=self.module.shift.device))
        return outputs.float()


def write(
    folder: Path,
    *,
    model: str,
    trial: Trial,
    context: NetworkContext,
    loss: Loss,
    scaling: Scaling,
    data: Dataset,
    best: Reading,
    weights: Mapping[str, Tensor],
    spec: StudySpec,
) -> None:
    """Write a model into an existing, empty folder; model.json, which makes it one, comes last.

    Args:
        folder: where.
        model: the network's name or reference; a file it names is copied.
        trial: whose model it is.
        context: what the network was built for.
        loss: what its outputs mean.
        scaling: what its inputs went through.
        data: the encoding of the inputs and the units of the target.
        best: the reading of the epoch that `weights` are from.
        weights: the network's state by name.
        spec: the study.
    """
    # Names of tied weights share their memory, which a file of safetensors cannot.
    tensors = {
        f"network.{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in weights.items()
    }
    tensors |= {"shift": torch.tensor(scaling.shift), "factor": torch.tensor(scaling.factor)}
    if len(scaling.knots):
        tensors |= {"knots": torch.tensor(scaling.knots), "levels": torch.tensor(scaling.levels)}
    save_file(tensors, folder / WEIGHTS)
    shape = {name: value for name, value in asdict(context).items() if name != "params"}
    numbers = {name: best.get(name) for name in NUMBERS}
    description = {
        "format": FORMAT,
        "trainer": "torch",
        "number": trial.number,
        "params": dict(trial.params),
        "best": {"epoch": best.epoch, **{n: v for n, v in numbers.items() if math.isfinite(v)}},
        "network": _brought(model, folder),
        "context": shape,
        "loss": {"name": _brought(loss.name, folder), "units": loss.units},
        "scaling": scaling.kind,
        "target": data.units.to_table(),
        "encoding": dict(data.encoding),
        **({"labels": dict(data.labels)} if data.labels else {}),
    }
    _describe(folder, description)
    deciding = Threshold.of(spec, data.task)
    if deciding is not None:
        judged = data.validation
        shares = load(folder).of_encoded(judged.x)
        table = deciding.table(judged.y, shares, data, judged.weight)
        _describe(folder, description | {threshold.KEY: table})


def _describe(folder: Path, description: Mapping[str, Any]) -> None:
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def load(folder: Path, device: str = "cpu") -> TorchModel:
    """Read what `write` wrote, in this process or any other.

    A network of one's own is built by running its file, or by importing its package.

    Raises:
        TrialError: the folder is missing or damaged, or the network's package is not installed.
    """
    description = describe(folder)
    if description.get("format") != FORMAT:
        found = description.get("format")
        raise TrialError(f"{folder}: has format {found!r}, this version reads {FORMAT}; update tuner")
    try:
        tensors = load_file(folder / WEIGHTS)
        shift, factor = tensors.pop("shift"), tensors.pop("factor")
        knots, levels = tensors.pop("knots", None), tensors.pop("levels", None)
        table, params = description["context"], description["params"]
        shape, names = (tuple(table[key]) for key in ("input_shape", "features"))
        context = NetworkContext(
            shape, table["outputs"], Task(table["task"]), tuple(table["classes"]), names, params
        )
        with GlobalRng(0):  # building draws initial weights that are not used
            network = build(description["network"], params, context, folder)
        network.load_state_dict({n.removeprefix("network."): tensor for n, tensor in tensors.items()})
    # A network of one's own may raise anything.
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise TrialError(f"{folder}: the model cannot be built: {described(error)}") from error
    module = ScaledNetwork(network, shift, factor, knots, levels).to(device).eval()
    return TorchModel(module, description, folder)


def _brought(reference: str, folder: Path) -> str:
    """The reference from within the folder, into which its file is copied, and what it imports beside it."""
    name, _, attribute = reference.rpartition(":")
    if not name.endswith(".py"):
        return reference
    path = (Path.cwd() / name).resolve()
    own = folder / path.name
    if own.exists() and own.read_bytes() != path.read_bytes():
        own = folder / f"{path.stem}_{attribute}.py"
    shutil.copyfile(path, own)
    for neighbor in registry.neighbors(path.parent):
        place = folder / neighbor.relative_to(path.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(neighbor, place)
    return f"./{own.name}:{attribute}"
