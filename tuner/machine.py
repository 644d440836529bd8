"""Machine: what a study's processes use of the machine they run on, and how busy that is in all.

Read from ``/proc``, so on Linux only, and from `nvidia-smi` where there is one. The process that drives a
study reads it, since a page may be looked at on another machine.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tuner.core.words import percent

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_MIB, _GIB = 2**20, 2**30
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class MachineReading:
    """What a machine did at one time; processor time is the mean since the reading before.

    Attributes:
        at: when it was read, UTC, ISO 8601.
        host: the machine's name.
        processes: how many the study has: its driver and those that it has started.
        cores: how many cores these kept busy.
        memory: bytes that these have in memory; what they share counts in each.
        all_cores: how many cores everything kept busy.
        most_cores: how many cores there are.
        all_memory: bytes that everything uses.
        most_memory: bytes that there are.
        gpus: of each GPU the share of time that it was at work, 0 to 1, its bytes in use, and all of them.
    """

    at: str
    host: str
    processes: int
    cores: float
    memory: int
    all_cores: float
    most_cores: int
    all_memory: int
    most_memory: int
    gpus: Sequence[tuple[float, int, int]] = ()

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> MachineReading:
        """From `to_text`."""
        return cls(**json.loads(text))

    def age_s(self, now: datetime | None = None) -> float:
        """How long ago it was read, in seconds, as far as the clocks agree."""
        return ((now or datetime.now(UTC)) - datetime.fromisoformat(self.at)).total_seconds()

    @property
    def sentence(self) -> str:
        """The reading in words, without its time."""
        told = (
            f"{self.host}: the study keeps {self.cores:.1f} cores busy and uses {_size(self.memory)} in "
            f"{self.processes} process{'es' if self.processes != 1 else ''}; in all {self.all_cores:.1f} of "
            f"{self.most_cores} cores, {_size(self.all_memory)} of {_size(self.most_memory)}"
        )
        for i, (share, used, most) in enumerate(self.gpus):
            told += f"; GPU {i} {percent(share)} of the time, {_size(used)} of {_size(most)}"
        return told


class MachineMeter:
    """Reads what this process, those that it has started, and the machine do."""

    def __init__(self) -> None:
        self._nvidia = shutil.which("nvidia-smi")
        self._before = self._times()

    def read(self) -> MachineReading | None:
        """The use since the last call, or since this was made; None where the system does not tell."""
        before, now = self._before, self._times()
        if before is None or now is None:
            return None
        self._before = now
        pids = [os.getpid(), *descendants(os.getpid())]
        passed = max(_TICK_S, now[0] - before[0])
        mine, in_all = ((now[i] - before[i]) * _TICK_S / passed for i in (1, 2))
        free, most = _memory()
        return MachineReading(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            host=socket.gethostname(),
            processes=len(pids),
            cores=max(0.0, mine),
            memory=sum(map(_resident, pids)),
            all_cores=max(0.0, in_all),
            most_cores=os.cpu_count() or 1,
            all_memory=most - free,
            most_memory=most,
            gpus=self._gpus(),
        )

    def _times(self) -> tuple[float, float, float] | None:
        """The clock in seconds, and the processor time in ticks of the study and of everything."""
        try:
            # user, nice, system, idle, iowait, irq, softirq, steal; what guests use is in user already.
            fields = list(map(int, (_PROC / "stat").read_text().partition("\n")[0].split()[1:9]))
        except (OSError, ValueError):
            return None
        mine = sum(map(ticks, [os.getpid(), *descendants(os.getpid())]))
        return time.monotonic(), mine, sum(fields) - sum(fields[3:5])

    def _gpus(self) -> list[tuple[float, int, int]]:
        if self._nvidia is None:
            return []
        asked = ["--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits"]
        try:
            told = subprocess.run(
                [self._nvidia, *asked], capture_output=True, text=True, timeout=_PATIENCE_S, check=True
            ).stdout
            rows = [list(map(float, line.split(","))) for line in told.splitlines()]
            return [(busy / 100, int(used) * _MIB, int(most) * _MIB) for busy, used, most in rows]
        except (OSError, ValueError, subprocess.SubprocessError):
            self._nvidia = None  # a driver that does not answer is not asked again
            return []


def resident_bytes(pid: int) -> int:
    """The memory of a process and of those that it has started; 0 where the system does not tell."""
    return sum(map(_resident, [pid, *descendants(pid)]))


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError, ValueError):
            for child in map(int, path.read_text().split()):
                found += [child, *descendants(child)]
    return found


def _resident(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        if Path("/proc/self/statm").exists():
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        told = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        return int(told.stdout) * 1024
    return 0


def ticks(pid: int) -> int:
    """Processor time of a process, and of those that it has waited for after their end."""
    with suppress(OSError, ValueError, IndexError):
        # The name in parentheses may hold anything; the times are fields 14 to 17.
        fields = (_PROC / f"{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))
    return 0


def _memory() -> tuple[int, int]:
    """How much memory is free or could be freed at once, and how much there is, in bytes."""
    with suppress(OSError, ValueError, KeyError):
        lines = (line.split() for line in (_PROC / "meminfo").read_text().splitlines())
        found = {name: int(kib) * 1024 for name, kib, *_ in lines}
        return found["MemAvailable:"], found["MemTotal:"]
    return 0, 0


def _size(amount: int) -> str:
    return f"{amount / _GIB:.1f} GiB"
