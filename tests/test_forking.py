"""Forked programs are processes as `subprocess` starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes

WAYS = {
    "all is well": "print('so')",
    "code": "import sys; print('said'); sys.exit(3)",
    "words": "import sys; sys.exit('no such thing')",
    "nothing": "raise SystemExit",
    "at exit": "import atexit; atexit.register(print, 'last'); print('first')",
    "thread": "from threading import Timer; Timer(0.1, print, ['late']).start()",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "interrupted": "import os, signal; signal.raise_signal(signal.SIGINT)",
    "seen": "import os, sys\nprint(sys.argv, os.getcwd(), __name__, os.environ['SEEN'], len(os.environ) > 9)",
    "pickled": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
}


@pytest.mark.parametrize("way", WAYS)
def test_it_ends_as_an_interpreter_does(way: str, tmp_path: Path) -> None:
    arguments, env = ("-c", WAYS[way], "more"), {"SEEN": "yes", "PATH": os.environ["PATH"]}
    forked = processes.run(*arguments, cwd=tmp_path, env=env)
    started = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout)
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


def test_an_error_is_told_and_its_code_is_one(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("1 / 0")
    ended = processes.run("wrong.py", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        processes.run("wrong.py", cwd=tmp_path, check=True)


def test_it_is_talked_to_and_killed() -> None:
    program = processes.start("-c", "while line := input(): print(line.upper(), flush=True)", pipes=True)
    assert program.stdin is not None
    assert program.stdout is not None
    print("loud", file=program.stdin, flush=True)
    assert program.stdout.readline() == "LOUD\n"
    assert program.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.01)
    program.kill()
    program.communicate()
    assert program.wait() == -signal.SIGKILL
