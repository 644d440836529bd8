"""ConfirmSpec: `[confirm]` of a study file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuner.core.space.parameters import Section


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
