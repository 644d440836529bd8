"""How many processes train a trial: one trial on all devices, or one on each, as an epoch is measured.

Called once, before a study's workers start, where `[trainer] world_size` is "auto"; what is trained here is
not kept. It trains as workers do, in processes of the same kind.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout, suppress
from typing import NoReturn

from tuner.api.planning import PreparedStudy
from tuner.api.probe import WORTH, first_trials
from tuner.core.job import Resources
from tuner.core.trial import Reading
from tuner.core.words import count
from tuner.errors import TrialError
from tuner.trainers.group.batch import GroupBatch

EPOCHS = 3
"""The quickest of so many counts, the first one apart."""

LIMIT_S = 20.0
"""No further epoch is measured after so many seconds."""


def world_size(planned: PreparedStudy, devices: Sequence[str], cores: int) -> tuple[int, str]:
    """1, or as many as there are devices, on CPUs cores; and what was measured, in words.

    As with rows, trials side by side must be `WORTH` times as fast in all: with fewer at a time, the
    sampler learns more of each.
    """
    places = _places(devices, cores)
    most = len(places)
    if most < 2:
        return 1, "there is one device"
    threads = planned.spec.trainer.threads
    threads = 1 if threads == "auto" else threads
    try:
        with redirect_stdout(io.StringIO()):  # what the trials print
            alone_s = _epoch_s(planned, [Resources((place,), threads) for place in places])
            together_s = _epoch_s(planned, [Resources(tuple(devices), threads, most)])
    except Exception as error:
        logging.getLogger(__name__).debug("nothing could be measured", exc_info=error)
        return 1, "not measured"
    chosen = most if most / alone_s <= WORTH / together_s else 1
    sides = f"{most / alone_s:,.3g} epochs a second of {count(most, 'trial')} on one process each"
    return chosen, f"measured {sides}, {1 / together_s:,.3g} of one on {most}"


def _places(devices: Sequence[str], cores: int) -> list[str]:
    """The device of each process that there is one for."""
    return ["cpu"] * cores if tuple(devices) == ("cpu",) else list(devices)


def _epoch_s(planned: PreparedStudy, each: Sequence[Resources]) -> float:
    """Seconds of an epoch of the default configuration, in one group for each of these resources at once.

    Raises:
        TrialError: it cannot be trained.
    """
    groups: list[GroupBatch] = []
    try:
        # One by one: those that are there are closed if one cannot be started.
        groups.extend(GroupBatch(planned.make, planned.job(1, resources), _lost) for resources in each)
        with ThreadPoolExecutor(len(groups)) as pool:
            trial = first_trials(planned.spec, 1)[0]
            for group in groups:
                group.place(0, trial)
            took: list[float] = []
            began = time.perf_counter()
            while len(took) <= EPOCHS and (not took or time.perf_counter() - began < LIMIT_S):
                before = time.perf_counter()
                outcomes = [outcome[0] for outcome in pool.map(GroupBatch.advance, groups)]
                took.append(time.perf_counter() - before)
                if not all(isinstance(outcome, Reading) for outcome in outcomes):
                    if len(took) > 1:  # it has no more epochs
                        took.pop()
                        break
                    raise TrialError("the default configuration does not train")
        return min(took[1:] or took)
    finally:
        for group in groups:
            with suppress(OSError):
                group.close()


def _lost(words: str) -> NoReturn:
    raise TrialError(words)
