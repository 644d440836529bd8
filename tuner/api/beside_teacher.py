"""beside_teacher: size and latency of a compressed model beside the one that it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tuner.api.deploying import graph
from tuner.judging import Compressed, NonInferiority
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.teacher import Teacher


def beside_teacher(folder: Path, kept: Path, tests: tuple[NonInferiority, ...]) -> Compressed:
    """Size and latency of a kept model beside those of the one that it was made from.

    Args:
        folder: the teacher's.
        kept: the model's.
        tests: what was tested.
    """
    from tuner.trainers.torch.onnx_runtime import latencies, quantized

    small, large = Teacher(kept).members[0], Teacher(folder).members
    is_int8 = Recipe.of(small.description["params"]).is_quantized
    graphs = [quantized(graph(small)) if is_int8 else graph(small), *map(graph, large)]
    context = small.description["context"]
    kind = np.int32 if context.get("vocabulary") else np.float32
    mine, *its = latencies(graphs, np.ones((1, *context["input_shape"]), kind))
    return Compressed(
        tests, len(graphs[0]), sum(map(len, graphs[1:])), mine.median, sum(each.median for each in its),
        len(its) == 1 and mine.is_tied(its[0]),
    )  # fmt: skip
