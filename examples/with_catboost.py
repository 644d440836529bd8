"""CatBoost: a tree is an epoch, train and validation curves come from its own evaluation."""

import catboost
from sklearn.datasets import load_breast_cancer

import tuner
from tuner.integrations.catboost import CatBoostReport


def train(params, context):
    split, validation = context.data.train, context.data.validation
    quiet = {"thread_count": 1, "verbose": False, "allow_writing_files": False}
    model = catboost.CatBoostClassifier(iterations=context.epochs, **quiet, **params)  # 1
    held_out, report = (validation.x, validation.y), CatBoostReport(context)  # 2
    model.fit(split.x, split.y, eval_set=held_out, callbacks=[report])  # 3


if __name__ == "__main__":
    space = {
        "learning_rate": tuner.Float(0.01, 1.0, default=0.1, log=True),
        "depth": tuner.Int(1, 8, default=6),
    }
    data, settings = load_breast_cancer(return_X_y=True), {"trainer.epochs": 20}
    study = tuner.start(name="catboost", trainer=train, space=space, data=data, trials=6, settings=settings)
    print(study.trials[["number", "state", "epochs", "train_loss", "val_loss", "gap"]])
