"""Loops of one's own that train on several processes, for the tests of groups; also run by their ranks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from tuner.plugins import TrialContext


def train(params: dict[str, Any], context: TrialContext) -> Iterator[dict[str, Any]]:
    """Learns a sum, by the mean of the gradients; each rank draws other numbers and has its own state."""
    Path("pids").mkdir(exist_ok=True)
    (Path("pids") / str(os.getpid())).touch()
    net = nn.Linear(4, 1)
    moments = [torch.zeros_like(weights) for weights in net.parameters()]
    mine = torch.zeros(3)
    context.keep(net)
    if state := context.resume():
        net.load_state_dict(state["net"])
        moments = state["moments"]
        mine = state["mine"]
    else:
        torch.manual_seed(context.seed % 2**31 + context.rank)
    epoch = int(mine[0])
    while True:
        epoch += 1
        _fall_over(context, epoch)
        x = torch.randn(16, 4)
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
        for weights, moment, grad in zip(
            net.parameters(), moments, torch.autograd.grad(loss, list(net.parameters())), strict=True
        ):
            moment.mul_(0.9).add_(context.mean(grad))
            weights.data -= params["rate"] * moment
        mine += torch.tensor([1.0, context.rank, loss.item()])
        value = context.mean(loss.item())
        state = {"net": net, "moments": moments, "mine": mine}
        yield {"train_loss": value, "val_loss": value, "drawn": context.mean(mine)[2], "state": state}


def _fall_over(context: TrialContext, epoch: int) -> None:
    """Be killed, or stand still, once each where the test wants it."""
    hangs = [(f"hang {number}", number, 0, signal.SIGSTOP) for number in (2, 3)]
    for word, number, rank, sent in (("kill 1", 1, 1, signal.SIGKILL), *hangs):
        flag = Path(word)
        if flag.exists() and (context.number, context.rank, epoch) == (number, rank, 1):
            flag.unlink()
            os.kill(os.getpid(), sent)


def fails(params: dict[str, Any], context: TrialContext) -> Iterator[float]:
    """Rank 1 raises or dies where told to, while rank 0 waits for it, or has nothing more to train."""
    yield context.mean(context.rank)
    if params["rate"] > 0.5 and context.rank == 1:
        raise ValueError("this rank is at fault")
    if params["rate"] == 0.4 and context.rank == 1:
        raise MemoryError("8 GiB more")
    if params["rate"] == 0.3 and context.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if params["rate"] < 0.1:
        if context.rank == 0:
            yield 1.0
        return
    distributed.barrier()
    yield context.mean(torch.full((2,), float(context.rank)))[1]
