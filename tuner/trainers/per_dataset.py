"""PerDataset: what is made once of a dataset and used by all trials that train on it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from tuner.core.dataset import Dataset
from tuner.core.job import SPLITS, Job

T = TypeVar("T")


class PerDataset(Generic[T]):
    """The last `SPLITS` of them; may be used from several threads."""

    def __init__(self) -> None:
        # The key's objects are kept, so that no other object gets their ids.
        self._made: OrderedDict[tuple[int, int], tuple[Job, Dataset, T]] = OrderedDict()
        self._making = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process it is empty."""
        return PerDataset, ()

    def of(self, job: Job, data: Dataset, make: Callable[[], T]) -> T:
        """What was made of the data of a job, or is made now.

        Args:
            job: whose trials use it; another job's are made anew.
            data: as `Job.data_for` gives it: the same split is the same object.
            make: makes it.
        """
        key = (id(job), id(data))
        with self._making:
            if key not in self._made:
                self._made[key] = (job, data, make())
                while len(self._made) > SPLITS:
                    self._made.popitem(last=False)
            self._made.move_to_end(key)
            return self._made[key][2]
