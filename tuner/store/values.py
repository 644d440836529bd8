"""Values: what callers get about a stored study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from shlex import quote
from typing import Any

from tuner.core import words
from tuner.core.budget import StudyState
from tuner.core.spec import IMPORTED, StudySpec
from tuner.machine import MachineReading

ORIGIN = "origin"
"""The fact that remembers the file from which a study was started."""

CONFIRMS = "confirms"
"""The fact that names the study which a study confirms."""


@dataclass(frozen=True)
class StudySummary:
    """The summary of a stored study.

    Attributes:
        name: its name.
        description: `description` of its file.
        state: INTERRUPTED also where its process died without a word.
        reason: why it ended, in words; None while it runs.
        spec: the study file's table; see `parsed`.
        digest: the spec's hash.
        metric: what is searched for.
        minimize: whether less of it is better.
        created_at: UTC, ISO 8601; sorts as text.
        updated_at: likewise, of the last turn.
        seconds: wall time over all its sessions.
        position: where its executor stood, see `Turn.position`.
        counts: the search's own trials by state name, every state named.
        imported: how many further ones were trained elsewhere.
        best_value: the best value among those that were trained here and stand (`Stop.conclusive`), else
            among all but failed ones; one that violates a bound is the best only where all do.
        best_number: the first trial with it.
        facts: what was noted about data, device, executor, ...
        identity: unique over all databases: 32 hexadecimal digits.
        is_driven: whether a living process drives it now.
        machine: what that one's machine did when it was last read; None where it does not say.
    """

    name: str
    description: str
    state: StudyState
    reason: str | None
    spec: Mapping[str, Any]
    digest: str
    metric: str
    minimize: bool
    created_at: str
    updated_at: str
    seconds: float
    position: Mapping[str, Any]
    counts: Mapping[str, int]
    imported: int
    best_value: float | None
    best_number: int | None
    facts: Mapping[str, Any]
    identity: str
    is_driven: bool
    machine: MachineReading | None = None

    @cached_property
    def parsed(self) -> StudySpec:
        """The study file; parsed when it is first asked for.

        Raises:
            SpecError: this version does not understand it.
        """
        return StudySpec.parse(self.spec, self.name)

    @property
    def started(self) -> int:
        """How many trials count in the budget."""
        return sum(self.counts.values())

    @property
    def trials_told(self) -> str:
        """How many trials are stored, in words."""
        own = words.count(self.started, "trial")
        return f"{own} and {self.imported:,} imported" if self.imported else own

    @property
    def resume_command(self) -> str:
        """The command that goes on with it; a study that was imported needs a file that says what trains."""
        is_imported = self.parsed.trainer.use == IMPORTED
        named = f"study.toml --name {quote(self.name)} --allow-changes" if is_imported else quote(self.name)
        return f"tune resume {named}"

    @property
    def goes_on(self) -> str:
        """The command that has it train further trials, and what has to be raised first."""
        budget = self.parsed.budget
        if budget.trials is not None and self.started >= budget.trials:
            return f"{self.resume_command} --trials N, N above {self.started}"
        if budget.seconds is not None and self.seconds >= budget.seconds:
            return f"{self.resume_command} --seconds S, S above {self.seconds:.0f}"
        limits = [key for key in ("epochs", "patience", "target") if getattr(budget, key) is not None]
        if self.state is not StudyState.FINISHED or not limits:
            return self.resume_command
        # None of these has an option: the study's file says them.
        has_file = self.facts.get(ORIGIN) is not None
        command = f"tune resume {'' if has_file else 'study.toml --name '}{quote(self.name)} --allow-changes"
        way = "further away" if limits == ["target"] else "raised" if "target" not in limits else "changed"
        return f"{command}, once [budget] {words.listed(limits, 'or')} is {way} in its file"

    @property
    def confirm_command(self) -> str | None:
        """The command that confirms it, or the study that it confirms; None while its search is not over."""
        if self.confirms is None and self.state is not StudyState.FINISHED:
            return None
        return f"tune confirm {quote(self.confirms or self.name)}"

    @property
    def status(self) -> str:
        """Its state in one word: ``running`` while a living process drives it, else its state."""
        return "running" if self.is_driven else str(self.state)

    @property
    def confirms(self) -> str | None:
        """The study of which it holds the best trials, trained again; None for every other study."""
        return self.facts.get(CONFIRMS)


@dataclass(frozen=True, slots=True)
class SpecRevision:
    """One of the specs that a study has had.

    Attributes:
        at: since when, UTC, ISO 8601.
        command: the command it came from; empty where an earlier tuner did not note it.
        changes: the differences from the one before, one sentence each.
        digest: the spec's hash.
        spec: its table, for `StudySpec.parse`.
    """

    at: str
    command: str
    changes: tuple[str, ...]
    digest: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredConfirmation:
    """One confirmation of a study.

    Attributes:
        number: 1 for the first.
        at: when it began to judge, UTC, ISO 8601.
        command: which command did.
        host: on which machine.
        opened: whether the locked test split was read for it.
        result: the result as a JSON table; None where it was interrupted.
    """

    number: int
    at: str
    command: str
    host: str
    opened: bool
    result: Mapping[str, Any] | None
