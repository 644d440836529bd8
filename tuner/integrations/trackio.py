"""Trackio: a project for the study, and in it a run for each trial."""

from __future__ import annotations

from contextvars import Context
from typing import Any

import trackio
from trackio import context_vars

from tuner.core.trial import Trial
from tuner.integrations.runs import RunPerTrial


class Trackio(RunPerTrial):
    """A `Tracker`; options go to ``trackio.init`` as they are, such as ``space_id``."""

    def __init__(self, study: str, identity: str, **options: Any) -> None:
        super().__init__()
        self._options = {"project": study, "group": study, "embed": False, "auto_log_cpu": False, **options}
        self._identity = identity[:6]

    def open(self, trial: Trial) -> Any:
        """Begin a run, or go on with it, in a context of its own: else `init` would close the last one."""
        return Context().run(self._init, trial)

    def last_step(self, run: Any) -> int:
        """The steps of earlier sessions, and of this one."""
        return int(run._next_step) - 1

    def _init(self, trial: Trial) -> Any:
        context_vars.current_project.set(self._options["project"])  # else `init` prints
        name, config = f"trial {trial.number} ({self._identity})", dict(trial.params)
        return trackio.init(name=name, config=config, resume="allow", **self._options)
