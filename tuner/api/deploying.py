"""Exported models for other programs: written, run, and compared on validation rows.

Called by `workbench.export`. Needs `tuner[onnx]` for ONNX; PyTorch's own formats need nothing more.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.api import standalone
from tuner.core.dataset import Task
from tuner.errors import PluginError, SpecError, TrialError, TunerError, first_line, near
from tuner.trainers import load_members, load_model, threshold
from tuner.trainers.model import Model, encoded
from tuner.trainers.torch.costs import RUNTIMES

if TYPE_CHECKING:
    from tuner.trainers.torch.model import TorchModel

FORMATS = ("safetensors", "onnx", "onnx-int8", "torchscript", "torch-export")
"""What `tune export --format` takes; the first one is what the study keeps, and has no file of its own."""

TOLERANCE = 1e-3
"""How far a probability, or a number in units of the target's spread, may be off after an export."""

MOST_OFF = 0.05
"""In 8-bit integers: what share of predictions may differ, or by how much a number may be off on average."""

_READ = ("number", "boolean", "ordinal", "category")
"""The kinds of columns that `standalone` reads by itself."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What was written.

    Attributes:
        says: what it is and how it compares to the study's own model, a sentence each.
    """

    says: tuple[str, ...]


def require_format(name: str) -> None:
    """Make sure that a format is known.

    Raises:
        SpecError: it is not.
    """
    if name not in FORMATS:
        raise SpecError(f"--format: unknown name {name!r}; {near(name, FORMATS)}")


def deploy(source: Path, folder: Path, kind: str, rows: Callable[[], Any]) -> Deployed:
    """Write a kept model in a format for other programs, run it, and compare.

    Args:
        source: the kept model's folder.
        folder: where; there.
        kind: one of `FORMATS`.
        rows: gives raw validation rows.

    Raises:
        TrialError: the model cannot be written so, or what was written predicts something else.
        PluginError: a library is missing.
    """
    if kind == FORMATS[0]:
        return Deployed(())
    members = load_members(source)
    networks = _networks(members, kind)
    try:
        raw, why = rows(), ""
    except TunerError as error:
        raw, why = None, first_line(error)
    if kind in RUNTIMES:
        small = _write_onnx(networks, load_model(source), folder, kind)
        says = f"`model.onnx`{small} and `predict.py`, which need numpy and onnxruntime alone"
    else:
        if len(networks) > 1:
            raise TrialError(
                f"the model is the mean of {len(networks)}; only --format onnx and onnx-int8 write several"
            )
        _write_torch(networks[0], folder, kind)
        says = "`model.pt`: takes encoded rows, and scales them itself"
    if raw is None:
        return Deployed((f"Written: {says}.", f"It was not compared with the study's model: {why}."))
    told = _compared(load_model(source), networks[0], folder, kind, raw)
    return Deployed((f"Written: {says}.", told))


def _networks(members: Sequence[Model], kind: str) -> list[TorchModel]:
    from tuner.trainers.torch.model import TorchModel

    found = [member for member in members if isinstance(member, TorchModel)]
    if len(found) < len(members):
        what = str(members[0].description.get("trainer"))
        raise TrialError(f"--format {kind} is for networks of the torch trainer; this model is of {what!r}")
    return found


def _write_onnx(networks: Sequence[TorchModel], model: Model, folder: Path, kind: str) -> str:
    """Returns what 8-bit integers save, in words."""
    from tuner.trainers.torch.onnx_runtime import quantized

    tables, graphs = [], [graph(network) for network in networks]
    written = graphs if kind == RUNTIMES[0] else [quantized(each) for each in graphs]
    for place, (network, each) in enumerate(zip(networks, written, strict=True)):
        file = "model.onnx" if place == 0 else f"model_{place}.onnx"
        (folder / file).write_bytes(each)
        tables.append(table_of(network, file))
    write_table(folder, tables, model)
    return "" if kind == RUNTIMES[0] else f" ({_saved(networks[0], graphs[0], written[0])})"


def _saved(network: TorchModel, before: bytes, after: bytes) -> str:
    """Size and latency of a graph in 8-bit integers beside that in single precision."""
    from tuner.trainers.torch.onnx_runtime import latencies

    context, told = network.description["context"], []
    kind = np.int32 if context.get("vocabulary") else np.float32
    for rows in (1, 64):
        slow, fast = latencies([before, after], np.ones((rows, *context["input_shape"]), kind))
        tie = ", which noise covers" if slow.is_tied(fast) else ""
        told.append(f"{rows} row{'s' * (rows > 1)} in {fast.median:.3g} ms instead of {slow.median:.3g}{tie}")
    sizes = f"8-bit integers: {len(after) / 1e3:.3g} kB instead of {len(before) / 1e3:.3g}"
    return f"{sizes}; {'; '.join(told)}; one thread of onnxruntime on this machine"


def write_table(folder: Path, tables: Sequence[Mapping[str, Any]], model: Model) -> None:
    """Write predict.json and predict.py beside graphs.

    Args:
        folder: where.
        tables: of the networks.
        model: what they are written from.
    """
    description = model.description
    context = description["context"]
    table: dict[str, Any] = {"format": 1, "networks": list(tables)}
    if labels := description.get("labels"):
        table["labels"] = [list(pair) for pair in labels.values()]
    elif context["task"] == Task.CLASSIFICATION:
        table["classes"] = list(context["classes"])
        if threshold.KEY in description:
            at = description[threshold.KEY]
            table["threshold"] = [list(context["classes"]).index(at["class"]), at["at"]]
    (folder / "predict.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(standalone.__file__, folder / "predict.py")


def graph(model: TorchModel) -> bytes:
    """The ONNX graph of a kept network without its scaling."""
    import torch

    from tuner.trainers.torch.onnx_graph import graph_of

    context = model.description["context"]
    shape = (3, *context["input_shape"])
    is_tokens = bool(context.get("vocabulary"))
    x = torch.ones(shape, dtype=torch.int32) if is_tokens else torch.ones(shape)
    return graph_of(model.module.network, x)


def table_of(model: TorchModel, file: str) -> dict[str, Any]:
    """What `standalone` needs to know of a network.

    Raises:
        TrialError: it cannot prepare such rows by itself, or knows no meaning of the loss.
    """
    from tuner.data.words import CATEGORY_MISSING
    from tuner.trainers.torch.plain_losses import TASKS

    description = model.description
    how, context = description["encoding"], description["context"]
    if fault := _unread(how):
        raise TrialError(f"predict.py cannot read {fault} by itself; use --format torch-export")
    loss = description["loss"]["name"]
    if loss not in TASKS:
        raise TrialError(f"predict.py does not know what outputs mean under the loss {loss}")
    scaled = model.module
    arrays = {"shift": scaled.shift, "factor": scaled.factor, "knots": scaled.knots, "levels": scaled.levels}
    scaling = {name: tensor.tolist() for name, tensor in arrays.items() if tensor is not None}
    return {
        "file": file,
        "loss": loss,
        "is_of_labels": bool(description.get("labels")),
        "target": description["target"],
        "features": context["features"],
        "input_shape": context["input_shape"],
        "encoding": how,
        "missing": sorted(map(str, CATEGORY_MISSING)),
        "scaling": scaling | {"masked": scaled.masked},
    }


def _unread(how: Mapping[str, Any]) -> str | None:
    """What of an encoding `standalone` does not read, in words."""
    if "text" in how or "steps" in how:
        return "texts" if "text" in how else "sequences of rows"
    if "column" in how.get("images", {}):
        return "files of images"
    if how.get("series", {}).get("masked"):
        return "series of different lengths"
    for table in how.get("columns", ()):
        if table["kind"] not in _READ or table.get("periodic"):
            return f"the column '{table['name']}' ({table['kind']})"
        if "notation" in table:
            return f"the numbers of the column '{table['name']}' as they are written"
    return None


def _write_torch(model: TorchModel, folder: Path, kind: str) -> None:
    import torch

    module, context = model.module.eval(), model.description["context"]
    shape, is_tokens = (3, *context["input_shape"]), bool(context.get("vocabulary"))
    x = torch.ones(shape, dtype=torch.int32) if is_tokens else torch.rand(shape)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            if kind == "torchscript":
                traced: Any = torch.jit.trace(module, (x,), check_trace=False)  # type: ignore[no-untyped-call]
                traced.save(str(folder / "model.pt"))
            else:
                free = ({0: torch.export.Dim("n", min=1, max=2**20)},)
                program = torch.export.export(module, (x,), dynamic_shapes=free)
                torch.export.save(program, folder / "model.pt")
    except Exception as error:
        raise TrialError(f"the network cannot be written as {kind}: {first_line(error)}") from error


def _compared(model: Model, network: TorchModel, folder: Path, kind: str, rows: Any) -> str:
    """Run what was written, and say how far it is from the study's model.

    Raises:
        TrialError: it predicts something else.
        PluginError: onnxruntime is not installed.
    """
    from tuner.data import untold

    with untold():
        expected = model.predict(rows)
        is_of_numbers = model.description["context"]["task"] == Task.REGRESSION
        if kind in RUNTIMES:
            try:
                found_model = standalone.ExportedModel(folder)
            except ImportError as error:
                raise PluginError("ONNX: onnxruntime is not installed; pip install 'tuner[onnx]'") from error
            except ValueError as error:
                raise TrialError(str(error)) from error
            found = found_model.predict(rows)
            if is_of_numbers:
                off = np.abs(found - expected) / max(float(np.std(expected)), 1e-12)
            else:
                off = np.abs(found_model.probabilities(rows) - _shares(model, rows))
        else:
            off, found = _torch_off(network, folder, kind, rows), expected
    largest = float(off.max(initial=0.0))
    differ = 0 if is_of_numbers else int((found != expected).reshape(len(found), -1).any(axis=1).sum())
    told = f"Run on {len(expected)} validation rows beside the study's model: the largest difference of "
    told += "a number, in standard deviations," if is_of_numbers else "a probability"
    if kind == RUNTIMES[1]:
        share = float(off.mean()) if is_of_numbers else differ / len(expected)
        if share > MOST_OFF:
            what = "numbers are off by" if is_of_numbers else "the share of predictions that differ is"
            raise TrialError(
                f"in 8-bit integers {what} {share:.2g}, more than {MOST_OFF:g}; use --format onnx"
            )
    elif largest > TOLERANCE:
        raise TrialError(f"{told} is {largest:.2g}, more than {TOLERANCE:g}; nothing was exported")
    differing = f"{differ} predictions differ" if differ > 1 else f"{differ or 'no'} prediction differs"
    return f"{told} is {largest:.1g}, and {differing}."


def _shares(model: Model, rows: Any) -> Any:
    probabilities: Any = getattr(model, "probabilities", None)
    return probabilities(rows)


def _torch_off(model: TorchModel, folder: Path, kind: str, rows: Any) -> Any:
    import torch

    x = torch.from_numpy(encoded(rows, model.description, "network"))
    x = x.int() if model.description["context"].get("vocabulary") else x.float()
    file = str(folder / "model.pt")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        read: Any = (
            torch.jit.load(file)  # type: ignore[no-untyped-call]
            if kind == "torchscript"
            else torch.export.load(file).module()
        )
        return np.abs((read(x) - model.module(x)).numpy())
