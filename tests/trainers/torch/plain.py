"""A plain training loop, written as a tutorial would: what the trainer is held to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tuner.core.dataset import Dataset, InputPart, Split, Task
from tuner.core.job import Job
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.training import TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.trainers import open_batch
from tuner.trainers.sessions import SessionBatch
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.stacked import StackedBatch

EPOCHS = 3


def study(**trainer: Any) -> StudySpec:
    return StudySpec.parse(
        {
            "trainer": {"epochs": EPOCHS, **trainer},
            "search": {"seed": 5},
            "space": {"learning_rate": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.1}},
        }
    )


def dataset(x: NDArray[Any], y: NDArray[Any], task: Task, rows: int, **more: Any) -> Dataset:
    x = x.astype(np.float32)
    return Dataset(Split(x[:rows], y[:rows]), Split(x[rows:], y[rows:]), task, **more)


def images(rows: int = 60, shape: tuple[int, ...] = (1, 8, 8)) -> Dataset:
    """Bright, dark and striped images."""
    generator = np.random.default_rng(0)
    y = np.arange(rows + 30) % 3
    x = generator.normal(size=(len(y), *shape))
    x[y == 0] += 1.5
    x[y == 1, ..., ::2] -= 1.5
    return dataset(x, y, Task.CLASSIFICATION, rows, classes=("bright", "striped", "noise"))


def texts(rows: int = 60) -> Dataset:
    """Texts of two to six of nine words, of which one tells the class; 0 behind their ends."""
    generator = np.random.default_rng(0)
    y = np.arange(rows + 30) % 3
    x = generator.integers(5, 11, (len(y), 6)).astype(np.int32)
    x[:, 1] = np.where(generator.random(len(y)) < 0.9, y + 2, x[:, 1])
    x[np.arange(6) >= generator.integers(2, 7, len(y))[:, None]] = 0
    splits = Split(x[:rows], y[:rows]), Split(x[rows:], y[rows:])
    return Dataset(*splits, Task.CLASSIFICATION, classes=("ant", "bee", "cat"), vocabulary=11)


def series(rows: int = 60) -> Dataset:
    """Rising, falling and flat series of three to seven steps, on another scale than their mask."""
    generator = np.random.default_rng(0)
    y = np.arange(rows + 30) % 3
    steps = np.arange(7)
    x = 10 * generator.normal(size=(len(y), 7, 2)) + 15 * (y - 1)[:, None, None] * steps[:, None] + 100
    there = steps < generator.integers(3, 8, len(y))[:, None]
    x = np.concatenate([x, there[..., None]], axis=2).astype(np.float32) * there[..., None]
    splits = Split(x[:rows], y[:rows]), Split(x[rows:], y[rows:])
    names = ("one", "two", "there")
    return Dataset(*splits, Task.CLASSIFICATION, classes=("down", "flat", "up"), features=names, masked=True)


def several(rows: int = 60) -> Dataset:
    """The images, the texts and the series of these rows beside two numbers, each of which tells a little."""
    parts = {"photo": images(rows), "title": texts(rows), "steps": series(rows)}
    table = np.random.default_rng(1).normal(size=(rows + 30, 2)).astype(np.float32) + 40
    each = [table, *(np.concatenate([own.train.x, own.validation.x]) for own in parts.values())]
    x = np.concatenate([own.reshape(len(own), -1) for own in each], axis=1, dtype=np.float32)
    of = (InputPart(n, d.input_shape, d.vocabulary, d.masked) for n, d in parts.items())
    return dataset(
        x, np.arange(rows + 30) % 3, Task.CLASSIFICATION, rows,
        classes=("ant", "bee", "cat"), parts=(InputPart("table", (2,)), *of),
    )  # fmt: skip


def alone(job: Job) -> TrialBatch:
    """One row that trains by the plain recipe."""
    return SessionBatch(TorchTrainer(), dataclasses.replace(job, rows=1))


def stacked(job: Job) -> TrialBatch:
    """Rows that train side by side."""
    return StackedBatch(job)


def batch(data: Dataset, spec: StudySpec | None = None) -> TrialBatch:
    return open_batch(TorchTrainer(), Job(spec or study(), data))


def curve(data: Dataset, params: Params, spec: StudySpec | None = None, number: int = 7) -> list[Reading]:
    """Train one trial to its end."""
    spec = spec or study()
    rows = batch(data, spec)
    rows.place(0, Trial(number, params, spec.search.seed))
    return [reading(rows) for _ in range(spec.trainer.epochs)]


def reading(rows: TrialBatch) -> Reading:
    outcome = rows.advance()[0]
    assert isinstance(outcome, Reading), getattr(outcome, "traceback", outcome)
    return outcome


def rates(params: Params, steps: int) -> list[float]:
    """Every step's learning rate, by the definitions in search_spaces/optimization.toml."""
    peak, found = float(params["learning_rate"]), []
    warm = round(float(params.get("warmup", 0.0)) * steps)
    for t in range(steps):
        u = (t - warm) / (steps - warm)
        match params.get("schedule", "constant"):
            case "linear":
                rate = peak * (1 - u)
            case "step":
                drops = int(params["step_drops"])
                rate = peak * float(params["step_decay"]) ** sum(
                    u >= d / (drops + 1) for d in range(1, drops + 1)
                )
            case "exponential":
                rate = peak * math.exp(u * math.log(float(params["exponential_decay"])))
            case "cosine":
                rate = peak * (0.5 + 0.5 * math.cos(math.pi * u))
            case "warm_restarts":
                length, parts = 1.0, [0.0]
                for _ in range(int(params["restarts"]) + 1):
                    parts.append(parts[-1] + length)
                    length *= float(params["restart_growth"])
                starts = [part / parts[-1] for part in parts]
                cycle = sum(start <= u for start in starts[1:-1])
                v = (u - starts[cycle]) / (starts[cycle + 1] - starts[cycle])
                rate = peak * (0.5 + 0.5 * math.cos(math.pi * v))
            case "one_cycle":
                rise = float(params["one_cycle_rise"])
                if u < rise:
                    rate = peak * (1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * u / rise)) / 2)
                else:
                    fall = (1 + math.cos(math.pi * (u - rise) / (1 - rise))) / 2
                    rate = peak * (1 / 25e4 + (1 - 1 / 25e4) * fall)
            case _:
                rate = peak
        found.append(peak * (t + 1) / warm if t < warm else rate)
    return found


def optimizer(params: Params, weights: Any) -> torch.optim.Optimizer:
    """The rule with torch's own coupled and decoupled decay where it has them."""
    rate, l2 = float(params["learning_rate"]), float(params.get("l2", 0.0))
    decay = float(params.get("weight_decay", 0.0))
    betas = (float(params.get("beta1", 0.9)), float(params.get("beta2", 0.999)))
    match params["optimizer"]:
        case "momentum" | "nesterov" as name:
            return torch.optim.SGD(
                weights,
                rate,
                momentum=float(params["momentum"]),
                nesterov=name == "nesterov",
                weight_decay=l2,
            )
        case "adagrad":
            return torch.optim.Adagrad(weights, rate, eps=1e-8, weight_decay=l2)
        case "rmsprop":
            return torch.optim.RMSprop(
                weights, rate, alpha=float(params["rms_decay"]), eps=1e-8, weight_decay=l2
            )
        case "adam":
            return torch.optim.Adam(weights, rate, betas=betas, eps=1e-8, weight_decay=l2)
        case "adamw":
            return torch.optim.AdamW(weights, rate, betas=betas, eps=1e-8, weight_decay=decay)
    return torch.optim.SGD(weights, rate, weight_decay=l2)


def step(params: Params, weights: list[nn.Parameter], rule: torch.optim.Optimizer, rate: float) -> float:
    """One step on gradients that are there; returns their norm, with l1 and before clipping."""
    for p in weights:
        assert p.grad is not None
        p.grad += float(params.get("l1", 0.0)) * torch.sign(p.detach())
    norm = math.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in weights if p.grad is not None))
    if params.get("clipping") == "value":
        nn.utils.clip_grad_value_(weights, float(params["clip_value"]))
    if params.get("clipping") == "norm":
        nn.utils.clip_grad_norm_(weights, float(params["clip_norm"]))
    decay = 0.0 if params["optimizer"] == "adamw" else float(params.get("weight_decay", 0.0))
    before = {p: p.detach().clone() for p in weights}
    for group in rule.param_groups:
        group["lr"] = rate * group.get("times", 1.0)
    rule.step()
    with torch.no_grad():
        for group in rule.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * decay * before[p])
    return norm


def train(
    network: nn.Module,
    data: Dataset,
    params: Params,
    number: int = 7,
    seed: int = 5,
    *,
    joins: bool = False,
    times: Callable[[str], float] | None = None,
) -> tuple[list[float], list[float], list[float]]:
    """Train `network` on standardized inputs.

    Args:
        network: with its first weights.
        data: what it is trained on.
        params: the configuration.
        number: of the trial.
        seed: of the study.
        joins: one row that is over joins the batch before it.
        times: what the rate of each parameter is multiplied by, by its name; 0: it stays as it is.

    Returns:
        The validation loss, the mean gradient norm and the last rate of every epoch.
    """
    mean = data.train.x.mean(axis=0, dtype=np.float64)
    spread = data.train.x.std(axis=0, dtype=np.float64)
    codes = range(len(mean) - len(data.categories), len(mean))
    mean[codes], spread[codes] = 0, 1
    if data.vocabulary or data.parts:
        mean[:], spread[:] = 0, 1
    x, held_x = (torch.tensor((s.x - mean) / spread).float() for s in (data.train, data.validation))
    y, held_y = (torch.tensor(s.y) for s in (data.train, data.validation))

    def loss(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        if data.task is Task.REGRESSION:
            return ((outputs[:, 0] - targets) ** 2).mean()
        classes = outputs.shape[1]
        wanted = nn.functional.one_hot(targets, classes) * (1 - smoothing) + smoothing / classes
        return -(wanted * outputs.log_softmax(1)).sum(1).mean()

    count = params.get("batch_size", 32)
    size = len(x) if count == "full" else min(int(count), len(x))
    over = joins and len(x) % size == 1
    per_epoch = math.ceil((math.ceil(len(x) / size) - over) / int(params.get("accumulation", 1)))
    plan = rates(params, EPOCHS * per_epoch)
    named = [(name, p) for name, p in network.named_parameters() if times is None or times(name)]
    weights = [p for _, p in named]
    groups = [{"params": [p], "times": 1.0 if times is None else times(name)} for name, p in named]
    rule = optimizer(params, groups)
    averaged = network
    if decay := float(params.get("ema", 0.0)):
        fall = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        averaged = AveragedModel(network, multi_avg_fn=fall, use_buffers=True)
    most, several = float(params.get("clip_parameters", 0.0)), int(params.get("accumulation", 1))
    order = torch.Generator().manual_seed(derive(seed, number, "order"))
    losses, norms, last = [], [], []
    t = 0
    for _ in range(EPOCHS):
        network.train()
        rows, found = torch.randperm(len(x), generator=order), []
        starts = range(0, len(x) - over, size)
        batches = [rows[at:] if at + size + 1 == len(x) and over else rows[at : at + size] for at in starts]
        for first in range(0, len(batches), several):
            rule.zero_grad()
            together = batches[first : first + several]
            for batch in together:
                value = loss(network(x[batch]), y[batch], float(params.get("label_smoothing", 0.0)))
                value *= len(batch) / sum(map(len, together))
                value.backward()  # type: ignore[no-untyped-call]
            found.append(step(params, weights, rule, plan[t]))
            with torch.no_grad():
                for p in weights if most else ():
                    p.clamp_(-most, most)
            if isinstance(averaged, AveragedModel):
                averaged.update_parameters(network)
            t += 1
        averaged.eval()
        with torch.no_grad():
            losses.append(float(loss(averaged(held_x), held_y, 0.0)))
        norms.append(sum(found) / len(found))
        last.append(plan[t - 1])
    return losses, norms, last
