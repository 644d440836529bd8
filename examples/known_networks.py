"""Well-known networks on small data: their sizes are fixed, how they are trained is searched."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from torch import nn

import tuner

digits, cancer = load_digits(), load_breast_cancer()
pictures = digits.images[:200, None] / 16  # (N, 1, 8, 8)
large = np.pad(pictures.repeat(3, 2).repeat(3, 3), ((0, 0), (0, 0), (2, 2), (2, 2)))  # (N, 1, 28, 28)
colored = pictures.repeat(3, 1)  # (N, 3, 8, 8)
projected = pictures.reshape(200, 64) @ np.random.default_rng(0).normal(size=(64, 128))
number, names = digits.target[:200], ["one", "two", "three", "four", "five"]
texts = [f"the {word} of {names[3 * i % 5]}" for i, word in enumerate(names * 20)]

NETWORKS = {
    "784-128-10": ((large, number), {"model": "mlp"}, {"depth": 1, "width": 128}),
    "128-128-10": ((projected, number), {"model": "mlp"}, {"depth": 1, "width": 128}),
    "8-10-1": (
        (cancer.data[:, :8], cancer.target_names[cancer.target]),
        {"model": "mlp", "loss": "binary_cross_entropy"},
        {"depth": 1, "width": 10},
    ),
    "3-64-128": ((colored, number), {"model": "cnn"}, {"depth": 2, "width": 64, "dense_units": 1024}),
    "1x1": ((colored, number), {"model": "cnn"}, {"depth": 2, "width": 64, "kernel_size": 1}),
    "lstm": (
        (texts, [text.split()[1] for text in texts]),
        {"model": "rnn"},
        {"depth": 1, "width": 32, "cell": "lstm"},
    ),
    "shared": ((large, number), {"model": "./known_networks.py:shared"}, {"batch_size": 32}),
}


def shared(params, context):  # noqa: ARG001
    """A network that uses one layer, and so its parameters, twice."""
    layer = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), layer, layer, nn.Linear(64, context.outputs))


if __name__ == "__main__":
    rate = {"type": "float", "low": 1e-4, "high": 0.03, "log": True, "default": 1e-3}
    for name, (data, trainer, fixed) in NETWORKS.items():
        spec = {
            "name": name,
            "trainer": {"epochs": 2, "rows": 2, **trainer},
            "confirm": {"auto": False},
        }
        spec["space"] = {"learning_rate": rate, "fixed": fixed}
        study = tuner.start(spec, data=data, trials=2, workers=1)
        print(f"{name}: {study.best.reading.val_score:.2f} after {study.best.reading.epoch} epochs")
