"""The program `tune`: its commands, and what becomes of what they raise.

Commands import what they need when they run, so that `tune --help` stays fast. What a command
does is not known here.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn

import typer

from tuner import __version__
from tuner.cli import (
    best,
    check,
    compare,
    confirm,
    copy,
    dashboard,
    delete,
    export,
    init,
    report,
    resume,
    show,
    start,
    verify,
)
from tuner.cli import list as list_
from tuner.cli.drive import INTERRUPTED
from tuner.errors import SpecError, TunerError

USAGE_ERROR = 2

COLLECTED_FROM = 100_000
"""New objects after which garbage is looked for.

What commands import are millions of objects that stay: looking through them as often as Python does
by itself would take a quarter of the time to the first trial.
"""

app = typer.Typer(
    name="tune",
    help="Tunes neural networks: data in, tuned model out.",
    epilog=(
        "\b\nExamples:\n"
        "  tune start                          the shipped study 'digits'\n"
        "  tune start house.csv --target price a table of your own\n"
        "  tune init my-project                a commented project to change\n"
        "  tune COMMAND --help                 more on one command"
    ),
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    start, resume, dashboard, list_, show, best, confirm, compare, report, export, check, init, copy,
    verify, delete,
):  # fmt: skip
    app.command(_command.__name__.rpartition(".")[2], epilog=_command.EXAMPLES)(_command.run)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tune {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version.")
    ] = False,
) -> None:
    """Tunes neural networks: data in, tuned model out."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit.

    Exits with 0 when all went well; 2 for what the user can mend, one line per fault on stderr;
    130 after Ctrl-C or SIGTERM; 1 with a traceback for anything else.

    Args:
        arguments: what stands behind `tune`; None: from the command line.
    """
    previous = signal.signal(signal.SIGTERM, _interrupt)
    gc.set_threshold(COLLECTED_FROM)
    try:
        _run(arguments)
        sys.stdout.flush()
    except TunerError as error:
        for line in _lines(error):
            print(f"error: {line}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader went away. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, previous)
    sys.exit(0)


def _run(arguments: Sequence[str] | None) -> None:
    try:
        app(args=arguments, prog_name="tune")
    except SystemExit as leaving:
        if leaving.code not in (0, None):
            raise


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _lines(error: TunerError) -> Sequence[str]:
    """One line per fault."""
    faults = error.faults if isinstance(error, SpecError) else (str(error),)
    return [" ".join(fault.split()) for fault in faults]
