"""Compares data that was read with the stored fingerprint, and says what that means for its rows.

Called by `load` between reading and dividing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.dataset import FingerprintCheck
from tuner.data import given, source
from tuner.data.fingerprint import Fingerprint, HashedSource, Roles
from tuner.data.relocking import assign_roles, is_locked
from tuner.data.resampling import rows_of
from tuner.data.source import Source


class CheckedSource:
    """Data that was read, compared with the stored fingerprint.

    Args:
        source: the data.
        spec: `[data]`.
        check: what to compare with; None takes no fingerprint.
        file: a hash of the file that it was read from.

    Raises:
        TunerError: the data has changed, and that was refused.
    """

    def __init__(
        self, source: Source, spec: DataSpec, check: FingerprintCheck | None, file: str = ""
    ) -> None:
        self._where, self._spec = source.where, spec
        self._stored = check.stored if check is not None else None
        self._old = Fingerprint.decode(self._stored) if self._stored is not None else None
        self._hashed = HashedSource.of(source, spec, file) if check is not None else None
        self._new = None if self._hashed is None else self._hashed.fingerprint
        self._roles: Roles | None = None
        self._has_changed = False
        self.notes: tuple[str, ...] = ()
        if check is not None and self._hashed is not None and self._old is not None:
            differences = self._hashed.differences(self._old)
            self._has_changed = bool(differences)
            if differences:
                check.on_change(differences)

    def roles(self, keys: NDArray[Any] | None, usable: NDArray[np.intp]) -> Roles | None:
        """What each row is used for; None where the study divides them as usual. See `assign_roles`."""
        if self._old is None or self._hashed is None or not (self._has_changed or self._old.is_kept):
            return None
        self._roles = self._old.roles
        if self._has_changed:
            self._roles, self.notes = assign_roles(
                self._old, self._hashed, keys, usable, self._spec, self._where
            )
        return self._roles

    def allowed(self, source: Source) -> Source:
        """The data without the rows of a provided validation split that were locked before it changed.

        Called last, as it lets the hashed tables go.
        """
        hashed, self._hashed = self._hashed, None
        if self._roles is None or self._old is None or hashed is None or source.validation is None:
            return source
        allowed = np.flatnonzero(~is_locked(self._old.locked, hashed, "validation"))
        x, y = source.validation
        judged = (rows_of(x, allowed), y[allowed] if isinstance(y, np.ndarray) else y.iloc[allowed])
        return replace(source, validation=judged)

    def fingerprint(self, test: NDArray[np.intp]) -> bytes | None:
        """The fingerprint to store; None if none was asked for.

        Args:
            test: the rows that are locked for the test, where the study divides them as usual.
        """
        if self._new is None:
            return None
        if self._old is None:
            return self._new.with_test_rows(test).encode()
        if self._has_changed and self._roles is not None:
            return self._new.with_roles(self._roles, self._old.locked, is_kept=True).encode()
        return self._stored


def stored_roles(fingerprint: bytes | None) -> Roles | None:
    """What each row is used for, of a study whose data has changed; None of any other."""
    decoded = Fingerprint.decode(fingerprint) if fingerprint is not None else None
    return decoded.roles if decoded is not None and decoded.is_kept else None


def differences(
    spec: DataSpec,
    folder: Path,
    fingerprint: bytes,
    memory: Any = None,
    *,
    files_only: bool = False,
) -> list[str]:
    """How the data differs from the stored fingerprint, a clause each; none if there is no data.

    Of files only, no function is called, and a file that has not changed is not parsed.
    """
    digest = source.digest(spec, folder)
    old = Fingerprint.decode(fingerprint)
    if old is None or (files_only and digest in ("", old.file)):
        return []
    found = given.read(spec, folder, memory)
    return HashedSource.of(found, spec).differences(old)
