"""How `standalone` prepares raw rows: as `tuner.data` does, with numpy and the standard library alone.

It becomes a part of predict.py, and so do the modules of tuner that it imports; see `predict_json`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.data.date_forms import CLOCKED, DAY_FIRST, Fields, compact, read_dates, read_times
from tuner.data.model_inputs import (
    PADDING,
    UNKNOWN,
    category_columns,
    channels_first,
    date_columns,
    marked,
    number_columns,
    packed,
    padded,
    series,
    token_counts,
    tokens,
)
from tuner.data.number_forms import (
    AROUND,
    BETWEEN,
    DASHED,
    MINUS,
    QUOTED,
    TOKEN,
    WORD,
    WORDS,
    Shape,
    body_of,
    in_ascii,
    other_mark,
    word,
)

_WHOLE_NUMBER = re.compile(r"^(-?\d+)\.0+$")
_ANY_NUMBER, _ANY_TOKEN = re.compile(AROUND % TOKEN), re.compile(TOKEN)


class RawRows:
    """What becomes of raw rows before a model sees them.

    Args:
        table: of one model in predict.json.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table

    def inputs(self, rows: Any) -> NDArray[Any]:
        """As the model takes them: scaled float32, tokens as int32; of an estimator flat, (N, D)."""
        if parts := self.table["encoding"].get("parts"):
            return self._side_by_side(rows, parts)
        x = self.scaled(self.encoded(rows))
        if "flat" not in self.table:
            return x
        count = self.table["flat"]
        return token_counts(x, count) if count else x.reshape(len(x), -1)

    def _side_by_side(self, rows: Any, parts: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """Several inputs, which come by name or as columns, in the rows of one array, (N, D)."""
        rows, found = getattr(rows, "parts", rows), []
        is_by_name = isinstance(rows, Mapping)
        arrays = [part["name"] for part in parts if not {"columns", "text"} & part["how"].keys()]
        missing = [name for name in arrays if not is_by_name or name not in rows]
        if missing or not (is_by_name or hasattr(rows, "columns")):
            names = ", ".join(part["name"] for part in parts)
            told = f"inputs are missing: {', '.join(missing)}; " if is_by_name else ""
            columns = "" if arrays else ", or as a table of columns"
            raise ValueError(f"{told}give rows as a dictionary with the inputs {names}{columns}")
        for i, part in enumerate(parts):
            own = {"encoding": part["how"], "input_shape": part["shape"], "features": ()}
            own["scaling"] = self.table["scaling"]["parts"][i][1]
            own |= {"flat": self.table["flat"][i]} if "flat" in self.table else {}
            given = rows[part["name"]] if is_by_name and part["name"] in rows else rows
            try:
                found.append(RawRows({**self.table, **own}).inputs(given))
            except ValueError as error:
                raise ValueError(str(error) if given is rows else f"{part['name']}: {error}") from error
        if len(counts := {len(x) for x in found}) > 1:
            raise ValueError(f"the inputs have different lengths: {', '.join(map(str, sorted(counts)))}")
        return np.concatenate([x.reshape(len(x), -1) for x in found], axis=1, dtype=np.float32)

    def encoded(self, rows: Any) -> NDArray[Any]:
        """The model's unscaled inputs, of which each row has the shape that the model was trained on."""
        how, shape = self.table["encoding"], tuple(self.table["input_shape"])
        is_table = isinstance(rows, Mapping) or hasattr(rows, "columns")
        x: NDArray[Any]
        if "text" in how:
            x = _text_tokens(_present(rows, [how["text"]["name"]])[0] if is_table else rows, how["text"])
        elif is_table:
            x = self._columns(rows)
        elif "columns" in how:
            raise ValueError(f"give rows by the names of their columns: {', '.join(_named(how))}")
        elif "tokens" in how:
            x = tokens(packed(_rectangular(rows, 0)), how["tokens"])
        elif "series" in how:
            x = _rectangular(rows, np.nan).astype(np.float32)
            x = series(x[:, :, None] if x.ndim == 2 else x, how["series"])
        else:
            x = channels_first(np.asarray(rows)) if "images" in how else np.asarray(rows)
        if x.shape[1:] != shape:
            raise ValueError(f"rows have shape {x.shape[1:]} each; the model needs {shape}")
        if not np.isfinite(x).all():
            raise ValueError("rows hold NaN or infinite values; fill them in or leave these rows out")
        return x

    def scaled(self, x: NDArray[Any]) -> NDArray[Any]:
        """Scaled, float32; or tokens, int32."""
        scaling = self.table["scaling"]
        if not np.size(scaling["shift"]):
            return x.astype(np.int32)
        x = x.astype(np.float32)
        flat = x.reshape(-1, x.shape[2]) if x.ndim == 3 else x
        if knots := scaling.get("knots"):
            flat = flat.copy()
            curves: list[Any] = [np.asarray(side, np.float32) for side in (knots, scaling["levels"])]
            for i, curve in enumerate(zip(*curves, strict=True)):
                flat[:, i] = np.interp(flat[:, i], *curve)
        shift, factor = (np.asarray(scaling[name], np.float32) for name in ("shift", "factor"))
        found = ((flat - shift) * factor).reshape(x.shape)
        return found * x[:, :, -1:] if scaling.get("masked") else found

    def _columns(self, rows: Any) -> NDArray[np.float32]:
        how = self.table["encoding"]
        if "columns" not in how:
            cells = _present(rows, self.table["features"])
            return np.stack([np.asarray(each, np.float32) for each in cells], axis=1)
        tables = sorted(how["columns"], key=lambda table: table.get("embedded", False))
        cells = _present(rows, [table["name"] for table in tables])
        parts = [part for pair in zip(cells, tables, strict=True) for part in self._column(*pair)]
        return np.stack(parts, axis=1).astype(np.float32)

    def _column(self, cells: Sequence[Any], table: Mapping[str, Any]) -> list[NDArray[Any]]:
        kind, texts = table["kind"], _texts(cells, table.get("absent", ()))
        if kind in ("category", "text", "ordinal"):
            gone = set() if table.get("own") else set(self.table["missing"])
            texts = ["" if text in gone else text for text in texts]
        if kind == "category":
            return _category(texts, table)
        if kind == "text":
            return _words_there(texts, table)
        if kind == "boolean":
            truth = dict.fromkeys(table["true"], 1.0) | dict.fromkeys(table["false"], 0.0)
            truth = {"1": 1.0, "0": 0.0, "true": 1.0, "false": 0.0} | truth
            values = np.asarray([truth.get(text.lower(), np.nan) for text in texts])
        elif kind == "ordinal":
            order = {_folded(str(name)): place + 1.0 for place, name in enumerate(table["order"])}
            values = np.asarray([order.get(_folded(text), np.nan) for text in texts])
        elif kind == "date":
            return date_columns(_stamps(texts, table), table)
        elif kind == "time":
            values = _hours_of(texts)
        else:
            values = np.asarray([_number(text, table.get("notation", {})) for text in texts])
        return number_columns(values, table)


def _named(how: Mapping[str, Any]) -> list[str]:
    return [table["name"] for table in how["columns"]]


def _present(rows: Any, wanted: Sequence[str]) -> list[list[Any]]:
    present = list(rows.columns) if hasattr(rows, "columns") else list(rows)
    if absent := [name for name in wanted if name not in present]:
        raise ValueError(f"columns are missing: {', '.join(absent)}")
    return [list(rows[name]) for name in wanted]


def _texts(cells: Sequence[Any], absent: Sequence[Any] = ()) -> list[str]:
    """Cells as they would stand in a CSV file; empty for what is missing."""
    gone = {_text(value).lower() for value in absent}
    found = [_text(cell) for cell in cells]
    return ["" if text.lower() in gone else text for text in found] if gone else found


def _text(cell: Any) -> str:
    if cell is None or cell != cell:
        return ""
    if hasattr(cell, "total_seconds"):
        cell = cell.total_seconds()
    return word(cell)


def _folded(text: str) -> str:
    return _WHOLE_NUMBER.sub(r"\1", text.strip().lower())


def _category(texts: Sequence[str], table: Mapping[str, Any]) -> list[NDArray[Any]]:
    is_folded = table.get("folded")
    names = [_folded(name) if is_folded else name for name in table["categories"]]
    at: dict[str, int] = {}
    for place, name in enumerate(names):
        at.setdefault(name, place)
    lost = np.asarray([not text for text in texts])
    codes = np.asarray([at.get(_folded(text) if is_folded else text, -1) for text in texts])
    return category_columns(codes, lost, table)


def _split(text: str, letters: str) -> list[str]:
    """Runs of letters and digits in lower case; of which kinds `letters` says, as in Unicode."""
    lower = "".join(letter.lower()[:1] for letter in unicodedata.normalize("NFC", text))
    return "".join(c if unicodedata.category(c)[0] in letters else " " for c in lower).split()


def _words_there(texts: Sequence[str], table: Mapping[str, Any]) -> list[NDArray[Any]]:
    rows = [_split(text, "LN") for text in texts]
    parts: list[NDArray[Any]] = [np.asarray([len(words) for words in rows])]
    sets = [set(words) for words in rows]
    parts += [np.asarray([word in words for words in sets]) for word in table["words"]]
    return marked(parts, np.asarray([not text for text in texts]), table)


def _text_tokens(cells: Any, how: Mapping[str, Any]) -> NDArray[np.int32]:
    places = {token: place for place, token in enumerate(how["known"], UNKNOWN + 1)}
    x = np.full((len(cells), how["length"]), PADDING, np.int32)
    x[:, 0] = UNKNOWN
    for row, text in zip(x, _texts(cells), strict=True):
        is_words = how["tokens"] == "words"
        tokens = _split(text, "LMN") if is_words else list(unicodedata.normalize("NFC", text))
        found = [places.get(token, UNKNOWN) for token in tokens[: how["length"]]]
        row[: len(found)] = found
    return x


def _number(text: str, how: Mapping[str, Any]) -> float:
    """A text as a number in a column's notation; NaN of what is none."""
    if not text:
        return float("nan")
    text = re.sub(QUOTED, r"\1\2\3", in_ascii(text) if not text.isascii() else text)
    text = re.sub(DASHED, r"\1", text)
    if re.match(WORD, text):
        return WORDS.get(text.strip().lower(), float("inf"))
    decimal, thousands = how.get("decimal", "."), how.get("thousands", ",")
    found = _in_marks(text, decimal, thousands, how)
    if np.isnan(found) and how.get("mixed"):
        found = _in_marks(text, other_mark(decimal), decimal, how)
    return found


def _in_marks(text: str, decimal: str, thousands: str, how: Mapping[str, Any]) -> float:
    if not _ANY_NUMBER.match(text):
        return float("nan")
    shape = Shape.of(_ANY_TOKEN.sub("0", text))
    body, factor = text[shape.before : len(text) - shape.after], shape.factor(how.get("unit", ""))
    if np.isnan(factor) or (shape.mark and not how.get("marks")):
        return float("nan")
    if not re.match(body_of(decimal, thousands), body):
        return float("nan")
    digits = re.sub(f"[{BETWEEN}{other_mark(decimal)}]", "", body).replace(",", ".")
    size = float(re.sub(f"[{MINUS}]", "-", digits))
    # 44 / 100 is the float that 0.44 is; 44 * 0.01 is not always.
    return size / round(1 / factor) if abs(factor) < 1 else size * factor


def _stamps(texts: Sequence[str], table: Mapping[str, Any]) -> NDArray[np.float64]:
    """Dates in seconds since 1970; NaN elsewhere."""
    if table.get("compact"):
        return compact(np.asarray([_number(text, {}) for text in texts]))
    if form := table.get("format"):
        return np.asarray([_formatted(text, form) for text in texts])
    return read_dates(len(texts), _fields_of(texts), table.get("first", DAY_FIRST))


def _formatted(text: str, form: str) -> float:
    try:
        found = datetime.strptime(text, form)
    except ValueError:
        return float("nan")
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _hours_of(texts: Sequence[str]) -> NDArray[np.float64]:
    clocked = [bool(re.search(CLOCKED, text)) for text in texts]
    return read_times(np.asarray(clocked, bool), _fields_of(texts))


def _fields_of(texts: Sequence[str]) -> Callable[[str, NDArray[np.intp]], Fields]:
    def fields(pattern: str, rest: NDArray[np.intp]) -> Fields:
        compiled = re.compile(pattern)
        matches = [compiled.search(texts[i]) for i in rest]
        at = np.asarray([i for i, match in enumerate(matches) if match], np.intp)
        there = [match for match in matches if match]
        names = compiled.groupindex
        return Fields(at, {n: np.array([*(m[n] or "" for m in there), None], object)[:-1] for n in names})

    return fields


def _rectangular(rows: Any, nothing: Any) -> NDArray[Any]:
    """Rows of different lengths as one array."""
    if isinstance(rows, np.ndarray) and rows.dtype != object:
        return rows
    each = [np.asarray(row) for row in rows]
    return np.asarray(each) if len({len(row) for row in each}) < 2 else padded(each, nothing)
