"""Readings, snapshots and files of models, made comparable bit by bit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.numpy

from tuner.core.training import Outcome, Snapshot
from tuner.core.trial import Reading


def same(one: Sequence[Reading], two: Sequence[Reading]) -> bool:
    """Whether two curves agree bit by bit, their seconds apart."""
    return [numbers_of(r) for r in one] == [numbers_of(r) for r in two]


def written_and_read(snapshot: Snapshot) -> Snapshot:
    """The snapshot as it comes back from a file of safetensors and one of JSON."""
    arrays = safetensors.numpy.load(safetensors.numpy.save(dict(snapshot.arrays)))
    return Snapshot(snapshot.epoch, arrays, json.loads(json.dumps(dict(snapshot.facts))))


def content(snapshot: Snapshot) -> tuple[Any, ...]:
    """A snapshot as plain values that can be compared."""
    # The text of an estimator has names of its own in it.
    named = [(n, a) for n, a in sorted(snapshot.arrays.items()) if not n.endswith("estimators")]
    arrays = {n: (a.dtype, a.shape, a.tobytes()) for n, a in named}
    return snapshot.epoch, arrays, json.dumps(dict(snapshot.facts))


def numbers_of(reading: Reading) -> tuple[str, ...]:
    """A reading's numbers but for its seconds."""
    # As text, so that `nan` equals `nan`; repr of a float is exact.
    values = dataclasses.replace(reading, seconds=0.0)
    return tuple(f"{field.name}={getattr(values, field.name)!r}" for field in dataclasses.fields(values))


def as_reading(outcome: Outcome) -> Reading:
    """The outcome, which has to be a reading."""
    assert isinstance(outcome, Reading), getattr(outcome, "traceback", outcome)
    return outcome


def untimed_files(folder: Path) -> dict[str, bytes]:
    """What `files_of` finds, without the best epoch's seconds."""
    found = files_of(folder)
    for name in found:
        if name.endswith("model.json"):
            table = json.loads(found[name])
            if isinstance(table, dict) and "best" in table:
                table["best"].pop("seconds", None)
                found[name] = json.dumps(table).encode()
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a saved model by name, but for those whose bytes differ each time."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".skops")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
