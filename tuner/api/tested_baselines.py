"""The baselines of a confirmation on the locked test rows, measured as the trials are; see `confirming`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.judging import Measure, TestedBaseline
from tuner.trainers.baseline_messages import Answers, Trained
from tuner.trainers.model import Model

Measures = Callable[[Sequence[Model]], tuple[Measure, Measure]]
"""The loss and the score of models on the test rows."""


@dataclass(frozen=True)
class AnsweredModel:
    """What a model of another process has said of the test rows, as a `Model` that knows no others."""

    answers: Answers
    module: Any = None
    predicts: bool = True
    size_bytes: int = 0

    @property
    def description(self) -> Any:
        """Of the model."""
        return self.answers.description

    def predict(self, rows: Any) -> NDArray[Any]:  # noqa: ARG002
        """See `Model`."""
        return self.answers.predicted

    def losses(self, rows: Any, truth: NDArray[Any]) -> NDArray[np.float64]:  # noqa: ARG002
        """See `Model`."""
        return self.answers.losses

    def probabilities(self, rows: Any) -> NDArray[np.float32] | None:  # noqa: ARG002
        """The probability of each class."""
        return self.answers.probabilities


def tested_baselines(
    found: Sequence[Trained], mine: Sequence[Model], measures: Measures, *, score_falls: bool
) -> Iterator[TestedBaseline]:
    """Each baseline, and by how much the recommended configuration is better than it.

    Args:
        found: what the baselines say of the test rows.
        mine: the models of the recommended configuration, in the order of the repeats.
        measures: measures models on the test rows.
        score_falls: whether less of the score is better.
    """
    both = measures(mine)
    for each in found:
        blank, models = each.blank, [AnsweredModel(answers) for answers in each.answers]
        if not models:
            yield TestedBaseline(blank.kind, blank.says, left_out=blank.left_out)
            continue
        own = measures(models)
        # Where it was trained for fewer repeats, or all of them share their rows, the same ones serve again.
        beside = measures([models[repeat % len(models)] for repeat in range(len(mine))])
        known = [bool(np.isfinite(measure.sums).all()) for measure in own]
        loss, score = (each.interval() if it else None for each, it in zip(own, known, strict=True))
        loss_gain, score_gain = (
            one.gain(other, falling=falling) if it else None
            for one, other, falling, it in zip(both, beside, (True, score_falls), known, strict=True)
        )
        yield TestedBaseline(blank.kind, blank.says, len(models), loss, score, loss_gain, score_gain)
