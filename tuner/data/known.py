"""What a study knows of its data: compared with what was read, and what follows for its rows.

Called by `load` between reading and dividing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.spec import DataSpec
from tuner.data import source
from tuner.data.fingerprint import Fingerprint, Roles, Seen
from tuner.data.relocking import is_locked, relocked
from tuner.data.resampling import rows_of
from tuner.data.source import Source


@dataclass(frozen=True)
class Known:
    """What a study knows of its data.

    Attributes:
        fingerprint: what it has stored; None before there is any.
        changed: told in what the data differs from that, a clause each; raises where it must not.
    """

    fingerprint: bytes | None
    changed: Callable[[Sequence[str]], None]


class Compared:
    """Data that was read beside what is known of it.

    Args:
        found: the data.
        spec: `[data]`.
        known: what is known; None where nobody asks.
        file: a hash of the file that it was read from.

    Raises:
        TunerError: the data has changed, and that was refused.
    """

    def __init__(self, found: Source, spec: DataSpec, known: Known | None, file: str = "") -> None:
        self._found, self._spec = found, spec
        self._stored = known.fingerprint if known is not None else None
        self._old = Fingerprint.decode(self._stored) if self._stored is not None else None
        self._seen = Seen.of(found, spec, file) if known is not None else None
        self._roles: Roles | None = None
        self._has_changed = False
        self.notes: tuple[str, ...] = ()
        if known is not None and self._seen is not None and self._old is not None:
            differences = self._seen.differences(self._old)
            self._has_changed = bool(differences)
            if differences:
                known.changed(differences)

    def roles(self, keys: NDArray[Any] | None, usable: NDArray[np.intp]) -> Roles | None:
        """What each row is used for; None where the study divides them as ever. See `relocked`."""
        if self._old is None or self._seen is None or not (self._has_changed or self._old.is_kept):
            return None
        self._roles = self._old.roles
        if self._has_changed:
            self._roles, self.notes = relocked(
                self._old, self._seen, keys, usable, self._spec, self._found.where
            )
        return self._roles

    @property
    def found(self) -> Source:
        """The data without the rows of a brought validation split that were locked before it changed."""
        if self._roles is None or self._old is None or self._seen is None or self._found.validation is None:
            return self._found
        allowed = np.flatnonzero(~is_locked(self._old.locked, self._seen, "validation"))
        x, y = self._found.validation
        judged = (rows_of(x, allowed), y[allowed] if isinstance(y, np.ndarray) else y.iloc[allowed])
        return replace(self._found, validation=judged)

    def fingerprint(self, test: NDArray[np.intp]) -> bytes | None:
        """What is to be stored; None where nobody asks.

        Args:
            test: the rows that are locked for the test, where the study divides them as ever.
        """
        if self._seen is None:
            return None
        if self._old is None:
            return self._seen.fingerprint.dividing(test).encode()
        if self._has_changed and self._roles is not None:
            return self._seen.fingerprint.using(self._roles, self._old.locked, is_kept=True).encode()
        return self._stored


def roles_of(fingerprint: bytes | None) -> Roles | None:
    """What each row is used for, of a study whose data has changed; None of any other."""
    decoded = Fingerprint.decode(fingerprint) if fingerprint is not None else None
    return decoded.roles if decoded is not None and decoded.is_kept else None


def review(
    spec: DataSpec,
    folder: Path,
    fingerprint: bytes,
    given: tuple[Any, Any] | None = None,
    *,
    files_only: bool = False,
) -> list[str]:
    """In what the data differs from what is stored of it, a clause each; none where it is not there.

    Args:
        spec: `[data]`.
        folder: what relative paths start from.
        fingerprint: what is stored.
        given: inputs and targets in memory, where the study began with such.
        files_only: whether no function is called; a file that has not changed is not parsed.
    """
    digest = source.digest(spec, folder)
    old = Fingerprint.decode(fingerprint)
    if old is None or (files_only and digest in ("", old.file)):
        return []
    if given is not None:
        found = source.from_values({"X": given[0], "y": given[1]}, spec)
    else:
        found = source.read(spec, folder)
    return Seen.of(found, spec).differences(old)
