"""`[data]` of a study file: where rows come from, how they are read and divided."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tuner.core.column_spec import DATE_FORMAT, DECIMAL, THOUSANDS, ColumnSpec, check_marks
from tuner.core.space.parameters import Scalar, Section
from tuner.errors import near

MEMORY = "memory"
"""`[data] source` of arrays that were passed from Python."""


SEPARATORS: Mapping[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
"""Names that `[data] separator` may have; any other single character stands for itself."""


class DataSpec(Section):
    """`[data]`: what is learned from."""

    source: str = Field(
        description="sklearn:<set> | file.csv | file.parquet | file.npz | what a plugin reads | "
        "package.module:function | ./file.py:function"
    )
    target: str | tuple[str, ...] | None = Field(
        None,
        description="the column to predict (CSV and Parquet), or several: all of numbers, or of two values "
        "each (multi-label classification)",
    )
    separator: str | None = Field(
        None,
        description="what stands between the fields of a CSV file: one character, or comma | semicolon | "
        "tab | pipe | space (any run of blanks); seen from the file where it is left out",
    )
    encoding: str | None = Field(
        None, description="of a CSV file, as Python names it: utf-8 | cp1252 | ...; seen from the file"
    )
    header: bool | None = Field(
        None, description="whether a CSV file's first line holds names; seen from the file"
    )
    positive: str | None = Field(
        None,
        description="of two classes, the one that f1, precision, recall and average_precision are of; "
        "the rarer one where it is left out",
    )
    task: Literal["classification", "regression"] | None = Field(
        None, description="what is predicted; seen from the target where it is left out"
    )
    validation: float = Field(0.2, gt=0, lt=1, description="share of the rows that judges trials")
    test: float = Field(0.2, ge=0, lt=1, description="share of the rows that no search reads")
    split: Literal["random", "group", "time"] = Field(
        "random", description="random (stratified for classes), by group, or in order of time"
    )
    folds: int | None = Field(
        None,
        ge=2,
        le=20,
        description="cross-validation: every trial trains on so many folds of the rows that are not locked, "
        "and the mean counts; instead of one validation split",
    )
    reshuffle: bool = Field(
        False, description="draw another validation split for every trial, so that none is lucky twice"
    )
    group: str | None = Field(None, description="the column whose values stay in one split (split = group)")
    time: str | None = Field(None, description="the column that orders the rows (split = time)")
    weight: str | None = Field(
        None,
        description="the column that says what a row counts, in training and in every loss and shipped "
        "score; numbers from 0 up, of which only the ratios matter",
    )
    drop: tuple[str, ...] = Field((), description="columns that are left out")
    decimal: Literal[".", ","] | None = Field(None, description=DECIMAL)
    thousands: str | None = Field(None, max_length=1, description=THOUSANDS)
    missing: tuple[Scalar, ...] = Field(
        (), description="what stands for a missing value beside the usual words: -999, k.A., ..."
    )
    date_format: str | None = Field(None, description=DATE_FORMAT)
    columns: dict[str, ColumnSpec] = Field(
        {}, description="how single columns are read: tables [data.columns.<name>]"
    )
    scaling: Literal["none", "standard", "min-max", "quantile"] = Field(
        "standard",
        description="scaling of the inputs, fitted on the training split; quantile: by rank to a normal "
        "distribution, for columns with outliers and heavy tails",
    )
    target_scaling: Literal["none", "standard", "log"] = Field(
        "standard",
        description="scaling of a regression target, fitted on the training split; log: its logarithm is "
        "taken first, for targets above 0 of very different sizes. Scores are in the target's own units",
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the split")

    @property
    def dropped(self) -> frozenset[str]:
        """The columns that are left out, whichever key says so."""
        return frozenset(self.drop) | {name for name, own in self.columns.items() if own.kind == "drop"}

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict; none where the targets come with the data."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.target is not None and len(set(self.targets)) < max(1, len(self.targets)):
            raise ValueError(f"target: give different columns, found {', '.join(self.targets) or 'none'}")
        if self.separator is not None and self.separator not in SEPARATORS and len(self.separator) != 1:
            raise ValueError(
                f"separator: {self.separator!r} is not one character; {near(self.separator, SEPARATORS)}"
            )
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise ValueError(
                    f"encoding: unknown name {self.encoding!r}; give one that Python knows, such as cp1252"
                ) from None
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation ({self.validation:g}) and test ({self.test:g}) leave nothing to train on; "
                "their sum must be below 1"
            )
        check_marks(self.decimal, self.thousands, self.date_format)
        if self.split == "group" and self.group is None:
            raise ValueError('split = "group" needs group = "<column>"')
        if self.split == "time" and self.time is None:
            raise ValueError('split = "time" needs time = "<column>"')
        if self.reshuffle and self.split == "time":
            raise ValueError('reshuffle: there is one order of time; use split = "random" or "group"')
        if self.reshuffle and self.folds is not None:
            raise ValueError("reshuffle: folds already judge every trial on all rows; leave one of them out")
        return self
