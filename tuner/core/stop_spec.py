"""StopSpec: `[stop]` of a study file."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, model_validator

from tuner.core.space.parameters import Section

_BYTES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_AMOUNT = re.compile(rf"\s*(\d+(?:\.\d+)?)\s*({'|'.join(_BYTES)})\s*", re.IGNORECASE)


def amount(text: str) -> int | None:
    """Bytes that a text such as ``"4 GiB"`` names; None where it names none."""
    found = _AMOUNT.fullmatch(text)
    return None if found is None else int(float(found[1]) * _BYTES[found[2].lower()])


class StopSpec(Section):
    """`[stop]`: when a single trial ends early."""

    patience: int | None = Field(None, ge=1, description="epochs without a better value")
    min_delta: float = Field(0.0, ge=0, description="patience: less than this is not better")
    gap: float | None = Field(None, gt=0, description="stop when val_loss - train_loss exceeds it")
    overfit: int | None = Field(
        None, ge=1, description="stop so many epochs after validation turned while training still falls"
    )
    seconds: float | None = Field(None, gt=0, description="seconds of training per trial")
    epoch_seconds: float | None = Field(
        None, gt=0, description="a worker process whose trials take longer than this for an epoch is ended"
    )
    memory: str | None = Field(
        None,
        description='most memory of a trial\'s worker process, e.g. "4 GiB"; watched twice a second',
    )
    silence: float | None = Field(
        None, gt=0, description="seconds without a reading and without any output, after which a trial ends"
    )
    explosion: float = Field(
        1e3,
        gt=1,
        description="stop when a loss exceeds so many times the first one; "
        "none that starts below 0.001 or was ever negative",
    )
    rules: tuple[str, ...] = Field((), description="rules of your own: package.module:attr | ./file.py:attr")
    max_failures: int = Field(20, ge=1, description="failed trials that end the study")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.memory is not None and amount(self.memory) is None:
            raise ValueError(f'memory: {self.memory!r} is no amount; give e.g. "4 GiB" or "500 MB"')
        return self

    @property
    def memory_bytes(self) -> int | None:
        """`memory` as a number."""
        return amount(self.memory or "")
