from __future__ import annotations

import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import pytest

from tests.servers import until
from tests.web.made import make_study
from tuner.web.serve import Server


def test_sockets_that_go_with_a_closed_server_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(f"sqlite:///{tmp_path / 'tuner.db'}", port=0)

    def gone() -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(server._server, "run", gone)
    with pytest.raises(OSError, match="Bad file descriptor"):
        server.run()
    server.close()
    server.run()


ASKED = b"GET /-/trials HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "begun", [b"", ASKED, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1", ASKED + b"\r\n"],
    ids=["nothing", "half a head", "half a body", "answered and left open"],
)  # fmt: skip
def test_connections_that_ask_for_nothing_more_keep_nobody_out(tmp_path: Path, begun: bytes) -> None:
    server = Server(f"sqlite:///{tmp_path / 'tuner.db'}", "0.0.0.0", port=0)
    port = server._server.socket.getsockname()[1]
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    token = server.address.partition("?")[2]
    with ExitStack() as open_:
        half = [open_.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(250)]
        for each in half:
            each.sendall(begun)
        asked = Request(f"http://127.0.0.1:{port}/-/trials?study=x", headers={"Cookie": f"tuner_{token}"})
        with urlopen(asked, timeout=60) as answer:
            assert answer.status == 204
    server.close()
    thread.join(20)


def test_a_dashboard_is_closed_while_its_first_study_is_looked_into(tmp_path: Path) -> None:
    url = make_study(tmp_path / "tuner.db", "made", 12, 3)
    for _ in range(5):
        server = Server(url, port=0)
        until(partial(len, server._live._studies))
        server.close()  # an error in its thread would be one of this test
        assert not server._reading.is_alive()
