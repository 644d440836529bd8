"""Connections: limits under which idle connections cannot block new ones.

At its limit, Waitress accepts no further connection, even if the others are idle or without a token. Here
the connection that has waited longest without having asked for anything makes room for a new one.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.server import create_server

THREADS = 8
"""Threads: as many requests as a browser sends at once, and some for a second browser."""

MOST_WAITING = 100
"""Connections without a request under way; a browser holds six, and macOS gives a process 256 files."""

LIMITS = {
    "connection_limit": 200,
    "channel_timeout": 30,
    "cleanup_interval": 5,
    "max_request_header_size": 2**16,
    "max_request_body_size": 2**24,
    "asyncore_use_poll": True,  # select() takes no file above 1023
}


class _Connection(HTTPChannel):  # type: ignore[misc]
    """A connection that closes an idle one when it opens; it knows whether it has had a request."""

    has_asked = False

    def __init__(self, server: Any, sock: socket.socket, *rest: Any, **more: Any) -> None:
        super().__init__(server, sock, *rest, **more)
        others = [each for each in server.active_channels.values() if each is not self]
        waiting = [each for each in others if not (each.requests or each.will_close)]
        if len(waiting) >= MOST_WAITING:
            min(waiting, key=lambda each: (each.has_asked, each.creation_time)).will_close = True

    def service(self) -> None:
        self.has_asked = True
        with suppress(OSError):  # a server that was closed meanwhile cannot be woken
            super().service()


def listen(application: Flask, listening: socket.socket) -> Any:
    """Waitress on an open socket, with these limits."""
    server = create_server(application, sockets=[listening], threads=THREADS, ident=None, **LIMITS)
    server.channel_class = _Connection
    return server
