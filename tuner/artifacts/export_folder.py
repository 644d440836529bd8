"""Fills a folder of the user's so that it is whole, or can be filled again after a kill at any point."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tuner.artifacts.artifacts import study_folder_of
from tuner.errors import SpecError

_UNDER_WAY = ".exporting"
"""A file that lists what is in the folder only because of a filling that is under way or was cut off."""

_DRAFT = ".exporting-files"


def fill_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Fill a folder that does not exist, is empty, or holds what was left when this was cut off.

    Args:
        folder: where.
        write: writes all of it into the existing, empty folder that it is given.

    Raises:
        SpecError: there is something else in it, or it lies among the files of a study, which may go.
    """
    if "\0" in str(folder):
        raise SpecError(f"{str(folder)!r}: no folder has such a name; name another folder")
    if (its := study_folder_of(folder)) is not None:
        raise SpecError(
            f"{folder}: lies in {its}, which is a study's own and goes with it; name another folder"
        )
    is_new = not folder.exists()
    if not is_new:
        _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    under_way, draft = folder / _UNDER_WAY, folder / _DRAFT
    under_way.write_text("[]", encoding="utf-8")
    draft.mkdir()
    try:
        write(draft)
        names = sorted(path.name for path in draft.iterdir())
        listed = draft.with_name(f"{_UNDER_WAY}-list")
        listed.write_text(json.dumps(names), encoding="utf-8")
        listed.replace(under_way)
        for name in names:
            (draft / name).rename(folder / name)
        draft.rmdir()
    except BaseException:
        with suppress(OSError):
            _clear(folder)
            if is_new:
                folder.rmdir()
        raise
    # The last step: from now on the folder is the user's.
    under_way.unlink()


def _clear(folder: Path) -> None:
    """Remove what a filling that was cut off left in a folder.

    Raises:
        SpecError: there is something else in it.
    """
    under_way = folder / _UNDER_WAY
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else {""}
    ours: set[str] = set()
    if _UNDER_WAY in found and not under_way.is_symlink():
        with suppress(ValueError):
            ours = {str(name) for name in json.loads(under_way.read_text(encoding="utf-8"))}
        ours |= {_UNDER_WAY, _DRAFT, f"{_UNDER_WAY}-list"}
    if found - ours:
        raise SpecError(f"{folder}: is not empty; name a new folder")
    for name in found - {_UNDER_WAY}:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if _UNDER_WAY in found:
        under_way.unlink()
