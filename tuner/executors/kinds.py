"""Which executor a study gets: the one that it names, or the one that says it is suited best.

An executor is registered as an `ExecutorKind`: how well it suits, and how it is started. Called by the
session once the layout is decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from tuner import registry
from tuner.artifacts import Artifacts
from tuner.core.job import Job, Resources
from tuner.core.ports import Executor
from tuner.core.spec import TrainerSpec
from tuner.core.training import Trainer
from tuner.errors import PluginError, SpecError
from tuner.executors import ray_cluster
from tuner.executors.inline import Inline
from tuner.executors.processes import Processes
from tuner.executors.ray_pool import RayPool
from tuner.executors.standby import Standby

GROUP = "tuner.executors"
"""The entry points that executors are registered under."""

AUTO = "auto"
"""`[trainer] executor` of a study that leaves it to the affinities."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What an executor is started with.

    Attributes:
        make: makes the trainer; can be sent to other processes.
        job: what the trainer needs; `rows` are each worker's.
        artifacts: the study's files.
        resources: of each worker; there are as many workers. One with the job's, where none are given.
        restarts: how often a trial goes on after its worker died.
        ordered: whether events come in the order of workers, so that the study repeats itself.
        standby: workers of this machine that have imported the trainer already.
    """

    make: Callable[[], Trainer]
    job: Job
    artifacts: Artifacts
    resources: tuple[Resources, ...] = ()
    restarts: int = 2
    ordered: bool = True
    standby: Standby | None = None

    def __post_init__(self) -> None:
        if not self.resources:
            object.__setattr__(self, "resources", (self.job.resources,))


class ExecutorKind(Protocol):
    """A way to run trials.

    Attributes:
        is_local: whether trials train in this process, which makes it one worker.
    """

    is_local: bool

    def affinity(self, workers: int) -> float:
        """How well it suits so many workers: the highest is chosen, none below 0. The shipped ones say 1."""

    def start(self, setup: Setup) -> Executor:
        """Start the workers."""


class InlineKind:
    """In this process; suits one worker."""

    is_local = True

    def affinity(self, workers: int) -> float:
        """Only of one worker."""
        return 1.0 if workers == 1 else -1.0

    def start(self, setup: Setup) -> Executor:
        """Nothing has to be started."""
        return Inline(setup.make, setup.job, setup.artifacts)


class ProcessesKind:
    """In worker processes; suits several workers."""

    is_local = False

    def affinity(self, workers: int) -> float:
        """Of several workers."""
        return 1.0 if workers > 1 else 0.0

    def start(self, setup: Setup) -> Executor:
        """Start the processes."""
        given = setup.make, setup.job, setup.artifacts, setup.resources, setup.restarts
        return Processes(*given, ordered=setup.ordered, standby=setup.standby)


class RayKind:
    """On the machines of a Ray cluster; only where a study names it."""

    is_local = False

    def affinity(self, workers: int) -> float:  # noqa: ARG002
        """None: a cluster is asked for."""
        return -1.0

    def workers(self, trainer: TrainerSpec) -> int:
        """How many workers there is room for."""
        return ray_cluster.room(trainer)

    def start(self, setup: Setup) -> Executor:
        """Start the actors."""
        job = replace(setup.job, resources=setup.resources[0])
        count, restarts = len(setup.resources), setup.restarts
        return RayPool(setup.make, job, setup.artifacts, count, restarts, ordered=setup.ordered)


def kind(name: str) -> ExecutorKind:
    """The kind of a name or a reference; not of `AUTO`.

    Raises:
        PluginError: it leads nowhere, or to something that is no kind of executor.
    """
    found = registry.load(name, GROUP)
    made: ExecutorKind = registry.set_up(name, found) if isinstance(found, type) else found
    missing = [each for each in ("is_local", "affinity", "start") if not hasattr(made, each)]
    if missing:
        raise PluginError(f"{name}: is no kind of executor: it has no {', '.join(missing)}")
    return made


def chosen(name: str, workers: int, *, ends_trials: bool = False) -> str:
    """The name itself, or of `AUTO` the name with the highest affinity; of equal ones the first.

    Args:
        name: as `[trainer] executor` has it.
        workers: how many.
        ends_trials: whether it has to end trials from outside, which this process cannot.

    Raises:
        SpecError: the executor that is named trains in this process, and has to end trials.
    """
    if name != AUTO:
        if ends_trials and kind(name).is_local:
            raise SpecError(
                f"trainer.executor: '{name}' trains in this process and cannot end a trial at [stop] memory "
                'or silence, nor one of several processes; leave it out or set "processes"'
            )
        return name
    names = [n for n in sorted(registry.registered(GROUP)) if not (ends_trials and kind(n).is_local)]
    return max(names, key=lambda each: kind(each).affinity(workers))
