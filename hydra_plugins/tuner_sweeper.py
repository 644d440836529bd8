"""TunerSweeper: Hydra's multirun as a study, ``python app.py -m hydra/sweeper=tuner lr='interval(0,1)'``.

Hydra imports this file whenever an app starts, also for each trial, so tuner is imported only by who needs
it. A trial is a command: the app itself, run once, in a process of its own.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Transformer
from hydra.core.utils import JobStatus
from hydra.errors import CompactHydraException
from hydra.experimental.callback import Callback
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf

_LOG = logging.getLogger(__name__)

_NOT_OF_JOBS = ("hydra/sweeper", "hydra.sweeper", "hydra/launcher", "hydra.launcher", "hydra.mode")


_CONFIG: dict[str, Any] = {
    "_target_": "hydra_plugins.tuner_sweeper.TunerSweeper",
    "_convert_": "all",
    "params": {},
    "study": {},
    "exists": "resume",
    **dict.fromkeys(
        ("name", "metric", "direction", "epochs", "trials", "seconds", "workers", "seed", "storage")
    ),
}
"""What stands under ``hydra.sweeper``; see `TunerSweeper`. Not a dataclass, which this file has to be in
`sys.modules` for: Hydra puts it there later."""

ConfigStore.instance().store(group="hydra/sweeper", name="tuner", node=_CONFIG, provider="tuner")


class TunerSweeper(Sweeper):
    """Searches with a study whose trials are runs of the app."""

    def __init__(
        self,
        params: Mapping[str, Any],
        study: Mapping[str, Any],
        name: str | None,
        direction: str | None,
        epochs: int | None,
        **asked: Any,
    ) -> None:
        """Prepare.

        Args:
            params: what is searched, by key, as on the command line, which comes after it.
            study: further sections of a study file: ``{"search": {"pruner": "median"}}``.
            name: the study's name; the app's where it is left out.
            direction: of the metric.
            epochs: how many epochs a trial reports at most.
            asked: what `tuner.start` takes.
        """
        self.params, self.study, self.name = params, study, name
        self.settings = {"objective.direction": direction, "trainer.epochs": epochs}
        self.asked = asked

    def setup(self, *, hydra_context: Any, task_function: Any, config: DictConfig) -> None:  # noqa: ARG002
        """Take what `sweep` needs."""
        self.hydra_context, self.config = hydra_context, config
        self.name = self.name or config.hydra.job.name
        if not str(config.hydra.launcher._target_).endswith(".BasicLauncher"):
            raise CompactHydraException(
                f"hydra/launcher: {config.hydra.launcher._target_} is not used by hydra/sweeper=tuner, which "
                "starts its trials itself; drop it, and give hydra.sweeper.workers=4"
            )

    def sweep(self, arguments: Sequence[str]) -> Any:
        """Run the study, or go on with it.

        Returns:
            The `tuner.Study`.
        """
        import tuner
        from tuner.integrations.hydra import space_of

        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = [f"{key}={'null' if value is None else value}" for key, value in self.params.items()]
        overrides = parser.parse_overrides([*given, *arguments])
        deleted = [each.input_line for each in overrides if each.is_delete()]
        trainer = {**self.study.get("trainer", {}), "command": shlex.join(self._command(deleted))}
        try:
            space = space_of(overrides, self.config)
            first = {name: each.default for name, each in space.items() if name != "fixed"}
            self.validate_batch_is_legal([[*deleted, *_written({**space["fixed"], **first})]])
            study = tuner.start(
                {**self.study, "trainer": trainer}, name=self.name, space=space, settings=self.settings,
                **self.asked,
            )  # fmt: skip
        except tuner.TunerError as error:
            raise CompactHydraException(str(error)) from error
        self._tell(study)
        return study

    def _command(self, deleted: Sequence[str]) -> list[str]:
        """The app itself, to be run once with a trial's values."""
        main, hydra = sys.modules["__main__"], self.config.hydra
        module = getattr(main, "__spec__", None)
        file = Path(str(main.__file__))
        near = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
        app = ["-m", module.name] if module is not None else [str(near)]
        overrides = [*hydra.overrides.hydra, *hydra.overrides.task]
        flags = [word for word in sys.argv[1:] if word not in (*overrides, "-m", "--multirun")]
        mine = [word for word in hydra.overrides.hydra if not word.lstrip("+~").startswith(_NOT_OF_JOBS)]
        metric = self.asked["metric"] or self.study.get("objective", {}).get("metric", "val_loss")
        return [
            "python", *app, *flags, *mine, *deleted, "hydra.mode=RUN",
            f"hydra.run.dir={Transformer.str(self._folder())}/${{hydra.sweep.subdir}}",
            "hydra.job.num=${trial}", "hydra.job.id=${trial}",
            f"+hydra.callbacks.tuner._target_={__name__}.ReportReturned",
            f"+hydra.callbacks.tuner.metric={metric}", "${args_no_hyphens}",
        ]  # fmt: skip

    def _folder(self) -> str:
        """Where the trials' folders are. It stays the same when the study goes on, so it names no moment."""
        asked = OmegaConf.to_container(self.config.hydra.sweep, resolve=False)["dir"]
        return f"multirun/{self.name}" if "${now:" in asked else str(self.config.hydra.sweep.dir)

    def _tell(self, study: Any) -> None:
        """Say what was found, and write it as other sweepers do."""
        best = study.best
        words = shlex.join(_written(best.params))
        _LOG.info("best of %d trials: trial %d, %.6g: %s", len(study.trials), best.number, best.value, words)
        folder = Path(self._folder())
        folder.mkdir(parents=True, exist_ok=True)
        found = {"name": "tuner", "best_params": dict(best.params), "best_value": best.value}
        OmegaConf.save(OmegaConf.create(found), folder / "optimization_results.yaml")


def _written(params: Mapping[str, Any]) -> list[str]:
    """Values as overrides."""
    from tuner.trainers.command.line import text

    return [f"{name}={text(value)}" for name, value in params.items()]


class ReportReturned(Callback):
    """In a trial: reports what an app returns that has reported nothing, a number or numbers by name."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        os.environ["HYDRA_FULL_ERROR"] = "1"  # else its last line is how to see the error

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """The app has returned, or raised."""
        from tuner.script import report_only

        if job_return.status is JobStatus.COMPLETED and (found := job_return.return_value) is not None:
            report_only(**(found if isinstance(found, Mapping) else {self.metric: found}))
