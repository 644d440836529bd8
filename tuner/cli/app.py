"""The program `tune`: its commands, and the exit code for what they raise.

Commands import what they need when they run, so that `tune --help` stays fast.
"""

from __future__ import annotations

import errno
import gc
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from tuner.cli import screen
from tuner.cli.drive import INTERRUPTED, USAGE_ERROR
from tuner.errors import SpecError, TunerError

READER_GONE = 141
"""The exit code of a shell for a program that SIGPIPE ended."""

MENDABLE = frozenset({
    errno.EACCES, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENAMETOOLONG, errno.ENOSPC, errno.EPERM,
    errno.EROFS,
})  # fmt: skip
"""Errors of the operating system that the user can fix."""

COLLECTED_FROM = 100_000
"""New objects after which the garbage collector runs.

Imports create millions of objects that stay; collecting as often as Python does by default
would take a quarter of the time to the first trial.
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
for _name in (
    "start", "resume", "stop", "raise", "try", "comment", "import", "dashboard", "list", "show", "best",
    "confirm", "compress", "compare", "report", "export", "predict", "check", "init", "copy", "cluster",
    "verify", "rename", "delete",
):  # fmt: skip
    # A module cannot be called as a keyword is.
    _command = import_module(f"tuner.cli.{_name}{'_' * iskeyword(_name)}")
    app.command(_name, epilog=_command.EXAMPLES)(_command.run)


def _print_version(wanted: bool) -> None:
    if wanted:
        from tuner import __version__  # it is read from the installed package's metadata

        screen.say(f"tune {__version__}")
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

    Exits with 0 when all went well; 2 for what the user can mend, one line per fault on stderr, and with
    `--json` as `{"error": ...}` on stdout; 130 after Ctrl-C or SIGTERM; 141 when the reader of its
    output went away; 1 with a traceback for anything else.

    Args:
        arguments: what stands behind `tune`; None: from the command line.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    gc.set_threshold(COLLECTED_FROM)
    screen.prepare()
    try:
        _run(given)
        sys.stdout.flush()
    except TunerError as error:
        _tell(_lines(error), given)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        screen.say("interrupted", stderr=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        screen.silence()
        sys.exit(READER_GONE)
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        if error.filename is None:
            screen.silence()
        _tell([f"{error.filename or 'the output'}: {error.strerror}"], given)
        sys.exit(USAGE_ERROR)
    finally:
        signal.signal(signal.SIGTERM, previous)
    sys.exit(0)


def _run(arguments: Sequence[str]) -> None:
    try:
        app(args=arguments, prog_name="tune")
    except SystemExit as leaving:
        if leaving.code in (0, None):
            return
        # What typer has turned into a code of its own.
        cause = leaving.__context__
        if isinstance(cause, BrokenPipeError):
            raise cause from None
        if cause is not None and isinstance(cause.__cause__, KeyboardInterrupt):
            raise cause.__cause__ from None
        usage: Any = cause
        if "--json" in arguments and hasattr(usage, "format_message"):
            _dump_error([usage.format_message()])
        raise


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell(lines: Sequence[str], arguments: Sequence[str]) -> None:
    if "--json" in arguments:
        _dump_error(lines)
    for line in lines:
        screen.say(f"error: {line}", stderr=True)


def _dump_error(lines: Sequence[str]) -> None:
    from tuner.cli.contract import dump

    dump({"error": "\n".join(lines)})


def _lines(error: TunerError) -> Sequence[str]:
    """One line per fault."""
    faults = error.faults if isinstance(error, SpecError) else (str(error),)
    return [" ".join(fault.split()) for fault in faults]
