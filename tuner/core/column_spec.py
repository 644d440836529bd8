"""ColumnSpec: what a study says of one column of a table, `[data.columns.NAME]`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, StrictFloat, StrictInt, model_validator

from tuner.core.space.parameters import Scalar, Section

KINDS = ("number", "category", "text", "date", "boolean", "ordinal", "tokens", "image", "drop")
"""What a column may be said to be."""

DECIMAL = "the decimal mark of numbers that are written as text; seen from the column where it is left out"
THOUSANDS = "the mark between thousands: . or , or a blank or an apostrophe; seen from the column as well"
DATE_FORMAT = "how dates are written, as %d/%m/%Y; seen from the column where it is left out"


def check_marks(decimal: str | None, thousands: str | None, date_format: str | None) -> None:
    """Check what both `[data]` and a column may say.

    Raises:
        ValueError: the marks are one, or the format is none.
    """
    if decimal is not None and decimal == thousands:
        raise ValueError(f"decimal and thousands are both '{decimal}'; give two different marks")
    try:
        datetime.strptime("", date_format or "%Y")
    except ValueError as error:
        if "does not match" not in str(error):
            raise ValueError(f"date_format: {error}; give one such as %d/%m/%Y") from None


class ColumnSpec(Section):
    """`[data.columns.NAME]`: how one column is read; what is left out is seen from its training rows."""

    kind: (
        Literal["number", "category", "text", "date", "boolean", "ordinal", "tokens", "image", "drop"] | None
    ) = Field(
        None,
        description="what the column holds; drop leaves it out. tokens (texts) and image (names of files) "
        "become inputs of their own beside the table of the other columns",
    )
    order: tuple[Scalar, ...] = Field(
        (), description="its values in ascending order, for kind = ordinal: 1, 2, ... takes their place"
    )
    missing: tuple[Scalar, ...] | None = Field(
        None,
        description="what stands for a missing value in it, instead of the usual words and those of "
        "[data] missing; []: only what is empty",
    )
    fill: Literal["median", "mean", "most frequent"] | StrictFloat | StrictInt | None = Field(
        None, description="what missing numbers become: median | mean | most frequent | a number"
    )
    decimal: Literal[".", ","] | None = Field(None, description=DECIMAL)
    thousands: str | None = Field(None, max_length=1, description=THOUSANDS)
    date_format: str | None = Field(None, description=DATE_FORMAT)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind == "ordinal") != bool(self.order):
            raise ValueError('kind = "ordinal" and order = ["<lowest>", ..., "<highest>"] need each other')
        if len(set(map(str, self.order))) != len(self.order):
            raise ValueError("order: a value stands twice; give each once")
        check_marks(self.decimal, self.thousands, self.date_format)
        return self
