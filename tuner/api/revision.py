"""A study file that has changed since its study was started: the differences, and whether they are allowed.

Writes nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import Any, Self

from tuner import content
from tuner.api.specify import NAMED, compose, is_data_file
from tuner.core.budget import StudyState
from tuner.core.changes import Change, changes
from tuner.core.spec import IMPORTED, StudySpec
from tuner.errors import SpecError
from tuner.store import ORIGIN, StudySummary

_REFERENCES = ("data.source", "trainer.model", *NAMED)
"""Keys that may name a file, which may have been moved."""


@dataclass(frozen=True)
class SpecSource:
    """The study file that a study was started from, and the options that were given with it.

    Attributes:
        file: its absolute path.
        digest: the hash of its content when it was last taken over.
        settings: keys by dotted name.
    """

    file: str
    digest: str
    target: str | Sequence[str] | None = None
    metric: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        study: Any,
        target: str | Sequence[str] | None = None,
        metric: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Self | None:
        """The source to store with a study; None where it is not the user's file."""
        if not isinstance(study, str | Path) or is_data_file(str(study)):
            return None
        file = content.find("study", str(study)).resolve()
        if file.parent == content.shipped("study").resolve():
            return None
        given = {key: value for key, value in (settings or {}).items() if value is not None}
        return cls(str(file), _digest(file), target, metric, given)

    @classmethod
    def remembered(cls, summary: StudySummary) -> Self | None:
        """The source stored with a study."""
        fact = summary.facts.get(ORIGIN)
        return cls(**fact) if fact else None

    def fact(self, further: Mapping[str, Any]) -> dict[str, Any]:
        """What is stored, with settings of this session on top."""
        settings = {**self.settings, **{k: v for k, v in further.items() if v is not None}}
        return {ORIGIN: asdict(replace(self, settings=settings))}

    @property
    def is_as_it_was(self) -> bool:
        """Whether the file's content is what it was, or there is no file any more."""
        file = Path(self.file)
        return not file.is_file() or _digest(file) == self.digest

    def composed(self, name: str) -> StudySpec:
        """The study as the file has it now."""
        spec, _ = compose(
            self.file, name=name, target=self.target, metric=self.metric, settings=self.settings
        )
        return spec


def revised(
    summary: StudySummary,
    study: str | Path | Mapping[str, Any] | StudySpec | None,
    *,
    allow: bool | None,
    trainer: Callable[..., Any] | None = None,
    data: Any = None,
) -> tuple[StudySpec, SpecSource | None]:
    """The spec to go on with.

    Args:
        summary: the stored study.
        study: as it is now; None: the file it was started from, where that has changed since.
        allow: take changes over; False: go on as it is stored; None: refuse them.
        trainer: a function from Python.
        data: arrays from Python.

    Raises:
        SpecError: something has changed that was not allowed, or never can; names all of it.
    """
    stored = summary.parsed
    origin = SpecSource.remembered(summary)
    if allow is False or (study is None and (origin is None or origin.is_as_it_was)):
        return stored, origin
    if study is not None:
        given = SpecSource.of(study)
        if given is not None and origin is not None and given.file == origin.file:
            given = replace(origin, digest=given.digest)
        origin = given
    elif origin is not None:
        origin = replace(origin, digest=_digest(Path(origin.file)))
    if origin is not None:
        spec, where = origin.composed(summary.name), origin.file
    else:
        spec, where = compose(study, name=summary.name, trainer=trainer, data=data)
    found = changes(stored, spec)
    never = [f"{where}: {c}: refused, {why}; start another study" for c in found if (why := _why(c, summary))]
    if never:
        raise SpecError(never)
    if found and not allow:
        raise SpecError(
            f"{where}: differs from what '{summary.name}' was started with: {'; '.join(map(str, found))}; "
            "go on with the changes: --allow-changes, without them: --ignore-changes"
        )
    return spec, origin


def raised(summary: StudySummary, spec: StudySpec, asked: Mapping[str, Any]) -> StudySpec:
    """The spec with the options of this session.

    Raises:
        SpecError: a limit was given that leaves nothing to do, though a higher one is used up already.
    """
    found = spec
    if any(value is not None for value in asked.values()):
        table = spec.to_table()
        for key, value in asked.items():
            section, _, name = key.partition(".")
            if value is not None:
                table[section] = {**table[section], name: value}
        found = StudySpec.parse(table, summary.name)
    if not is_used_up(summary, found):
        return found
    trials, seconds = asked["budget.trials"], asked["budget.seconds"]
    started = summary.started
    if trials is not None and trials < started:
        raise SpecError(
            f"{summary.name}: all {started} trials of its budget have run; "
            f"go on with `tune resume {quote(summary.name)} --trials N`, N above {started}"
        )
    if seconds is not None and seconds < (spec.budget.seconds or math.inf):
        raise SpecError(
            f"{summary.name}: {summary.seconds:.0f} seconds of its budget are used up; "
            f"go on with `tune resume {quote(summary.name)} --seconds S`, S above {summary.seconds:.0f}"
        )
    return found


def is_used_up(summary: StudySummary, spec: StudySpec) -> bool:
    """Whether a study has finished and its budget leaves nothing to train.

    One that was killed before it stored its end has nothing left to train, but is not finished.
    """
    if summary.state is not StudyState.FINISHED:
        return False
    budget, counts = spec.budget, summary.counts
    is_open = any(counts[state] for state in ("waiting", "running", "paused"))
    trials = budget.trials is not None and summary.started >= budget.trials and not is_open
    return trials or (budget.seconds is not None and summary.seconds >= budget.seconds)


def _why(change: Change, summary: StudySummary) -> str | None:
    """Why a study can never go on with the change."""
    if summary.parsed.trainer.use == IMPORTED and not change.key.startswith(("name", "objective", "space")):
        return None  # nothing was trained here
    if change.key in _REFERENCES and _is_moved(change.old, change.new):
        return None
    paused = summary.counts["paused"]
    if change.key == "search.pruner" and paused:
        return f"{paused} paused trials wait for it"
    return change.refusal


def _is_moved(old: Any, new: Any) -> bool:
    """Whether both are the same file, which now lies elsewhere."""
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    (before, _, attribute), (after, _, other) = old.partition(".py:"), new.partition(".py:")
    a, b = Path(before), Path(after)
    files = [Path(f"{path}.py") if attribute else path for path in (a, b)]
    return attribute == other and a.name == b.name and not files[0].exists() and files[1].is_file()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
