"""TurnRecorder: when turns are stored, and what may only be deleted once they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from tuner.core.ports import Executor, Store, Turn
from tuner.engine.retention import ModelRetention

_TOGETHER_S = 0.2
"""Turns that come sooner after the last transaction wait for the next one.

A transaction takes 2 ms, in which the workers of short epochs wait for their orders.
"""

_SIGN_OF_LIFE_S = 10.0


class TurnRecorder:
    """Stores turns in the order in which they came.

    A process that is killed before a turn is stored resumes from the last transaction and
    repeats the same turns.

    Attributes:
        lost: numbers of trials whose models are deleted with the next transaction.
        dropped: numbers of trials that are over and whose checkpoints are.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        retention: ModelRetention,
        running: Collection[int],
        stored: Callable[[], None],
    ) -> None:
        """Nothing is stored yet.

        Args:
            store: takes the turns.
            executor: holds the checkpoints.
            retention: holds the models.
            running: numbers of the trials that run, kept up by the engine.
            stored: called after every transaction.
        """
        self._store, self._executor, self._retention = store, executor, retention
        self._running, self._stored = running, stored
        self._turns: list[Turn] = []
        self._recorded = -math.inf
        self.lost: list[int] = []
        self.dropped: list[int] = []

    @property
    def due(self) -> float:
        """When what is noted is to be stored, in seconds of the study; infinite where nothing is."""
        return self._recorded + _TOGETHER_S if self._turns else math.inf

    def note(self, turn: Turn, seconds: float) -> None:
        """Take up a turn that brings news: store it at once, or with those that come soon after it.

        Without news, a turn is stored now and then as a sign of life.

        Args:
            turn: gets its time and the executor's position.
            seconds: wall time of the study so far.
        """
        turn.seconds, turn.position = seconds, self._executor.position()
        told = (turn.started, turn.readings, turn.ended, turn.paused, turn.restarted, turn.interrupted)
        is_news = any((*told, turn.forgotten, turn.answers, self.dropped))
        since = turn.seconds - self._recorded
        if is_news or since >= _SIGN_OF_LIFE_S:
            self._turns.append(turn)
        # A model that is no longer kept goes before its trial can write another one in its place.
        if since >= _TOGETHER_S or self.lost:
            self.flush()

    def flush(self) -> None:
        """Store what was noted; only then delete the models and checkpoints that it gives up."""
        turns, self._turns = self._turns, []
        if not turns:
            return
        self._recorded = turns[-1].seconds
        self._store.record(*turns)
        self._retention.discard(self.lost, self._running)
        self._executor.drop(self.dropped)
        self.lost, self.dropped = [], []
        self._stored()
