"""Keras 3 over PyTorch: `fit` with a callback, and a loop by hand that takes gradients explicitly."""

import os

os.environ["KERAS_BACKEND"] = "torch"  # before keras is imported

import keras
import numpy as np
from sklearn.datasets import load_digits

import tuner
from tuner.integrations.keras import KerasReport


def build(params, inputs=64):
    """A perceptron with one or two hidden layers."""
    layers = [keras.layers.Dense(params["units"], activation="relu") for _ in range(params["layers"])]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(10)])


def fit(params, context):
    train, validation = context.data.train, context.data.validation
    model = build(params)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(params["rate"]), loss, metrics=["accuracy"])
    report = KerasReport(context, train=(train.x[:300], train.y[:300]))
    model.fit(
        train.x, train.y, batch_size=32, epochs=context.epochs, verbose=0,
        validation_data=(validation.x, validation.y), callbacks=[report],
    )  # fmt: skip


def by_hand(params, context):
    """Steps of one's own: an "epoch" is 20 steps of a batch of 32."""
    train, validation = context.data.train, context.data.validation
    model, optimizer = build(params), keras.optimizers.Adam(params["rate"])
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    while True:
        for _ in range(20):
            rows = np.random.randint(len(train.y), size=32)
            weights = model.trainable_weights
            model.zero_grad()
            loss_of(train.y[rows], model(train.x[rows])).backward()
            optimizer.apply([weight.value.grad for weight in weights], weights)
        losses = (float(loss_of(split.y, model(split.x))) for split in (train, validation))
        yield dict(zip(("train_loss", "val_loss"), losses, strict=True))


if __name__ == "__main__":
    x, y = load_digits(return_X_y=True)
    space = {
        "units": tuner.Int(16, 128, default=128, log=True),
        "layers": tuner.Choice([1, 2], default=1),
        "rate": tuner.Float(1e-4, 0.1, default=1e-3, log=True),
    }
    for trainer in (fit, by_hand):
        study = tuner.start(
            trainer=trainer, space=space, data=(x / 16, y), trials=3, settings={"trainer.epochs": 3}
        )
        print(study.trials[["number", "state", "epochs", "train_loss", "val_loss"]])
