"""Work: how much arithmetic a step of a trial takes, told from its network and its batch size alone.

What side by side saves is time between the arithmetic, so the smaller a step, the more rows gain.
`Job.most_work` is the largest one that pays, found once by `api.probe`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.torch.batches import batch_of
from tuner.trainers.torch.recipe import Recipe


def step_work(module: nn.Module, x: Tensor, recipe: Recipe, samples: int) -> float:
    """Multiplications and additions of a batch's matrix products and convolutions, forward.

    Args:
        module: left as it was, in its mode too.
        x: (1, ...) an input of it.
        recipe: says how large a batch is.
        samples: in an epoch.
    """
    modes = {part: part.training for part in module.modules()}
    counter = _WorkCounter()
    try:
        with GlobalRng(0, str(x.device)), torch.no_grad(), counter:
            module.eval()(x)
    finally:
        for part, mode in modes.items():
            part.training = mode
    return float(counter.total) * batch_of(recipe, samples)


class _WorkCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts as torch's own `FlopCounterMode`, which loads the compiler: seconds that a start has not."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        work = flop_registry.get(func._overloadpacket)
        self.total += work(*args, **(kwargs or {}), out_val=found) if work is not None else 0
        return found
