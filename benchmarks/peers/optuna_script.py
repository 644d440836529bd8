"""The script a user writes today: Optuna, its SQLite storage, successive halving, a plain PyTorch loop.

Written as well as a careful user would: tensors are indexed in memory, each process has one thread, as
many processes as cores share the study, the defaults that are known to work are tried first, a trial
that diverges ends at once, and each trial's curve is kept beside its value. Knows nothing of `tuner`.

Run: python optuna_script.py --data data.npz --storage sqlite:///study.db [--trials N] [--widths 16 32 64]
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import torch
from torch import Tensor, nn
from torch.nn import functional

STUDY = "script"
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
RATES = {"sgd": 0.1, "momentum": 0.03, "nesterov": 0.03, "adagrad": 0.03}


def suggest(trial: optuna.Trial, widths: list[int]) -> dict[str, Any]:
    """One configuration."""
    p: dict[str, Any] = {
        "optimizer": trial.suggest_categorical(
            "optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]
        ),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 0.5, log=True),
        "schedule": trial.suggest_categorical(
            "schedule", ["constant", "linear", "step", "exponential", "cosine", "one_cycle"]
        ),
        "clipping": trial.suggest_categorical("clipping", ["none", "norm", "value"]),
        "batch_size": trial.suggest_categorical("batch_size", [16, 32, 64, 128]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2),
        "init": trial.suggest_categorical(
            "init",
            ["small_normal", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "orthogonal"],
        ),
        "init_gain": trial.suggest_float("init_gain", 0.3, 3.0, log=True),
        "width": trial.suggest_categorical("width", widths),
        "activation": trial.suggest_categorical("activation", list(ACTIVATIONS)),
    }
    if p["optimizer"] in ("momentum", "nesterov"):
        p["momentum"] = trial.suggest_float("momentum", 0.5, 0.99)
    if p["optimizer"] in ("adam", "adamw"):
        p["beta1"] = trial.suggest_float("beta1", 0.5, 0.99)
        p["beta2"] = trial.suggest_float("beta2", 0.9, 0.9999)
    if p["optimizer"] == "rmsprop":
        p["rms_decay"] = trial.suggest_float("rms_decay", 0.8, 0.999)
    if p["optimizer"] == "adamw":
        p["weight_decay"] = trial.suggest_float("weight_decay", 1e-5, 0.3, log=True)
    else:
        p["l2"] = trial.suggest_float("l2", 1e-6, 1e-2, log=True)
    if p["schedule"] == "one_cycle":
        p["one_cycle_rise"] = trial.suggest_float("one_cycle_rise", 0.1, 0.5)
    else:
        p["warmup"] = trial.suggest_float("warmup", 0.0, 0.3)
    if p["schedule"] == "step":
        p["step_decay"] = trial.suggest_float("step_decay", 0.1, 0.9)
        p["step_drops"] = trial.suggest_int("step_drops", 1, 5)
    if p["schedule"] == "exponential":
        p["exponential_decay"] = trial.suggest_float("exponential_decay", 1e-3, 0.5, log=True)
    if p["clipping"] == "norm":
        p["clip_norm"] = trial.suggest_float("clip_norm", 0.03, 1.0, log=True)
    if p["clipping"] == "value":
        p["clip_value"] = trial.suggest_float("clip_value", 1e-3, 0.1, log=True)
    return p


def known_to_work(widths: list[int]) -> list[dict[str, Any]]:
    """What is tried first: the defaults, with four optimizers."""
    base = {
        "schedule": "constant",
        "warmup": 0.0,
        "clipping": "none",
        "batch_size": 32,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "init": "he_uniform",
        "init_gain": 1.0,
        "width": widths[len(widths) // 2],
        "activation": "relu",
    }
    moments = {"beta1": 0.9, "beta2": 0.999}
    return [
        base | {"optimizer": "adam", "learning_rate": 1e-3, "l2": 1e-6} | moments,
        base | {"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.01} | moments,
        base | {"optimizer": "momentum", "learning_rate": 0.03, "l2": 1e-6, "momentum": 0.9},
        base | {"optimizer": "rmsprop", "learning_rate": 1e-3, "l2": 1e-6, "rms_decay": 0.99},
    ]


def network(p: dict[str, Any], inputs: int, classes: int, batch_norm: bool = False) -> nn.Sequential:
    """Two hidden layers."""
    layers: list[nn.Module] = []
    size = inputs
    for _ in range(2):
        norm = [nn.BatchNorm1d(p["width"])] if batch_norm else []
        layers += [nn.Linear(size, p["width"]), *norm, ACTIVATIONS[p["activation"]]()]
        if p["dropout"]:
            layers.append(nn.Dropout(p["dropout"]))
        size = p["width"]
    layers.append(nn.Linear(size, classes))
    gain = p["init_gain"]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
            match p["init"]:
                case "small_normal":
                    nn.init.normal_(layer.weight, std=0.01 * gain)
                case "xavier_uniform":
                    nn.init.xavier_uniform_(layer.weight, gain)
                case "xavier_normal":
                    nn.init.xavier_normal_(layer.weight, gain)
                case "he_uniform":
                    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                case "he_normal":
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                case "orthogonal":
                    nn.init.orthogonal_(layer.weight, gain)
            if p["init"].startswith("he_"):
                layer.weight.data.mul_(gain)
    return nn.Sequential(*layers)


def optimizer(p: dict[str, Any], module: nn.Module, fused: bool | None) -> torch.optim.Optimizer:
    """torch.optim's own, with its own weight decay; `fused` where torch has such a kernel for the CPU."""
    parameters, rate, l2 = module.parameters(), p["learning_rate"], p.get("l2", 0.0)
    match p["optimizer"]:
        case "sgd":
            return torch.optim.SGD(parameters, rate, weight_decay=l2, fused=fused)
        case "momentum" | "nesterov":
            nesterov = p["optimizer"] == "nesterov" and p["momentum"] > 0
            return torch.optim.SGD(
                parameters, rate, momentum=p["momentum"], nesterov=nesterov, weight_decay=l2, fused=fused
            )
        case "adagrad":
            return torch.optim.Adagrad(parameters, rate, weight_decay=l2, eps=1e-8, fused=fused)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, rate, alpha=p["rms_decay"], weight_decay=l2)
        case "adam":
            betas = (p["beta1"], p["beta2"])
            return torch.optim.Adam(parameters, rate, betas=betas, weight_decay=l2, fused=fused)
    betas = (p["beta1"], p["beta2"])
    return torch.optim.AdamW(parameters, rate, betas=betas, weight_decay=p["weight_decay"], fused=fused)


def rate_at(p: dict[str, Any], step: int, steps: int) -> float:
    """The learning rate of a step, with warm-up."""
    warm = round(p.get("warmup", 0.0) * steps)
    share = (step + 1) / warm if step < warm else share_at(p, (step - warm) / (steps - warm))
    return float(p["learning_rate"] * share)


def share_at(p: dict[str, Any], u: float) -> float:
    """What is left of the learning rate at the progress u, 0 to 1."""
    match p["schedule"]:
        case "linear":
            return 1 - u
        case "step":
            return math.pow(p["step_decay"], math.floor(u * (p["step_drops"] + 1)))
        case "exponential":
            return math.pow(p["exponential_decay"], u)
        case "cosine":
            return (1 + math.cos(math.pi * u)) / 2
        case "one_cycle":
            rise = float(p["one_cycle_rise"])
            if u < rise:
                return 1 + (1 / 25 - 1) * (1 + math.cos(math.pi * u / rise)) / 2
            end = 1 / 25e4
            return end + (1 - end) * (1 + math.cos(math.pi * (u - rise) / (1 - rise))) / 2
    return 1.0


class Data:
    """Tensors in memory; a fixed sample of the training rows is what the training loss is measured on."""

    def __init__(self, path: str) -> None:
        with np.load(path) as arrays:
            self.x, self.y, self.x_val, self.y_val = (
                torch.from_numpy(arrays[name]) for name in ("X", "y", "X_validation", "y_validation")
            )
        rows = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(0))[: len(self.x_val)]
        self.x_sample, self.y_sample = self.x[rows], self.y[rows]
        self.classes = int(self.y.max()) + 1


@torch.no_grad()
def measured(module: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Loss and accuracy in evaluation mode."""
    outputs = module(x)
    return functional.cross_entropy(outputs, y).item(), (outputs.argmax(1) == y).float().mean().item()


def update(
    p: dict[str, Any], module: nn.Module, rule: torch.optim.Optimizer, x: Tensor, y: Tensor, rate: float
) -> None:
    """One step on one batch."""
    loss = functional.cross_entropy(module(x), y, label_smoothing=p["label_smoothing"])
    rule.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if p["clipping"] == "norm":
        nn.utils.clip_grad_norm_(module.parameters(), p["clip_norm"])
    elif p["clipping"] == "value":
        nn.utils.clip_grad_value_(module.parameters(), p["clip_value"])
    for group in rule.param_groups:
        group["lr"] = rate
    rule.step()


def objective(trial: optuna.Trial, data: Data, options: argparse.Namespace) -> float:
    """Train one configuration; its value is the lowest validation loss."""
    p = suggest(trial, options.widths)
    torch.manual_seed(options.seed * 100_000 + trial.number)
    module = network(p, data.x.shape[1], data.classes, options.batch_norm)
    rule = optimizer(p, module, True if options.fused else None)
    steps_per_epoch = math.ceil(len(data.x) / p["batch_size"])
    steps, step, best = options.epochs * steps_per_epoch, 0, math.inf
    curve: list[tuple[float, ...]] = []
    try:
        for epoch in range(1, options.epochs + 1):
            module.train()
            for rows in torch.split(torch.randperm(len(data.x)), p["batch_size"]):
                if options.batch_norm and len(rows) == 1:
                    continue
                update(p, module, rule, data.x[rows], data.y[rows], rate_at(p, step, steps))
                step += 1
            module.eval()
            train_loss, train_accuracy = measured(module, data.x_sample, data.y_sample)
            val_loss, val_accuracy = measured(module, data.x_val, data.y_val)
            curve.append((train_loss, val_loss, train_accuracy, val_accuracy, time.time()))
            if not math.isfinite(val_loss):
                raise optuna.TrialPruned
            best = min(best, val_loss)
            trial.report(val_loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
    finally:
        trial.set_user_attr("curve", curve)
    return best


def storage(url: str) -> optuna.storages.RDBStorage:
    """SQLite with its defaults; a process waits while another one writes."""
    return optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})


def work(index: int, tickets: Any, options: argparse.Namespace) -> None:
    """One process: take trials until none is left."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = Data(options.data)

    def claim() -> bool:
        with tickets.get_lock():
            tickets.value -= 1
            return bool(tickets.value >= 0)

    study = optuna.load_study(
        study_name=STUDY,
        storage=storage(options.storage),
        sampler=optuna.samplers.TPESampler(seed=options.seed * options.processes + index),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )
    end = math.inf if options.seconds is None else time.monotonic() + options.seconds
    while time.monotonic() < end and claim():
        try:
            study.optimize(
                lambda trial: objective(trial, data, options),
                timeout=None if options.seconds is None else end - time.monotonic(),
                callbacks=[lambda study, _: None if claim() else study.stop()],
            )
            break
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            # Two processes took one trial of the queue, as they can from SQLite; the other one has told it.
            with tickets.get_lock():
                tickets.value += 1


def main() -> None:
    """Create the study and start a process for each core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="NPZ with X, y, X_validation, y_validation")
    parser.add_argument("--storage", required=True)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=cores)
    parser.add_argument("--batch-norm", action="store_true", help="behind every hidden layer's weights")
    parser.add_argument("--seconds", type=float, help="no new trial after so many seconds")
    parser.add_argument("--fused", action="store_true", help="torch.optim's fused kernels")
    options = parser.parse_args()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = storage(options.storage)
    study = optuna.create_study(study_name=STUDY, storage=database)
    for params in known_to_work(options.widths):
        study.enqueue_trial(params)
    database.engine.dispose()
    tickets = multiprocessing.Value("i", options.trials)
    workers = [
        multiprocessing.Process(target=work, args=(index, tickets, options))
        for index in range(options.processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed := [worker.exitcode for worker in workers if worker.exitcode]:
        raise SystemExit(f"a worker ended with exit code {failed[0]}")
    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if finished:
        best = min(finished, key=lambda trial: trial.value or math.inf)
        print(f"trial {best.number}: validation loss {best.value:.4f}, {best.params}")


if __name__ == "__main__":
    main()
