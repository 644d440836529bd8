"""A script of plain Optuna: a small network on handwritten digits, pruned as it trains."""

import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import tuner

EPOCHS = 8

images, digits = load_digits(return_X_y=True)
x, x_val, y, y_val = train_test_split(images / 16 - 0.5, digits, test_size=0.3, random_state=0)


def activation(name, values):
    """The activation of that name."""
    return np.tanh(values) if name == "tanh" else np.maximum(values, 0.0)


def forward(net, rows, name):
    """The hidden layer and the output."""
    hidden = activation(name, rows @ net["w1"] + net["b1"])
    return hidden, hidden @ net["w2"] + net["b2"]


def objective(trial):
    """Train, and report after each epoch."""
    rate = trial.suggest_float("learning_rate", 1e-3, 1.0, log=True)
    width = trial.suggest_int("width", 8, 64, log=True)
    name = trial.suggest_categorical("activation", ["tanh", "relu"])
    batch = trial.suggest_categorical("batch", [32, 64, 128])
    decays = trial.suggest_categorical("decays", [True, False])
    decay = trial.suggest_float("decay", 1e-6, 1e-2, log=True) if decays else 0.0

    rng = np.random.default_rng(trial.number)
    net = {
        "w1": rng.normal(0, 0.125, (64, width)), "b1": np.zeros(width),
        "w2": rng.normal(0, width**-0.5, (width, 10)), "b2": np.zeros(10),
    }  # fmt: skip
    accuracy = 0.0
    for epoch in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(x)), len(x) // batch):
            hidden, out = forward(net, x[rows], name)
            shares = np.exp(out - out.max(axis=1, keepdims=True))
            error = shares / shares.sum(axis=1, keepdims=True) - np.eye(10)[y[rows]]
            slope = 1 - hidden**2 if name == "tanh" else hidden > 0
            back = error @ net["w2"].T * slope
            steps = {"w1": x[rows].T @ back, "b1": back.sum(0), "w2": hidden.T @ error, "b2": error.sum(0)}
            for key, step in steps.items():
                net[key] -= rate * (step / len(rows) + decay * net[key])
        accuracy = float((forward(net, x_val, name)[1].argmax(axis=1) == y_val).mean())
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


study = tuner.start(trainer=tuner.from_optuna(objective), known="old.db", name="digits", trials=50)
print(study.best.value, study.best.params)
