"""skorch: one callback."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

import tuner
from tuner.integrations.skorch import SkorchReport


def train(params, context):
    hidden = params["hidden"]
    net = NeuralNetClassifier(
        nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10)),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=params["rate"],
        max_epochs=context.epochs,  # 1
        iterator_train__shuffle=True,
        train_split=predefined_split(Dataset(*arrays(context.data.validation))),
        callbacks=[("report", SkorchReport(context))],  # 2
        verbose=0,
    )
    net.fit(*arrays(context.data.train))


def arrays(split):
    return (split.x / 16).astype(np.float32), split.y.astype(np.int64)


if __name__ == "__main__":
    space = {"hidden": tuner.Int(8, 64, default=32, log=True), "rate": tuner.Float(1e-4, 0.1, log=True)}
    data, settings = load_digits(return_X_y=True), {"trainer.epochs": 9}
    study = tuner.start(name="skorch", trainer=train, space=space, data=data, trials=6, settings=settings)
    print(study.trials[["number", "state", "epochs", "train_loss", "val_loss", "val_score"]])
