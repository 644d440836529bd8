"""Checkpoints: snapshots of rows as files, two places for each trial.

A file is written beside its place and then renamed, and carries a checksum, so that a torn or damaged
one is known as such; the one before it is in the other place. No pickle is written or read. What the
arrays mean is not known here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tuner.core.ports import Snapshot
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.executors import durable

FOLDER = "checkpoints"
"""Its name beside the models."""

_PLACES = ("a", "b")
_DIGEST_BYTES = 32
_FACTS = "facts"
_LOG = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one study's trials.

    Several workers may write to one folder, each of its own trials.
    """

    def __init__(self, folder: Path, *, synced: bool = False) -> None:
        """Nothing is read or written yet.

        Args:
            folder: where they lie; made when the first one is written.
            synced: whether each one is on the disk, power cut or not, before `write` returns. Without
                that a power cut may damage the newest ones, which costs epochs but no trial.
        """
        self._folder = folder
        self._synced = synced
        self._kept: dict[int, tuple[Trial, Snapshot]] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, spec: StudySpec, models: Path) -> Self:
        """Those of a study, in the folder that lies beside its models."""
        return cls(models.absolute() / FOLDER, synced=spec.durability == "full")

    def keep(self, trial: Trial, snapshot: Snapshot) -> None:
        """Hold a snapshot in memory until it is used, dropped or, at the next `flush`, written."""
        with self._lock:
            self._kept[trial.number] = (trial, snapshot)

    def flush(self) -> None:
        """Write what is held in memory."""
        with self._lock:
            kept = list(self._kept.values())
            for trial, snapshot in kept:
                self.write(trial, snapshot)
            self._kept.clear()

    def write(self, trial: Trial, snapshot: Snapshot) -> bool:
        """Write a snapshot in the place of the older of the trial's two.

        Returns:
            Whether it could be written; a full disk is told to the log and costs epochs, not the trial.
        """
        facts = {"trial": _identity(trial), "epoch": snapshot.epoch, "facts": dict(snapshot.facts)}
        # Else safetensors would take their bytes as they lie, whatever their order.
        arrays = {name: np.asarray(array, order="C") for name, array in snapshot.arrays.items()}
        text = save(arrays, {_FACTS: json.dumps(facts)})
        path, writing = self._older(trial, snapshot.epoch), self._writing(trial.number)
        try:
            if self._synced:
                durable.make(self._folder)
            else:
                self._folder.mkdir(parents=True, exist_ok=True)
            with writing.open("wb") as file:
                file.write(_digest(text) + text)
                if self._synced:
                    file.flush()
                    os.fsync(file.fileno())
            writing.replace(path)
            if self._synced:
                durable.sync(self._folder)
        except OSError as error:
            _LOG.warning("no checkpoint of trial %d was written: %s", trial.number, error)
            with suppress(OSError):
                writing.unlink()
            return False
        return True

    def read(self, trial: Trial, epochs: int) -> Snapshot | None:
        """The newest sound snapshot that is not ahead of what is recorded.

        A damaged one is told to the log, and the one before it is taken.

        Args:
            trial: whose; a file of another study's trial is not taken for it.
            epochs: how many epochs of it are recorded.
        """
        with self._lock:
            kept = self._kept.pop(trial.number, None)
        if kept is not None and kept[1].epoch <= epochs:
            return kept[1]
        found = [snapshot for path in self._places(trial.number) if (snapshot := _read(path, trial))]
        return max((s for s in found if s.epoch <= epochs), key=lambda s: s.epoch, default=None)

    def drop(self, number: int) -> None:
        """Delete a trial's checkpoints."""
        with self._lock:
            self._kept.pop(number, None)
        for path in (*self._places(number), self._writing(number)):
            with suppress(OSError):
                path.unlink()

    def _places(self, number: int) -> list[Path]:
        return [self._folder / f"{number}.{place}" for place in _PLACES]

    def _writing(self, number: int) -> Path:
        return self._folder / f"{number}.writing"

    def _older(self, trial: Trial, epoch: int) -> Path:
        """Where a checkpoint goes: an empty place, one that is of no use, or the older one's."""

        def use(path: Path) -> int:
            whose, its_epoch = _head(path)
            return its_epoch if whose == _identity(trial) and its_epoch <= epoch else -1

        return min(self._places(trial.number), key=use)


def _read(path: Path, trial: Trial) -> Snapshot | None:
    """A snapshot of a trial from a file; None where there is none, or it is not what was written."""
    try:
        data = path.read_bytes()
        digest, text = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if digest != _digest(text):
            raise ValueError("its checksum does not fit")
        facts = _header(text)
        if facts["trial"] != _identity(trial):
            raise ValueError("it is of another study")
        return Snapshot(facts["epoch"], load(text), facts["facts"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SafetensorError) as error:
        _LOG.warning("%s cannot be used, %s; trying the one before it", path, error)
        return None


def _head(path: Path) -> tuple[str, int]:
    """Whose checkpoint of which epoch a file claims to be; nobody's where it makes no sense."""
    try:
        with path.open("rb") as file:
            file.seek(_DIGEST_BYTES)
            size = file.read(8)
            length = min(int.from_bytes(size, "little"), path.stat().st_size)
            facts = _header(size + file.read(length))
            return str(facts["trial"]), int(facts["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", -1


def _header(text: bytes) -> dict[str, Any]:
    length = int.from_bytes(text[:8], "little")
    facts: dict[str, Any] = json.loads(json.loads(text[8 : 8 + length])["__metadata__"][_FACTS])
    return facts


def _identity(trial: Trial) -> str:
    text = json.dumps([trial.number, trial.study_seed, dict(trial.params)])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).digest()
