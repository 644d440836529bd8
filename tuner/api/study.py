"""Study and TrialView: a stored study as seen from Python.

Reads only; every property asks the database anew, so that a running study can be watched.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from tuner.core.baseline import Baseline
from tuner.core.importances import Importances
from tuner.core.overfitting import Overfitting
from tuner.core.spec import StudySpec
from tuner.core.trial import NUMBERS, Reading, TrialRecord
from tuner.errors import StudyNotFound, TrialError
from tuner.store import Database, SpecRevision, StudySummary

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from tuner.findings import Finding
    from tuner.judging import Confirmation, Verdict

_COLUMNS = {
    *(
        "number",
        "state",
        "value",
        "epoch",
        "epochs",
        "best_epoch",
        "seconds",
        "interruptions",
        "rule",
        "reason",
    ),
    *NUMBERS,
}
"""Columns that are not numbers of one's own."""


@dataclass(frozen=True)
class TrialView:
    """One trial of a stored study.

    Attributes:
        confirmation: what recommends it; its model is then one of those that were trained again.
    """

    study: Study
    record: TrialRecord
    confirmation: Confirmation | None = None

    @property
    def number(self) -> int:
        """The trial's number; 0 is the default configuration."""
        return self.record.number

    @property
    def params(self) -> dict[str, Any]:
        """The trial's configuration, as its trainer was given it."""
        return self.study.spec.search_space().given(self.record.params)

    @property
    def value(self) -> float | None:
        """The best epoch's metric."""
        return self.record.value

    @property
    def reading(self) -> Reading | None:
        """The best epoch's reading."""
        return self.record.best

    @cached_property
    def curve(self) -> list[Reading]:
        """Every epoch's reading."""
        with Database.open(self.study.url, models=self.study.models) as database:
            return database.curves(self.study.name, self.number).get(self.number, [])

    @property
    def overfitting(self) -> Overfitting:
        """The gap at the best epoch and at the last, and where the trial begins to over-fit."""
        return Overfitting.of(self.curve, self.reading)

    @property
    def model_path(self) -> Path | None:
        """The folder of the best epoch's model; None where it was not kept."""
        return Path(self.record.model_path) if self.record.model_path else None

    @property
    def folder(self) -> Path:
        """Likewise, after a look whether it lies there.

        Raises:
            TrialError: it was not kept, is not there, or what lies there is not of this study.
        """
        what, found = f"trial {self.number} of '{self.study.name}': its model", None
        with Database.open(self.study.url, models=self.study.models) as database:
            if self.confirmation is not None and self.confirmation.model_path is not None:
                with suppress(StudyNotFound):
                    files = database.artifacts(self.confirmation.confirmed_by)
                    found = files.get(int(Path(self.confirmation.model_path).name))
            if found is None and self.record.model_path is not None:
                found = database.artifacts(self.study.name).get(self.number)
        if found is None and self.model_path is not None:
            raise TrialError(f"{what} is not in {self.model_path}; put the folder back")
        if found is None:
            kept = ", ".join(str(r.number) for r in self.study.records if r.model_path) or "none"
            raise TrialError(f"{what} was not kept; kept are: {kept} ([trainer] keep says how many)")
        return found

    def model(self) -> Any:
        """The best epoch's model.

        Returns:
            An `nn.Module` in evaluation mode that takes encoded, unscaled inputs (torch), the
            fitted estimator (sklearn), or what a function of one's own kept, by name.

        Raises:
            TrialError: the model was not kept or cannot be read.
        """
        from tuner.trainers import load_model

        return load_model(self.folder).module


@dataclass(frozen=True)
class Study:
    """A stored study.

    Attributes:
        name: its name in the store.
        url: the database.
        models: the folder for the models of all studies, where it was said.
    """

    name: str
    url: str
    models: str | Path | None = None

    @property
    def summary(self) -> StudySummary:
        """State, counts, best value, time spent."""
        with Database.open(self.url, models=self.models) as database:
            return database.study(self.name)

    @property
    def spec(self) -> StudySpec:
        """The study as it was written."""
        return StudySpec.parse(self.summary.spec, self.name)

    @property
    def specs(self) -> list[SpecRevision]:
        """Every spec that the study has had, the first one first, and which command brought it."""
        with Database.open(self.url, models=self.models) as database:
            return database.specs(self.name)

    @property
    def notes(self) -> list[str]:
        """What was done to the data and what ran where, a sentence each, as of the last session."""
        return list(self.summary.facts.get("notes", ()))

    @property
    def last_reason(self) -> str:
        """Why the last trial that says so ended, and where to read more."""
        for record in reversed(self.records):
            if record.reason:
                more = f"tune show {quote(self.name)} {record.number}"
                return f"trial {record.number}: {record.reason}; see: {more}"
        return f"see: tune show {quote(self.name)}"

    @property
    def records(self) -> list[TrialRecord]:
        """Every trial, in order of number."""
        with Database.open(self.url, models=self.models) as database:
            return database.records(self.name)

    def trial(self, number: int) -> TrialView:
        """One trial.

        Raises:
            TrialError: there is none of that number.
        """
        records = self.records
        if not 0 <= number < len(records):
            raise TrialError(
                f"'{self.name}' has no trial {number}; it has {len(records)} trials, counted from 0"
            )
        return TrialView(self, records[number])

    @property
    def best(self) -> TrialView:
        """The search's best: the best value among those that stand, else among those cut short.

        One that violates a constraint is the best only where all do, and then the one that violates
        it least. With several objectives, the best by the first one. Which trial to take is
        `recommended`, another one where the study is confirmed.

        Raises:
            TrialError: no trial has a value yet.
        """
        found = self.spec.goals().best_of(self.records)
        if found is None:
            raise TrialError(f"'{self.name}': no trial has a value yet; see `tune show {quote(self.name)}`")
        return TrialView(self, found)

    @property
    def verdict(self) -> Verdict:
        """Which configuration to take, why, and how sure that is; everything that tells it goes by this."""
        from tuner.judging import Confirmation, Verdict

        with Database.open(self.url, models=self.models) as database:
            summary, records = database.study(self.name), database.records(self.name)
            stored = database.confirmed(self.name)
        found = None if stored is None else Confirmation.from_table(stored)
        spec = StudySpec.parse(summary.spec, self.name)
        falls = spec.trainer.score_falls
        return Verdict.of(
            self.name, spec.goals(), records, found, score_falls=falls, is_running=summary.is_driven
        )

    @property
    def recommended(self) -> TrialView:
        """The trial to take: what `tune confirm` recommends, with the model that it kept, else `best`.

        Raises:
            TrialError: no trial has a value yet.
        """
        verdict = self.verdict
        if verdict.taken is None:
            raise TrialError(f"'{self.name}': no trial has a value yet; see `tune show {quote(self.name)}`")
        found, path = verdict.confirmation, verdict.model_path
        if found is None or found.model_path is None or path is None or not Path(path).is_dir():
            return TrialView(self, verdict.taken)
        return TrialView(self, replace(verdict.taken, model_path=path), found)

    @property
    def front(self) -> list[TrialView]:
        """The trials that no other one dominates in the study's objectives, sorted by the first one.

        With one objective it is the best trial; empty while no trial has a value.
        """
        return [TrialView(self, record) for record in self.spec.goals().front(self.records)]

    @property
    def confirmation(self) -> Confirmation | None:
        """What `tune confirm` found last; None where the study was never confirmed."""
        from tuner.judging import Confirmation

        with Database.open(self.url, models=self.models) as database:
            stored = database.confirmed(self.name)
        return None if stored is None else Confirmation.from_table(stored)

    @property
    def default(self) -> TrialView:
        """Trial 0, the default configuration."""
        return self.trial(0)

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: number, state, value, the best epoch's numbers, and ``params.<name>`` each.

        Numbers of one's own stand behind those that every trainer gives; one that is called as another
        column has ``reading.`` before its name.
        """
        import pandas as pd

        rows, records = [], self.records
        own = {n: _apart(n) for record in records if record.best is not None for n in record.best.extras}
        measured = [name for name in NUMBERS if name != "seconds"]
        for record in records:
            row: dict[str, Any] = {
                "number": record.number,
                "state": record.state.value,
                "value": record.value,
                "epochs": record.epochs,
                "best_epoch": record.best.epoch if record.best else None,
            }
            row |= {name: record.best.get(name) if record.best else None for name in measured}
            row |= {column: record.best.get(name) if record.best else None for name, column in own.items()}
            row |= {
                "seconds": record.seconds,
                "interruptions": record.interruptions,
                "rule": record.rule,
                "reason": record.reason,
            }
            rows.append(row | {f"params.{name}": value for name, value in record.params.items()})
        return pd.DataFrame(rows)

    @property
    def curves(self) -> pd.DataFrame:
        """A row per trial and epoch, with every number of the reading, named as in `trials`."""
        import pandas as pd

        with Database.open(self.url, models=self.models) as database:
            curves = database.curves(self.name)
        rows = [
            {"number": number, "epoch": reading.epoch}
            | {name: reading.get(name) for name in NUMBERS}
            | {_apart(name): value for name, value in reading.extras.items()}
            for number, curve in curves.items()
            for reading in curve
        ]
        return pd.DataFrame(rows, columns=None if rows else ["number", "epoch", *NUMBERS])

    def importances(self) -> Importances:
        """How much of the differences between trials each parameter explains, the largest share first.

        Returns:
            A mapping from the parameters that stand out to their shares, with standard errors and the
            number of trials that it rests on; empty where `silence` says why nothing can be told.
        """
        from tuner.search import importances

        spec = self.spec
        return importances(spec.search_space(), self.records, spec.goal())

    def readings(self) -> dict[int, list[Reading]]:
        """Every epoch's reading of every trial, by number."""
        with Database.open(self.url, models=self.models) as database:
            return database.curves(self.name)

    def plot(self, figure: str = "convergence", *, dark: bool = False, **options: Any) -> go.Figure:
        """A figure of the study, as in the dashboard.

        Args:
            figure: its name (``"convergence"``, ``"curves"``, ``"gap_parameters"``, ...), or a reference to
                one of your own.
            dark: for a dark ground.
            options: the figure's own, e.g. ``over="seconds"``.

        Raises:
            PluginError: there is no such figure.
            SpecError: an option is unknown or has a wrong value.
        """
        from tuner.api.pictures import plot

        return plot(self, figure, dark, options)

    def findings(self) -> list[Finding]:
        """What the study has shown, in plain words with the numbers and what to do, what matters most first.

        Trials that were cut short count only where it does not matter how good they are.
        """
        from tuner.findings import Evidence, all_of, spread_of, telling
        from tuner.search import of_value_and_gap

        summary, records = self.summary, self.records
        spec, base = StudySpec.parse(summary.spec, self.name), Baseline.of(summary.facts)
        space, goal = spec.search_space(), spec.goal()
        with Database.open(self.url, models=self.models) as database:
            curves = {n: database.curves(self.name, n).get(n, []) for n in telling(records, spec.goals())}
        known = of_value_and_gap(space, records, goal, lambda r: r.best.gap if r.best else None)
        found = self.confirmation
        spread = spread_of([each.values for each in found.candidates]) if found else None
        epochs = spec.trainer.epochs
        evidence = Evidence.of(records, curves, space, spec.goals(), epochs, known, spread, base)
        return all_of(replace(evidence, is_confirmed=found is not None))


def _apart(name: str) -> str:
    """The column of a number of one's own, see `Study.trials`."""
    return f"reading.{name}" if name in _COLUMNS or name.startswith("params.") else name
