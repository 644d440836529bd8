"""Free text as words: a column says how many a text has, and one for each known word whether it is there.

The words are a vocabulary of the training rows and not hashes, so that a column has the name of its word and
the encoding that a model keeps stays small. Words are runs of letters and digits, without regard to case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MOST_WORDS = 256
"""How many words of one column are known at most."""

MOST_OF_ALL = 1024
"""How many words of all columns are known at most; columns of text share them evenly."""

_LEAST_ROWS = 3
"""A word has to stand in so many training rows, and to be absent from as many."""

_ROWS_PER_WORD = 4
"""So many training rows have to come on each known word."""

_BETWEEN = r"[^\p{L}\p{N}]+"


def vocabulary(texts: Any) -> tuple[list[str], int]:
    """The words to know of a column, and how many different words it holds.

    A word that stands in half of the rows tells most of them apart, so words are ranked by in how many rows
    they stand or, where that is less, do not stand.

    Args:
        texts: those of the training rows, as an Arrow array; null where there is none.

    Returns:
        The words, the best first: none where no word stands in several rows.
    """
    rows, words = words_of(texts)
    coded = words.dictionary_encode()
    different = len(coded.dictionary)
    if not different:
        return [], 0
    codes = np.asarray(coded.indices.to_numpy(zero_copy_only=False), np.int64)
    once = np.unique(rows * different + codes) % different
    among = np.bincount(once, minlength=different)
    weight = np.minimum(among, len(texts) - among)
    known = np.flatnonzero(weight >= _LEAST_ROWS)
    names = dict(zip(known.tolist(), coded.dictionary.take(pa.array(known)).to_pylist(), strict=True))
    ranked = sorted(names, key=lambda code: (-weight[code], names[code]))
    return [names[code] for code in ranked[: min(MOST_WORDS, len(texts) // _ROWS_PER_WORD)]], different


def encoded(texts: Any, known: Sequence[str]) -> list[NDArray[Any]]:
    """How many words each text has, and whether each known word is among them; (N,) each."""
    rows, words = words_of(texts)
    at = pc.index_in(words, value_set=pa.array(known, words.type))
    at = np.asarray(pc.fill_null(at, -1).to_numpy(zero_copy_only=False), np.int64)
    there = np.zeros((len(known), len(texts)), np.bool_)
    there[at[at >= 0], rows[at >= 0]] = True
    return [np.bincount(rows, minlength=len(texts)), *there]


def names(column: str, known: Sequence[str]) -> list[str]:
    """What `encoded` gives, in its order."""
    return [f"{column} (words)", *(f"{column}: {word}" for word in known)]


def shared(columns: Sequence[Sequence[str]]) -> list[list[str]]:
    """The words of each column that are kept, in alphabetical order, where all of them would be too many."""
    each = MOST_OF_ALL // max(len(columns), 1)
    return [sorted(words[: max(each, 1)]) for words in columns]


def words_of(texts: Any, between: str = _BETWEEN) -> tuple[NDArray[np.int64], Any]:
    """Every word in its order, as an Arrow array, and in which row it stands; (W,) each.

    Args:
        texts: an Arrow array.
        between: a regular expression of what stands between two words.
    """
    lower = pc.utf8_lower(pc.utf8_normalize(pc.fill_null(texts, ""), "NFC"))
    split = pc.split_pattern_regex(lower, between)
    words = pc.list_flatten(split)
    rows = np.asarray(pc.list_parent_indices(split).to_numpy(zero_copy_only=False), np.int64)
    there = pc.not_equal(words, pa.scalar("", words.type))
    return rows[there.to_numpy(zero_copy_only=False).astype(bool)], words.filter(there)
