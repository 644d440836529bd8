"""Texts as tokens in their order: words or characters, each a whole number.

`fit` chooses a vocabulary from the training texts, which a model keeps; `encode` applies it to any. The
commonest token is number 2: `PADDING` and `UNKNOWN` come before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.dataset import PADDING, UNKNOWN
from tuner.core.words import percent
from tuner.data import free_text
from tuner.data.arrays import inputs
from tuner.data.cells import TEXT, Cells
from tuner.data.encoding import check_present
from tuner.errors import DataError

MOST_TOKENS = 256
"""So many tokens of a text are looked at where the study does not say how many."""

LENGTH_SHARE = 0.99
"""This share of the training texts is no longer than what is looked at, if that is no more than these."""

_LEAST_TEXTS = 2
"""A token has to stand in so many training texts; rarer ones are what `UNKNOWN` is learned from."""

_EXAMPLES, _WIDE = 2, 60

# Unlike in `free_text`, whose words stored models know, marks such as vowel signs are part of a word.
_BETWEEN = r"[^\p{L}\p{M}\p{N}]+"


def fit(texts: pd.Series[Any], spec: DataSpec, where: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Choose the vocabulary and the length.

    Returns:
        The encoding, and what was done, a sentence each.

    Raises:
        DataError: no token stands in two texts.
    """
    rows, codes, tokens = _split(texts, spec.tokens)
    among = np.bincount(
        pd.unique(rows * max(len(tokens), 1) + codes) % max(len(tokens), 1), minlength=len(tokens)
    )
    often = np.bincount(codes, minlength=len(tokens))
    ranked = sorted(
        np.flatnonzero(among >= _LEAST_TEXTS).tolist(), key=lambda code: (-often[code], tokens[code])
    )
    if not ranked:
        other = "characters" if spec.tokens == "words" else "words"
        raise DataError(
            f"{where}: text: no {spec.tokens[:-1]} of '{texts.name}' stands in two training texts; "
            f'name another column, or give tokens = "{other}"'
        )
    known = [tokens[code] for code in ranked[: spec.vocabulary]]
    lengths = np.bincount(rows, minlength=len(texts))
    longest = int(lengths.max())
    usual = min(MOST_TOKENS, int(np.quantile(lengths, LENGTH_SHARE, method="higher")))
    length = min(longest, spec.length or max(usual, 1))
    how = {"name": str(texts.name), "tokens": spec.tokens, "length": length, "known": known}
    told = (
        f"Texts become {spec.tokens} in their order: {len(known)} of {len(tokens)} different ones are known, "
        f"and up to {length} of a text are looked at."
    )
    if cut := int((lengths > length).sum()):
        share = percent(cut / len(texts), 1)
        told += f" {cut} training texts ({share}) are longer; `length` under [data] says how long."
    return {"text": how}, (told,)


def encode(rows: Any, how: Mapping[str, Any]) -> NDArray[np.int32]:
    """The tokens of each text, (N, T); a text without any is one `UNKNOWN`.

    Args:
        rows: a data frame with the column, or texts.
        how: what `fit` gave under ``"text"``.

    Raises:
        DataError: there are no texts.
    """
    texts = of(rows, how)
    row, codes, tokens = _split(texts, how["tokens"])
    places = {token: place for place, token in enumerate(how["known"], UNKNOWN + 1)}
    found = np.array([places.get(token, UNKNOWN) for token in tokens] or [UNKNOWN], np.int32)[codes]
    starts = np.searchsorted(row, np.arange(len(texts)))
    place = np.arange(len(row)) - starts[row]
    kept = place < how["length"]
    x = np.full((len(texts), how["length"]), PADDING, np.int32)
    x[:, 0] = UNKNOWN
    x[row[kept], place[kept]] = found[kept]
    return x


def examples(texts: pd.Series[Any], how: Mapping[str, Any]) -> list[str]:
    """The first texts that have tokens, shortened, and what becomes of each."""
    known, found = how["known"], []
    for text in texts.dropna().iloc[: 10 * _EXAMPLES]:
        tokens = encode(pd.Series([text]), how)[0]
        words = [
            "?" if token == UNKNOWN else known[token - UNKNOWN - 1] for token in tokens if token != PADDING
        ]
        between = "" if how["tokens"] == "characters" else " "
        if len(words) > 1:
            found.append(f"{_short(repr(str(text)))} is read as {_short(between.join(words))}")
    return found[:_EXAMPLES]


def of(rows: Any, how: Mapping[str, Any]) -> pd.Series[Any]:
    """The texts among raw rows.

    Raises:
        DataError: there are none.
    """
    if isinstance(rows, pd.DataFrame):
        check_present(rows, [how["name"]])
        rows = rows[how["name"]]
    texts = rows if isinstance(rows, pd.Series) else inputs(rows, "rows", "X")
    if not isinstance(texts, pd.Series):
        raise DataError(f"rows: hold no texts; give texts, or a data frame with the column {how['name']}")
    return texts


def _split(texts: pd.Series[Any], tokens: str) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """All tokens in their order: in which row each stands, its code, (W,) each; and what the codes mean."""
    written = _written(texts)
    if tokens == "words":
        rows, words = free_text.words_of(written, _BETWEEN)
        coded = words.dictionary_encode()
        return (
            rows,
            coded.indices.to_numpy(zero_copy_only=False).astype(np.int64),
            coded.dictionary.to_pylist(),
        )
    texts_ = pc.utf8_normalize(pc.fill_null(written, ""), "NFC").to_pylist()
    points = np.frombuffer("".join(texts_).encode("utf-32-le"), np.uint32)
    each = np.flatnonzero(np.bincount(points, minlength=1))
    codes = np.zeros(each.max(initial=0) + 1, np.int64)
    codes[each] = np.arange(len(each))
    rows = np.repeat(np.arange(len(texts_)), [len(text) for text in texts_])
    return rows, codes[points], [chr(point) for point in each.tolist()]


def _written(texts: pd.Series[Any]) -> Any:
    """As an Arrow array, numbers as they are written; null of what is missing."""
    try:
        return Cells(texts).array()
    except UnicodeEncodeError:  # halves of a character, which no file can hold
        return pa.array([_whole(value) for value in texts], TEXT)


def _whole(value: Any) -> str | None:
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."
