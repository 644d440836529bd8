"""From a checked StudySpec to the objects that a run needs: the data, the trainer, workers that have it.

Trains nothing and opens no database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tuner import executors, search, trainers
from tuner.api.cores import cores
from tuner.api.specify import compose, passed
from tuner.core import words
from tuner.core.data_spec import MEMORY
from tuner.core.dataset import Dataset, FingerprintCheck, ReadData
from tuner.core.job import Job, Resources
from tuner.core.sections import ResourceSpec
from tuner.core.spec import StudySpec
from tuner.core.training import Trainer
from tuner.errors import SpecError
from tuner.executors import Standby
from tuner.trainers.device import devices_at_hand


@dataclass(frozen=True)
class PreparedStudy:
    """A checked study and the objects it needs, before anything is stored.

    Attributes:
        make: builds the trainer; can be sent to other processes.
        trainer: what it builds, or what says as much as planning needs of it.
        standby: workers that have the trainer already; may have none.
        shared_split: see `core.job.Job`.
    """

    spec: StudySpec
    data: Dataset | None
    make: Callable[[], Trainer]
    trainer: Trainer
    standby: Standby | None = None
    shared_split: int = 0

    def job(self, rows: int, resources: Resources) -> Job:
        """What a worker's trainer is given."""
        # The fingerprint is the store's affair.
        data = self.data and replace(self.data, fingerprint=None)
        return Job(self.spec, data, rows, resources, self.shared_split)

    def unfused(self, device: str) -> str | None:
        """Why the study's trials train one at a time on a device; None when they can be fused."""
        return trainers.why_unfused(self.trainer, self.spec, self.data, device)


def plan(
    study: str | Path | Mapping[str, Any] | StudySpec | None = None,
    *,
    check: FingerprintCheck | None = None,
    resampling: bool = False,
    standby: Standby | None = None,
    read: ReadData | None = None,
    **given: Any,
) -> PreparedStudy:
    """Check everything that can be checked before training.

    Args: `study` and what is `given` as `compose` takes them, the others as `prepare` does.

    Raises:
        SpecError: with every fault of the study.
        DataError: the data cannot be used.
        PluginError: a reference leads nowhere.
    """
    read = read or ReadData()
    spec, where = compose(study, read=read, **given)
    if odd := words.control_character(spec.name):
        raise SpecError(f"{where}: name: {spec.name!r} holds the control character {odd!r}; take it out")
    data, trainer = passed(given.get("data")), given.get("trainer")
    function = trainer if callable(trainer) else None
    return prepare(
        spec, data, function, where, check=check, resampling=resampling, standby=standby, read=read
    )


def prepare(
    spec: StudySpec,
    data: Any = None,
    trainer: Callable[..., Any] | None = None,
    where: str = "study",
    *,
    resampling: bool = False,
    check: FingerprintCheck | None = None,
    standby: Standby | None = None,
    read: ReadData | None = None,
) -> PreparedStudy:
    """Load the data, find the trainer, and let it check the spec against the data.

    Args:
        spec: the study.
        data: as `in_memory` returns it, where `[data] source` is ``"memory"``.
        trainer: the function itself, where `[trainer] use` only names it.
        where: what faults are prefixed with.
        resampling: whether other splits of the data are wanted though the spec can do without them.
        check: the stored fingerprint to compare the data with; None takes no fingerprint.
        standby: is given workers, where a loop of one's own will train in several processes.
        read: what `compose` has read of the data, and what takes up what is read here.
    """
    make = partial(trainers.resolve, spec.trainer.use if trainer is None else trainer)
    ahead = 0 if standby is None or trainer is not None else _loops(spec)
    if standby is not None and ahead > 1:
        standby.load(
            spec.trainer.use, make, ahead, 1 if spec.trainer.threads == "auto" else spec.trainer.threads
        )
    dataset = _dataset(spec, data, resampling, check, read)
    loop = standby.ask(partial(trainers.outline, spec=spec)) if standby is not None and ahead > 1 else None
    found = make() if loop is None else loop
    faults = [*trainers.validate(found, spec, dataset), *search.faults(spec)]
    if faults:
        raise SpecError([f"{where}: {fault}" for fault in faults])
    return PreparedStudy(spec, dataset, make, found, standby)


def embeds(spec: StudySpec) -> bool:
    """Whether trials may learn embeddings of categories, where the data has columns with many."""
    size = {**spec.space.fixed, **spec.space.parameters}.get("embedding_size")
    return bool(size) and spec.trainer.use == "torch" and spec.trainer.model in (None, "mlp")


def _loops(spec: StudySpec) -> int:
    """How many processes of this machine will train, if the trainer is a loop of one's own."""
    asked = spec.trainer
    is_plain = asked.executor in (executors.AUTO, "processes") and asked.resources == ResourceSpec()
    if ":" not in asked.use or asked.world_size != 1 or not is_plain:
        return 0
    workers = asked.workers
    if workers == "auto":
        devices = devices_at_hand() if asked.device == "auto" else asked.devices
        workers = cores() if devices == ("cpu",) else len(devices) // asked.devices_of_worker
    return min(workers, spec.budget.trials or workers)


def _dataset(
    spec: StudySpec, given: Any, resampling: bool, check: FingerprintCheck | None, read: ReadData | None
) -> Dataset | None:
    if spec.data is None:
        return None
    from tuner import data

    if given is None and spec.data.source == MEMORY:
        raise SpecError(
            f"data: '{spec.name}' learns from data that was passed from Python, which is not stored; "
            f"pass the same data again: tuner.resume('{spec.name}', data=...)"
        )
    found = data.load(spec.data, Path.cwd(), given, resampling=resampling, check=check, read=read)
    return replace(found, notes=(*found.notes, *data.code_notes(found))) if embeds(spec) else found
