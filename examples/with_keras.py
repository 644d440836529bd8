"""Keras 3 over PyTorch: `fit` with a callback, only what builds a network, and a loop by hand.

The rows are digits of 8 x 8, padded to the 28 x 28 of MNIST.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"  # before keras is imported

import keras
import numpy as np
from sklearn.datasets import load_digits

import tuner
from tuner.integrations.keras import KerasReport
from tuner.integrations.keras_build import KerasBuild


def build(params):
    hidden = [keras.layers.Dense(params["units"], activation="relu") for _ in range(params["layers"])]
    model = keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(params["rate"]), loss, metrics=["accuracy"])
    return model


def fit(params, context):
    (x, y), validation = (context.data.train.x, context.data.train.y), context.data.validation
    report = KerasReport(context, train=(x[:300], y[:300]))  # 1
    build(params).fit(
        x, y, batch_size=32, validation_data=(validation.x, validation.y), verbose=0,
        epochs=context.epochs, callbacks=[report],  # 2
    )  # fmt: skip


def by_hand(params, context):
    """Steps of a batch of 32; of 100 each the loss is printed, and both losses are a reading."""
    model, train = build(params), context.data.train
    while True:
        for _ in range(100):
            rows, weights = np.random.randint(len(train.y), size=32), model.trainable_weights
            model.zero_grad()
            loss = model.loss(train.y[rows], model(train.x[rows]))
            loss.backward()
            model.optimizer.apply([weight.value.grad for weight in weights], weights)
        print(f"loss {loss.item():.4f}")
        losses = [model.loss(s.y, model(s.x)).item() for s in (train, context.data.validation)]
        yield {"train_loss": losses[0], "val_loss": losses[1]}  # 1


if __name__ == "__main__":
    x, y = load_digits(return_X_y=True)
    space = {"rate": tuner.Float(1e-4, 0.1, default=1e-3, log=True)}
    data = np.pad((x / 16).reshape(-1, 8, 8), ((0, 0), (10, 10), (10, 10))).reshape(-1, 784), y
    for trainer, layers, trials in ((by_hand, 1, 1), (fit, 2, 1), (KerasBuild(build, batch_size=32), 2, 2)):
        own = {**space, "fixed": {"units": 128, "layers": layers}}
        study = tuner.start(
            trainer=trainer, space=own, data=data, trials=trials, settings={"trainer.epochs": 10}
        )
        print(study.trials[["number", "state", "epochs", "val_loss"]], study.trial(0).log, sep="\n")
