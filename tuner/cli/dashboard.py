"""tune dashboard: the studies of a database in the browser, live."""

from __future__ import annotations

import os
from functools import partial
from typing import Annotated

import typer

from tuner.cli import screen
from tuner.cli.options import StorageOption
from tuner.content import storage_url

EXAMPLES = (
    "\b\nExamples:\n  tune dashboard\n  tune dashboard --storage sqlite:///other.db --port 9000 --no-open"
)


def run(
    storage: StorageOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free port.")] = 8080,
    host: Annotated[
        str,
        typer.Option(help="The address to listen on. Other machines need the token that is printed."),
    ] = "127.0.0.1",
    allow_actions: Annotated[
        bool,
        typer.Option(
            "--allow-actions",
            help="Let visitors who have the token stop and delete studies and try configurations.",
        ),
    ] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")] = False,
) -> None:
    """Show the stored studies in the browser, live; changes nothing without --allow-actions."""
    url = storage_url(storage)
    # Huge pages cost half a second of the four in which 100,000 trials are read; numpy looks when it loads.
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    from tuner.web.serve import serve

    tell = partial(screen.say, flush=True)
    serve(url, host, port, opens=not no_open, tell=tell, allows=allow_actions)
