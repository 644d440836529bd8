"""How the raw columns of a table become float32 columns.

`fit` sees training rows only and returns a JSON-ready table; `encode` applies it to any rows, those
of a saved model too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.data import column
from tuner.errors import DataError

MOST_CATEGORIES = 32
"""A column with more categories keeps the most frequent ones; the others share one encoded column."""

MOST_WIDE = 10_000
"""How many encoded columns categories and dates may make."""

_SHOWN = 10
_DAY_S = 86_400
_Encoded = list[tuple[str, NDArray[Any]]]


def fit(rows: pd.DataFrame, where: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Decide how each column is encoded.

    Numbers stay as they are; missing and infinite ones become the median, and a further column
    marks them. `true` and `false` count as 1 and 0. A date becomes days since the earliest one,
    month, weekday and, where there are times of day, the hour. A category gets a column of its own,
    and so does being missing; of more than 32 categories the rarer ones share one. A column that is
    all missing or all different texts is left out.

    Args:
        rows: the training rows.
        where: what errors are prefixed with.

    Returns:
        The encoding, ``{"columns": [{"name": ..., "kind": "number" | "date" | "category", ...}]}``,
        and what was done, a sentence each.

    Raises:
        DataError: nothing is left, or too many columns come out.
    """
    done: dict[str, list[str]] = {}
    columns = [table for name in rows.columns if (table := _fit_column(rows[name], str(name), done))]
    if not columns:
        raise DataError(f"{where}: no column is left to learn from; {' '.join(_notes(done)) or 'bring some'}")
    wide = sum(len(_names(table)) for table in columns if table["kind"] != "number")
    if wide > MOST_WIDE:
        raise DataError(
            f"{where}: {wide} encoded columns would come of categories and dates, more than {MOST_WIDE}; "
            'leave columns out with drop = ["<column>", ...]'
        )
    return {"columns": columns}, _notes(done)


def encode(
    rows: pd.DataFrame | NDArray[Any], encoding: Mapping[str, Any], features: Sequence[str] = ()
) -> NDArray[np.float32]:
    """Encode raw rows as the training rows were.

    Categories that training did not have count as rare ones where it had such, and as none of the
    known ones otherwise. What is missing, or cannot be read, is filled with the training median.

    Args:
        rows: a data frame with at least the columns of `encoding`, in any order; or an array, (N, D)
            with them in their order, or (N, C, H, W) where the encoding is empty.
        encoding: `Dataset.encoding`; empty where the data already were numbers.
        features: `Dataset.features`; which columns of a data frame are meant where the encoding is empty.

    Returns:
        (N, D), or (N, C, H, W) as it came.

    Raises:
        DataError: columns are missing, or there is text where numbers belong.
    """
    if not encoding:
        return _numbers_only(rows, features)
    tables = encoding["columns"]
    wanted = [table["name"] for table in tables]
    if not isinstance(rows, pd.DataFrame):
        if np.ndim(rows) != 2 or np.shape(rows)[1] != len(wanted):
            raise DataError(
                f"rows: have shape {np.shape(rows)}; give a data frame with the columns {_list(wanted)}"
            )
        rows = pd.DataFrame(rows, columns=wanted)
    _check_present(rows, wanted)
    parts = [part for table in tables for part in _encode_column(rows[table["name"]], table)]
    x = np.empty((len(rows), len(parts)), np.float32)
    for i, (_, values) in enumerate(parts):
        x[:, i] = values
    return x


def names(encoding: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the encoded columns, D of them."""
    return tuple(name for table in encoding["columns"] for name in _names(table))


def _fit_column(raw: pd.Series[Any], name: str, done: dict[str, list[str]]) -> dict[str, Any] | None:
    gone = column.missing(raw)
    if gone.all():
        done.setdefault("empty", []).append(name)
        return None
    if not isinstance(raw.dtype, pd.CategoricalDtype):
        values = column.numbers(raw)
        if np.mean(~np.isnan(values[~gone])) >= column.MOSTLY:
            return _fit_number(raw, values, gone, name, done)
        for form in column.DATE_FORMATS:
            stamps = column.seconds(raw, form)
            if np.mean(~np.isnan(stamps[~gone])) >= column.MOSTLY:
                return _fit_date(stamps, form, name, done)
    return _fit_category(raw, gone, name, done)


def _fit_number(
    raw: pd.Series[Any],
    values: NDArray[np.float64],
    gone: NDArray[np.bool_],
    name: str,
    done: dict[str, list[str]],
) -> dict[str, Any] | None:
    stray = np.isnan(values) & ~gone
    values = column.finite(values)
    lost = np.isnan(values)
    if lost.all():
        done.setdefault("empty", []).append(name)
        return None
    if stray.any():
        done.setdefault("stray", []).append(
            f"{name} ({str(raw[stray].iloc[0])!r} and the like, {stray.sum()} rows)"
        )
    fill = float(np.median(values[~lost]))
    if lost.any():
        done.setdefault("filled", []).append(f"{name} ({lost.sum()} rows, {fill:g})")
    return {"name": name, "kind": "number", "fill": fill, "missing": bool(lost.any())}


def _fit_date(
    stamps: NDArray[np.float64], form: str, name: str, done: dict[str, list[str]]
) -> dict[str, Any]:
    lost = np.isnan(stamps)
    known = stamps[~lost]
    done.setdefault("date", []).append(f"{name} ({lost.sum()} rows without)" if lost.any() else name)
    return {
        "name": name,
        "kind": "date",
        "format": form,
        "origin_s": float(known.min()),
        "fill_s": float(np.median(known)),
        "hours": bool((known % _DAY_S != 0).any()),
        "missing": bool(lost.any()),
    }


def _fit_category(
    raw: pd.Series[Any], gone: NDArray[np.bool_], name: str, done: dict[str, list[str]]
) -> dict[str, Any] | None:
    counts = pd.Series(column.text(raw[~gone])).value_counts()
    if counts.max() == 1 and len(counts) > 1:
        done.setdefault("distinct", []).append(name)
        return None
    ranked = sorted(counts.index, key=lambda word: (-int(counts[word]), word))
    kept = sorted(ranked[:MOST_CATEGORIES])
    many = len(ranked) > len(kept)
    done.setdefault("category", []).append(
        f"{name} ({len(kept)} of {len(ranked)}, the rarer ones together)" if many else f"{name} ({len(kept)})"
    )
    return {"name": name, "kind": "category", "categories": kept, "other": many, "missing": bool(gone.any())}


def _encode_column(raw: pd.Series[Any], table: Mapping[str, Any]) -> _Encoded:
    if table["kind"] == "number":
        values = column.finite(column.numbers(raw))
        lost = np.isnan(values)
        parts = [np.where(lost, table["fill"], values)]
    elif table["kind"] == "date":
        stamps = column.seconds(raw, table["format"])
        lost = np.isnan(stamps)
        parts = _date_parts(np.where(lost, table["fill_s"], stamps), table)
    else:
        lost = column.missing(raw)
        words = column.text(raw)
        codes = pd.Index(table["categories"], dtype=object).get_indexer(pd.Index(words, dtype=object))
        parts = [~lost & (codes == i) for i in range(len(table["categories"]))]
        if table["other"]:
            parts.append(~lost & (codes < 0))
    if table["missing"]:
        parts.append(lost)
    return list(zip(_names(table), parts, strict=True))


def _date_parts(stamps: NDArray[np.float64], table: Mapping[str, Any]) -> list[NDArray[Any]]:
    whole = np.floor(stamps).astype(np.int64)
    months = whole.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    # 1970-01-01 was a Thursday; Monday is 0.
    parts = [(stamps - table["origin_s"]) / _DAY_S, months % 12 + 1, (whole // _DAY_S + 3) % 7]
    return [*parts, whole % _DAY_S / 3600] if table["hours"] else parts


def _names(table: Mapping[str, Any]) -> list[str]:
    name = table["name"]
    if table["kind"] == "number":
        made = [name]
    elif table["kind"] == "date":
        made = [f"{name} ({part})" for part in ("days", "month", "weekday", *["hour"] * table["hours"])]
    else:
        made = [f"{name} = {category}" for category in table["categories"]]
        made += [f"{name} (other)"] * table["other"]
    return made + [f"{name} (missing)"] * table["missing"]


def _numbers_only(rows: pd.DataFrame | NDArray[Any], features: Sequence[str]) -> NDArray[np.float32]:
    if isinstance(rows, pd.DataFrame):
        _check_present(rows, features)
        rows = (rows[list(features)] if features else rows).to_numpy()
    try:
        x = np.asarray(rows).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"rows: hold text or objects where numbers belong: {error}; give numbers") from error
    if features and (x.ndim != 2 or x.shape[1] != len(features)):
        raise DataError(
            f"rows: have shape {x.shape}; give (N, {len(features)}) with the columns {_list(features)}"
        )
    if not np.isfinite(x).all():
        raise DataError("rows: hold NaN or infinite values; fill them in or leave these rows out")
    return x


def _check_present(rows: pd.DataFrame, wanted: Sequence[str]) -> None:
    absent = [name for name in wanted if name not in rows.columns]
    if absent:
        raise DataError(
            f"rows: columns are missing: {_list(absent)}; found: {_list([str(c) for c in rows.columns])}"
        )


def _notes(done: Mapping[str, list[str]]) -> tuple[str, ...]:
    sentences = {
        "empty": "Columns without a value in training are left out: {}.",
        "distinct": "Columns of text that differs in every row are left out: {}.",
        "stray": "Values that are no numbers count as missing: {}.",
        "filled": "Missing numbers become the training median, and a column marks them: {}.",
        "date": "Dates become days since the first one, month, weekday and hour: {}.",
        "category": "Each category gets a column of its own: {}.",
    }
    return tuple(text.format(_list(done[kind])) for kind, text in sentences.items() if kind in done)


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
