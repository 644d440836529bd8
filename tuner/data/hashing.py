"""Hashes of rows and columns, which say whether data is what it was.

A hash depends on the values alone: not on the process, the platform, the order of the columns, the type
that holds a number (1, 1.0 and true differ from the text "1", but not from each other), nor on the
version of pandas or numpy, which only take part in handing out values. Whatever changes a hash here
makes every stored study look as if its data had changed: raise `VERSION` with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import blake2b, sha256
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.api import types

from tuner.data.arrays import InputParts, Sequences
from tuner.data.cells import uncategorized
from tuner.data.threads import each

VERSION = 1
"""Of the way in which hashes are made."""

MOST_COLUMNS = 1000
"""An array with more columns than this is hashed as a whole, row by row."""

Hashes = NDArray[np.uint64]
Columns = dict[str, tuple[str, str]]
"""The type and the hash of each column, in the columns' order."""

_MISSING = np.uint64(0x7FF8_0000_0000_0000)
_BLOCK = 4096
_BETWEEN, _ABSENT = "\x1f", "\x00"
_TEXT = pa.large_string()


class HashedTable:
    """A table, or an array, of which rows and columns can be told apart by their hashes.

    Args:
        x: raw inputs, see `arrays.X`.
        names: the columns of a 2-D array.
    """

    def __init__(self, x: Any, names: Iterable[str] = ()) -> None:
        self._numbers: dict[str, Hashes] = {}
        self._texts: dict[str, Any] = {}
        self._whole: Hashes | None = None
        self.columns: Columns = {}
        self.count = len(x)
        columns: dict[str, Any] = {}
        self._runs: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
        if isinstance(x, Sequences):
            self._runs, x = (x.starts, x.lengths), x.frame
        if isinstance(x, InputParts):
            columns = self._parts(x)
        elif isinstance(x, pd.Series):
            columns = {str(x.name): x}
        elif isinstance(x, pd.DataFrame):
            columns = {str(name): x[name] for name in x.columns}
        elif np.ndim(x) == 2 and np.shape(x)[1] <= MOST_COLUMNS:
            given = list(names)
            columns = {given[i] if given else f"x{i}": pd.Series(x[:, i]) for i in range(np.shape(x)[1])}
        else:
            self._whole = _of_blocks(np.asarray(x))
            shape = " x ".join(map(str, np.shape(x)[1:]))
            self.columns["X"] = (f"numbers, {shape}", _digest(self._whole))
        self._steps = len(x)
        found = each(_of_column, columns.values(), self._steps)
        for name, (kind, digest, bits, text) in zip(columns, found, strict=True):
            self.columns[name] = (kind, digest)
            if bits is not None:
                self._numbers[name] = bits
            else:
                self._texts[name] = text

    def rows(self, names: Collection[str] | None = None) -> Hashes:
        """A hash of each row over some columns, in whatever order they stand, or over all; (N,)."""
        chosen = sorted(self.columns if names is None else names)
        sums = np.zeros(self._steps, np.uint64)
        with np.errstate(over="ignore"):
            for name in chosen:
                if name in self._numbers:
                    sums += _mixed(self._numbers[name] ^ _key(name))
            if self._whole is not None and "X" in chosen:
                sums += self._whole
            texts = [name for name in chosen if name in self._texts]
            if texts:
                sums += _of_texts([self._texts[name] for name in texts], _BETWEEN.join(texts))
            return _mixed(sums) if self._runs is None else _of_runs(_mixed(sums), *self._runs)

    def _parts(self, x: InputParts) -> dict[str, pd.Series[Any]]:
        """The columns of several inputs; an array is one by its name."""
        columns: dict[str, pd.Series[Any]] = {}
        for name, part in x.parts.items():
            if isinstance(part, pd.DataFrame):
                columns |= {str(column): part[column] for column in part.columns}
            elif isinstance(part, pd.Series):
                columns[name] = part
            else:
                self._numbers[name] = hashes = _of_blocks(part)
                self.columns[name] = (f"numbers, {' x '.join(map(str, part.shape[1:]))}", _digest(hashes))
        return columns


def _of_column(values: pd.Series[Any]) -> tuple[str, str, Hashes | None, Any]:
    """The type and the hash of a column; and its bits, or its text."""
    kind, bits = _numeric(values)
    if bits is not None:
        return kind, _digest(bits), bits, None
    text = _text(values)
    filled = [c.fill_null(_ABSENT) if c.null_count else c for c in text.chunks]
    column, at = sha256(bytes(8)), 0
    for chunk in filled:
        edges = _pieces(chunk)[0] + at
        column.update(np.ascontiguousarray(edges[1:], "<i8").data)
        at = int(edges[-1])
    for chunk in filled:
        column.update(_pieces(chunk)[1])
    return "text", column.hexdigest()[:16], None, text


def _of_runs(steps: Hashes, starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> Hashes:
    """A hash of each run of steps, which depends on their order; (N,)."""
    sums = _mixed(lengths.astype(np.uint64))
    with np.errstate(over="ignore"):
        for place in range(int(lengths.max(initial=0))):
            there = np.flatnonzero(lengths > place)
            sums[there] = _mixed(sums[there]) + steps[starts[there] + place]
    return _mixed(sums)


def _numeric(values: pd.Series[Any]) -> tuple[str, Hashes | None]:
    """A type and the bits of numbers, truth values, dates and durations; None of text."""
    values = uncategorized(values)
    dtype = values.dtype
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        if isinstance(dtype, pd.DatetimeTZDtype):
            values = values.dt.tz_convert("UTC").dt.tz_localize(None)
        unit = "datetime64[us]" if types.is_datetime64_any_dtype(dtype) else "timedelta64[us]"
        return "dates" if "date" in unit else "durations", values.to_numpy(unit).view(np.uint64)
    if types.is_complex_dtype(dtype) or not (types.is_bool_dtype(dtype) or types.is_numeric_dtype(dtype)):
        return "text", None
    numbers = values.to_numpy(np.float64, na_value=np.nan) + 0.0
    bits = numbers.view(np.uint64)
    bits = np.where(np.isnan(numbers), _MISSING, bits)
    if types.is_integer_dtype(dtype) and (np.abs(numbers) > 2.0**53).any():
        # As floats, neighbours would be one.
        whole = values.fillna(0).to_numpy("u8" if types.is_unsigned_integer_dtype(dtype) else "i8")
        bits = np.where(np.abs(numbers) > 2.0**53, whole.view(np.uint64) ^ _MISSING, bits)
    return "numbers", bits


def _text(values: pd.Series[Any]) -> Any:
    """A column as Arrow holds text, missing values as such; in chunks."""
    if isinstance(values.dtype, pd.StringDtype):
        read = pa.array(values, from_pandas=True)
    else:
        raw = values.astype(object)
        gone = raw.isna().to_numpy(bool)
        read = pa.array([None if no else _word(value) for value, no in zip(raw, gone, strict=True)], _TEXT)
    read = read if isinstance(read, pa.ChunkedArray) else pa.chunked_array([read])
    return read.cast(_TEXT)


def may_hold_words(values: pd.Series[Any]) -> bool:
    """Whether any letter or question mark stands in a column: all letters and it come after the digits."""
    read = pa.array(values, from_pandas=True)
    chunks = [_pieces(chunk.cast(_TEXT))[1] for chunk in getattr(read, "chunks", [read])]
    return any(np.frombuffer(chunk, np.uint8).max(initial=0) > ord("9") for chunk in chunks)


def _word(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.encode(errors="replace").decode()


def _of_texts(columns: list[Any], key: str) -> Hashes:
    """A hash of what stands in each row of some columns of text."""
    salt = blake2b(key.encode(), digest_size=16).digest()
    if len(columns) == 1:  # which often has few different texts
        coded = pc.dictionary_encode(columns[0].combine_chunks())
        places = pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy(zero_copy_only=False)
        known = [_salted(texts, salt) for texts in (coded.dictionary, pa.array([_ABSENT], _TEXT))]
        found: Hashes = np.concatenate(known)[places]
        return found
    between = pa.scalar(_BETWEEN, _TEXT)

    def hashed(rows: Any) -> Hashes:
        joined = pc.binary_join_element_wise(
            *rows.columns, between, null_handling="replace", null_replacement=_ABSENT
        )
        return _salted(joined, salt)

    table = pa.table(columns, [str(place) for place in range(len(columns))])
    parts = each(hashed, table.to_batches(_BLOCK), len(table))
    return np.concatenate([*parts, np.zeros(0, np.uint64)])


def _salted(texts: Any, salt: bytes) -> Hashes:
    """A hash of each text of an Arrow array."""
    edges, letters = _pieces(texts)
    start, hashes = blake2b(digest_size=8, salt=salt), []
    for a, b in pairwise(edges.tolist()):
        found = start.copy()  # in two thirds of the time that a new one takes
        found.update(letters[a:b])
        hashes.append(found.digest())
    return _joined(hashes)


def _pieces(texts: Any) -> tuple[NDArray[np.int64], memoryview]:
    """Where each text of an Arrow array begins and ends in all of it, (N + 1,), and all of it as UTF-8."""
    _, offsets, letters = texts.buffers()
    edges = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return edges - edges[0], memoryview(letters or b"")[edges[0] : edges[-1]]


def _joined(digests: Iterable[bytes]) -> Hashes:
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _of_blocks(x: NDArray[Any]) -> Hashes:
    """A hash of the numbers of each row, whatever its shape."""
    hashes: list[bytes] = []
    for start in range(0, len(x), _BLOCK):  # as images of bytes take four times their memory as floats
        block = x[start : start + _BLOCK]
        try:
            flat = np.ascontiguousarray(block.reshape(len(block), -1), "<f4") + np.float32(0.0)
        except (TypeError, ValueError):
            return _of_texts([_text(pd.Series([repr(row) for row in x.tolist()]))], "X")
        flat[np.isnan(flat)] = np.nan
        hashes += [blake2b(row, digest_size=8).digest() for row in flat]
    return _joined(hashes)


def _mixed(bits: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable generators, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        mixed = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found: Hashes = mixed ^ (mixed >> np.uint64(31))
        return found


def shares(hashes: Hashes, seed: int) -> NDArray[np.float64]:
    """A number between 0 and 1 for each hash, another one for every seed; even over different hashes."""
    return _mixed(hashes ^ _key(str(seed))) / 2.0**64


def _key(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little"))


def _digest(bits: Hashes) -> str:
    return sha256(np.ascontiguousarray(bits, "<u8").data).hexdigest()[:16]
