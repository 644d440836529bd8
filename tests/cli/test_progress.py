from __future__ import annotations

import io
import re
import sys
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tuner.cli import progress
from tuner.cli.progress import Display, Lines, Notebook, Pace, Silent, watch
from tuner.core.budget import Budget, Spent
from tuner.core.ports import Status
from tuner.core.spec import StudySpec
from tuner.core.time_left import Durations, TimeLeft
from tuner.core.trial import Reading, TrialRecord, TrialState

SPEC = StudySpec.parse(
    {
        "name": "digits",
        "trainer": {"model": "mlp"},
        "budget": {"trials": 60},
        "space": {"x": {"type": "float", "low": 0, "high": 1, "default": 0.5}},
    }
)


def curve(epochs: int) -> list[Reading]:
    return [Reading(e, 1 / e, 1 / e + 0.1, 0.8, 0.9) for e in range(1, epochs + 1)]


def record(number: int, value: float) -> TrialRecord:
    reading = Reading(5, value / 2, value, 0.99, 0.97)
    return TrialRecord(number, {"x": 0.1}, TrialState.FINISHED, value=value, best=reading)


def status(
    running: Mapping[int, Sequence[Reading]] | None = None,
    *,
    budget: Budget | None = None,
    seconds: float = 30.0,
    epochs: int = 200,
    finished: int = 10,
    best: TrialRecord | None = None,
) -> Status:
    counts = {"finished": finished, "stopped": 15, "failed": 2, "running": len(running or {})}
    spent = Spent(trials=finished + 17, seconds=seconds, epochs=epochs, best=best.value if best else None)
    return Status(budget or Budget(trials=60), spent, running or {}, counts, best, record(0, 0.4))


def drawn(display: Display, width: int = 80, height: int = 24) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    display._console = console
    with console.capture() as captured:
        console.print(display.render())
    return captured.get()


def display_of(*statuses: Status) -> Display:
    display = Display(Console(file=io.StringIO(), width=80))
    display.begin(SPEC, ["a note"])
    for each in statuses:
        display.turn(each)
    return display


def test_the_display_shows_budget_best_counts_and_running_trials() -> None:
    before, now = (
        status(finished=0, seconds=0.0),
        status({31: curve(9), 30: curve(2)}, best=record(7, 0.1234)),
    )
    text = drawn(display_of(before, now))
    assert "27/60 trials" in text
    assert "left" in text
    assert "#7 val_loss 0.1234  val_score 0.97  gap 0.0617" in text
    assert "default 0.4" in text
    assert "10 finished · 15 stopped early · 2 failed" in text
    assert "20 trials/min" in text
    assert text.index("#31") < text.index("#30"), "the furthest trial comes first"
    assert "9/27" in text
    assert "▁" in text


@given(
    width=st.integers(10, 200),
    height=st.integers(5, 60),
    epochs=st.lists(st.integers(0, 40), max_size=70),
)
@settings(max_examples=40, deadline=None)
def test_the_display_fits_into_any_terminal(width: int, height: int, epochs: list[int]) -> None:
    display = display_of(status({n: curve(e) for n, e in enumerate(epochs)}, best=record(7, 0.1)))
    lines = drawn(display, width, height).splitlines()
    assert max(map(len, lines)) <= width
    if width >= 40:
        assert len(lines) <= max(height, 8)


def test_the_display_says_how_many_running_trials_it_leaves_out() -> None:
    text = drawn(display_of(status({n: curve(3) for n in range(40)})), height=20)
    assert "and 28 more" in text


def test_the_display_works_before_the_first_turn_and_without_trials() -> None:
    display = Display(Console(file=io.StringIO()))
    assert "loading libraries and data" in drawn(display)
    display.begin(SPEC, [])
    assert "waiting for the first epoch" in drawn(display)
    display.turn(Status(Budget(target=0.1), Spent(), {}, {}, None, None))
    assert "no trial has ended yet" in drawn(display)


def test_the_display_keeps_its_last_numbers_and_drops_running_trials_when_it_closes() -> None:
    display = display_of(status({31: curve(9)}, best=record(7, 0.1234)))
    display.close()
    text = drawn(display)
    assert "#7" in text
    assert "#31" not in text
    assert "left" not in text


def test_terminals_that_know_no_blocks_get_plain_ones() -> None:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), width=80)
    display = Display(console)
    display.begin(SPEC, [])
    display.turn(status({31: curve(9)}))
    drawn(display).encode()
    with console.capture() as captured:
        console.print(display._trials())
    captured.get().encode("ascii")


def test_the_time_left_follows_the_first_limit_to_be_reached() -> None:
    pace = Pace()
    pace.begin(status(finished=0, seconds=0.0))
    # The 17 trials at the start are not counted: 10 more in 30 s leave 33 of 60 for 99 s.
    left = pace.left(status(finished=10), 30.0)
    assert left is not None
    assert (left.low, left.high) == pytest.approx((99.0, 99.0))
    both = status(finished=10, budget=Budget(trials=60, seconds=50.0))
    assert pace.left(both, 30.0) == TimeLeft(20.0, 20.0, is_exact=True)
    epochs = status(finished=10, epochs=200, budget=Budget(epochs=300))
    assert pace.left(epochs, 30.0) == TimeLeft(15.0, 15.0)
    assert pace.left(status(budget=Budget(target=0.1)), 30.0) is None


def test_the_time_left_is_told_with_how_sure_it_is() -> None:
    uneven = replace(status(finished=10), durations=Durations.of([1.0, 5.0] * 5, [5] * 10))
    display = display_of(status(finished=0, seconds=0.0), uneven)
    assert re.search(r"27/60 trials  0:30  about [5-9]\d s to 2 min left", drawn(display, 120))
    lines = Pace(17)
    assert "about 53 s to 2 min left" in progress.state_in_words(uneven, lines, "val_loss")


def test_each_curve_of_a_running_trial_has_a_scale_of_its_own_and_the_heading_says_so() -> None:
    rising = [Reading(e, 1 / e**3, 1 + e / 100, 0.8, 0.9) for e in range(1, 9)]
    text = drawn(display_of(status({31: rising})), 100)
    assert "train, own scale" in text
    assert "validation, own scale" in text
    train, validation = re.findall(r"[▁▂▃▄▅▆▇█]+", text)
    assert (train[0], train[-1], validation[0], validation[-1]) == ("█", "▁", "▁", "█")
    assert "val, own scale" in drawn(display_of(status({31: rising})), 80)


def test_the_pace_of_a_resumed_study_is_that_of_this_session() -> None:
    pace = Pace()
    pace.begin(status(finished=100, seconds=1000.0))
    assert pace.per_minute(status(finished=110, seconds=1030.0), 1030.0) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(trials=100), 0.25),
        (Budget(trials=100, seconds=60.0), 0.5),
        (Budget(epochs=100), 1.0),
        (Budget(target=0.1), None),
    ],
)
def test_the_bar_shows_the_limit_that_is_nearest(budget: Budget, expected: float | None) -> None:
    assert progress.share(budget, Spent(epochs=200), 25, 30.0) == expected


def test_lines_tell_of_the_study_of_a_new_best_trial_and_of_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines()
    lines.begin(SPEC, ["a note"])
    lines.turn(status(best=record(3, 0.5)))
    assert "best" not in capsys.readouterr().err, "too soon after the first line"
    lines._told_at -= progress.BEST_LINE_S
    lines.turn(status(best=record(4, 0.25)))
    lines.turn(status(best=record(4, 0.25)))
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "best #4 val_loss 0.25" in told[0]
    lines.turn(status(finished=43, best=record(4, 0.25)))
    lines.close()
    assert capsys.readouterr().err.startswith("60/60 trials, 43 finished")
    lines.close()


def test_lines_are_told_now_and_then_even_when_nothing_gets_better(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines()
    lines.begin(SPEC, [])
    capsys.readouterr()
    lines._told_at -= progress.LINE_S
    lines.turn(status())
    assert "27/60 trials" in capsys.readouterr().err


def test_what_is_shown_depends_on_where_it_goes() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    pipe = Console(file=io.StringIO(), force_terminal=False)
    with watch(console=terminal) as watcher:
        assert isinstance(watcher, Display)
    with watch(console=terminal, plain=True) as watcher:
        assert isinstance(watcher, Lines)
    with watch(console=pipe) as watcher:
        assert isinstance(watcher, Lines)
    with watch(console=terminal, quiet=True) as watcher:
        assert type(watcher) is Silent
        watcher.begin(SPEC, [])
        assert watcher.name == "digits"


def test_the_terminal_is_restored_when_a_study_breaks_off() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80)
    with suppress(KeyboardInterrupt), watch(console=console) as watcher:
        watcher.begin(SPEC, [])
        watcher.turn(status({31: curve(9)}))
        raise KeyboardInterrupt
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert file.getvalue().rindex(shown) > file.getvalue().rindex(hidden)


class Cell:
    """What IPython.display does with one output of a cell."""

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.outputs = 0

    def HTML(self, page: str) -> str:  # noqa: N802
        return page

    def display(self, page: str, *, display_id: bool) -> Cell:
        assert display_id
        self.outputs += 1
        self.pages.append(page)
        return self

    def update(self, page: str) -> None:
        self.pages.append(page)


def test_a_notebook_has_one_output_for_a_study_with_its_notes_and_its_last_state() -> None:
    cell = Cell()
    shown = Notebook(cell)
    shown.begin(SPEC, ["a <note>"])
    assert "a &lt;note&gt;" in cell.pages[0]
    shown.turn(status(best=record(3, 0.5)))
    assert len(cell.pages) == 1, "too soon after the first page"
    shown._shown_at -= progress.NOTEBOOK_S
    shown.turn(status(best=record(3, 0.5)))
    assert "27/60 trials" in cell.pages[1]
    assert "width: 45%" in cell.pages[1]
    shown.turn(status(finished=43, best=record(4, 0.25)))
    shown.close()
    assert "60/60 trials, 43 finished" in cell.pages[-1]
    assert "best #4 val_loss 0.25" in cell.pages[-1]
    assert "a &lt;note&gt;" in cell.pages[-1]
    assert cell.outputs == 1
    shown.begin(SPEC, [])
    assert cell.outputs == 2


def test_a_kernel_is_seen_and_a_shell_in_a_terminal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shell:
        kernel: object | None = None

    shell, cell = Shell(), Cell()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    ipython.display = cell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    with watch() as watcher:
        assert not isinstance(watcher, Notebook)
    shell.kernel = object()
    with watch() as watcher:
        assert isinstance(watcher, Notebook)
        watcher.begin(SPEC, [])
        watcher.turn(status())
    assert "27/60 trials" in cell.pages[-1]
    with watch(quiet=True) as watcher:
        assert type(watcher) is Silent
