"""Whether a study's data is the data it was started with; refuses or notes a change.

Called wherever data is read for a stored study, and before an export.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any, Self

from tuner.artifacts import DESCRIPTION
from tuner.core.data_spec import MEMORY
from tuner.core.dataset import Dataset, FingerprintCheck
from tuner.core.spec import StudySpec
from tuner.errors import DataError, SpecError, TunerError
from tuner.results import Study
from tuner.store import Database

_TAKEN_NOW = "the data's fingerprint is stored from now on; the tuner that began this study stored none"
_INPUTS = "inputs"
_SHOWN = 10
_CONFIRMED_BEFORE = (
    "the study was confirmed on the data before the change; confirm again: tune confirm {} --reopen"
)


@dataclass
class Provenance:
    """The data of a study that goes on, beside those that it was started with.

    Attributes:
        name: the study.
        spec: as it goes on.
        stored: the fingerprint of its data; None where there is none.
        is_confirmed: whether it was confirmed on that data.
        allow: whether changed data is taken over.
        inputs: what each column was read as, see `data.read_as`; None where that is not known.
        changes: the allowed differences from the data that the study was started with.
    """

    name: str
    spec: StudySpec
    stored: bytes | None
    _: KW_ONLY
    is_confirmed: bool
    allow: bool | None = None
    inputs: Mapping[str, str] | None = None
    changes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, database: Database, name: str, spec: StudySpec, *, allow: bool | None = None) -> Self:
        """The stored provenance of a study."""
        is_confirmed, inputs = database.confirmed(name) is not None, _inputs_before(database, name, spec)
        stored = database.fingerprint(name)
        return cls(name, spec, stored, is_confirmed=is_confirmed, allow=allow, inputs=inputs)

    @property
    def _source(self) -> str:
        data = self.spec.data
        return "data" if data is None or data.source == MEMORY else data.source

    @property
    def fingerprint_check(self) -> FingerprintCheck:
        """What `data.load` compares the data with."""
        return FingerprintCheck(self.stored, self._changed)

    def notes(self, data: Dataset | None) -> tuple[str, ...]:
        """Notes for the user, one sentence each."""
        if data is None:
            return ()
        taken = (_TAKEN_NOW,) if self.stored is None and data.fingerprint is not None else ()
        stale = (_CONFIRMED_BEFORE.format(quote(self.name)),) if self.changes and self.is_confirmed else ()
        return (*taken, *stale)

    def _changed(self, differences: Sequence[str]) -> None:
        """Refuse changed data, or note the change.

        Raises:
            SpecError: it was not allowed.
        """
        if not self.allow:
            raise SpecError(
                f"{self._source}: is not the data that '{self.name}' was started with: "
                f"{'; '.join(differences)}; restore that data, or go on with the data as it is now: "
                f"tune resume {quote(self.name)} --allow-changes (rows that were locked stay locked)"
            )
        self.changes = [f"data: {difference}" for difference in differences]

    def require_inputs(self, data: Dataset | None) -> None:
        """Refuse columns that are read as other inputs than the trials were trained on, or note them.

        Raises:
            SpecError: this was not allowed.
        """
        if data is None or self.inputs is None or self.changes:
            return
        now = inputs_of(data).get(_INPUTS, {})
        odd = [
            column
            for column in dict.fromkeys([*self.inputs, *now])
            # Of a model that saw other rows only the kind is known.
            if self.inputs.get(column, "") not in (how := now.get(column, ""), how.partition(" ")[0])
        ]
        if not odd:
            return
        shown = ", ".join(odd[:_SHOWN]) + (f" and {len(odd) - _SHOWN} more" if odd[_SHOWN:] else "")
        if not self.allow:
            raise SpecError(
                f"{self._source}: this version of tuner reads columns differently from the one that began "
                f"'{self.name}': {shown}; what has been trained is kept. Start another study, or go on with "
                f"the inputs as they are read now: tune resume {quote(self.name)} --allow-changes"
            )
        self.changes = [f"data: read differently: {shown}"]

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

        if spec.data is None or self.stored is None or (given is None and spec.data.source == MEMORY):
            return
        try:
            found = data.differences(spec.data, Path.cwd(), self.stored, given, files_only=files_only)
        except DataError:
            # The code that needs the data reports why it cannot be read.
            return
        if found:
            self._changed(found)


def inputs_of(data: Dataset) -> dict[str, Any]:
    """What is stored of how the columns of a table are read; nothing of arrays."""
    from tuner.data import read_as

    return {_INPUTS: read_as(data.encoding)} if data.encoding else {}


def _inputs_before(database: Database, name: str, spec: StudySpec) -> Mapping[str, str] | None:
    """What each column was read as; of a study that an earlier version began, by a model that was kept."""
    facts = database.study(name).facts
    if spec.data is None or _INPUTS in facts:
        return facts.get(_INPUTS)
    from tuner.data import read_as

    kept = database.artifacts(name)
    for number in sorted(kept.models()):
        with suppress(TunerError, OSError, ValueError, LookupError, TypeError):
            folder = kept.get(number)
            encoding = json.loads((folder / DESCRIPTION).read_text("utf-8"))["encoding"] if folder else {}
            if not encoding:
                return None
            found = read_as(encoding)
            if spec.data.folds is None and not spec.data.reshuffle:
                return found
            return {column: how.partition(" ")[0] for column, how in found.items()}
    return None


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
