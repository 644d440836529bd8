"""Raw inputs of any kind as the arrays that networks take, see `Split.x`.

`fit` sees training rows only and returns a JSON-ready encoding; `encode` applies it to any rows, those of a
saved model too. What it makes of a row does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.dataset import UNKNOWN
from tuner.data import arrays, encoding, model_inputs, pictures, sequences, texts
from tuner.data.arrays import Sequences, X
from tuner.data.options import Options
from tuner.errors import DataError


def fit(x: X, spec: DataSpec, where: str, options: Options) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Decide how inputs are encoded, on the training rows.

    Returns:
        The encoding, which says what it is of: ``"columns"``, see `encoding.fit`, and ``"steps"`` where these
        are of sequences, ``"text"``, ``"tokens"``, ``"series"`` or ``"images"``; empty where the rows are a
        table of numbers. And what was done, a sentence each.

    Raises:
        DataError: the rows cannot be used.
    """
    if isinstance(x, Sequences):
        return sequences.fit(x, spec, where, options)
    if isinstance(x, pd.Series):
        return texts.fit(x, spec, where)
    if isinstance(x, pd.DataFrame):
        return encoding.fit(x, where, options)
    if x.dtype == np.int32:
        length = min(x.shape[1], spec.length or x.shape[1])
        return {"tokens": {"known": max(int(x.max()), UNKNOWN) + 1, "length": length}}, ()
    if x.ndim == 3:
        steps = model_inputs.ends(x)
        length = min(int(steps.max()), spec.length or x.shape[1])
        masked = bool(steps.min() < length)
        return {"series": {"length": length, "features": x.shape[2], "masked": masked}}, ()
    if x.ndim == 4:
        of = {"column": spec.image} if spec.image is not None else {}
        return {"images": {"shape": list(x.shape[1:]), **of}}, ()
    return {}, ()


def encode(rows: Any, how: Mapping[str, Any], features: Sequence[str] = ()) -> NDArray[Any]:
    """Encode raw rows as the training rows were.

    Args:
        rows: as they stand in the source: a data frame with at least the columns of the encoding, in any
            order, texts, or numbers, see `arrays.inputs`.
        how: `Dataset.encoding`; empty where the data were a table of numbers.
        features: `Dataset.features`; which columns of a data frame are meant where the encoding is empty.

    Returns:
        See `Split.x`.

    Raises:
        DataError: the rows do not fit.
    """
    if "steps" in how:
        return sequences.encode(rows, how)
    if "text" in how:
        return texts.encode(rows, how["text"])
    if "images" in how and (found := pictures.encode(rows, how["images"])) is not None:
        return found
    for kind, made in (("tokens", model_inputs.tokens), ("series", _series), ("images", _images)):
        if kind in how:
            x = arrays.inputs(rows, "rows", "X", kind.removesuffix("s") if kind == "images" else kind)
            if not isinstance(x, np.ndarray):
                raise DataError(f"rows: are no {kind}; give an array of the shape that the data had")
            return made(x, how[kind])
    return encoding.encode(rows, how, features)


def vocabulary(how: Mapping[str, Any]) -> int:
    """How many different tokens come of an encoding, see `Dataset.vocabulary`."""
    if "text" in how:
        return len(how["text"]["known"]) + UNKNOWN + 1
    return int(how["tokens"]["known"]) if "tokens" in how else 0


def is_masked(how: Mapping[str, Any]) -> bool:
    """Whether the last feature says where a sequence has steps, see `Dataset.masked`."""
    return any(bool(how.get(kind, {}).get("masked")) for kind in ("series", "steps"))


def names(how: Mapping[str, Any]) -> tuple[str, ...]:
    """What the encoded columns are called; none where the encoding does not know."""
    if "columns" not in how:
        return ()
    return (*encoding.names(how), *[sequences.THERE] * is_masked(how))


def _series(x: NDArray[np.float32], how: Mapping[str, Any]) -> NDArray[np.float32]:
    if x.shape[2] != how["features"]:
        raise DataError(f"rows: have {x.shape[2]} features at each step; the data had {how['features']}")
    return model_inputs.series(x, how)


def _images(x: NDArray[Any], how: Mapping[str, Any]) -> NDArray[Any]:
    if list(x.shape[1:]) != how["shape"]:
        raise DataError(f"rows: have shape {x.shape[1:]} each; the data had {tuple(how['shape'])}")
    return x
