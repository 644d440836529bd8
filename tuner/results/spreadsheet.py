"""Tables as CSV that a spreadsheet opens without running formulas.

Spreadsheets recognize a formula by the cell's first character (OWASP, "CSV Injection"). Such a text gets an
apostrophe before it, which they show as text; numbers stay as they are, also those that are stored as text.
A program that reads the file removes the apostrophe: ``text.removeprefix("'")``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv(table: pd.DataFrame) -> str:
    """A table as CSV without its index."""
    columns = {name: table[name] for name in table.columns}
    texts = {
        name: column.map(harmless) for name, column in columns.items() if column.dtype.kind not in "biuf"
    }
    return str(table.assign(**texts).rename(columns=harmless).to_csv(index=False, lineterminator="\n"))


def harmless(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if not isinstance(cell, str) or not cell.startswith(_STARTS):
        return cell
    with suppress(ValueError):
        float(cell)
        return cell
    return f"'{cell}"
