"""TrialContext: what a training function gets beside its params."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuner.core.dataset import Dataset
from tuner.core.job import Resources
from tuner.core.objectives import Objectives
from tuner.core.trial import Objective
from tuner.errors import TrialError


def _nobody(*given: Any) -> None:
    """Take what is given where no study runs."""


@dataclass(frozen=True, slots=True)
class TrialContext:
    """What a training function gets beside its params.

    Attributes:
        data: the training and the validation split; None where the study has no `[data]`.
        epochs: how many epochs a trial has at most; what is yielded later is not asked for.
        seed: the trial's own; the global generators of random, numpy and torch start from it too.
        number: the trial's number.
        device: a torch device by name.
        settings: `[trainer] settings`, as they are.
        resume: gives None at a trial's start. Where the trial goes on after a pause or an interruption
            it gives the state that came with the last epoch, see `FunctionTrainer`, and puts the
            global generators where they were then, so it is called when all is built. Files lie in
            `folder` again.
        resources: all devices that the trial may use, `device` being the first, and the threads.
        objectives: what the study searches for.
        hand: what `keep` hands a model to.
        emit: what `report` hands its numbers to, by name.
        scratch: makes the folder that `folder` is.
    """

    data: Dataset | None
    epochs: int
    seed: int
    number: int
    device: str
    settings: Mapping[str, Any]
    hand: Callable[..., None] = field(default=_nobody, repr=False)
    resume: Callable[[], Any] = lambda: None
    resources: Resources = field(default_factory=Resources)
    objectives: Objectives = field(default_factory=lambda: Objectives.of(Objective()))
    emit: Callable[..., None] = field(default=_nobody, repr=False)
    scratch: Callable[[], Path] = field(default=Path.cwd, repr=False)

    @property
    def folder(self) -> Path:
        """A folder of the trial's own, as long as it trains: for a framework's checkpoints, and what it logs.

        What is yielded or reported as state from there lies there again when the trial goes on.
        """
        return self.scratch()

    @property
    def world_size(self) -> int:
        """How many processes train this trial together, `[trainer] world_size`; each calls the function."""
        return self.resources.world_size

    @property
    def rank(self) -> int:
        """Which of them this is, from 0; rank 0's readings and model are the trial's."""
        return self.resources.rank or 0

    @property
    def local_rank(self) -> int:
        """The same among those of this machine, which all of them are."""
        return self.rank

    def mean(self, value: Any) -> Any:
        """The mean over all ranks of a number, or of a tensor element by element; all must call it.

        The value itself where there is one process; a number's mean is computed in float64.
        """
        if self.world_size == 1:
            return value
        import torch.distributed

        if isinstance(value, torch.Tensor):
            found = value.detach().clone().to(self.device)
        else:
            found = torch.tensor(float(value), dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(found)
        found /= torch.distributed.get_world_size()
        return found if isinstance(value, torch.Tensor) else found.item()

    def keep(
        self, model: Any, build: Callable[..., Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Hand over the model of the current epoch; a copy of the best epoch's is kept.

        Args:
            model: a module, or arrays or tensors by name, handed over once if it is trained in place;
                or the path of a file or a folder that a framework has saved.
            build: makes such a module: a class or a function of a module or a file, which is kept too.
                `load_model` then gives the module with its weights.
            kwargs: what `build` is called with, as JSON has it.

        Raises:
            TypeError: `build` or `kwargs` could not be found again by another process.
        """
        self.hand(model, build, kwargs)

    def restore(self, **parts: Any) -> dict[str, Any]:
        """Load into each part its state of the last epoch, where the trial goes on; see `resume`.

        Args:
            parts: networks, optimizers and the like, anything with `state_dict` and `load_state_dict`.

        Returns:
            The parts: the ``"state"`` of each epoch to come.

        Raises:
            TrialError: the state is of other parts.
        """
        stored = self.resume() or {}
        if stored and stored.keys() != parts.keys():
            had, given = ", ".join(stored), ", ".join(parts)
            raise TrialError(f"context.restore: the state is of {had}, not of {given}; yield what it returns")
        for name, state in stored.items():
            parts[name].load_state_dict(state)
        return parts

    def report(
        self,
        *,
        train_loss: Any = None,
        val_loss: Any = None,
        state: Any = None,
        model: Any = None,
        **metrics: Any,
    ) -> None:
        """End an epoch, from a function that does not yield: the same as yielding a reading.

        Returns when the trial goes on. Where it has ended, or is paused, `TrialOver` is raised, which
        ``except Exception`` lets through; ``finally`` blocks run, and nothing else of the function.

        Args:
            train_loss: as in a `Reading`; a number, or an array or a tensor of one.
            val_loss: the same.
            state: what `resume` gives when the trial goes on later, or the path of a file or a folder of it.
            model: what `keep` takes.
            metrics: other numbers of the epoch, e.g. `train_score`, `val_score`, `learning_rate`.
        """
        if model is not None:
            self.keep(model)
        given = {"train_loss": train_loss, "val_loss": val_loss, "state": state}
        self.emit({name: value for name, value in given.items() if value is not None} | metrics)
