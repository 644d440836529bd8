"""How a CSV file is written: its encoding, its separator, the lines before the table, its header.

Decided on the first lines, the encoding on all bytes. Whatever is not plain is told in a note, and
`[data] encoding, separator, header` overrule it.

The rules are our own: on 671 tables that ship in packages the separator is found as well as by
`clevercsv` and better than by DuckDB's sniffer, which know neither comment lines nor ``sep=``, in a
hundredth of the time. Legacy encodings are told apart by `chardet`, which sees nothing but the words
that are not ASCII: whole tables are mostly digits, which mislead it.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, takewhile
from pathlib import Path

from tuner.core.data_spec import SEPARATORS, DataSpec
from tuner.data.words import MISSING
from tuner.errors import DataError

_PREFERRED = "\t;|, "
"""The first that divides all lines alike is the separator: the last ones stand in text and numbers, too."""

_LINES = 100
_EVEN = 0.9
_CHUNK = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = frozenset("äöüßéèêëàâáåæøœçñíìîïóòôúùûÄÖÜÉÈÀÁÅÆØÇÑÓÍÚ€°£§µ½²³–—‘’“”…·«»¿¡´\xa0")
_LEGACY = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "iso8859-2", "koi8-r", "cp932",
    "gb18030", "big5", "cp949", "mac-roman", "cp437",
)  # fmt: skip
_WORD = re.compile(rb"[^\x00-,./:;<=>?]*[\x80-\xff][^\x00-,./:;<=>?]*")
_BINARY = re.compile(r"[\x00-\x08\x0e-\x19\ufffe\uffff]")
_SEP_LINE = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)
_NUMBER = re.compile(r"[-+(]?[\d.,:/%$€£'\s-]*\d[\d.,:/%$€£'\s)-]*(?:[eE][-+]?\d+)?")
_VALUE = re.compile(r"[-+]?\d+[.,]\d+$|[-+]\d+$|\d+[-./]\d+[-./]\d+")
"""Fractions, signed numbers and dates, which no column is called by."""

_RULE = re.compile(r"[-=:+ ]{3,}")
_OTHERS = (
    (re.compile(r"\s*(?:\{|\[\s*[\[{])"), "JSON"),
    (re.compile(r"\s*<(?:!doctype|html|\?xml|table)\b", re.IGNORECASE), "HTML or XML"),
    (re.compile(r"\s*@relation\b", re.IGNORECASE), "ARFF"),
    (
        re.compile("version https://git-lfs"),
        "a pointer of Git LFS, which `git lfs pull` replaces by the file",
    ),
)
_MOST_DESCRIPTIONS = 3

Row = Sequence[str]


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Attributes:
        encoding: as Python names it.
        separator: one character; a space stands for any run of blanks.
        skip: how many lines stand before the first row of values, blank ones counted.
        names: the columns' names, as many as there are fields in a row.
        padded: whether quoted fields have blanks before them.
        quotes: how many quotation marks stand in the file, as bytes.
        has_blanks: whether any blank does.
        is_valid: whether all of the file is known to be UTF-8.
        notes: what a user should know of it, a sentence each.
    """

    encoding: str
    separator: str
    skip: int
    names: tuple[str, ...]
    padded: bool
    quotes: int
    has_blanks: bool
    is_valid: bool
    notes: tuple[str, ...] = ()


def detect(path: Path, spec: DataSpec) -> Dialect:
    """See how a CSV file is written.

    Raises:
        DataError: the file is empty, cannot be decoded, or `spec` asks for what it is not.
        OSError: it cannot be read.
    """
    where = spec.source
    read = _Bytes(path)
    encoding, notes = (spec.encoding, []) if spec.encoding else _encoding(path, read, where)
    lines = _head(path, encoding, where)
    said = _SEP_LINE.match(lines[0]) if lines else None
    comments = list(takewhile(_is_comment, lines[1:] if said else lines))
    above = len(comments) + (said is not None)
    body = lines[above:]
    if not body:
        raise DataError(f"{where}: is empty; give a CSV file with a header and rows")
    if other := next((kind for start, kind in _OTHERS if start.match(body[0])), None):
        raise DataError(f"{where}: is {other}; give a CSV file, with the columns' names in its first line")
    asked = SEPARATORS.get(spec.separator or "", spec.separator)
    separator = asked or (said[1] if said else _separator(body))
    rows, starts = _rows(body, separator)
    width = _width(rows)
    titles = _titles(rows, width)
    names = _names(rows[titles:], separator, width, spec.header, where)
    described = 0 if names is None else _descriptions(rows[titles + 1 :])
    skip = above + starts[titles + (names is not None) + described]
    left_out = [line.strip() for line in (*comments, *body[: starts[titles]]) if line.strip()]
    if left_out:
        notes.append(f"Lines before the table are left out: {len(left_out)}, the first {left_out[0][:60]!r}.")
    if described:
        shown = separator.join(rows[titles + 1])[:60]
        notes.append(
            f"Lines below the header that hold no values are left out: {described}, the first {shown!r}."
        )
    if names is None and spec.header is None:
        names = _above(comments, separator, width)
    if names is None:
        names = tuple(f"column_{i + 1}" for i in range(width))
        if spec.header is None:
            notes.append(
                "The first line holds values, so the columns are called column_1, column_2, ...; "
                "header = true takes it for names."
            )
    if separator == " ":
        notes.append('Fields are separated by blanks; separator = "," and the like change it.')
    padded = separator != " " and any(re.search(re.escape(separator) + r' +"', line) for line in body)
    return Dialect(
        encoding, separator, skip, names, padded, read.quotes, read.has_blanks, read.is_utf8, tuple(notes)
    )


def _head(path: Path, encoding: str, where: str) -> list[str]:
    """The first lines of a file."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            lines = list(islice(file, _LINES))
    except UnicodeError as error:
        raise DataError(f"{where}: encoding: {encoding!r} does not decode the file: {error}") from error
    if any(_BINARY.search(line) for line in lines):
        raise DataError(f"{where}: is not text; save it as CSV, for example with 'Save as' in a spreadsheet")
    return lines


def _is_comment(line: str) -> bool:
    return line.startswith("#") or not line.strip()


class _Bytes:
    """What is seen of a file in one pass over its bytes.

    Attributes:
        head: the first of them.
        is_utf8: whether all of them are.
        quotes: how many quotation marks there are.
        has_blanks: whether there is any blank.
    """

    def __init__(self, path: Path) -> None:
        self.is_utf8, self.quotes, self.has_blanks = True, 0, False
        decoder = codecs.getincrementaldecoder("utf-8")()
        with path.open("rb") as file:
            self.head = chunk = file.read(_CHUNK)
            while chunk:
                # To look for a byte, and whether all are ASCII, is much cheaper than to count or to decode.
                self.quotes += chunk.count(b'"') if b'"' in chunk else 0
                self.has_blanks = self.has_blanks or b" " in chunk
                if self.is_utf8 and not (chunk.isascii() and not decoder.getstate()[0]):
                    self._decode(decoder, chunk)
                chunk = file.read(_CHUNK)
        if self.is_utf8:
            self._decode(decoder, b"")

    def _decode(self, decoder: codecs.IncrementalDecoder, chunk: bytes) -> None:
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            self.is_utf8 = False


def _encoding(path: Path, read: _Bytes, where: str) -> tuple[str, list[str]]:
    """The encoding of a file, and what to say of it."""
    head = read.head
    if found := next((name for bom, name in _BOMS if head.startswith(bom)), None):
        return found, []
    if head.count(b"\0") > len(head) // 4:
        return ("utf-16-le" if head[1::2].count(b"\0") > head[::2].count(b"\0") else "utf-16-be"), []
    return ("utf-8", []) if read.is_utf8 else _legacy(path, where)


def _legacy(path: Path, where: str) -> tuple[str, list[str]]:
    """The encoding of a file that is not Unicode, and what to say of it."""
    import chardet  # for such files alone

    text = path.read_bytes()
    words = sorted(set(_WORD.findall(text)))
    odd = {word for word in words if not _is_utf8(word)}
    if len(odd) < len(words) / 2:  # in other encodings hardly any word is valid
        first = next(found for found in _WORD.finditer(text) if found[0] in odd)
        line = 1 + text.count(b"\n", 0, first.start())
        raise DataError(
            f"{where}: is UTF-8 but for {len(odd)} words, the first in line {line}: "
            f"{first[0].decode('cp1252', 'replace').strip()!r}; correct them, or give encoding under [data]"
        )
    sample = b" ".join(words)
    encoding = "cp1252"
    if not {char for char in sample.decode(encoding, "replace") if ord(char) > 127} <= _WESTERN:
        encoding = (chardet.detect(sample, include_encodings=_LEGACY)["encoding"] or encoding).lower()
    word = max(words, key=len).decode(encoding, "replace").strip()
    return encoding, [
        f"The file is not UTF-8; it is read as {encoding}, so that it holds {word!r}; "
        'encoding = "..." in [data] changes it.'
    ]


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def _rows(lines: Sequence[str], separator: str) -> tuple[list[list[str]], list[int]]:
    """The fields of every line that is not blank, and on which line each row starts."""
    if separator == " ":
        lines = [line.strip(" \r\n") for line in lines]
    # Texts may be longer than the usual limit, which is one of the process.
    csv.field_size_limit(max(csv.field_size_limit(), sum(map(len, lines))))
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    rows, starts, at = [], [], 0
    for row in reader:
        if any(field.strip() for field in row) or len(row) > 1:
            rows.append(row)
            starts.append(at)
        at = reader.line_num
    return rows, [*starts, at]


def _width(rows: Sequence[Row]) -> int:
    """The number of fields that most rows have; of equals the larger."""
    counts = Counter(len(row) for row in rows)
    return max(counts, key=lambda width: (counts[width], width))


def _titles(rows: Sequence[Row], width: int) -> int:
    """How many rows stand above the header: of one field, or several short ones above what looks like one."""
    short = sum(1 for _ in takewhile(lambda row: len(row) < width, rows))
    below = rows[short:]
    is_named = bool(below) and not any(_NUMBER.fullmatch(name) for name in below[0])
    if is_named and (short > 1 or len(rows[0]) < width - 1) and _is_header(below[0], below[1:]):
        return short
    return sum(1 for _ in takewhile(lambda row: len(row) == 1 < width, rows))


def _descriptions(rows: Sequence[Row]) -> int:
    """How many rows below the header hold no values but questions, units, types or a line."""
    most = min(_MOST_DESCRIPTIONS, len(rows) - 1)
    return sum(1 for _ in takewhile(lambda at: _describes(rows[at], rows[at + 1 :]), range(most)))


def _describes(row: Row, below: Sequence[Row]) -> bool:
    """Whether a row has words where all rows below have numbers, and nothing that stands there, too."""
    if all(_RULE.fullmatch(field) for field in row if field.strip()):
        return True
    contradicts = False
    for i, value in enumerate(map(str.strip, row)):
        others = [other for line in below if i < len(line) and (other := line[i].strip())]
        others = [other for other in others if other.lower() not in MISSING]
        if not value or value.lower() in MISSING:
            continue
        if len(others) > 1 and sum(1 for other in others if _NUMBER.fullmatch(other)) >= _EVEN * len(others):
            if any(map(str.isdigit, value)) and _NUMBER.match(value):
                return False
            contradicts = True
        elif value in others:
            return False
    return contradicts


def _separator(lines: Sequence[str]) -> str:
    """What divides the lines into as many fields each, the first line among them."""
    if len(lines) == _LINES:
        lines = lines[:-1]  # the last one may be cut inside a quoted field
    best, best_share = ",", 0.0
    for separator in _PREFERRED:
        rows, _ = _rows(lines, separator)
        width = _width(rows)
        if width == 1:
            continue
        share = sum(len(row) == width for row in rows) / len(rows)
        if len(rows[0]) not in (width, width - 1) or (separator == " " and share < 1):
            share *= 0.6  # a title may stand above, or the first line knows of no such separator
        if share > best_share:
            best, best_share = separator, share
        if best_share >= _EVEN:
            break
    return best


def _names(
    rows: Sequence[Row], separator: str, width: int, asked: bool | None, where: str
) -> tuple[str, ...] | None:
    """The names that the first row holds; None where it holds values."""
    first = [field.strip() for field in rows[0]]
    if asked is False or not (asked or _is_header(first, rows[1:])):
        return None
    if len(first) < width:
        if len(first) == width - 1 and not any(row[-1].strip() for row in rows[1:] if len(row) == width):
            first = [*first, ""]  # every row but this ends with a separator
        elif len(first) == width - 1 and separator in "\t ":
            first = ["", *first]  # R has no name for row names
        else:
            raise DataError(
                f"{where}: the first line has {len(first)} fields, but most rows have {width}; "
                "correct it, or say header = false in [data]"
            )
    return tuple(name or f"Unnamed: {i}" for i, name in enumerate(first))


def _above(comments: Sequence[str], separator: str, width: int) -> tuple[str, ...] | None:
    """The names that the last comment holds, as NumPy writes them; None where it holds none."""
    last = next((line for line in reversed(comments) if line.startswith("#")), "")
    rows, _ = _rows([last.lstrip("# ")], separator)
    names = [name.strip() for name in rows[0]] if rows else []
    is_header = len(names) == width and not any(_NUMBER.fullmatch(name) for name in names)
    return tuple(names) if is_header else None


def _is_header(first: Row, body: Sequence[Row]) -> bool:
    """Whether the first row holds names and not values like those below it."""
    numbers = [name for name in first if _NUMBER.fullmatch(name)]
    if not body:
        return len(numbers) < len(first)
    words = []
    for i, name in enumerate(first):
        below = [value for row in body if i < len(row) and (value := row[i].strip())]
        is_numeric = 2 * sum(1 for value in below if _NUMBER.fullmatch(value)) > len(below)
        if not _NUMBER.fullmatch(name):
            if name and is_numeric:
                return True
            words.append(not name or name in below)
        elif is_numeric and _VALUE.match(name):
            return False
    if len(numbers) > 1 and not _is_even(numbers):
        return False
    return not all(words) if words else len(numbers) > 2


def _is_even(numbers: Sequence[str]) -> bool:
    """Whether numbers may be the names of columns: 0, 1, 2 or 2010, 2015, 2020."""
    if not all(number.isdigit() for number in numbers):
        return False
    steps = {int(b) - int(a) for a, b in pairwise(numbers)}
    return len(steps) == 1 and steps != {0}
