"""Makes folders and files survive a power cut, and tells a disk's faults from others."""

from __future__ import annotations

import os
import re
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make(folder: Path) -> None:
    """Make a folder and those above it, each on the disk by its name."""
    missing = [place for place in (folder, *folder.parents) if not place.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync(place.parent)


def disk_fault(error: BaseException, folder: Path) -> str | None:
    """Why the disk refuses to write to a folder, in words; None where the error has another cause.

    Errors about files elsewhere, or about connections, do not count. safetensors wraps the
    system's error in one of its own.
    """
    if type(error).__name__ == "SafetensorError":
        told = re.search(r"I/O error: .*\(os error (\d+)\)", str(error))
        return os.strerror(int(told[1])) if told else None
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError):
        return None
    names = [os.fsdecode(n) for n in (error.filename, error.filename2) if isinstance(n, str | bytes)]
    places = [Path(name).absolute() for name in names]
    if places and not any(p.is_relative_to(folder) or folder.is_relative_to(p) for p in places):
        return None
    return error.strerror or str(error)


def sync_all(folder: Path) -> None:
    """Wait until everything in a folder is on the disk."""
    for path in (*folder.rglob("*"), folder):
        sync(path)
