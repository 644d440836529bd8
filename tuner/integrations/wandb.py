"""Weights & Biases: a project for the study, and in it a run for each trial."""

from __future__ import annotations

from typing import Any

import wandb

from tuner.core.trial import Trial, TrialRecord, TrialState
from tuner.integrations.runs import RunPerTrial


class WandB(RunPerTrial):
    """A `Tracker`; options go to ``wandb.init`` as they are, such as ``mode = "offline"``."""

    def __init__(self, study: str, identity: str, **options: Any) -> None:
        super().__init__()
        quiet = wandb.Settings(silent=True, console="off")
        self._options = {"project": study, "group": study, "settings": quiet, **options}
        self._identity = identity[:10]

    def open(self, trial: Trial) -> Any:
        """Begin a run beside those that are open, or go on with the one of this trial."""
        return wandb.init(
            id=f"{self._identity}-{trial.number}",
            name=f"trial {trial.number}",
            config=dict(trial.params),
            reinit="create_new",
            resume="allow",
            **self._options,
        )

    def last_step(self, run: Any) -> int:
        """W&B counts the steps that it would take next."""
        return int(run.step) - 1

    def finish(self, run: Any, record: TrialRecord | None) -> None:
        """Close a run with its trial's value; one that failed is marked so."""
        if record is not None:
            told = {"state": record.state.value, "reason": record.reason, "value": record.value}
            run.summary.update(told)
        run.finish(exit_code=int(record is not None and record.state is TrialState.FAILED))
