"""How many cores and how much memory this process may use: what is shared out among workers and threads.

Called when a session decides on its layout. A container limits time with a quota of its cgroup, which
neither the affinity nor the number of the machine's cores shows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def cores(root: Path = Path("/")) -> int:
    """The lowest of the process's affinity and of every CPU quota above it, rounded up; at least 1.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(root))]))


def memory(root: Path = Path("/")) -> int:
    """The lowest of the machine's memory and of every limit of a cgroup (version 2) above it, in bytes."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(OSError, ValueError):
        path = (root / "proc/self/cgroup").read_text().partition("0::")[2].partition("\n")[0]
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for depth in range(len(parts) + 1):
            with suppress(OSError, ValueError):  # "max" where there is none
                limit = root.joinpath("sys/fs/cgroup", *parts[:depth], "memory.max")
                limits.append(int(limit.read_text()))
    return min(limits)


def _quotas(root: Path) -> Iterator[float]:
    """The quotas in cores of the cgroups that hold this process, version 2 and version 1."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            for mount in (mounts, mounts / "unified"):
                yield from _along(mount, path, "cpu.max")
        elif "cpu" in controllers.split(","):
            for mount in {mounts / controllers, mounts / "cpu"}:
                yield from _along(mount, path, "cpu.cfs_quota_us", "cpu.cfs_period_us")


def _along(mount: Path, path: str, *files: str) -> Iterator[float]:
    """The quotas from a cgroup up to the root of its tree.

    Inside of a container the path may be the host's, or begin above the tree that is mounted: then
    only the part that is there counts, down to the root.
    """
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for depth in range(len(parts) + 1):
        folder = mount.joinpath(*parts[:depth])
        with suppress(OSError, ValueError):
            # Without a limit the first word is "max" in version 2, and -1 in version 1.
            quota, period = map(float, " ".join((folder / file).read_text() for file in files).split()[:2])
            if quota > 0 and period > 0:
                yield quota / period
