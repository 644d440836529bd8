"""Serve: the dashboard on a port, until it is stopped.

While the browser starts, a thread reads the newest study and draws its pages. Requests run in the threads of
`connections`.
"""

from __future__ import annotations

import logging
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread, Timer

from tuner.errors import SpecError, StoreError
from tuner.store.columns import Reader
from tuner.web import connections, malloc, pages
from tuner.web.app import build
from tuner.web.guard import is_loopback
from tuner.web.live import Live
from tuner.web.renderer import PageRenderer

OPEN_AFTER_S = 0.2

TURN_S = 0.0005
"""Python's switch interval: how long a busy thread keeps the others waiting.

Fifteen scripts of 200 kB beside a busy thread take 0.26 s, with Python's 5 ms 0.35 s (alone: 0.17 s).
"""

DRAWN_S = 1.0
"""How long a browser takes to draw a page; nothing else is drawn for it until then."""

# A full queue is how a browser asks for ten scripts at once.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class Server:
    """A dashboard that listens at once and serves when it is run.

    Args:
        url: the database, which need not exist yet.
        host: where to listen; anything but a loopback address takes a token.
        port: where to listen; 0: any free one.
        folder: where the user's own pages are; the working folder.
        allows: whether visitors may ask something of studies; they need the token on any address then.

    Attributes:
        address: what to open in a browser, with the token where one is needed.
        location: the database, as messages call it.
        faults: what is wrong with page files.

    Raises:
        SpecError: it cannot listen there.
        StoreError: `url` is no address of a database.
    """

    def __init__(
        self,
        url: str,
        host: str = "127.0.0.1",
        port: int = 8080,
        folder: Path | None = None,
        *,
        allows: bool = False,
    ) -> None:
        malloc.keep_together()
        # Scripts are served while a study is read: none waits long for its turn.
        sys.setswitchinterval(TURN_S)
        self._live = Live(Reader(url))
        found = pages.load(folder)
        self._renderer = renderer = PageRenderer(self._live, found, allows=allows)
        self._closed = Event()
        listening = _listening(host, port)
        # The newest study is what will be looked at: it is read and drawn while the browser starts.
        self._reading = Thread(target=self._read_newest, args=(renderer,), daemon=True)
        self._reading.start()
        token = None if is_loopback(host) and not allows else secrets.token_urlsafe(24)
        application = build(renderer, host, token, url=url if allows else None)
        self._server = connections.listen(application, listening)
        bound = listening.getsockname()[1]
        self.address = f"http://{_named(host)}:{bound}/" + (f"?token={token}" if token else "")
        self.location = self._live.reader.location
        self.faults: Sequence[str] = found.faults

    def run(self) -> None:
        """Serve until interrupted or closed."""
        try:
            self._server.run()
        except OSError:
            # Closed by another thread while this one waits for requests: its sockets are gone.
            if not self._closed.is_set():
                raise

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        self._renderer.drawn.set()
        self._server.close()
        self._reading.join()
        self._live.close()

    def _read_newest(self, renderer: PageRenderer) -> None:
        with suppress(StoreError):
            _, summaries = self._live.studies()
            if summaries:
                name = summaries[0].name
                self._live.snapshot(name)
                malloc.give_back()
                self._live.settle(name)
                renderer.prepare(name, renderer.pages.pages[:1])
                # The others can wait until somebody has the first before them.
                renderer.drawn.wait()
                if not self._closed.wait(DRAWN_S):
                    renderer.prepare(name, renderer.pages.pages[1:])
        malloc.give_back()


def serve(
    url: str,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    opens: bool = True,
    tell: Callable[[str], None] = lambda _line: None,
    allows: bool = False,
) -> None:
    """Serve the dashboard of a database until interrupted, in a browser if it `opens` one; see `Server`."""
    server = Server(url, host, port, allows=allows)
    for fault in server.faults:
        tell(f"warning: {fault}")
    tell(f"dashboard: {server.address}")
    what = "takes requests for its studies" if allows else "changes nothing"
    tell(f"shows {server.location} and {what}; press Ctrl-C to stop it")
    if opens:
        timer = Timer(OPEN_AFTER_S, webbrowser.open, [server.address])
        timer.daemon = True
        timer.start()
    try:
        server.run()
    finally:
        server.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SpecError(
            f"--host {host} --port {port}: cannot listen there ({error.strerror or error}); name another "
            f"port, e.g. --port {port + 1}"
        ) from error


def _named(host: str) -> str:
    """A name by which this machine is reached when it listens everywhere."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
