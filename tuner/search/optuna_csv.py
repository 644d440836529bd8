"""A CSV of trials, as `study.trials_dataframe().to_csv()` writes it, or a table with a column `value`.

It says nothing of ranges, so they are those of the values that are there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuner.errors import SpecError

_PARAMETER = re.compile(r"params[_.](.+)")
_OTHERS = re.compile(r"|number|state|duration|datetime_\w+|(user|system)_attrs_.*|Unnamed: \d+")
_WIDE = 100.0
"""Positive numbers that span at least this ratio are searched on a logarithmic scale."""


def read(path: Path) -> tuple[list[FrozenTrial], tuple[str, ...]]:
    """The trials, and what their values are called.

    Raises:
        SpecError: it cannot be read, or has no values or no parameters.
    """
    try:
        table = pd.read_csv(path).convert_dtypes()
    except (OSError, ValueError) as error:
        raise SpecError(f"{path}: cannot be read as a CSV of trials: {error}") from error
    values = [name for name in table if name == "value" or re.fullmatch(r"values_\w+", str(name))]
    if not values:
        raise SpecError(f"{path}: has no column 'value'; found: {', '.join(map(str, table))}")
    columns: dict[str, Any] = {m[1]: table[n] for n in table if (m := _PARAMETER.fullmatch(str(n)))}
    if not columns:
        left = [str(name) for name in table if name not in values and not _OTHERS.fullmatch(str(name))]
        columns = {name: table[name] for name in left}
    space = {name: _distribution(column) for name, column in columns.items() if column.notna().any()}
    if not space:
        raise SpecError(f"{path}: has no column of a parameter beside {', '.join(map(str, values))}")
    states = table["state"].astype(str) if "state" in table else pd.Series(["COMPLETE"] * len(table))
    trials = []
    for place in range(len(table)):
        params = {
            n: _plain(columns[n].iloc[place], space[n]) for n in space if pd.notna(columns[n].iloc[place])
        }
        its = [table[name].iloc[place] for name in values]
        state = TrialState.__members__.get(states.iloc[place].rpartition(".")[2], TrialState.FAIL)
        if state is TrialState.COMPLETE and any(map(pd.isna, its)):
            state = TrialState.FAIL
        trial = create_trial(
            state=state,
            values=[float(value) for value in its] if state is TrialState.COMPLETE else None,
            params=params,
            distributions={name: space[name] for name in params},
        )
        trial.number = place
        if state is TrialState.PRUNED and pd.notna(its[0]):
            trial.intermediate_values = {0: float(its[0])}
        trials.append(trial)
    return trials, tuple(str(name) for name in values)


def _distribution(column: Any) -> BaseDistribution:
    known = column.dropna()
    if pd.api.types.is_bool_dtype(known) or not pd.api.types.is_numeric_dtype(known):
        return CategoricalDistribution([_scalar(value) for value in known.unique()])
    low, high = known.min(), known.max()
    log = bool(low > 0 and high / low >= _WIDE)
    if pd.api.types.is_integer_dtype(known):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _plain(value: Any, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return _scalar(value)
    return int(value) if isinstance(distribution, IntDistribution) else float(value)


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
