"""ONNX graphs in the runtime that runs them: 8-bit integers, and how long a batch takes.

Needs `tuner[onnx]`; imported where it is asked for.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import PluginError

ROUNDS, SECONDS, WARM = 31, 0.0005, 3
"""A latency is the median of so many rounds, each of so many seconds, after so many passes."""

_DYNAMIC, _STATIC, _BATCH = ["MatMul", "Gemm", "Gather", "LSTM"], ["MatMul", "Gemm", "Gather", "Conv"], 32


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a batch takes, in milliseconds.

    Attributes:
        median: of the rounds.
        low: their lower quartile.
        high: their upper quartile.
    """

    median: float
    low: float
    high: float

    def is_tied(self, other: Latency) -> bool:
        """Whether noise covers the difference: the quartiles of the two overlap."""
        return self.low <= other.high and other.low <= self.high


def quantized(graph: bytes, calibration: NDArray[Any] | None = None) -> bytes:
    """The graph in 8-bit integers: matrix products, embeddings and what an LSTM computes.

    Weights have 7 bits where the processor has no VNNI, since sums of products of 8 bits may overflow there.

    Args:
        graph: in single precision, batch normalization folded in.
        calibration: (N, ...) inputs whose range the integers are fitted to, convolutions too; None: each
            batch is quantized as it comes, and convolutions stay as they are.

    Raises:
        PluginError: onnxruntime is not installed.
    """
    try:
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise PluginError(f"ONNX: {error.name} is not installed; pip install 'tuner[onnx]'") from error
    model = onnx.load_from_string(graph)
    own = {"weight_type": quantization.QuantType.QInt8, "reduce_range": not has_vnni()}
    was = logging.root.manager.disable
    # It advises, by the root logger, to run steps that these graphs do not need.
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory(prefix="tuner-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target = Path(folder) / "int8.onnx"
            if calibration is None:
                quantization.quantize_dynamic(model, target, op_types_to_quantize=_DYNAMIC, **own)
            else:
                name = model.graph.input[0].name
                batches = ({name: x} for x in np.array_split(calibration, -(-len(calibration) // _BATCH)))
                reader = SimpleNamespace(get_next=partial(next, batches, None))
                quantization.quantize_static(
                    model, target, reader, op_types_to_quantize=_STATIC, per_channel=True, **own
                )
            return target.read_bytes()
    finally:
        logging.disable(was)


def latencies(graphs: Sequence[bytes], x: NDArray[Any]) -> list[Latency]:
    """Time graphs beside each other in onnxruntime, with one thread, round by round in turn.

    Args:
        graphs: of the candidates.
        x: (N, ...) the batch.

    Raises:
        PluginError: onnxruntime is not installed.
    """
    sessions = [session_of(graph) for graph in graphs]
    given = [{session.get_inputs()[0].name: x} for session in sessions]
    passes = [_passes(session, feed) for session, feed in zip(sessions, given, strict=True)]
    found = np.empty((ROUNDS, len(graphs)))
    for turn in range(ROUNDS):
        for i, (session, feed) in enumerate(zip(sessions, given, strict=True)):
            found[turn, i] = _seconds(session, feed, passes[i]) / passes[i] * 1e3
    low, median, high = np.quantile(found, (0.25, 0.5, 0.75), axis=0)
    return [Latency(*map(float, each)) for each in zip(median, low, high, strict=True)]


def session_of(graph: bytes) -> Any:
    """A graph in onnxruntime on the CPU, with one thread.

    Raises:
        PluginError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise PluginError("ONNX: onnxruntime is not installed; pip install 'tuner[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails raises
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _passes(session: Any, feed: Any) -> int:
    _seconds(session, feed, WARM)
    return max(1, int(SECONDS / max(_seconds(session, feed, WARM) / WARM, 1e-9)))


def _seconds(session: Any, feed: Any, passes: int) -> float:
    start = time.perf_counter()
    for _ in range(passes):
        session.run(None, feed)
    return time.perf_counter() - start


@cache
def has_vnni() -> bool:
    """Whether the processor adds products of 8-bit integers without overflow."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux; processors by Apple have what it takes
        return False
    return "vnni" in flags or "amx_int8" in flags
