from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.cli.program import Tune


def test_dashboard_answers_at_the_address_it_prints_and_ends_with_ctrl_c(folder: Path) -> None:
    command = [sys.executable, "-m", "tuner", "dashboard", "--port", "0", "--no-open"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        address = re.fullmatch(r"dashboard: (http://127\.0\.0\.1:\d+/)\n", line)
        assert address is not None, line
        with urllib.request.urlopen(address.group(1), timeout=120) as answer:
            assert answer.status == 200
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=120)
    assert program.returncode == 0
    assert said == ""
    assert not (folder / "tuner.db").exists()


def test_dashboard_elsewhere_prints_a_token(folder: Path) -> None:
    command = [sys.executable, "-m", "tuner", "dashboard", "--port", "0", "--host", "0.0.0.0", "--no-open"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert re.search(r"/\?token=[\w-]{20,}$", program.stdout.readline().strip())
        program.terminate()


def test_dashboard_on_a_taken_port_says_what_to_do(tune: Tune) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = tune("dashboard", "--port", str(taken.getsockname()[1]), "--no-open")
    assert ended.code == 2
    assert "cannot listen there" in ended.err
    assert "name another port" in ended.err
