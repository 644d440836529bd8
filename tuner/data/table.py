"""CSV and Parquet files, read into data frames.

Leaves every CSV value as the text it was, so that no row changes how another one is read.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import pandas as pd
from pandas.errors import EmptyDataError, ParserError, ParserWarning

from tuner.errors import DataError

DELIMITERS = ",;\t"
_SNIFFED_LINES = 50


def read_csv(path: Path, where: str) -> tuple[pd.DataFrame, str]:
    """Read a CSV file with a header; values stay text, or NaN where they are empty.

    Fields are separated by comma, semicolon or tab, whichever divides the first lines evenly into
    the most fields.

    Returns:
        The rows, and the decimal mark that goes with the separator: a comma where that is the semicolon.

    Raises:
        DataError: not UTF-8 text, not CSV, no header, or no rows.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = [line for _, line in zip(range(_SNIFFED_LINES), file, strict=False)]
        delimiter = _delimiter(head)
        header = next(
            (row for row in csv.reader(head, delimiter=delimiter, skipinitialspace=True) if row), []
        )
        _check_header(header, where)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ParserWarning)
            frame = pd.read_csv(
                path, sep=delimiter, dtype=str, keep_default_na=False, na_values=[""], skipinitialspace=True,
                index_col=False, encoding="utf-8-sig",
            )  # fmt: skip
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (ParserError, EmptyDataError, ParserWarning, csv.Error) as error:
        told = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise DataError(
            f"{where}: is not a CSV file with equally long rows: {told}; correct the file"
        ) from error
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}") from error
    frame.columns = pd.Index([name.strip() or f"Unnamed: {i}" for i, name in enumerate(header)])
    return frame, "," if delimiter == ";" else "."


def read_parquet(path: Path, where: str) -> pd.DataFrame:
    """Read a Parquet file.

    Raises:
        DataError: it is none.
    """
    try:
        return pd.read_parquet(path).reset_index(drop=True)
    except (OSError, ValueError) as error:
        told = " ".join(str(error).split())
        raise DataError(
            f"{where}: is not a Parquet file: {told}; give a .parquet, .csv or .npz file"
        ) from error


def _delimiter(head: list[str]) -> str:
    def fields(delimiter: str) -> int:
        # The last line may be cut inside a quoted field.
        lengths = {len(row) for row in list(csv.reader(head, delimiter=delimiter))[:-1] or [head] if row}
        return lengths.pop() if len(lengths) == 1 and lengths != {1} else 0

    def in_header(delimiter: str) -> int:
        return len(next(csv.reader(head[:1], delimiter=delimiter), []))

    return max(DELIMITERS, key=lambda delimiter: (fields(delimiter), in_header(delimiter)))


def _check_header(header: list[str], where: str) -> None:
    if not header:
        raise DataError(f"{where}: is empty; give a CSV file with a header and rows")
    if all(_is_number(name) for name in header):
        raise DataError(
            f"{where}: the first line holds numbers ({', '.join(header[:3])}), not column names; add a header"
        )


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
