"""A program as the shell sees it: seconds from its start to its end, and the memory of its process tree.

What the program computes is not known here.
"""

from __future__ import annotations

import os
import platform
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LOOK_S = 0.1


@dataclass(frozen=True)
class Ran:
    """One run of a program.

    Attributes:
        began: Unix time.
        wall_s: until its last process of the foreground ended, imports and all.
        memory_mb: the largest sum of resident memory over its processes, what they share counted in
            each; 0 where the system does not tell.
        output: its standard output.
        cpu_s: CPU seconds of it and its children.
    """

    began: float
    wall_s: float
    memory_mb: float
    output: str
    cpu_s: float


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Ran:
    """Run a program to its end in a folder; it is killed with all its children if we are interrupted.

    Raises:
        RuntimeError: it failed; with the end of what it wrote.
    """
    with (folder / "output.txt").open("w+") as output:
        began, begin, spent = time.time(), time.perf_counter(), _children_s()
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        peak, over = [0.0], threading.Event()
        looking = threading.Thread(target=_look, args=(process.pid, peak, over), daemon=True)
        looking.start()
        try:
            code = process.wait()
            wall_s = time.perf_counter() - begin
        finally:
            over.set()
            looking.join()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        text = output.read()
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{text[-3000:]}")
    return Ran(began, wall_s, peak[0], text, _children_s() - spent)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _look(pid: int, peak: list[float], over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        peak[0] = max(peak[0], sum(map(_resident_mb, _tree(pid))))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for children in (PROC / str(each) / "task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def _resident_mb(pid: int) -> float:
    try:
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """The machine in words."""
    model = platform.processor() or platform.machine()
    info = PROC / "cpuinfo"
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{cores()} cores of {model}, {platform.system()}, Python {platform.python_version()}{load}"
