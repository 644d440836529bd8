"""Requests: what somebody asks of a study while it runs, or before it is resumed; its driver answers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class RequestKind(StrEnum):
    """What is asked for.

    TRY: train the configuration in `content`, parameters by name. END: end the trial ``{"trial": number}``.
    STOP: end the study as Ctrl-C does. RAISE: go on with the limits of `[budget]` in `content`.
    """

    TRY = "try"
    END = "end"
    STOP = "stop"
    RAISE = "raise"


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that is asked for.

    Attributes:
        id: the store's; unique among those of one `is_optunas`.
        content: see `RequestKind`; as JSON has it.
        is_optunas: whether it is a trial that plain Optuna has enqueued.
    """

    id: int
    kind: RequestKind
    content: Mapping[str, Any] = field(default_factory=dict, compare=False)
    is_optunas: bool = False
