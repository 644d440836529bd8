"""What the process of the baselines and its parent tell each other; imports nothing that takes long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.baseline import Baseline
from tuner.core.job import Job


@dataclass(frozen=True, slots=True)
class Order:
    """What the process is to train.

    Attributes:
        job: the study, or a confirmation's repeats.
        kinds: which baselines.
        repeats: of a confirmation; 0: they are judged on what trials are judged on.
    """

    job: Job
    kinds: tuple[str, ...]
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Fitted:
    """All baselines of a confirmation are trained."""


@dataclass(frozen=True, slots=True)
class Unlocked:
    """Raw rows to be judged on, and their truth."""

    x: Any
    y: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of rows, judged by a study's loss.

    Attributes:
        losses: of each row, (n,); `nan` where a study's loss is not known of it.
        predicted: (n,) names of classes, or (n,) or (n, T) targets in their own units.
        probabilities: of classes, (n, C).
        description: what `Model.description` says.
    """

    losses: NDArray[np.float64]
    predicted: NDArray[Any]
    probabilities: NDArray[np.float32] | None
    description: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trained:
    """A baseline of a confirmation, on the rows that it was given.

    Attributes:
        blank: what it is, and why it was left out.
        answers: of each training.
    """

    blank: Baseline
    answers: tuple[Answers, ...]
