"""Two Keras networks on random inputs and labels, of which nothing can be learned: the findings say so."""

import os

os.environ["KERAS_BACKEND"] = "torch"  # before keras is imported

import keras
import numpy as np

import tuner
from tuner.integrations.keras import KerasReport


class Digits(keras.Model):
    """A network as a class, for inputs of 28 x 28 x 1."""

    def __init__(self, units):
        super().__init__()
        self.flat, self.hidden = keras.layers.Flatten(), keras.layers.Dense(units, activation="relu")
        self.out = keras.layers.Dense(10, activation="softmax")

    def call(self, x):
        return self.out(self.hidden(self.flat(x)))


def images(params, context):
    fit(Digits(params["units"]), "sparse_categorical_crossentropy", params, context)


def rows(params, context):
    hidden = keras.layers.Dense(params["units"], activation="relu")
    net = keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(1, activation="sigmoid")])
    fit(net, "binary_crossentropy", params, context)


def fit(model, loss, params, context):
    model.compile(keras.optimizers.Adam(params["rate"]), loss, metrics=["accuracy"])
    train, validation = context.data.train, context.data.validation
    model.fit(
        train.x, train.y, batch_size=32, epochs=context.epochs, verbose=0,
        validation_data=(validation.x, validation.y), callbacks=[KerasReport(context, (train.x, train.y))],
    )  # fmt: skip


if __name__ == "__main__":
    random = np.random.default_rng(0)
    space = {"units": tuner.Int(4, 128, default=10, log=True), "rate": tuner.Float(1e-4, 0.1, log=True)}
    kinds = ((images, (28, 28, 1), 10, "cross_entropy"), (rows, (8,), 2, "binary_cross_entropy"))
    for trainer, shape, classes, loss in kinds:
        data = random.normal(size=(1000, *shape)).astype("float32"), random.integers(classes, size=1000)
        # It is said of three trials that train to their end, and beside a constant prediction's loss.
        settings = {"trainer.loss": loss, "trainer.epochs": 3, "search.pruner": "none"}
        study = tuner.start(trainer=trainer, space=space, data=data, trials=3, settings=settings)
        print(*(finding.sentence for finding in study.findings()), sep="\n")
