"""TensorBoard: a folder of event files for each trial, with its parameters for the page of hyperparameters.

The files are written by the package's own record writer, and are opened only while a batch is written.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.summary.writer.record_writer import RecordWriter

from tuner.core.trial import Reading, Trial, TrialRecord, TrialState

_END = metadata.SESSION_END_INFO_TAG
_STATUS = {TrialState.FINISHED: api_pb2.STATUS_SUCCESS, TrialState.FAILED: api_pb2.STATUS_FAILURE}


class TensorBoard:
    """A `Tracker` that writes below ``folder/study``; `folder` is ``runs`` where nothing is said."""

    def __init__(self, study: str, identity: str, *, folder: str = "runs") -> None:
        self._name = f"events.out.tfevents.{identity[:10]}.tuner"
        self._folder = Path(folder) / study.replace("/", "_")

    def missing(self, numbers: Collection[int]) -> Collection[int]:
        """Trials whose file does not close with the end of the trial."""
        return [number for number in numbers if not self._has_ended(number)]

    def start(self, trial: Trial, curve: Sequence[Reading]) -> None:
        """Begin the trial's file, in place of one that an earlier session left."""
        self._file(trial.number).unlink(missing_ok=True)
        parameters = summary_v2.hparams_pb(dict(trial.params), trial_id=f"trial {trial.number}")
        self._write(trial.number, [event_pb2.Event(file_version="brain.Event:2"), _event(0, parameters)])
        self.log(trial.number, curve)

    def log(self, number: int, readings: Sequence[Reading]) -> None:
        """Append a step for each epoch."""
        self._write(number, (_event(each.epoch, _scalars(each.measured)) for each in readings))

    def end(self, record: TrialRecord) -> None:
        """Note the trial's value, and how it ended."""
        if not record.state.is_over:
            return
        status = _STATUS.get(record.state, api_pb2.STATUS_SUCCESS)
        ended = plugin_data_pb2.HParamsPluginData(
            session_end_info=plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        )
        about = metadata.create_summary_metadata(ended)
        summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=_END, metadata=about)])
        value = {} if record.value is None else {"value": record.value}
        best = record.best.epoch if record.best is not None else record.epochs
        self._write(record.number, [_event(best, _scalars(value)), _event(0, summary)])

    def close(self) -> None:
        """Nothing is open."""

    def _file(self, number: int) -> Path:
        return self._folder / f"trial-{number:05d}" / self._name

    def _write(self, number: int, events: Any) -> None:
        path = self._file(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())

    def _has_ended(self, number: int) -> bool:
        path = self._file(number)
        if not path.is_file():
            return False
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 200))
            return _END.encode() in file.read()


def _event(step: int, summary: Any) -> Any:
    return event_pb2.Event(wall_time=time.time(), step=step, summary=summary)


def _scalars(numbers: Mapping[str, float]) -> Any:
    values = (summary_pb2.Summary.Value(tag=name, simple_value=number) for name, number in numbers.items())
    return summary_pb2.Summary(value=values)
