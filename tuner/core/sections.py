"""The smaller sections of a study file: `[stop]`, `[confirm]`, `[notify]`, and `resources` of `[trainer]`."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

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


class ConfirmSpec(Section):
    """`[confirm]`: the best few are trained again, and the locked test split is opened once."""

    auto: bool = Field(
        True,
        description="confirm when `tune start` has finished, unless the budget is one of seconds or that "
        "would train for longer than the search did and than a minute; else by `tune confirm`",
    )
    top: int = Field(5, ge=1, le=50, description="how many of the best trials are trained again")
    repeats: int = Field(10, ge=3, le=100, description="how often each of them, with seeds of its own")
    lose_at_most: dict[Literal["score", "loss"], Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        {},
        description="beside [trainer] teacher: by how much the kept model may be worse than the teacher on "
        "the locked rows and still be called not worse, e.g. score = 0.005; then the smallest candidate that "
        "keeps every constraint is taken",
    )
    average: bool = Field(
        False,
        description="keep the models of all trainings of the recommended one, and let their mean predict, "
        "which is seldom worse than one of them, and as many times larger; else the first one is kept",
    )


Occasion = Literal["end", "failure", "best"]
"""A study has ended, in whatever way; one of its trials has failed; a trial is the best one so far."""


class NotifySpec(Section):
    """`[notify]`: what is told, and to whom; nobody where neither `url` nor `command` is given."""

    url: str | None = Field(
        None,
        pattern="^https?://",
        description='gets a POST of {"text": ..., "event": ..., "study": ..., "trial": ..., "value": ...}, '
        "as the webhooks of Slack and Mattermost take it",
    )
    command: str | None = Field(
        None, min_length=1, description='is run with the text as one more argument, e.g. "notify-send tuner"'
    )
    on: tuple[Occasion, ...] = Field(("end",), description="end | failure | best")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.on != ("end",) and self.url is None and self.command is None:
            raise ValueError("on: nobody is told; give url or command")
        return self


class ResourceSpec(Section):
    """`[trainer] resources`: what each worker gets."""

    gpus: float = Field(0.0, ge=0, description="GPUs; 0.25: four workers share one")
    cpus: int | None = Field(None, ge=1, description="processor cores, and so many threads")
    memory: str | None = Field(
        None, description='memory that is set aside, e.g. "8 GiB"; [stop] memory ends a trial that takes more'
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.memory is not None and amount(self.memory) is None:
            raise ValueError(f'memory: {self.memory!r} is no amount; give e.g. "8 GiB" or "500 MB"')
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus: {self.gpus:g} is neither a share of one GPU nor a whole number of them")
        return self

    @property
    def workers_of_gpu(self) -> int:
        """How many workers share a GPU: 1 where they have whole ones, or none is named."""
        # A little more, since 1 / (1 / 49) is less than 49.
        return int(1 / self.gpus + 1e-9) if 0 < self.gpus < 1 else 1

    @property
    def memory_bytes(self) -> int:
        """`memory` as a number; 0 where none is set aside."""
        return amount(self.memory or "") or 0
