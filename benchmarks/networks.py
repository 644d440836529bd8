"""The shipped networks as rows side by side, and the same training written plainly in PyTorch, one at a time.

Both train the same network on the same made data for the same epochs, Adam, and measure the same rows after
each; one thread each. A figure is the processor time of a trial-epoch; pairs alternate, medians are told. The
plain loop has no tuner, sampler or storage about it, so that the ratio is one of training alone.

Run: python -m benchmarks.networks [--pairs N] [--rows K] [--only NAME ...] [--smoke]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.processes import machine
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.trial import Params, Reading, Trial
from tuner.trainers import open_batch
from tuner.trainers.torch import TorchTrainer

VOCABULARY, STEPS = 500, 16


def made(kind: str, rows: int) -> Dataset:
    """Inputs of a kind, four classes; what is in them does not matter to the time."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 4, rows)
    x: Any
    if kind == "tokens":
        x = generator.integers(2, VOCABULARY, (rows, STEPS)).astype(np.int32)
        x[np.arange(STEPS) >= generator.integers(4, STEPS + 1, rows)[:, None]] = 0
    else:
        shape = {"table": (64,), "series": (STEPS, 8), "image": (1, 28, 28)}[kind]
        x = generator.normal(size=(rows, *shape)).astype(np.float32)
    held = rows // 5
    splits = Split(x[held:], y[held:]), Split(x[:held], y[:held])
    vocabulary = VOCABULARY if kind == "tokens" else 0
    return Dataset(*splits, Task.CLASSIFICATION, tuple("abcd"), vocabulary=vocabulary, scaling="none")


class Sequences(nn.Module):
    """A recurrent or a convolutional network, or a bag, as a tutorial has it."""

    def __init__(self, body: str, width: int) -> None:
        super().__init__()
        self.body, inputs = body, 8 if body == "conv1d" else 32
        self.embedding = nn.Embedding(VOCABULARY, 32)
        if body == "gru":
            self.gru = nn.GRU(inputs, width, batch_first=True)
        elif body == "conv1d":
            self.first, self.second = (nn.Conv1d(size, width, 3, padding=1) for size in (inputs, width))
        else:
            self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)  # type: ignore[assignment]
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Any:
        if self.body == "gru":
            # Quicker than packed sequences.
            states, last = self.gru(self.embedding(x))[0], (x > 0).sum(1) - 1
            return self.head(states[torch.arange(len(x)), last])
        if self.body == "conv1d":
            x = self.second(self.first(x.mT).relu()).relu()
            return self.head(x.amax(2))
        there = (x > 0).unsqueeze(-1)
        mean = (self.embedding(x) * there).sum(1) / there.sum(1)
        return self.head(self.second(self.first(mean).relu()).relu())


def normalized(width: int) -> nn.Module:
    """Two hidden layers with batch normalization."""
    first = [nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU()]
    return nn.Sequential(
        *first, nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 4)
    )


def pictures(width: int) -> nn.Module:
    """Two blocks."""
    first = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(2 * width * 49, 4))


@dataclass(frozen=True)
class Subject:
    """A network, what it trains on, and how much quicker rows have to be."""

    model: str
    kind: str
    params: Params
    plain: Callable[[int], nn.Module]
    widths: tuple[int, ...]
    must: float


SUBJECTS = {
    "batch norm": Subject("mlp", "table", {"depth": 2, "batch_norm": True}, normalized, (16, 32, 64), 15),
    "batch norm, wide": Subject("mlp", "table", {"depth": 2, "batch_norm": True}, normalized, (128, 256), 5),
    "gru": Subject("rnn", "tokens", {"depth": 1}, lambda w: Sequences("gru", w), (8, 16, 32, 64), 4),
    "conv1d": Subject("conv1d", "series", {"depth": 2}, lambda w: Sequences("conv1d", w), (8, 16, 32), 5),
    "bag": Subject("bag", "tokens", {"depth": 2}, lambda w: Sequences("bag", w), (8, 16, 32), 5),
    "cnn": Subject("cnn", "image", {"depth": 2}, pictures, (4, 8, 16), 2),
}


def plain_s(subject: Subject, data: Dataset, width: int, batch: int, epochs: int) -> float:
    """Processor seconds of a trial-epoch of the plain loop."""
    tokens = data.vocabulary > 0
    x, held = (
        torch.tensor(s.x).long() if tokens else torch.tensor(s.x) for s in (data.train, data.validation)
    )
    y, truth = (torch.tensor(s.y) for s in (data.train, data.validation))
    module = subject.plain(width)
    rule = torch.optim.Adam(module.parameters())
    begin = time.process_time()
    for _ in range(epochs):
        module.train()
        for rows in torch.split(torch.randperm(len(x)), batch):
            loss = functional.cross_entropy(module(x[rows]), y[rows])
            rule.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            rule.step()
        module.eval()
        with torch.no_grad():
            for inputs, targets in ((x[: len(held)], y[: len(held)]), (held, truth)):
                outputs = module(inputs)
                functional.cross_entropy(outputs, targets).item()
                (outputs.argmax(1) == targets).float().mean().item()
    return (time.process_time() - begin) / epochs


def rows_s(subject: Subject, data: Dataset, width: int, batch: int, epochs: int, rows: int) -> float:
    """Processor seconds of a trial-epoch of rows side by side."""
    trainer: Any = {"model": subject.model, "epochs": epochs + 1}
    space = {"learning_rate": {"type": "float", "low": 0, "high": 1, "default": 1e-3}}
    stack = open_batch(TorchTrainer(), Job(StudySpec.parse({"trainer": trainer, "space": space}), data, rows))
    for row in range(rows):
        stack.place(row, Trial(row, {**subject.params, "width": width, "batch_size": batch}, 0))
    stack.advance()  # compiles what is not yet compiled
    begin = time.process_time()
    for _ in range(epochs):
        assert all(isinstance(outcome, Reading) for outcome in stack.advance().values())
    return (time.process_time() - begin) / epochs / rows


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--samples", type=int, default=1500)
    parser.add_argument("--only", nargs="+", default=list(SUBJECTS), choices=SUBJECTS)
    parser.add_argument("--smoke", action="store_true", help="does it run at all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    epochs, batches = (1, (32,)) if options.smoke else (2, (16, 32, 64, 128))
    print(f"{machine()}\n\n| network | width | plain loop, ms | rows, ms | quicker | must be |")
    print("|---|--:|--:|--:|--:|--:|", flush=True)
    for name in options.only:
        subject = SUBJECTS[name]
        data = made(subject.kind, 200 if options.smoke else options.samples)
        for width in subject.widths[: 1 if options.smoke else None]:
            pairs = []
            for _ in range(1 if options.smoke else options.pairs):
                plain = sum(plain_s(subject, data, width, batch, epochs) for batch in batches)
                mine = sum(rows_s(subject, data, width, batch, epochs, options.rows) for batch in batches)
                pairs.append((plain / len(batches), mine / len(batches)))
            plain, mine = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(one / two for one, two in pairs)
            print(
                f"| {name} | {width} | {plain:.1f} | {mine:.2f} | {ratio:.1f} | {subject.must:g} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
