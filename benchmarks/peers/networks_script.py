"""The script a user writes today for a network of each kind: Optuna's TPE and median pruner, plain PyTorch.

A process per core shares the study; each has one thread and its data in memory, and logs what it measures.
Knows nothing of `tuner`.

Run: python networks_script.py --data data.npz --model cnn --seconds 60 [--seed N]
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = {"mlp": [32, 64, 128], "cnn": [4, 8, 16], "rnn": [16, 32, 64], "conv1d": [8, 16, 32]}
BATCHES = [16, 32, 64, 128]
EPOCHS, TOKEN = 20, 32


def suggest(trial: optuna.Trial, model: str) -> dict[str, Any]:
    """One configuration."""
    p: dict[str, Any] = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 0.1, log=True),
        "batch_size": trial.suggest_categorical("batch_size", BATCHES),
        "width": trial.suggest_categorical("width", WIDTHS[model]),
        "depth": trial.suggest_int("depth", 1, 2),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
    }
    if model == "mlp":
        p["batch_norm"] = trial.suggest_categorical("batch_norm", [False, True])
    return p


class Recurrent(nn.Module):
    """A GRU over tokens, of which 0 stands behind the end."""

    def __init__(self, p: dict[str, Any], vocabulary: int, outputs: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, TOKEN)
        between = p["dropout"] if p["depth"] > 1 else 0.0
        self.gru = nn.GRU(TOKEN, p["width"], p["depth"], batch_first=True, dropout=between)
        self.head = nn.Sequential(nn.Dropout(p["dropout"]), nn.Linear(p["width"], outputs))

    def forward(self, x: Tensor) -> Any:
        """Take (B, T)."""
        states, last = self.gru(self.embedding(x))[0], (x > 0).sum(1).clamp(min=1) - 1
        return self.head(states[torch.arange(len(x)), last])


class Steps(nn.Module):
    """Convolutions over the steps of a series."""

    def __init__(self, p: dict[str, Any], inputs: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(p["depth"]):
            layers += [nn.Conv1d(inputs, p["width"], 3, padding=1), nn.ReLU(), nn.Dropout(p["dropout"])]
            inputs = p["width"]
        self.body, self.head = nn.Sequential(*layers), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Any:
        """Take (B, T, F)."""
        return self.head(self.body(x.mT).amax(2))


def network(model: str, p: dict[str, Any], x: Tensor, outputs: int) -> nn.Module:
    """The network of a configuration, for such inputs."""
    if model == "rnn":
        return Recurrent(p, int(x.max()) + 1, outputs)
    if model == "conv1d":
        return Steps(p, x.shape[2], outputs)
    layers: list[nn.Module] = []
    if model == "mlp":
        size, width = x.shape[1], p["width"]
        for _ in range(p["depth"]):
            norm = [nn.BatchNorm1d(width)] if p["batch_norm"] else []
            layers += [nn.Linear(size, width), *norm, nn.ReLU(), nn.Dropout(p["dropout"])]
            size = width
        return nn.Sequential(*layers, nn.Linear(size, outputs))
    channels, side = x.shape[1], x.shape[2]
    for block in range(p["depth"]):
        width = p["width"] * 2**block
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Dropout(p["dropout"])]
        layers.append(nn.MaxPool2d(2))
        channels, side = width, side // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, outputs))


def tensors(path: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs and targets to train on and to judge by."""
    found = np.load(path)
    x, y, held, truth = (torch.from_numpy(found[n]) for n in ("X", "y", "X_validation", "y_validation"))
    return (x.long(), y, held.long(), truth) if x.dtype is torch.int32 else (x, y, held, truth)


def work(options: argparse.Namespace, number: int) -> None:
    """One process of the study."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    x, y, held, truth = tensors(options.data)
    numbers = y.dtype.is_floating_point
    outputs = 1 if numbers else int(y.max()) + 1

    def loss_of(outputs: Tensor, targets: Tensor) -> Tensor:
        if numbers:
            return functional.mse_loss(outputs[:, 0], targets)
        return functional.cross_entropy(outputs, targets)

    def objective(trial: optuna.Trial) -> float:
        p = suggest(trial, options.model)
        module = network(options.model, p, x, outputs)
        rule = torch.optim.Adam(module.parameters(), p["learning_rate"])
        best = math.inf
        for epoch in range(1, EPOCHS + 1):
            module.train()
            for rows in torch.split(torch.randperm(len(x)), p["batch_size"]):
                loss = loss_of(module(x[rows]), y[rows])
                rule.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                rule.step()
            module.eval()
            with torch.no_grad():
                value = loss_of(module(held), truth).item()
            log.write(json.dumps([time.time(), value]) + "\n")
            log.flush()
            if not math.isfinite(value):
                raise optuna.TrialPruned
            best = min(best, value)
            trial.report(value, epoch)
            if time.time() > options.until or trial.should_prune():
                raise optuna.TrialPruned
        return best

    sampler = optuna.samplers.TPESampler(seed=1000 * options.seed + number)
    study = optuna.load_study(
        study_name="script", storage=options.storage, sampler=sampler, pruner=optuna.pruners.MedianPruner()
    )
    with Path(f"log{number}.jsonl").open("w", encoding="utf-8") as log:
        study.optimize(objective, timeout=max(0.0, options.until - time.time()))


def main() -> None:
    """Run the study for so many seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True, choices=WIDTHS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--storage", default="sqlite:///study.db")
    options = parser.parse_args()
    options.until = time.time() + options.seconds
    optuna.create_study(study_name="script", storage=options.storage)
    spawned = multiprocessing.get_context("spawn")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = [spawned.Process(target=work, args=(options, number)) for number in range(cores)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    raise SystemExit(max(worker.exitcode or 0 for worker in workers))


if __name__ == "__main__":
    main()
