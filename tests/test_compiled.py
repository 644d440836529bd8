"""Compiled kernels are kept by what their sources are: any environment finds them, and no other version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import tuner

PROGRAM = """
from numba.core import event
from tuner.fused.mersenne import Mersenne
import tuner
with event.install_recorder("numba:compile") as recorder:
    Mersenne(1).permutation(5)
print(tuner.__file__, len(recorder.buffer))
"""


def compiled(source: Path, cache: Path) -> int:
    """How many compilations a process with this copy of the program needs."""
    environment = os.environ | {"PYTHONPATH": str(source), "NUMBA_CACHE_DIR": str(cache)}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    )
    file, count = ran.stdout.split()
    assert Path(file).is_relative_to(source)
    return int(count)


def test_kernels_are_found_from_another_place_but_not_by_another_version(tmp_path: Path) -> None:
    sources = [tmp_path / name for name in ("one", "two")]
    for source in sources:
        shutil.copytree(
            Path(tuner.__file__).parent, source / "tuner", ignore=shutil.ignore_patterns("__pycache__")
        )
    one, two = sources
    assert compiled(one, tmp_path / "cache") > 0
    assert compiled(two, tmp_path / "cache") == 0
    with (two / "tuner" / "fused" / "layout.py").open("a") as file:  # not the kernel's own file
        file.write("\n# another version\n")
    assert compiled(two, tmp_path / "cache") > 0
    assert compiled(one, tmp_path / "cache") == 0
