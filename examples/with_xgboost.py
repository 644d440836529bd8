"""XGBoost: a tree is an epoch, train and validation curves come from its own evaluation."""

import xgboost
from sklearn.datasets import load_breast_cancer

import tuner
from tuner.integrations.xgboost import XGBoostReport


def train(params, context):
    rows = {name: xgboost.DMatrix(split.x, split.y) for name, split in splits(context).items()}
    settings = {"objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "nthread": 1}
    evals = [(rows[name], name) for name in rows]
    xgboost.train(
        settings | params,
        rows["train"],
        context.epochs,  # 1
        evals,
        verbose_eval=False,
        callbacks=[XGBoostReport(context)],  # 2
    )


def splits(context):
    return {"train": context.data.train, "val": context.data.validation}


if __name__ == "__main__":
    space = {
        "eta": tuner.Float(0.01, 1.0, default=0.3, log=True),
        "max_depth": tuner.Int(1, 8, default=6),
        "lambda": tuner.Float(0.1, 10.0, default=1.0, log=True),
    }
    data, settings = load_breast_cancer(return_X_y=True), {"trainer.epochs": 40}
    study = tuner.start(name="xgboost", trainer=train, space=space, data=data, trials=12, settings=settings)
    print(study.trials[["number", "state", "epochs", "train_loss", "val_loss", "gap"]])

    booster = xgboost.Booster(model_file=study.best.model() / "model.ubj")
    print(f"the best has {booster.num_boosted_rounds()} trees")
