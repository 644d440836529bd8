"""LockedTest: the opened test split of a study, and what is measured on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.api.baseline_run import BaselineRun
from tuner.api.probabilities import by_threshold, calibration, shares_of
from tuner.api.rowwise import score_of
from tuner.core.spec import StudySpec
from tuner.core.trial import TrialRecord
from tuner.errors import TrialError
from tuner.judging.compressed import NonInferiority
from tuner.judging.confirmation import Tested, TestedBaseline
from tuner.judging.measures import Measure, of_losses
from tuner.judging.overtuning import Overtuning, Step, overtuning
from tuner.trainers import load_members, load_model
from tuner.trainers.averaged import AveragedModel
from tuner.trainers.baseline_messages import Answers, Trained
from tuner.trainers.model import Model


@dataclass(frozen=True)
class AnsweredModel:
    """What a model has said of the test rows, maybe in another process, as a `Model` that knows no others."""

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


@dataclass(frozen=True)
class LockedTest:
    """The opened test split, and what is measured on it.

    Attributes:
        rows: what `data.locked` gave of it; it is imported where it is opened, and nowhere else.
        positive: the class that some scores are of.
        by_score: whether the study's objective is a score.
        score: the name of the score.
    """

    rows: Any
    spec: StudySpec
    positive: str | None
    by_score: bool
    score: str = ""

    def tested(self, mine: Mapping[int, Path], default: Mapping[int, Path], same: bool) -> Tested:
        """The recommended configuration's models, the default's, and the difference, repeat by repeat."""
        paired = [repeat for repeat in mine if repeat in default]
        models = {repeat: load_model(path) for repeat, path in mine.items()}
        loss, score = self.measures(list(models.values()))
        found = Tested(len(self.rows), loss.interval(), score.interval())
        each, rows = list(models.values()), self.rows
        if (shares := shares_of(each, rows.x)) is not None:
            found = replace(
                found,
                calibration=calibration(shares, rows.y, rows.weight),
                threshold=by_threshold(self.spec, each, shares, rows.y, rows.weight),
            )
        if same:
            return replace(found, default_loss=found.loss, default_score=found.score)
        if len(paired) < 2:
            return found
        before, score_before = self.measures([load_model(default[repeat]) for repeat in paired])
        if len(paired) < len(mine):
            loss, score = self.measures([models[repeat] for repeat in paired])
        return replace(
            found,
            default_loss=before.interval(),
            default_score=score_before.interval(),
            loss_gain=loss.gain(before, falling=True),
            score_gain=score.gain(score_before, falling=self.spec.trainer.score_falls),
        )

    def not_worse(
        self, kept: Model, teacher: Model, margins: Mapping[str, float]
    ) -> tuple[NonInferiority, ...]:
        """The kept model beside the one that it was made from, by each margin that was stated."""
        (loss, score), (loss_before, score_before) = self.measures([kept]), self.measures([teacher])
        gains = {
            "loss": ("loss", loss.gain(loss_before, falling=True)),
            "score": (self.score, score.gain(score_before, falling=self.spec.trainer.score_falls)),
        }
        return tuple(
            NonInferiority(gains[key][0], most, gains[key][1], len(self.rows))
            for key, most in margins.items()
        )

    def answered(self, model: AveragedModel) -> AnsweredModel:
        """A model that has been asked once for what it says of the rows."""
        x, y, shares = self.rows.x, self.rows.y, None
        with suppress(TrialError):  # of what has no probabilities
            shares = model.probabilities(x)
        return AnsweredModel(Answers(model.losses(x, y), model.predict(x), shares, model.description))

    def of_kept(self, test: Tested, model: AnsweredModel) -> Tested:
        """The test with what the mean of the recommended configuration's models has reached."""
        loss, score = self.measures([model])
        shares = model.answers.probabilities
        off = test.calibration
        if off is not None and shares is not None:
            told = [(list(model.description["context"]["classes"]), shares)]
            off = calibration(told, self.rows.y, self.rows.weight)
        return replace(test, kept_loss=loss.interval(), kept_score=score.interval(), calibration=off)

    def baselines(self, baselines: BaselineRun, mine: Sequence[Model]) -> tuple[TestedBaseline, ...]:
        """The baselines on the same rows, beside what is kept of the recommended configuration."""
        return tuple(self._beside(baselines.judged(self.rows.x, self.rows.y), mine))

    def _beside(self, found: Sequence[Trained], mine: Sequence[Model]) -> Iterator[TestedBaseline]:
        both, falls = self.measures(mine), (True, self.spec.trainer.score_falls)
        for each in found:
            blank, models = each.blank, [AnsweredModel(answers) for answers in each.answers]
            if not models:
                yield TestedBaseline(blank.kind, blank.says, left_out=blank.left_out)
                continue
            own = self.measures(models)
            # Where it was trained for fewer repeats, or all share their rows, the same ones serve again.
            beside = self.measures([models[repeat % len(models)] for repeat in range(len(mine))])
            known = [bool(np.isfinite(measure.sums).all()) for measure in own]
            loss, score = (each.interval() if it else None for each, it in zip(own, known, strict=True))
            loss_gain, score_gain = (
                one.gain(other, falling=less) if it else None
                for one, other, less, it in zip(both, beside, falls, known, strict=True)
            )
            yield TestedBaseline(blank.kind, blank.says, len(models), loss, score, loss_gain, score_gain)

    def along(self, path: Sequence[tuple[TrialRecord, Path]], minimize: bool) -> Overtuning | None:
        """Validation against test along the incumbents' path."""
        if not path:
            return None
        models = [load_members(place) for _, place in path]
        steps = []
        for (record, _), members in zip(path, models, strict=True):
            loss, score = self.measures(members)
            test = float((score if self.by_score else loss).values.mean())
            steps.append(Step(record.number, float(record.value or 0.0), test))
        return overtuning(steps, minimize=minimize)

    def measures(self, models: Sequence[Model]) -> tuple[Measure, Measure]:
        """Loss and score; rows of a class that a model never met are errors, see `Model.losses`."""
        x, y = self.rows.x, self.rows.y
        losses = of_losses([model.losses(x, y) for model in models]).weighed(self.rows.weight)
        return losses, score_of(self.spec, models, x, y, self.positive, self.rows.weight)
