"""Study: a stored study as seen from Python.

It is read once, in one transaction; all output (the terminal, the report, a comparison, an
export) uses that snapshot. Reads only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from tuner.artifacts import Artifacts
from tuner.core import words
from tuner.core.baseline import Baseline
from tuner.core.frame import Frame
from tuner.core.importances import Importances
from tuner.core.objectives import whole_names
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, TrialRecord
from tuner.errors import TrialError
from tuner.findings import Evidence, Findings, all_of
from tuner.judging.confirmation import Confirmation
from tuner.judging.verdict import Verdict
from tuner.results import snippets
from tuner.results.snapshot import StudySnapshot
from tuner.results.study_figures import StudyFigures
from tuner.results.trial import TrialView
from tuner.store import Database, SpecRevision, StudySummary

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Study:
    """A stored study, as it was at the first access.

    Not to be shared between threads.

    Attributes:
        name: its name in the store.
        url: the database.
        models: the folder for the models of all studies, where it was said.
    """

    name: str
    url: str
    models: str | Path | None = None

    @cached_property
    def _snapshot(self) -> StudySnapshot:
        with Database.open(self.url, models=self.models) as database:
            return StudySnapshot.read(database, self.name)

    def refresh(self) -> Study:
        """Forget the snapshot, so that the next access reads the store again.

        Returns:
            The same study; trials that it gave before stay as they were.
        """
        for key in vars(self).keys() - {each.name for each in fields(self)}:
            del vars(self)[key]
        return self

    @property
    def summary(self) -> StudySummary:
        """State, counts, best value, time spent."""
        return self._snapshot.summary

    @property
    def spec(self) -> StudySpec:
        """The study as it was written.

        Raises:
            SpecError: this version does not understand it.
        """
        return self.summary.parsed

    @property
    def specs(self) -> list[SpecRevision]:
        """Every spec that the study has had, the first one first, and which command brought it."""
        return self._snapshot.revisions

    @property
    def fingerprint(self) -> bytes | None:
        """The fingerprint of its data; None where there is none."""
        return self._snapshot.fingerprint

    @property
    def files(self) -> Artifacts:
        """The files of its trials."""
        return self._snapshot.files

    @property
    def confirmed_files(self) -> Artifacts | None:
        """The files of what its last confirmation trained; None where that is not stored any more."""
        return self._snapshot.confirmed_files

    @property
    def notes(self) -> list[str]:
        """Notes of the last session on data and devices, one sentence each."""
        return list(self.summary.facts.get("notes", ()))

    @property
    def why_failed(self) -> str:
        """Why most of its trials ended, and where to read more."""
        reasons = Counter(record.reason for record in self.records if record.reason)
        if not reasons:
            return f"see: tune show {quote(self.name)}"
        reason, count = reasons.most_common(1)[0]
        first = next(record.number for record in self.records if record.reason == reason)
        others = f" and {words.count(count - 1, 'other')}" if count > 1 else ""
        return f"trial {first}{others}: {reason}; see: tune show {quote(self.name)} {first}"

    @property
    def records(self) -> list[TrialRecord]:
        """Every trial, in order of number."""
        return self._snapshot.records

    @property
    def frame(self) -> Frame:
        """Trials, readings and parameters as columns.

        Raises:
            SpecError: see `spec`.
        """
        spec, found = self.spec, self._snapshot.frame
        return Frame.of(self.records, {}, spec.search_space(), spec.objectives()) if found is None else found

    @cached_property
    def explained(self) -> Frame:
        """The same with the importances for the value and for the gap."""
        from tuner.search import ObservedTrials

        frame = self.frame
        seen = ObservedTrials(frame.space, self.records, frame.objective)
        found = seen.of_value_and_gap(lambda record: record.best.gap if record.best else None)
        return replace(frame, importances=found)

    def trial(self, number: int) -> TrialView:
        """One trial.

        Raises:
            TrialError: no trial has that number.
        """
        if not 0 <= number < len(self.records):
            raise TrialError(
                f"'{self.name}' has no trial {number}; it has {len(self.records)} trials, counted from 0"
            )
        return TrialView(self, self.records[number])

    @property
    def best(self) -> TrialView:
        """The search's best: the best value among those that stand, else among those cut short.

        One that violates a constraint is the best only where all do, and then the one that violates
        it least. With several objectives, the best by the first one. Which trial to take is
        `recommended`, another one where the study is confirmed.

        Raises:
            TrialError: no trial has a value yet.
        """
        return TrialView(self, self._valued(self.verdict.best))

    @cached_property
    def verdict(self) -> Verdict:
        """Which configuration to take, why, and how sure that is; all output uses it."""
        return Verdict.of(
            self.frame,
            self.records.__getitem__,
            self.confirmation,
            score_falls=self.spec.trainer.score_falls,
            is_running=self.summary.is_driven,
        )

    @property
    def recommended(self) -> TrialView:
        """The trial to take: what `tune confirm` recommends, with the model that it kept, else `best`.

        Raises:
            TrialError: no trial has a value yet.
        """
        verdict = self.verdict
        taken, found, path = self._valued(verdict.taken), verdict.confirmation, verdict.model_path
        if found is None or found.model_path is None or path is None or not Path(path).is_dir():
            return TrialView(self, taken)
        return TrialView(self, replace(taken, model_path=path), found)

    def best_within(self, limits: Mapping[str, float]) -> TrialView:
        """The best trial by the first objective of those that exceed no limit, in the search.

        Args:
            limits: what each number may be at most, e.g. ``{"latency_ms": 0.1}``; any that trials measured.
                Of a number that was measured in one runtime alone the runtime's name may be left out.

        Raises:
            TrialError: every trial exceeds one, or a number was not measured.
        """
        measured = self.frame.measured
        limits = whole_names(limits, measured)
        record = self.spec.objectives().best_within(self.records, limits)
        if record is None:
            told = words.listed([f"{name} of at most {limit:g}" for name, limit in limits.items()])
            known = ", ".join(measured)
            raise TrialError(f"'{self.name}': no trial has {told}; raise the limit; measured are: {known}")
        return TrialView(self, record)

    def best_kept(self, count: int) -> list[TrialView]:
        """The best trials of those whose models were kept, the best one first; see `tuner.export`.

        Raises:
            TrialError: there are fewer.
        """
        key = self.spec.objectives().key
        kept = sorted((r for r in self.records if r.model_path and r.value is not None), key=key)
        if not 1 < count <= len(kept):
            raise TrialError(
                f"'{self.name}': an ensemble of {count} models is asked for, {len(kept)} were kept; give 2 "
                f"to {len(kept)} ([trainer] keep says how many are kept)"
            )
        return [TrialView(self, record) for record in kept[:count]]

    @property
    def front(self) -> list[TrialView]:
        """The trials that no other one dominates in the study's objectives, sorted by the first one.

        With one objective it is the best trial; empty while no trial has a value.
        """
        return [self.trial(number) for number in self.verdict.searched_front]

    @cached_property
    def confirmation(self) -> Confirmation | None:
        """The last result of `tune confirm`; None where the study was never confirmed."""
        confirmed = self._snapshot.confirmed
        return None if confirmed is None else Confirmation.from_table(confirmed)

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """A constant prediction, a linear model and boosted trees on the search's validation rows.

        Those of `[baselines] use` that are trained; on the locked rows they are in `confirmation`.
        """
        return Baseline.all_of(self.summary.facts)

    @property
    def default(self) -> TrialView:
        """Trial 0, the default configuration."""
        return self.trial(0)

    @property
    def comments(self) -> Mapping[int | None, str]:
        """Comments by trial number; None: on the study. See `tuner.comment`."""
        return self._snapshot.comments

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: number, state, value, the best epoch's numbers, and ``params.<name>`` each.

        With a column ``comment`` where there is any.

        A trainer's own numbers come after the standard ones; one whose name equals another
        column's has the prefix ``reading.``.
        """
        from tuner.results import tables

        return tables.trials(self.records, self.comments)

    @property
    def curves(self) -> pd.DataFrame:
        """A row per trial and epoch, with every number of the reading, named as in `trials`."""
        from tuner.results import tables

        return tables.curves(self.readings())

    def importances(self) -> Importances:
        """How much of the differences between trials each parameter explains, the largest share first.

        Returns:
            A mapping from the parameters that stand out to their shares, with standard errors and the
            number of trials that it rests on; empty where `silence` says why none can be estimated.
        """
        return self.explained.importances["value"]

    def readings(self) -> dict[int, list[Reading]]:
        """Every epoch's reading of every trial, by number, with all that the trainer reports.

        They are read at the first access, so a running study may be further by then.
        """
        with Database.open(self.url, models=self.models) as database:
            return database.curves(self.name)

    def plot(self, figure: str = "convergence", *, dark: bool = False, **options: Any) -> go.Figure:
        """A figure of the study, as in the dashboard.

        Args:
            figure: its name (``"convergence"``, ``"curves"``, ``"gap_parameters"``, ...), or a reference to
                one of your own.
            dark: colours for a dark background.
            options: the figure's own, e.g. ``over="seconds"``.

        Raises:
            PluginError: there is no such figure.
            SpecError: an option is unknown or has a wrong value.
        """
        import plotly.graph_objects as go

        from tuner import figures

        theme = figures.DARK if dark else figures.LIGHT
        return go.Figure(figures.plot(figures.find(figure), self.explained, theme, options))

    @property
    def figures(self) -> StudyFigures:
        """Its figures by name: ``study.figures.convergence``; iterating gives the names."""
        return StudyFigures(self)

    def dashboard(self, height: int = 900) -> snippets.EmbeddedPage:
        """The study's page for a notebook: figures, findings, the confirmed result, and how it was run.

        It is the page of `tune report`, as the study stands now: it needs neither a server nor the network,
        and adds some 2 MB to the notebook. For a page that follows a running study see `tune dashboard`.

        Args:
            height: of its frame, in pixels.
        """
        from tuner.results import report

        return snippets.EmbeddedPage(report.page(self), height)

    def findings(self) -> Findings:
        """The findings: sentences with their numbers and what to do, the most important first.

        Trials that were cut short count only where their value does not matter.
        """
        found = self.confirmation
        return all_of(
            Evidence(
                self.explained,
                self.spec.trainer.epochs,
                None if found is None else found.spread,
                found is not None,
                Baseline.of(self.summary.facts),
                self._snapshot.ends,
                self.baselines,
                () if found is None else found.contests,
            )
        )

    def _repr_html_(self) -> str:
        return snippets.of_study(self)

    def _valued(self, record: TrialRecord | None) -> TrialRecord:
        if record is None:
            raise TrialError(f"'{self.name}': no trial has a value yet; see `tune show {quote(self.name)}`")
        return record
