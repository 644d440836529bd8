"""How many cores a process may use, in trees like those that Docker, systemd and Kubernetes make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tuner.api.cores import cores, memory


@pytest.fixture(autouse=True)
def _sixty_four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu,cpuacct"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "max 100000\n"}, 64),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "250000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "10000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "nonsense\n"}, 64),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "9900000 100000\n"}, 64),
        (
            {
                "proc/self/cgroup": "0::/a/b/c\n",
                f"{V2}/a/cpu.max": "400000 100000\n",
                f"{V2}/a/b/cpu.max": "300000 100000\n",
                f"{V2}/a/b/c/cpu.max": "800000 100000\n",
            },
            3,
        ),
        ({"proc/self/cgroup": "0::/docker/f00\n", f"{V2}/cpu.max": "500000 100000\n"}, 5),
        ({"proc/self/cgroup": "0::/../../a\n", f"{V2}/a/cpu.max": "600000 100000\n"}, 6),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/f00\n1:memory:/x\n",
                f"{V1}/docker/cpu.cfs_quota_us": "-1\n",
                f"{V1}/docker/cpu.cfs_period_us": "100000\n",
                f"{V1}/docker/f00/cpu.cfs_quota_us": "150000\n",
                f"{V1}/docker/f00/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu:/\n0::/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "700000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/unified/cpu.max": "max 100000\n",
            },
            7,
        ),
    ],
)
def test_the_lowest_quota_above_the_process_counts_rounded_up(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    assert cores(tree(tmp_path, files)) == expected


GIB = 2**30


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64 * GIB),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": f"{8 * GIB}\n"}, 8 * GIB),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "max\n"}, 64 * GIB),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "nonsense\n"}, 64 * GIB),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": f"{96 * GIB}\n"}, 64 * GIB),
        (
            {
                "proc/self/cgroup": "0::/a/b/c\n",
                f"{V2}/a/memory.max": f"{16 * GIB}\n",
                f"{V2}/a/b/memory.max": f"{4 * GIB}\n",
                f"{V2}/a/b/c/memory.max": "max\n",
            },
            4 * GIB,
        ),
        ({"proc/self/cgroup": "0::/docker/f00\n", f"{V2}/memory.max": f"{5 * GIB}\n"}, 5 * GIB),
        ({"proc/self/cgroup": "0::/../../a\n", f"{V2}/a/memory.max": f"{6 * GIB}\n"}, 6 * GIB),
    ],
)
def test_the_lowest_memory_above_the_process_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16 * 2**20}.__getitem__)
    assert memory(tree(tmp_path, files)) == expected
