"""Categories as codes, for networks that learn an embedding of each.

A column with many categories is encoded twice: as columns of zeros and ones, which every model takes, and as
one column of codes. `embedded` puts the codes in place of the former.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Split
from tuner.data.encoding import encode, names
from tuner.data.notes import listed


def codes(rows: Any, encoding: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """The code of each row in each column with many categories, (N, C); None where there is none."""
    tables = [table for table in _embedded(encoding) if "embedded" in table]
    return encode(rows, {"columns": tables}) if tables else None


def code_notes(data: Dataset) -> tuple[str, ...]:
    """Which columns have codes, in a sentence; none where none has."""
    tables = [table for table in _embedded(data.encoding) if "embedded" in table]
    told = listed(f"{table['name']} ({len(table['categories'])})" for table in tables)
    where = "Where embedding_size is above 0, an embedding of each category takes the place of these columns"
    return (f"{where}: {told}.",) if tables else ()


def embedded(data: Dataset) -> Dataset:
    """The same rows with codes as the last columns of the inputs, one for each column with many categories.

    They replace the columns of zeros and ones that the same categories have, and the one that marks missing
    ones. `data` itself where no column has many categories.
    """
    if data.train.codes is None or data.validation.codes is None:
        return data
    tables = _embedded(data.encoding)
    how = {**data.encoding, "columns": tables}
    features, own = names(how), [table for table in tables if "embedded" in table]
    places = {name: place for place, name in enumerate(data.features)}
    kept = [places[name] for name in features[: len(features) - len(own)]]
    return replace(
        data,
        train=_with_codes(data.train, kept),
        validation=_with_codes(data.validation, kept),
        features=features,
        encoding=how,
        categories=tuple(1 + len(table["categories"]) + table["missing"] for table in own),
    )


def _embedded(encoding: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tables of the columns, those with many categories as codes."""
    return [
        {**table, **table["embedding"], "embedded": True} if "embedding" in table else table
        for table in encoding.get("columns", ())
    ]


def _with_codes(split: Split, kept: Sequence[int]) -> Split:
    assert split.codes is not None  # noqa: S101 - `embedded` has looked
    return replace(split, x=np.concatenate([split.x[:, kept], split.codes], axis=1), codes=None)
