"""A trainer of your own: a generator that yields the numbers of each epoch.

Any library will do; this one is a small network in plain numpy. When a trial is stopped early, the
generator is closed, so `with` and `finally` blocks end as they should.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    """Train one hidden layer by stochastic gradient descent with momentum.

    Args:
        params: the trial's parameters, as studies/own_trainer.toml names them.
        context: `data` (with `train` and `validation`, each `x` and `y`), `epochs`, `seed`,
            `settings`, `keep`, `resume`, ...
    """
    random = np.random.default_rng(context.seed)
    data = context.data
    mean, spread = data.train.x.mean(0), data.train.x.std(0) + 1e-8
    x, y = (data.train.x - mean) / spread, data.train.y  # (N, D), (N,)
    x_validation, y_validation = (data.validation.x - mean) / spread, data.validation.y

    features, hidden, classes = x.shape[1], params["hidden"], len(data.classes)
    weights = {
        "w1": random.normal(0, np.sqrt(2 / features), (features, hidden)),
        "b1": np.zeros(hidden),
        "w2": random.normal(0, np.sqrt(1 / hidden), (hidden, classes)),
        "b2": np.zeros(classes),
    }
    velocity = {name: np.zeros_like(w) for name, w in weights.items()}
    # An interrupted trial starts again, unless each reading also has "state", all that training changes:
    # here {"weights": weights, "velocity": velocity, "random": random.bit_generator.state}. Then
    # `state = context.resume()`, None in a new trial, gives it back, to be put in place at this point.
    context.keep(weights)  # a copy of the best epoch's is kept and exported

    for _ in range(context.epochs):
        order = random.permutation(len(x))
        for start in range(0, len(x), params["batch"]):
            rows = order[start : start + params["batch"]]
            for name, gradient in gradients(weights, x[rows], y[rows]).items():
                gradient = gradient + params["weight_decay"] * weights[name]
                velocity[name] = params["momentum"] * velocity[name] - params["learning_rate"] * gradient
                weights[name] += velocity[name]
        train_loss, train_score = judged(weights, x, y)
        val_loss, val_score = judged(weights, x_validation, y_validation)
        yield {
            "train_loss": train_loss,
            "val_loss": val_loss,
            "train_score": train_score,
            "val_score": val_score,
        }


def forward(weights: Mapping[str, Array], x: Array) -> tuple[Array, Array]:
    """The hidden layer (N, H) and the probabilities (N, C)."""
    hidden = np.maximum(0, x @ weights["w1"] + weights["b1"])
    logits = hidden @ weights["w2"] + weights["b2"]
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return hidden, powers / powers.sum(1, keepdims=True)


def gradients(weights: Mapping[str, Array], x: Array, y: Array) -> dict[str, Array]:
    """The gradient of the mean cross-entropy, by the weights' names."""
    hidden, slope = forward(weights, x)
    slope[np.arange(len(y)), y] -= 1
    slope /= len(y)
    back = (slope @ weights["w2"].T) * (hidden > 0)
    return {"w1": x.T @ back, "b1": back.sum(0), "w2": hidden.T @ slope, "b2": slope.sum(0)}


def judged(weights: Mapping[str, Array], x: Array, y: Array) -> tuple[float, float]:
    """The mean cross-entropy and the accuracy."""
    _, shares = forward(weights, x)
    loss = -np.log(shares[np.arange(len(y)), y] + 1e-12).mean()
    return float(loss), float((shares.argmax(1) == y).mean())
