"""A table of your own: tune a network on a CSV, see what tuning gained, predict new rows."""

import pandas as pd
from sklearn.datasets import load_wine

import tuner

# Any CSV will do: the task, the network, the search spaces and the budget are inferred from it.
load_wine(as_frame=True).frame.to_csv("wine.csv", index=False)
study = tuner.start("wine.csv", target="target", trials=12, confirm=True, settings={"confirm.repeats": 3})

# Every study begins with the default configuration, so you see what the search gained.
print(study.trials.nsmallest(3, "val_loss")[["number", "state", "val_loss", "train_loss", "gap"]])
verdict = study.verdict
print(f"take trial {verdict.number}: {verdict.reason}")
mean = verdict.interval
print(f"trained again: val_loss {mean.estimate:.3f}, 95 % interval {mean.low:.3f} to {mean.high:.3f}")

# The exported folder stands alone. Its model takes raw rows, as in the table.
tuner.export("wine", "wine-model")
rows = pd.read_csv("wine.csv").drop(columns="target")
print(tuner.load_model("wine-model").predict(rows)[:5])
