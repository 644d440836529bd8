"""ScriptRun: a training function that runs a command and yields the numbers that it tells."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuner.core.spec import TrainerSpec
from tuner.core.training import Failure
from tuner.core.trial import Reading
from tuner.errors import shortened
from tuner.script import GO_ON, LAST, MARK
from tuner.trainers.command.line import arguments, filled
from tuner.trainers.command.metrics import MetricsFile, Take, from_line, is_file
from tuner.trainers.command.process import CommandProcess
from tuner.trainers.context import TrialContext
from tuner.trainers.device import VISIBLE, visible_to_command
from tuner.trainers.function import numbers_for

_FILE_S = 0.005
"""How often a file of metrics is looked at."""

_FILES = frozenset({"state", "model"})
"""What stands for files in what a command tells."""


class ScriptRun:
    """Called with a trial's params and context; see `FunctionTrainer`."""

    def __init__(self, spec: TrainerSpec) -> None:
        self._command, self._metrics = spec.command or "", spec.metrics
        self._grace_s = spec.grace_seconds
        self.__qualname__ = self._command

    def __call__(self, params: Mapping[str, Any], context: TrialContext) -> Iterator[Any]:
        """Run it; a reading each time that all is told which the objectives need.

        What a script that reports prints beside that ends no epoch. Before its first report nobody can
        know; what it had printed by then is that report, told a little earlier.
        """
        state = context.resume()
        folder = state if isinstance(state, Path) and state.is_dir() else context.folder
        places = {
            "trial": context.number,
            "seed": context.seed,
            "epochs": context.epochs,
            "folder": str(folder),
        }
        needed = set(numbers_for(context.objectives.names))
        find, file = from_line(self._metrics, needed), None
        if self._metrics is not None and is_file(self._metrics):
            file = MetricsFile(Path(filled(self._metrics, params, places)))
        environment = _environment(params, context, folder)
        process = CommandProcess(arguments(self._command, params, places), environment)
        numbers: dict[str, Any] = {}
        waits, is_told = False, state is not None
        is_printed, reports = False, is_told
        try:
            for found, is_report in _told(process, find, file):
                numbers |= found
                # Whoever gives files waits until they were read.
                waits = is_report or bool(_FILES & found.keys())
                if not waits and (reports or not needed <= numbers.keys()):
                    continue
                is_known = is_printed and waits and not reports and not _FILES & found.keys()
                is_printed, reports = not waits, reports or waits
                if is_known:
                    numbers, waits = {}, False
                    process.answer(MARK + GO_ON)
                    continue
                reading: dict[str, Any] = {n: Path(v) if n in _FILES else v for n, v in numbers.items()}
                if "model" in reading:
                    context.keep(reading.pop("model"))
                is_told = True
                is_last = reading.pop(LAST, False) and needed <= reading.keys()
                yield replace(Reading.of(0, reading), is_last=True) if is_last else reading
                numbers, waits = {}, False
                process.answer(MARK + GO_ON if is_report else GO_ON)
            if words := process.ending():
                yield _failure(f"the command {words}", process)
            elif not is_told:
                yield _failure(f"the command ended and told no {' and no '.join(sorted(needed))}", process)
        finally:
            process.end(self._grace_s, asked=waits)


def _told(
    process: CommandProcess, find: Take, file: MetricsFile | None
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """The numbers that a command tells, and whether it waits for an answer to them."""
    for line in process.lines(None if file is None else _FILE_S):
        if line and (found := find(line)):
            yield found, MARK in line
        if file is not None:
            yield from ((row, False) for row in file.rows())
    if file is not None:
        yield from ((row, False) for row in file.rows(last=True))


def _environment(params: Mapping[str, Any], context: TrialContext, folder: Path) -> dict[str, str]:
    # Beside the trial's folder, which may become part of its state.
    table = context.folder.with_name("params.json")
    table.write_text(json.dumps(dict(params)), encoding="utf-8")
    found = {
        "OMP_NUM_THREADS": str(context.resources.threads),
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "TUNER_TRIAL": str(context.number),
        "TUNER_SEED": str(context.seed),
        "TUNER_EPOCHS": str(context.epochs),
        "TUNER_PARAMS": str(table),
        "TUNER_CHECKPOINT": str(folder),
    }
    cards = visible_to_command(context.resources.devices)
    return found if cards is None else {**found, VISIBLE: cards}


def _failure(words: str, process: CommandProcess) -> Failure:
    lines = list(process.tail)
    last = f"; its last line: {shortened(lines[-1])}" if lines else ""
    return Failure(f"{words}{last}", "\n".join([words, *lines]))
