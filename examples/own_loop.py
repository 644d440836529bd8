"""A training loop of your own, in any library: here gradient boosting, a few trees an epoch.

It yields its state with each epoch, so a trial that is interrupted or paused continues where it stood.
"""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_squared_error
from sklearn.tree import DecisionTreeRegressor

import tuner


def train(params, context):
    """Boost until the study has seen enough."""
    train, validation = context.data.train, context.data.validation
    state = context.resume() or {
        "round": 0,
        "train": np.zeros(len(train.y)),
        "val": np.zeros(len(validation.y)),
    }
    while True:
        for _ in range(10):
            tree = DecisionTreeRegressor(max_depth=params["depth"], random_state=state["round"])
            tree.fit(train.x, train.y - state["train"])
            state = {
                "round": state["round"] + 1,
                "train": state["train"] + params["rate"] * tree.predict(train.x),
                "val": state["val"] + params["rate"] * tree.predict(validation.x),
            }
        yield {
            "train_loss": mean_squared_error(train.y, state["train"]),
            "val_loss": mean_squared_error(validation.y, state["val"]),
            "trees": float(state["round"]),  # any further number is stored, too
            "state": state,
        }


if __name__ == "__main__":
    space = {"rate": tuner.Float(0.01, 1.0, default=0.3, log=True), "depth": tuner.Int(1, 8, default=3)}
    data = load_diabetes(return_X_y=True)
    study = tuner.start(name="boosting", trainer=train, space=space, data=data, trials=15)
    print(study.trials.nsmallest(3, "val_loss")[["number", "state", "val_loss", "trees"]])

    # Whatever ended it, a study can go on: here with a larger budget.
    study = tuner.resume("boosting", trainer=train, data=data, trials=20)
    print(f"the best of {len(study.trials)}: {study.best.params}")
