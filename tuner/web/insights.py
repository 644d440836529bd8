"""Insights: importances and findings, computed in a background thread; pages show the last ones meanwhile.

The thread is waited for before the process ends, which would abort it within compiled code.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any

import numpy as np

from tuner.core.frame import Frame
from tuner.core.importances import Importances
from tuner.core.space import Choice
from tuner.core.trial import Reading, TrialRecord, TrialState
from tuner.findings import Evidence, Finding, all_of
from tuner.search import ObservedTrials
from tuner.web import malloc

GOOD_FOR_S = 10.0
"""How long importances are shown before they are computed again."""

MOST_EXPLAINED = 1000
"""Trials that importances are computed from, spread over the study; more take long and change little."""

Of = tuple[int, float | None, bool, int]
"""What an insight is of: the number of ended trials, the spread, whether the study was confirmed, and the
number of baselines; a change makes it out of date."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Insight:
    """What takes too long to compute within a request.

    Attributes:
        importances: see `Frame.importances`.
        findings: in plain words, what matters most first.
    """

    importances: Mapping[str, Importances] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class Insights:
    """A study's newest insight.

    Attributes:
        found: it.
    """

    def __init__(self) -> None:
        self.found = Insight()
        self._of: Of = (-1, None, False, 0)
        self._next = 0.0
        self._is_driven = False
        self._thread: Thread | None = None
        self._is_closed = False

    def of(
        self, evidence: Evidence, curve: Callable[[int], Sequence[Reading]], *, is_driven: bool = True
    ) -> Insight:
        """The newest one; starts to compute a newer one when it is out of date.

        Args:
            evidence: the study, without importances and ends.
            curve: reads that of a trial, for `Evidence.ends`; it is called in another thread.
            is_driven: whether a process drives it; after its end the insight is computed at once.
        """
        self._is_driven |= is_driven
        is_busy = self._thread is not None and self._thread.is_alive()
        has_ended = self._is_driven and not is_driven
        of: Of = (_over(evidence.frame), evidence.spread, evidence.is_confirmed, len(evidence.baselines))
        is_time = time.monotonic() >= self._next or has_ended or of[1:] != self._of[1:]
        if of != self._of and not is_busy and is_time and not self._is_closed:
            self._of, self._is_driven = of, is_driven
            self._thread = Thread(target=self._find, args=(evidence, curve))
            self._thread.start()
        return self.found

    def settle(self, at_most_s: float | None) -> None:
        """Wait until the running computation has ended."""
        if self._thread is not None:
            self._thread.join(at_most_s)

    def close(self) -> None:
        """Compute nothing any more; waits until the step of the computation that is under way is done."""
        self._is_closed = True
        self.settle(None)

    def _find(self, evidence: Evidence, curve: Callable[[int], Sequence[Reading]]) -> None:
        began = time.monotonic()
        try:
            shares = explained(evidence.frame)
            if self._is_closed:
                return
            numbers = evidence.frame.trials.number
            read = ((row, curve(int(numbers[row]))) for row in evidence.leaders.tolist())
            found = replace(
                evidence,
                frame=replace(evidence.frame, importances=shares),
                ends={row: (its[0], its[-1]) for row, its in read if its},
            )
            self.found = Insight(shares, tuple(all_of(found)))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001
            # A page without importances is better than none.
            _log.exception("importances and findings of study %r cannot be found", evidence.frame.name)
        malloc.give_back()
        took = time.monotonic() - began
        self._next = time.monotonic() + max(GOOD_FOR_S, 20 * took)


def explained(frame: Frame) -> Mapping[str, Importances]:
    """Importances for the value and for the gap."""
    if len(frame) > MOST_EXPLAINED:
        numbers = frame.trials.number[np.linspace(0, len(frame) - 1, MOST_EXPLAINED).astype(int)]
        frame = frame.only(numbers.tolist())
    gaps = dict(zip(frame.trials.number.tolist(), frame.trials.gap.tolist(), strict=True))
    seen = ObservedTrials(frame.space, _records(frame), frame.objective)
    found = seen.of_value_and_gap(lambda r: gaps[r.number])
    return {**found, "value": replace(found["value"], second=seen.by_best_tenth())}


def _over(frame: Frame) -> int:
    return int(frame.trials.is_(TrialState.FINISHED, TrialState.STOPPED).sum())


def _records(frame: Frame) -> list[TrialRecord]:
    trials, space = frame.trials, frame.space
    values: list[list[Any]] = []
    for name, parameter in space:
        column = frame.params[name].tolist()
        if isinstance(parameter, Choice):
            choices = dict(zip(parameter.texts, parameter.choices, strict=True))
            values.append([choices.get(text) for text in column])
        else:
            values.append([None if x != x else x for x in column])
    names = [name for name, _ in space]
    whole = {name for name, parameter in space if getattr(parameter, "type", "") == "int"}
    rows = zip(*values, strict=True)
    return [
        TrialRecord(
            number,
            {n: int(v) if n in whole else v for n, v in zip(names, row, strict=True) if v is not None},
            TrialState(state),
            value=None if value != value else value,
            conclusive=conclusive,
            epochs=epochs,
        )
        for number, row, state, value, conclusive, epochs in zip(
            trials.number.tolist(), rows, trials.state.tolist(), trials.value.tolist(),
            trials.conclusive.tolist(), trials.epochs.tolist(), strict=True,
        )
    ]  # fmt: skip
