"""Checkpoints: snapshots of rows as files, two places for each trial.

A file carries the study's identity and a checksum, so that a torn, damaged or foreign one is known as
such; the one before it is in the other place. No pickle is written or read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tuner.artifacts import Artifacts
from tuner.core.training import Snapshot
from tuner.core.trial import Reading, Trial
from tuner.errors import StoreError

_PLACES = ("a", "b")
_DIGEST_BYTES = 32
_FACTS = "facts"
_LOG = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one study's trials.

    Several workers may write those of one study, each of its own trials. A power cut may damage the
    newest ones where they are not synced, which costs epochs but no trial.
    """

    def __init__(self, artifacts: Artifacts) -> None:
        """Nothing is read or written yet.

        Args:
            artifacts: the study's files.
        """
        self._artifacts = artifacts
        self._kept: dict[int, tuple[Trial, Snapshot]] = {}
        self._lock = threading.Lock()
        self._refused = False

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
            Whether it could be written; a full disk is told to the log once and costs epochs, no trial.
        """
        facts = {"trial": self._identity(trial), "epoch": snapshot.epoch, "facts": dict(snapshot.facts)}
        if snapshot.reading is not None:
            facts["reading"] = asdict(snapshot.reading)
        # Else safetensors would take their bytes as they lie, whatever their order.
        arrays = {name: np.asarray(array, order="C") for name, array in snapshot.arrays.items()}
        text = save(arrays, {_FACTS: json.dumps(facts)})

        def write(path: Path) -> bool:
            path.write_bytes(_digest(text) + text)
            return True

        try:
            self._artifacts.put(trial.number, self._older(trial, snapshot.epoch), write)
        except (OSError, StoreError) as error:
            if not self._refused:
                _LOG.warning(
                    "no checkpoint of trial %d was written: %s; "
                    "until one can be, a study that is cut off trains more epochs again",
                    trial.number,
                    error,
                )
            self._refused = True
            return False
        self._refused = False
        return True

    def read(self, trial: Trial, epochs: int, *, allow_unreported: bool = False) -> Snapshot | None:
        """The newest sound snapshot that is not ahead of what is recorded.

        A damaged one is told to the log, and the one before it is taken.

        Args:
            trial: whose; a file of another study's trial is not taken for it.
            epochs: how many epochs of it are recorded.
            allow_unreported: whether it may hold one more epoch, with its reading.
        """

        def fits(snapshot: Snapshot) -> bool:
            is_ahead = snapshot.epoch == epochs + 1 and snapshot.reading is not None
            return snapshot.epoch <= epochs or (allow_unreported and is_ahead)

        with self._lock:
            kept = self._kept.pop(trial.number, None)
        if kept is not None and fits(kept[1]):
            return kept[1]
        paths = [path for p in _PLACES if (path := self._artifacts.path(trial.number, p)).exists()]
        whose = self._identity(trial) if paths else ""
        found = [snapshot for path in paths if (snapshot := _read(path, whose))]
        return max(filter(fits, found), key=lambda s: s.epoch, default=None)

    def drop(self, number: int) -> None:
        """Delete a trial's checkpoints."""
        with self._lock:
            self._kept.pop(number, None)
        for place in _PLACES:
            self._artifacts.delete(number, place)

    def _older(self, trial: Trial, epoch: int) -> str:
        """Where a checkpoint goes: an empty place, one that is of no use, or the older one's."""

        def use(place: str) -> int:
            whose, its_epoch = _head(self._artifacts.path(trial.number, place))
            return its_epoch if whose == self._identity(trial) and its_epoch <= epoch else -1

        return min(_PLACES, key=use)

    def _identity(self, trial: Trial) -> str:
        """What no other trial has, in this study or another one."""
        text = json.dumps([self._artifacts.identity, trial.number, trial.study_seed, dict(trial.params)])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _read(path: Path, whose: str) -> Snapshot | None:
    """A snapshot from a file; None where there is none, or it is damaged or of another trial."""
    try:
        data = path.read_bytes()
        digest, text = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if digest != _digest(text):
            raise ValueError("its checksum does not fit")
        facts = _header(text)
        if facts["trial"] != whose:
            raise ValueError("it is of another study")
        reading = Reading(**facts["reading"]) if facts.get("reading") else None
        return Snapshot(facts["epoch"], load(text), facts["facts"], reading)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SafetensorError) as error:
        _LOG.warning("%s cannot be used, %s; trying the one before it", path, error)
        return None


def _head(path: Path) -> tuple[str, int]:
    """The trial and the epoch that a checkpoint file claims; ("", -1) if it is unreadable."""
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


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).digest()
