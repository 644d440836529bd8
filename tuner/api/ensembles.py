"""Ensembles: the mean of a study's best kept models, and what it gains on the rows that chose them.

Called by `workbench.export`. The locked test rows are never looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tuner.api.rowwise import score_of
from tuner.artifacts import MEMBERS
from tuner.artifacts import copy as copy_model
from tuner.core import words
from tuner.errors import TunerError, first_line
from tuner.judging.measures import of_losses
from tuner.results import Study, TrialView
from tuner.trainers import ensemble, load_model
from tuner.trainers.model import member_folders


def copy_members(trials: Sequence[TrialView], target: Path) -> None:
    """Copy the models of several trials into one folder, which `load_model` reads as their mean."""
    copy_model(trials[0].folder, target)
    count = len(member_folders(target))
    for trial in trials[1:]:
        for place in member_folders(trial.folder):
            (target / MEMBERS).mkdir(exist_ok=True)
            copy_model(place, target / MEMBERS / str(count))
            shutil.rmtree(target / MEMBERS / str(count) / MEMBERS, ignore_errors=True)
            count += 1


def gained(
    study: Study, trials: Sequence[TrialView], rows: Callable[[], tuple[Any, NDArray[Any]]]
) -> tuple[str, ...]:
    """What the mean of several trials' models gains over that of the first one, in sentences.

    `rows` gives raw validation rows, and the truth of each.
    """
    numbers = words.listed([str(trial.number) for trial in trials])
    named = f"The mean of the {len(trials)} best models that the study has kept, of trials {numbers}."
    data = study.spec.data
    if data is None or data.reshuffle or (data.folds or 1) > 1:
        why = "each trial had validation rows of its own" if data is not None else "the study has no [data]"
        return named, f"What the mean gains was not measured: {why}."
    try:
        x, truth = rows()
        models = [load_model(trials[0].folder), ensemble([trial.folder for trial in trials])]
        losses = of_losses([model.losses(x, truth) for model in models]).values
        classes = models[0].description["context"]["classes"]
        positive = (data.positive or classes[1]) if len(classes) == 2 else None
        scores = score_of(study.spec, models, x, truth, positive).values
    except TunerError as error:
        return named, f"What the mean gains was not measured: {first_line(error)}."
    name = study.spec.trainer.score_name or "score"
    each = [(what, [words.number(v) for v in two]) for what, two in (("loss", losses), (name, scores))]
    told = ", ".join(f"{what} {mean} instead of {alone}" for what, (alone, mean) in each)
    return (
        named,
        f"On the {len(truth)} validation rows: {told} of trial {trials[0].number} alone. The same rows chose "
        "the models, so on others it may gain less; the locked test was not opened for it.",
    )
