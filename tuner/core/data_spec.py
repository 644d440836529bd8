"""`[data]` of a study file: where rows come from, how they are read and divided."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any, Literal, Self

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
        description="sklearn:<set> | file.csv | file.parquet | file.npz | pictures/ (a folder each class) "
        "| what a plugin reads | "
        "package.module:function | ./file.py:function"
    )
    target: str | tuple[str, ...] | None = Field(
        None,
        description="the column to predict (CSV and Parquet), or several: all of numbers, or of two values "
        "each (multi-label classification)",
    )
    kind: Literal["table", "image", "tokens", "series"] | None = Field(
        None,
        description="what the inputs of a row are: columns of a table, an image, tokens (whole numbers for "
        "words), or a series of numbers; seen from the data where it is left out",
    )
    text: str | None = Field(
        None,
        description="the column of texts that is learned from, alone: its tokens in their order; beside "
        'other columns [data.columns.<name>] kind = "tokens"',
    )
    tokens: Literal["words", "characters"] = Field("words", description="what a text is split into")
    vocabulary: int = Field(
        20_000, ge=1, description="most different tokens to know of texts: the commonest in training"
    )
    length: int | None = Field(
        None,
        ge=1,
        description="most tokens of a text (its first ones), or steps of a series (its last ones); seen from "
        "the training rows where it is left out",
    )
    sequence: str | None = Field(
        None,
        description="the column whose values say which rows are the steps of one sequence; what is predicted "
        "is the target of its last step",
    )
    order: str | None = Field(
        None, description="the column that orders the steps of a sequence; `time` where it is left out"
    )
    window: int | None = Field(
        None,
        ge=1,
        description="so many rows, one after the other in order of `time`, are a series to predict a later "
        "target from; of each `sequence` by itself",
    )
    horizon: int = Field(1, ge=1, description="how many steps behind a window its target is")
    gap: int = Field(
        0,
        ge=0,
        description="so many steps lie unused between the last target of a split and the next one's windows; "
        "at 0, too, they share none",
    )
    image: str | None = Field(
        None,
        description="the column of file names of pictures that is learned from, alone, seen from the table; "
        'beside other columns [data.columns.<name>] kind = "image"',
    )
    size: int | None = Field(
        None,
        ge=1,
        description="pixels of each side that pictures in files are resized to; 32 where it is left out, or "
        "their own size where all have one of up to 64",
    )
    channels: Literal[1, 3] | None = Field(
        None, description="1: pictures in files become grey, 3: colours; seen from the files"
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
    def aside(self) -> dict[str, str]:
        """The kinds of the columns that are inputs of their own beside the others."""
        return {name: own.kind for name, own in self.columns.items() if own.kind in ("tokens", "image")}

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict; none where the targets come with the data."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @property
    def of_sequences(self) -> bool:
        """Whether rows of the table are steps of sequences."""
        return self.sequence is not None or self.window is not None

    @model_validator(mode="before")
    @classmethod
    def _in_order(cls, table: Any) -> Any:
        """Windows are divided in order of time where nothing else is said."""
        if isinstance(table, Mapping) and table.get("window") is not None and "split" not in table:
            return {**table, "split": "time"}
        return table

    def _check_sequences(self) -> None:
        if self.of_sequences and (self.text is not None or self.kind not in (None, "series")):
            raise ValueError("sequence and window: their inputs are series; leave text and kind out")
        if self.window is None:
            for key, usual in (("horizon", 1), ("gap", 0)):
                if getattr(self, key) != usual:
                    raise ValueError(f"{key}: is of windows; give window = <steps>, too")
            if self.order is not None and self.sequence is None:
                raise ValueError('order: orders the steps of a sequence; give sequence = "<column>", too')
            return
        if self.time is None or self.order is not None:
            raise ValueError('window: moves in order of time; give time = "<column>", and leave order out')
        if self.split == "random":
            raise ValueError('window: windows share rows, so they are divided by split = "time" or "group"')
        if self.length is not None:
            raise ValueError("length: every window has as many steps as window says; leave length out")
        if self.target is None:
            raise ValueError("target: name the column to predict, whose past is in the windows, too")

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
        if self.text is not None and self.kind not in (None, "tokens"):
            raise ValueError(
                f'text: its inputs are tokens, found kind = "{self.kind}"; leave one of them out'
            )
        self._check_sequences()
        if self.image is not None and (self.text or self.of_sequences or self.kind not in (None, "image")):
            raise ValueError(
                "image: its inputs are pictures alone; leave text, sequence, window and kind out"
            )
        if wrong := [name for name in self.targets if name in self.aside]:
            raise ValueError(f"columns.{wrong[0]}: a target is neither tokens nor an image; leave kind out")
        for key in ("text", "image", "sequence", "window", "kind"):
            if self.aside and getattr(self, key) is not None:
                name, kind = next(iter(self.aside.items()))
                raise ValueError(
                    f'{key}: says what is learned from alone, and columns.{name} kind = "{kind}" what stands '
                    "beside others; leave one of them out"
                )
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
