"""What `tune start` and `tune resume` share: watch a study run, then print how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from shlex import quote
from typing import TYPE_CHECKING

import typer

from tuner.cli import screen
from tuner.errors import TrialError

if TYPE_CHECKING:
    from tuner import Study
    from tuner.core.ports import Observer

INTERRUPTED = 130
USAGE_ERROR = 2


def drive(begin: Callable[[Observer], Study], *, as_json: bool, quiet: bool) -> None:
    """Run a study with its progress display and print its result; the display says so while `begin` loads.

    Raises:
        typer.Exit: with 130 after Ctrl-C or SIGTERM; the command to go on is printed.
        typer.Exit: with 2 where too many trials failed.
        TrialError: no trial has a value.
    """
    from tuner.cli.progress import watch

    study = None
    with watch(quiet=quiet, plain=as_json) as watcher, suppress(KeyboardInterrupt):
        study = begin(watcher)
    if study is None:
        go_on = f"go on with: tune resume {quote(watcher.name)}" if watcher.name else "no trial was started"
        screen.say(f"interrupted; {go_on}", stderr=True)
        raise typer.Exit(INTERRUPTED)
    # Not before, as the first epoch would wait for them.
    from tuner.cli.contract import dump
    from tuner.cli.summary import print_summary
    from tuner.core.budget import StudyState
    from tuner.results import brief

    if study.verdict.taken is None:
        raise TrialError(f"{study.name}: no trial has a value; {study.why_failed}")
    if as_json:
        dump(brief(study, study.recommended))
    else:
        print_summary(study)
    if study.summary.state is StudyState.FAILED:
        # The result stands on stdout already.
        screen.say(f"error: {study.name}: {study.summary.reason}", stderr=True)
        raise typer.Exit(USAGE_ERROR)
