"""NotifySpec: `[notify]`, who is told how a study goes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tuner.core.space.parameters import Section

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
