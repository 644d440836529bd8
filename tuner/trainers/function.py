"""FunctionTrainer: a training loop of one's own, which yields its readings or hands them to `context.report`.

A session runs the function up to its next reading, in the worker's own thread.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot
from tuner.core.trial import Objective, Reading, Stop, Trial
from tuner.trainers.blocking import BlockingCall
from tuner.trainers.context import TrialContext
from tuner.trainers.device import device_fault_of_any, device_faults
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.kept_model import KeptModel
from tuner.trainers.kept_model import load as load
from tuner.trainers.model import description_of, write_description
from tuner.trainers.scratch import ScratchFolder
from tuner.trainers.state import freeze, reading_of, reading_table, thaw

logger = logging.getLogger(__name__)

_NOTHING = object()

HOW = "yield or report one reading per epoch, e.g. {'train_loss': 0.3, 'val_loss': 0.4}"


class FunctionTrainer:
    """Trains by calling ``train(params, context)``.

    The function is a generator that yields a reading per epoch, calls `TrialContext.report` with each (then
    what it returns does not matter), or returns a single one, with which its trial has finished, whatever the
    rules say. A reading is a mapping of numbers by name, where other names than a `Reading`'s become its
    extras, or one number, the objective. Closing the generator, or raising `TrialOver` out of `report`, is
    how a trial is stopped, so ``finally`` blocks run.

    A trial's numbers can be repeated as long as they come from its seed or from the global
    generators of random, numpy and torch.

    A function cannot be frozen, so a trial that was interrupted starts again from its first epoch,
    unless each reading of its generator also has ``"state"``, from which a later call goes on::

        net = Net()
        optimizer = torch.optim.Adam(net.parameters())
        if state := context.resume():
            net.load_state_dict(state["net"])
            optimizer.load_state_dict(state["optimizer"])
        while True:
            ...
            yield {"val_loss": loss, "state": {"net": net, "optimizer": optimizer}}

    A state is made of mappings, lists and tuples of arrays, tensors, numbers and text; what has a
    `state_dict` stands for it, and the path of a file or a folder for what lies there. It is copied when
    it is needed, before the function goes on. The epoch, the global generators, the best epoch and its
    model are kept without asking.
    """

    takes_ranks = True

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:  # noqa: ARG002
        """What is wrong with the function's signature, and with the device that it is told of."""
        faults = device_faults(spec.trainer.devices, device_fault_of_any)
        is_async = inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function)
        kind = "an async function" if is_async else ""
        try:
            inspect.signature(self.function).bind({}, None)
        except TypeError:
            kind = f"takes {inspect.signature(self.function)}"
        except ValueError:  # some built-in callables have no signature
            pass
        if not kind:
            return faults
        return (
            *faults,
            f"trainer.use: {_called(self.function)}: {kind}; write def train(params, context)",
        )

    def start(self, job: Job, trial: Trial, snapshot: Snapshot | None = None) -> FunctionSession:
        """Prepare the call; the function runs from the first `next` on."""
        if any(name.partition(".")[0] == "torch" for name in _names(self.function)):
            # A function that imports torch by itself must find its generator seeded.
            import torch  # noqa: F401
        session = FunctionSession(self.function, job, trial)
        if snapshot is not None:
            session.restore(snapshot)
        return session


@dataclass(slots=True)
class FunctionSession:
    """One trial's call of the function; a `TrialSession`."""

    function: Callable[..., Any]
    job: Job
    trial: Trial
    objective: Objective = field(init=False)
    names: tuple[str, ...] = field(init=False)
    streams: GlobalRng = field(init=False)
    readings: Generator[Any] | None = None
    is_returned: bool = False
    epoch: int = 0
    best: Reading | None = None
    scratch: ScratchFolder = field(default_factory=ScratchFolder)
    model: KeptModel = field(init=False)
    state: Any = None
    stood: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        objectives = self.job.spec.objectives()
        self.objective, self.names = objectives.primary, objectives.names
        self.model = KeptModel(self.scratch)
        self.streams = GlobalRng(self.trial.seed("global"), self.job.resources.device)

    def next(self) -> Outcome:
        """Run the function up to its next yield."""
        start = time.perf_counter()
        try:
            if self.readings is None:
                self.readings = self._readings()
            with self.streams:
                found = next(self.readings, _NOTHING)
            if found is _NOTHING and self.epoch:
                return Exhausted()
            if found is _NOTHING:
                raise _NotAReading(f"yielded nothing; {HOW}")
            if self.stood is not None:
                raise _NotAReading(
                    f"goes on after epoch {self.epoch}, but did not ask context.resume() for its state"
                )
            if isinstance(found, Stop | Failure):
                return found
            self.epoch += 1
            seconds = time.perf_counter() - start
            if isinstance(found, Reading):
                reading = replace(found, epoch=self.epoch, seconds=seconds)
            else:
                reading = _reading(found, self.epoch, seconds, self.names, is_last=self.is_returned)
            if self.objective.prefers(reading, self.best):
                self.best = reading
                self.model.take()
            self._take_state(found)
        except _NotAReading as error:
            message = f"{_called(self.function)}: {error}"
            return Failure(message, message)
        return reading

    def snapshot(self) -> Snapshot | None:
        """What the function yielded as its state, with what is kept beside it; None if it yielded none."""
        if self.state is None:
            return None
        tree = {
            "state": self.state,
            "streams": self.streams.state() if self.stood is None else self.stood,
            "best": reading_table(self.best),
            **self.model.table(),
        }
        try:
            return Snapshot(self.epoch, *freeze(tree, self.scratch))
        except TypeError as error:
            logger.warning("trial %d: its state cannot be kept: %s", self.trial.number, error)
            return None

    def restore(self, snapshot: Snapshot) -> None:
        """Hand the function a state to go on from, before its first `next`."""
        tree = thaw(snapshot.arrays, snapshot.facts, self.scratch)
        self.state = tree["state"]
        self.model.restore(tree)
        self.epoch, self.best = snapshot.epoch, reading_of(tree["best"])
        self.stood = tree["streams"]

    def save(self, folder: Path) -> bool:
        """Write the weights that the function handed to `TrialContext.keep` in the best epoch.

        Raises:
            TrialError: what it handed over cannot be kept.
        """
        if self.best is None or not (described_model := self.model.write(folder)):
            return False
        description = {
            **description_of(self.trial, self.best, "function", 1),
            "best": {"epoch": self.best.epoch, **self.best.measured},
            "function": _called(self.function),
            **described_model,
        }
        write_description(folder, description)
        return True

    def close(self) -> None:
        """End the function, and remove its files."""
        try:
            if self.readings is not None:
                with self.streams:
                    self.readings.close()
        except KeyboardInterrupt:
            raise
        except BaseException:
            logger.warning("trial %d: raised while it was closed", self.trial.number, exc_info=True)
        finally:
            self.scratch.close()

    def _readings(self) -> Generator[Any]:
        """Call the function: what it reports, yields, or returns without having reported."""
        call = BlockingCall()

        def emit(numbers: Mapping[str, Any]) -> None:
            if not call.emit(numbers):
                call.leave()

        spec, trial = self.job.spec.trainer, self.trial
        context = TrialContext(
            self.job.data_for(trial),
            spec.epochs,
            trial.seed("function"),
            trial.number,
            self.job.resources.device,
            spec.settings,
            # Rank 0's model is the trial's.
            (lambda *_: None) if self.job.resources.rank else self.model.hand,
            self._resume,
            self.job.resources,
            self.job.spec.objectives(),
            emit,
            partial(self.scratch.part, "folder"),
        )
        found = yield from call.run(self.function, dict(trial.params), context)
        if isinstance(found, Iterator):
            yield from found
        elif not self.epoch and not call.reports:
            self.is_returned = True
            yield found

    def _take_state(self, found: Any) -> None:
        first = self.state is None
        self.state = None if self.is_returned or not isinstance(found, Mapping) else found.get("state")
        if first and self.state is not None:
            try:
                freeze(self.state, self.scratch)
            except TypeError as error:
                raise _NotAReading(f"the state of epoch {self.epoch}: {error}") from error

    def _resume(self) -> Any:
        if self.stood is not None:
            self.streams.restore(self.stood, entered=True)
            self.stood = None
        return self.state


class _NotAReading(Exception):
    """The function runs, but what it yields is no reading."""


def _reading(found: Any, epoch: int, seconds: float, names: Sequence[str], *, is_last: bool) -> Reading:
    """One epoch's reading; `names` are what objectives and constraints look at, the metric first."""
    if not isinstance(found, Mapping):
        found = {names[0]: found} if _number(found) is not None else found
    if not isinstance(found, Mapping):
        raise _NotAReading(f"gave {_shown(found)} in epoch {epoch}; {HOW}")
    numbers = {"seconds": seconds}
    for name, value in found.items():
        if name in ("epoch", "gap", "state"):  # counted, computed, and no number
            continue
        number = _number(value)
        if not isinstance(name, str) or number is None:
            raise _NotAReading(
                f"gave {name!r}: {_shown(value)} in epoch {epoch}; names are text, values are numbers"
            )
        numbers[name] = number
    needed = numbers_for(names)
    if any(name not in found for name in needed):
        keys = ", ".join(map(str, found)) or "nothing"
        raise _NotAReading(f"the objective needs {' and '.join(needed)}, but epoch {epoch} has only: {keys}")
    return replace(Reading.of(epoch, numbers), is_last=is_last)


def numbers_for(names: Sequence[str]) -> list[str]:
    """What an epoch has to tell for objectives and constraints; seconds and the gap are computed."""
    parts = (("train_loss", "val_loss") if name == "gap" else (name,) for name in names)
    return list(dict.fromkeys(part for each in parts for part in each if part != "seconds"))


def _number(value: Any) -> float | None:
    """A number out of a Python, numpy or tensor scalar; None for anything else."""
    try:
        value = value.item() if hasattr(value, "item") else value
        return None if isinstance(value, bool | str | bytes | bytearray) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _called(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


def _names(function: Callable[..., Any]) -> Iterator[str]:
    """Every global, attribute and module that a function's code names."""
    codes = [getattr(function, "__code__", None)]
    while codes:
        code = codes.pop()
        if isinstance(code, CodeType):
            yield from code.co_names
            codes += code.co_consts
