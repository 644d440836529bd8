"""Exported models for other programs: written, run, and compared on validation rows.

Called by `workbench.export`, and by `confirming` for a compressed model. Needs `tuner[onnx]` for ONNX; the
other formats need nothing more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.api import predict_json, standalone
from tuner.api.raw_rows import RawRows
from tuner.core.dataset import Task
from tuner.errors import PluginError, SpecError, TrialError, TunerError, first_line, near
from tuner.judging.compressed import Compressed, NonInferiority
from tuner.trainers import load_members, load_model
from tuner.trainers.model import Model, encoded
from tuner.trainers.torch.costs import CALIBRATING, RUNTIMES, STATIC, spread
from tuner.trainers.torch.recipe import Recipe

if TYPE_CHECKING:
    from tuner.trainers.sklearn import SklearnModel
    from tuner.trainers.torch.model import TorchModel

SKOPS = "skops"

FORMATS = ("safetensors", *RUNTIMES, "torchscript", "torch-export", SKOPS)
"""What `tune export --format` takes; the first one is what the study keeps, and has no file of its own."""

TOLERANCE = 1e-3
"""How far a probability, or a number in units of the target's spread, may be off after an export."""

MOST_OFF = 0.05
"""In 8-bit integers: what share of predictions may differ, or by how much a number may be off on average."""


def require_format(name: str) -> None:
    """Make sure that a format is known.

    Raises:
        SpecError: it is not.
    """
    if name == "onnx-fp16":
        raise SpecError(
            "--format onnx-fp16: onnxruntime computes half precision on a CPU no faster than single, and "
            "integers are smaller; use --format onnx-int8"
        )
    if name not in FORMATS:
        raise SpecError(f"--format: unknown name {name!r}; {near(name, FORMATS)}")


def deploy(source: Path, folder: Path, kind: str, rows: Callable[[bool], Any]) -> tuple[str, ...]:
    """Write a kept model in a format for other programs, run it, and compare.

    Args:
        source: the kept model's folder.
        folder: where; there.
        kind: one of `FORMATS`.
        rows: gives raw training rows, or else validation rows.

    Returns:
        What it is and how it compares to the study's own model, a sentence each.

    Raises:
        TrialError: the model cannot be written so, or what was written predicts something else.
        PluginError: a library is missing.
    """
    if kind == FORMATS[0]:
        return ()
    members, model = load_members(source), load_model(source)
    _require_fit(members, kind)
    if kind == RUNTIMES[0] and any(Recipe.of(each.description["params"]).is_quantized for each in members):
        kind = RUNTIMES[1]  # as it was judged
    try:
        raw, why = rows(False), ""
    except TunerError as error:
        raw, why = None, first_line(error)
    if kind == SKOPS:
        _write_skops(members, model, folder)
        says = "`model.skops` and `predict.py`, which need numpy, scikit-learn and skops"
    elif kind in RUNTIMES:
        small = _write_onnx(members, model, folder, kind, rows)
        says = f"`model.onnx`{small} and `predict.py`, which need numpy and onnxruntime alone"
    else:
        if len(members) > 1:
            raise TrialError(
                f"the model is the mean of {len(members)}; only --format onnx and onnx-int8 write several"
            )
        _write_torch(members[0], folder, kind)
        says = "`model.pt`: takes encoded rows, and scales them itself"
    if raw is None:
        return f"Written: {says}.", f"It was not compared with the study's model: {why}."
    return f"Written: {says}.", _compared(model, members[0], folder, kind, raw)


def _require_fit(members: Sequence[Model], kind: str) -> None:
    """Make sure that a format is for these models.

    Raises:
        TrialError: it is not.
    """
    from tuner.trainers.sklearn import SklearnModel
    from tuner.trainers.torch.model import TorchModel

    own = {TorchModel: FORMATS[1:-1], SklearnModel: (RUNTIMES[0], SKOPS)}.get(type(members[0]), ())
    if kind not in own:
        whose = "estimators of the sklearn trainer" if kind == SKOPS else "networks of the torch trainer"
        what = str(members[0].description.get("trainer"))
        known = ", ".join((FORMATS[0], *own))
        raise TrialError(f"--format {kind} is for {whose}; this model is of {what!r}; use one of {known}")


def _write_skops(estimators: Sequence[Any], model: Model, folder: Path) -> None:
    from skops import io

    tables = []
    for place, each in enumerate(estimators):
        if ".py:" in str(each.description["estimator"]):
            raise TrialError("predict.py cannot import an estimator of your own file; use safetensors")
        table = predict_json.table_of(each, _file("model.skops", place))
        io.dump(each.module, folder / table["file"])
        tables.append(table | {"trusted": io.get_untrusted_types(file=folder / table["file"])})
    predict_json.write_table(folder, tables, model)


def _write_onnx(
    members: Sequence[Any], model: Model, folder: Path, kind: str, rows: Callable[[bool], Any]
) -> str:
    """Returns what 8-bit integers save, in words."""
    from tuner.trainers.torch.onnx_runtime import quantized

    tables = [predict_json.table_of(each, _file("model.onnx", i)) for i, each in enumerate(members)]
    graphs = [graph(each) for each in members]
    written = graphs
    if kind == RUNTIMES[1]:
        written = [quantized(each) for each in graphs]
        tables = [table | {"by_row": True} for table in tables]
    elif kind == STATIC:
        raw = _some(rows(True))
        x = [RawRows(table).inputs(raw) for table in tables]
        written = [quantized(each, own) for each, own in zip(graphs, x, strict=True)]
    for table, each in zip(tables, written, strict=True):
        (folder / table["file"]).write_bytes(each)
    predict_json.write_table(folder, tables, model)
    return "" if kind == RUNTIMES[0] else f" ({_saved(members[0], graphs[0], written[0])})"


def _some(rows: Any) -> Any:
    """Some of many training rows, evenly spread."""
    places = spread(len(rows), CALIBRATING)
    return rows.iloc[places] if hasattr(rows, "iloc") else rows[places]


def _file(name: str, place: int) -> str:
    return name if place == 0 else name.replace(".", f"_{place}.")


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


def graph(model: TorchModel | SklearnModel) -> bytes:
    """The ONNX graph of a kept network or estimator without its scaling."""
    from tuner.trainers.sklearn import SklearnModel, onnx_estimator

    if isinstance(model, SklearnModel):
        return onnx_estimator.graph_of(model.module, model.width)
    import torch

    from tuner.trainers.torch.onnx_graph import graph_of

    context = model.description["context"]
    shape = (3, *context["input_shape"])
    is_tokens = bool(context.get("vocabulary"))
    x = torch.ones(shape, dtype=torch.int32) if is_tokens else torch.ones(shape)
    return graph_of(model.module.network, x)


def _write_torch(model: Any, folder: Path, kind: str) -> None:
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


def _compared(model: Model, first: Any, folder: Path, kind: str, rows: Any) -> str:
    """Run what was written, and say how far it is from the study's model.

    Raises:
        TrialError: it predicts something else.
        PluginError: onnxruntime is not installed.
    """
    from tuner.data import untold

    is_of_numbers, what = model.description["context"]["task"] == Task.REGRESSION, "a probability"
    with untold():
        expected = model.predict(rows)
        if kind not in (*RUNTIMES, SKOPS):
            off, found = _torch_off(first, folder, kind, rows), expected
        else:
            try:
                written = standalone.ExportedModel(folder)
                found = written.predict(rows)
            except ImportError as error:
                raise PluginError("ONNX: onnxruntime is not installed; pip install 'tuner[onnx]'") from error
            except ValueError as error:
                raise TrialError(str(error)) from error
            if is_of_numbers:
                off = np.abs(found - expected) / max(float(np.std(expected)), 1e-12)
            elif all(member.has_shares for member in written.members):
                off = np.abs(written.probabilities(rows) - _shares(model, rows))
            else:
                off, what = (found != expected).astype(float), "a vote"
    largest = float(off.max(initial=0.0))
    differ = 0 if is_of_numbers else int((found != expected).reshape(len(found), -1).any(axis=1).sum())
    told = f"Run on {len(expected)} validation rows beside the study's model: the largest difference of "
    told += "a number, in standard deviations," if is_of_numbers else what
    if kind in RUNTIMES[1:]:
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


def beside_teacher(teacher: Path, kept: Path, tests: tuple[NonInferiority, ...]) -> Compressed:
    """Size and latency of a kept model beside those of the one that it was made from, and what was tested."""
    from tuner.trainers.torch.onnx_runtime import latencies, quantized
    from tuner.trainers.torch.teacher import Teacher

    small, large = Teacher(kept).members[0], Teacher(teacher).members
    is_int8 = Recipe.of(small.description["params"]).is_quantized
    graphs = [quantized(graph(small)) if is_int8 else graph(small), *map(graph, large)]
    context = small.description["context"]
    kind = np.int32 if context.get("vocabulary") else np.float32
    mine, *its = latencies(graphs, np.ones((1, *context["input_shape"]), kind))
    return Compressed(
        tests, len(graphs[0]), sum(map(len, graphs[1:])), mine.median, sum(each.median for each in its),
        len(its) == 1 and mine.is_tied(its[0]),
    )  # fmt: skip
