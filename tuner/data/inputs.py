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
from tuner.core.dataset import UNKNOWN, InputPart
from tuner.data import arrays, encoding, model_inputs, pictures, sequences, texts
from tuner.data.arrays import TABLE, InputParts, Sequences, X, by_name, part_of
from tuner.data.options import Options
from tuner.errors import DataError


def fit(
    x: X, spec: DataSpec, where: str, options: Options, seen: list[encoding.Described] | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Decide how inputs are encoded, on the training rows; `seen` is that of `encoding.fit`.

    Returns:
        The encoding, which says what it is of: ``"columns"``, see `encoding.fit`, and ``"steps"`` where these
        are of sequences, ``"text"``, ``"tokens"``, ``"series"`` or ``"images"``, ``"parts"`` where several
        stand side by side; empty where the rows are a table of numbers. And what was done, a sentence each.

    Raises:
        DataError: the rows cannot be used.
    """
    if isinstance(x, InputParts):
        return _fit_parts(x, spec, where, options)
    if isinstance(x, Sequences):
        return sequences.fit(x, spec, where, options)
    if isinstance(x, pd.Series):
        return texts.fit(x, spec, where)
    if isinstance(x, pd.DataFrame):
        return encoding.fit(x, where, options, seen)
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
    if "parts" in how:
        return _encode_parts(rows, how["parts"])
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


def parts_of(how: Mapping[str, Any]) -> tuple[InputPart, ...]:
    """The inputs that stand side by side, see `Dataset.parts`."""
    return tuple(
        InputPart(each["name"], tuple(each["shape"]), vocabulary(each["how"]), is_masked(each["how"]))
        for each in how.get("parts", ())
    )


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


def _fit_parts(
    x: InputParts, spec: DataSpec, where: str, options: Options
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Of several inputs: the encoding of each with its name and the shape of a row."""
    parts, notes = [], list[str]()
    for name, part in x.parts.items():
        how, told = fit(part, spec, where, options)
        if spec.aside.get(name) == "image":
            how = {"images": {**how["images"], "column": name}}
        if vocabulary(how) > _EXACT:
            raise DataError(f"{where}: {name} holds tokens above {_EXACT:,}; number them from 2 up")
        first = encode(part.iloc[:1] if hasattr(part, "iloc") else part[:1], how)
        parts.append({"name": name, "shape": list(first.shape[1:]), "how": how})
        notes += told
    return {"parts": parts}, tuple(notes)


_EXACT = 2**24
"""Whole numbers up to this one are what they are as float32, too."""


def _encode_parts(rows: Any, parts: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
    """Several inputs side by side, (N, D); see `Dataset.parts`."""
    wanted = [each["name"] for each in parts]
    given = by_name(rows, wanted)
    if isinstance(given, Mapping) and (lacking := [each for each in parts if each["name"] not in given]):
        absent = [
            column["name"]
            for each in lacking
            for column in (each["how"].get("columns", [each]) if each["name"] == TABLE else [each])
        ]
        found = ", ".join(map(str, rows.parts if isinstance(rows, InputParts) else rows))
        raise DataError(f"rows: {', '.join(absent)} missing; found: {found or 'nothing'}")
    if not isinstance(given, Mapping | pd.DataFrame):
        raise DataError(f"rows: give a dictionary with the inputs {', '.join(wanted)}, or a table of columns")
    arrays_ = []
    for each in parts:
        x = encode(part_of(given, each["name"]), each["how"])
        if list(x.shape[1:]) != each["shape"]:
            raise DataError(
                f"rows: {each['name']} has shape {x.shape[1:]} each; the data had {tuple(each['shape'])}"
            )
        arrays_.append(x.reshape(len(x), -1).astype(np.float32))
    if len(counts := {len(x) for x in arrays_}) > 1:
        raise DataError(f"rows: their inputs have different lengths: {', '.join(map(str, sorted(counts)))}")
    return np.concatenate(arrays_, axis=1)
