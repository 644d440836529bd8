from __future__ import annotations

from pathlib import Path

import pytest

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
