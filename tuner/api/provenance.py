"""Whether a study's data is the data it was started with; refuses or notes a change.

Called wherever data is read for a stored study, and before an export.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Self

from tuner.core.data_spec import MEMORY
from tuner.core.dataset import Dataset
from tuner.core.spec import StudySpec
from tuner.errors import DataError, SpecError
from tuner.results import Study
from tuner.store import Database

if TYPE_CHECKING:
    from tuner.data import FingerprintCheck

_TAKEN_NOW = "the data's fingerprint is stored from now on; the tuner that began this study stored none"
_CONFIRMED_BEFORE = (
    "the study was confirmed on the data before the change; confirm again: tune confirm {} --reopen"
)


class Provenance:
    """The data of a study that goes on.

    Attributes:
        changes: the allowed differences from the data that the study was started with.
    """

    def __init__(
        self,
        name: str,
        spec: StudySpec,
        stored: bytes | None,
        *,
        is_confirmed: bool,
        allow: bool | None = None,
    ) -> None:
        """Compare with the stored fingerprint.

        Args:
            name: the study.
            spec: as it goes on.
            stored: the fingerprint of its data; None where there is none.
            is_confirmed: whether it was confirmed on that data.
            allow: whether changed data is taken over.
        """
        self._name, self._stored, self._is_confirmed, self._allow = name, stored, is_confirmed, allow
        self._source = "data" if spec.data is None or spec.data.source == MEMORY else spec.data.source
        self.changes: list[str] = []

    @classmethod
    def of(cls, database: Database, name: str, spec: StudySpec, *, allow: bool | None = None) -> Self:
        """The stored provenance of a study."""
        is_confirmed = database.confirmed(name) is not None
        return cls(name, spec, database.fingerprint(name), is_confirmed=is_confirmed, allow=allow)

    @property
    def fingerprint_check(self) -> FingerprintCheck:
        """What `data.load` compares the data with."""
        from tuner.data import FingerprintCheck

        return FingerprintCheck(self._stored, self._changed)

    def notes(self, data: Dataset | None) -> tuple[str, ...]:
        """Notes for the user, one sentence each."""
        if data is None:
            return ()
        taken = (_TAKEN_NOW,) if self._stored is None and data.fingerprint is not None else ()
        stale = (_CONFIRMED_BEFORE.format(quote(self._name)),) if self.changes and self._is_confirmed else ()
        return (*taken, *stale)

    def _changed(self, differences: Sequence[str]) -> None:
        """Refuse changed data, or note the change.

        Raises:
            SpecError: it was not allowed.
        """
        if not self._allow:
            raise SpecError(
                f"{self._source}: is not the data that '{self._name}' was started with: "
                f"{'; '.join(differences)}; restore that data, or go on with the data as it is now: "
                f"tune resume {quote(self._name)} --allow-changes (rows that were locked stay locked)"
            )
        self.changes = [f"data: {difference}" for difference in differences]

    def require(self, spec: StudySpec, given: Any = None, *, files_only: bool = False) -> None:
        """Refuse data that has changed, without using it; data that is missing is not refused.

        Args:
            spec: the study.
            given: the data, where it was passed from Python.
            files_only: read files only, and call no function that makes data.

        Raises:
            SpecError: it has changed.
        """
        from tuner import data

        if spec.data is None or self._stored is None or (given is None and spec.data.source == MEMORY):
            return
        try:
            found = data.differences(spec.data, Path.cwd(), self._stored, given, files_only=files_only)
        except DataError:
            # The code that needs the data reports why it cannot be read.
            return
        if found:
            self._changed(found)


def of_new() -> FingerprintCheck:
    """The provenance of a new study."""
    from tuner.data import FingerprintCheck

    return FingerprintCheck(None, lambda _: None)


def require_unchanged(study: Study) -> None:
    """Refuse to write out a study whose data file has changed.

    Raises:
        SpecError: it has; says how.
    """
    confirmed = study.confirmation is not None
    provenance = Provenance(study.name, study.spec, study.fingerprint, is_confirmed=confirmed)
    try:
        provenance.require(study.spec, files_only=True)
    except SpecError as error:
        raise SpecError(f"{error}; or use what is stored: --ignore-changes") from None
