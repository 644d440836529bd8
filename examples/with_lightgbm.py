"""LightGBM: five trees are an epoch, train and validation curves come from its own evaluation."""

import lightgbm
from sklearn.datasets import load_breast_cancer

import tuner
from tuner.integrations.lightgbm import LightGBMReport


def train(params, context):
    train, validation = (
        lightgbm.Dataset(split.x, split.y) for split in (context.data.train, context.data.validation)
    )
    lightgbm.train(
        {
            "objective": "binary",
            "metric": ["binary_logloss", "auc"],
            "verbose": -1,
            "num_threads": 1,
            **params,
        },
        train,
        5 * context.epochs,  # 1
        valid_sets=[train, validation],
        valid_names=["train", "val"],
        callbacks=[LightGBMReport(context, every=5)],  # 2
    )


if __name__ == "__main__":
    space = {
        "learning_rate": tuner.Float(0.01, 1.0, default=0.1, log=True),
        "num_leaves": tuner.Int(2, 63, default=31, log=True),
    }
    data, settings = load_breast_cancer(return_X_y=True), {"trainer.epochs": 12}
    study = tuner.start(name="lightgbm", trainer=train, space=space, data=data, trials=12, settings=settings)
    print(study.trials[["number", "state", "epochs", "train_loss", "val_loss", "gap"]])
