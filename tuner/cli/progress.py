"""The display of a running study: live on a terminal and in a notebook, plain lines elsewhere.

Uses statuses, never the store. Everything goes to stderr, so that stdout holds only results; in a notebook
to the output of the cell.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner.cli import screen, sparkline
from tuner.core import words
from tuner.core.budget import Budget, Spent
from tuner.core.markup import Markup, element, snippet
from tuner.core.ports import Status
from tuner.core.spec import StudySpec
from tuner.core.time_left import TimeLeft, Used, time_left
from tuner.core.trial import Reading, TrialRecord

LINE_S, BEST_LINE_S = 10.0, 1.0
"""Shortest time between two plain lines, and between two that report a new best trial."""
NOTEBOOK_S = 0.5
"""Shortest time between two states that are sent to a notebook."""
OVER = ("finished", "stopped", "failed")


class Silent:
    """An observer that shows nothing and remembers the study's name."""

    name: str | None = None

    def begin(self, spec: StudySpec, notes: Sequence[str]) -> None:  # noqa: ARG002
        """A study starts."""
        self.name = spec.name

    def turn(self, status: Status) -> None:
        """A turn was recorded."""


@contextmanager
def watch(*, quiet: bool = False, plain: bool = False, console: Console | None = None) -> Iterator[Silent]:
    """An observer for as long as a study runs; the terminal is restored whatever happens.

    Args:
        quiet: show nothing.
        plain: lines, even on a terminal.
        console: where to; stderr.
    """
    notebook = None if quiet or plain or console is not None else _notebook()
    console = console or screen.console(stderr=True)
    if quiet:
        yield Silent()
    elif notebook is not None:
        cell = Notebook(notebook)
        yield cell
        cell.close()
    elif plain or not console.is_terminal or console.is_dumb_terminal:
        lines = Lines()
        yield lines
        lines.close()
    else:
        display = Display(console)
        with Live(get_renderable=display.render, console=console, refresh_per_second=5) as live:
            yield display
            display.close()
            live.refresh()


@dataclass(slots=True)
class Pace:
    """How far a study is and how long it will take, judged by this session alone."""

    trials_before: int | None = None
    seconds_before: float = 0.0

    def begin(self, status: Status) -> None:
        """Take the first status of the session as its start."""
        if self.trials_before is None:
            self.trials_before, self.seconds_before = over(status.counts), status.spent.seconds

    def per_minute(self, status: Status, seconds: float) -> float:
        """Trials that ended per minute, `seconds` of the study after its first start."""
        ended = over(status.counts) - (self.trials_before or 0)
        passed = seconds - self.seconds_before
        return 60 * ended / passed if passed > 0 else 0.0

    def left(self, status: Status, seconds: float) -> TimeLeft | None:
        """The time until the first limit of the budget is reached; None while nothing is known."""
        pace = self.per_minute(status, seconds) / 60
        ended, epochs = over(status.counts), status.spent.epochs
        return time_left(status.budget, Used(ended, epochs, seconds, pace, status.durations))


def over(counts: Mapping[str, int]) -> int:
    """How many trials will never train again."""
    return sum(counts.get(state, 0) for state in OVER)


def share(budget: Budget, spent: Spent, ended: int, seconds: float) -> float | None:
    """The part of the budget that is used up, 0 to 1; None where only a target ends the study."""
    parts = [
        used / limit
        for used, limit in ((ended, budget.trials), (seconds, budget.seconds), (spent.epochs, budget.epochs))
        if limit is not None
    ]
    return min(1.0, max(parts)) if parts else None


class Lines(Silent):
    """Plain lines: one every few seconds, and one for a new best trial."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._metric = ""
        self._told_at = -LINE_S
        self._told_best: int | None = None
        self._last: Status | None = None
        self._told: Status | None = None

    def begin(self, spec: StudySpec, notes: Sequence[str]) -> None:
        """Say what is about to run."""
        super().begin(spec, notes)
        self.close()
        self._pace, self._last, self._told_best = Pace(), None, None
        self._metric = spec.objective.metric
        for line in (f"{spec.name}: {described(spec)}", *(f"  {note}" for note in notes)):
            screen.say(line, stderr=True, flush=True)
        self._told_at = time.monotonic()

    def turn(self, status: Status) -> None:
        """Print the state of the study, if enough time has passed."""
        self._pace.begin(status)
        self._last = status
        best = status.best.number if status.best is not None else None
        passed = time.monotonic() - self._told_at
        if passed >= LINE_S or (best != self._told_best and passed >= BEST_LINE_S):
            self._tell(status)

    def close(self) -> None:
        """Say how the study ended."""
        if self._last is not None and self._last is not self._told:
            self._tell(self._last)

    def _tell(self, status: Status) -> None:
        self._told, self._told_at = status, time.monotonic()
        self._told_best = status.best.number if status.best is not None else None
        screen.say(state_in_words(status, self._pace, self._metric), stderr=True, flush=True)


class Notebook(Silent):
    """One output of a notebook's cell for each study, which is replaced while it runs.

    Needs IPython and nothing else: no widgets, no extension.
    """

    def __init__(self, display: Any) -> None:
        """Show nothing yet; `display` is the module ``IPython.display``."""
        self._display = display
        self._handle: Any = None
        self._head = Markup()
        self._metric = ""
        self._pace = Pace()
        self._last: Status | None = None
        self._shown_at = 0.0

    def begin(self, spec: StudySpec, notes: Sequence[str]) -> None:
        """Say what is about to run, in an output of its own."""
        super().begin(spec, notes)
        self.close()
        self._pace, self._last, self._metric = Pace(), None, spec.objective.metric
        told = element("p", element("b", spec.name), f": {described(spec)}")
        self._head = Markup(told + "".join(element("div", note, class_="quiet") for note in notes))
        self._handle = self._display.display(self._page(), display_id=True)
        self._shown_at = time.monotonic()

    def turn(self, status: Status) -> None:
        """Show the state of the study, if enough time has passed."""
        self._pace.begin(status)
        self._last = status
        if time.monotonic() - self._shown_at >= NOTEBOOK_S:
            self._update()

    def close(self) -> None:
        """Leave the last numbers in the output."""
        if self._handle is not None and self._last is not None:
            self._update()

    def _update(self) -> None:
        self._shown_at = time.monotonic()
        self._handle.update(self._page())

    def _page(self) -> Any:
        status, parts = self._last, [self._head]
        if status is not None:
            ended, seconds = over(status.counts), status.spent.seconds
            done = share(status.budget, status.spent, ended, seconds)
            if done is not None:
                bar = element("div", style=f"width: {done:.0%}")
                parts.append(element("div", bar, class_="bar"))
            parts.append(element("p", state_in_words(status, self._pace, self._metric)))
        return self._display.HTML(snippet(*parts))


def _notebook() -> Any:
    """The module that displays in a notebook; None where this process is not the kernel of one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython import display

    return display


class Display(Silent):
    """A live display: budget, best trial, counts, and the running trials with their curves."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._blocks = sparkline.blocks(console.encoding)
        self._pace = Pace()
        self._spec: StudySpec | None = None
        self._status: Status | None = None
        self._running: list[tuple[int, tuple[Reading, ...]]] = []
        self._shown_at = time.monotonic()
        self._turned_at: float | None = None

    def begin(self, spec: StudySpec, notes: Sequence[str]) -> None:
        """Print what is about to run; the display appears below it."""
        super().begin(spec, notes)
        self._pace, self._status, self._running, self._turned_at = Pace(), None, [], None
        self._console.print(Text.assemble((spec.name, "bold"), f": {described(spec)}"))
        for note in notes:
            self._console.print(Padding(Text(note, style="dim"), (0, 0, 0, 2)))
        self._spec = spec

    def turn(self, status: Status) -> None:
        """Take a copy of what is shown: the display draws beside training."""
        self._pace.begin(status)
        self._status = status
        self._turned_at = time.monotonic()
        self._running = [(number, tuple(curve)) for number, curve in status.running.items()]

    def close(self) -> None:
        """Leave the last numbers on the screen, without running trials."""
        self._running = []
        self._turned_at = None

    def render(self) -> RenderableType:
        """The display as it is now."""
        if self._status is None or self._spec is None:
            passed = time.monotonic() - self._shown_at
            what = "waiting for the first epoch" if self._spec else "loading libraries and data"
            return Text(f"preparing: {what} ... {words.clock(passed)}", style="dim")
        parts: list[RenderableType] = [self._bar(self._status), *self._facts(self._status)]
        if self._running:
            parts += [Text(), self._trials()]
        return Group(*parts)

    def _seconds(self, status: Status) -> float:
        """The study's time now, not that of its last turn."""
        return status.spent.seconds + (time.monotonic() - self._turned_at if self._turned_at else 0.0)

    def _bar(self, status: Status) -> RenderableType:
        seconds, ended = self._seconds(status), over(status.counts)
        limit = f"/{status.budget.trials}" if status.budget.trials is not None else ""
        told = f"{ended}{limit} trials  {words.clock(seconds)}"
        left = self._pace.left(status, seconds)
        if left is not None and left.high and self._turned_at is not None:
            told += f"  {left.told}"
        done = share(status.budget, status.spent, ended, seconds)
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True)
        grid.add_row(ProgressBar(total=1.0, completed=done or 0.0, pulse=done is None), told)
        return grid

    def _facts(self, status: Status) -> Iterator[Text]:
        metric = self._spec.objective.metric if self._spec is not None else ""
        if status.best is not None:
            line = Text.assemble(("best  ", "dim"), (praised(status.best, metric), "bold green"))
            if status.default is not None and status.default.value is not None:
                line.append(f"  default {words.number(status.default.value)}", "dim")
            yield _one_line(line)
        parts = outcomes(status.counts) or ["no trial has ended yet"]
        rate = self._pace.per_minute(status, self._seconds(status))
        if rate:
            parts.append(f"{rate:.{0 if rate >= 10 else 1}f} trials/min")
        yield _one_line(Text.assemble(("done  ", "dim"), " · ".join(parts)))

    def _curve(self, curve: Sequence[float], width: int, style: str) -> Text:
        """A curve on a scale of its own: of two on one, the higher one would be a bar."""
        return Text(sparkline.sparkline(curve, width, *sparkline.span(curve), self._blocks), style)

    def _trials(self) -> Table:
        """As many running trials as fit, the furthest first."""
        fits = max(1, self._console.height - 8)
        shown = sorted(self._running, key=lambda item: (-len(item[1]), item[0]))[:fits]
        epochs = self._spec.trainer.epochs if self._spec is not None else 0
        numbers = ("val_loss", "gap") if self._console.width >= 60 else ("val_loss",)
        width = min(24, max(4, (self._console.width - 19 - 10 * len(numbers)) // 2))
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("epoch", justify="right", no_wrap=True)
        for short, heading in (("train", "train"), ("val", "validation")):
            told = (f"{heading}, own scale", f"{short}, own scale", heading[:width])
            table.add_column(next(each for each in told if len(each) <= width), no_wrap=True, min_width=width)
        for heading in numbers:
            table.add_column(heading, justify="right", no_wrap=True, min_width=8)
        for number, curve in shown:
            train, validation = [r.train_loss for r in curve], [r.val_loss for r in curve]
            table.add_row(
                f"#{number}",
                f"{len(curve)}/{epochs}",
                self._curve(train, width, "cyan"),
                self._curve(validation, width, "yellow"),
                *(words.number(curve[-1].get(name)) if curve else "" for name in numbers),
            )
        if len(self._running) > len(shown):
            table.add_row("", "", f"and {len(self._running) - len(shown)} more")
        return table


def state_in_words(status: Status, pace: Pace, metric: str) -> str:
    """How far a study is, how long it will take, and its best trial, in one line."""
    limit = f"/{status.budget.trials}" if status.budget.trials is not None else ""
    parts = [f"{over(status.counts)}{limit} trials", *outcomes(status.counts)]
    parts.append(words.clock(status.spent.seconds))
    left = pace.left(status, status.spent.seconds)
    if left is not None and left.high:
        parts.append(left.told)
    if status.best is not None:
        parts.append(f"best {praised(status.best, metric)}")
    return ", ".join(parts)


def described(spec: StudySpec) -> str:
    """What a study trains and when it ends, in a few words."""
    budget = spec.budget
    limits = [
        words.count(budget.trials, "trial") if budget.trials is not None else "",
        words.clock(budget.seconds) if budget.seconds is not None else "",
        words.count(budget.epochs, "epoch") if budget.epochs is not None else "",
        f"target {budget.target:g}" if budget.target is not None else "",
        f"patience {budget.patience}" if budget.patience is not None else "",
    ]
    trainer = " ".join(ref.rpartition("/")[2] for ref in (spec.trainer.use, spec.trainer.model) if ref)
    search = f"{spec.search.sampler} + {spec.search.pruner}"
    if not spec.space.learned:  # of such a trainer, each trial ends when it likes
        trainer = f"{trainer} of {spec.trainer.epochs} epochs"
    return ", ".join([trainer, search, *filter(None, limits)])


def outcomes(counts: Mapping[str, int]) -> list[str]:
    """How many trials ended how."""
    named = (("finished", "finished"), ("stopped", "stopped early"), ("failed", "failed"))
    return [f"{counts[state]} {told}" for state, told in named if counts.get(state)]


def praised(best: TrialRecord, metric: str) -> str:
    """The best trial: its number, value, validation score and gap."""
    told = f"#{best.number} {metric} {words.number(best.value)}"
    if best.best is None:
        return told
    named = (("val_score", best.best.val_score), ("gap", best.best.gap))
    return told + "".join(f"  {n} {words.number(x)}" for n, x in named if n != metric and x == x)


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
