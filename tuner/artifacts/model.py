"""The description in a model's folder: whose model it is, written into it and read back."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from tuner.errors import TrialError

DESCRIPTION = "model.json"
"""The file in a model's folder that says what the model is."""

MEMBERS = "members"
"""The folder in that of a trial's model that has member 3's in a folder ``3``; member 0's is above."""

_STUDY = "study"

_OURS = re.compile(rf"({MEMBERS}/\d+/)*{re.escape(DESCRIPTION)}")


def sign(folder: Path, identity: str) -> None:
    """Write a study's identity into the description of each model in a folder that is not yet kept."""
    for path in {folder / DESCRIPTION, *filter(partial(_describes, folder), folder.rglob(DESCRIPTION))}:
        table = _table(path) if path.is_file() else {}
        path.write_text(json.dumps({**table, _STUDY: identity}, indent=2) + "\n", encoding="utf-8")


def unreadable(error: OSError) -> str:
    """What is said of a file that is there and cannot be read."""
    return f"{error.filename}: cannot be read: {error.strerror or error}; make it readable"


def copy(folder: Path, target: Path) -> None:
    """Copy a model to a place of the user's: what is in it, but not who may change it.

    Raises:
        TrialError: a file of it cannot be read.
    """
    for path in (folder, *sorted(folder.rglob("*"))):
        to = target / path.relative_to(folder)
        try:
            if path.is_dir():
                to.mkdir(exist_ok=True)
            else:
                shutil.copyfile(path, to)
        except OSError as error:
            if error.filename != str(path):
                raise
            raise TrialError(unreadable(error)) from error


def require_signed(folder: Path, identity: str) -> None:
    """Make sure that a model is a study's own, and all of it lies in its folder.

    Raises:
        TrialError: it is another study's, a link leads out of its folder, or it cannot be read.
    """
    try:
        _require_signed(folder, identity)
    except OSError as error:
        raise TrialError(unreadable(error)) from error


def _require_signed(folder: Path, identity: str) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            raise TrialError(f"{path}: is a link, and tuner writes none; put the file itself there")
        if _describes(folder, path) and (found := _table(path).get(_STUDY)) != identity:
            whose = "carries no study's identity" if found is None else "is of another study"
            raise TrialError(f"{folder}: the model there {whose}; put the study's own folder back")
    if not (folder / DESCRIPTION).is_file():
        raise TrialError(f"{folder}: holds no model: {DESCRIPTION} is missing; put the folder back")


def params_of(folder: Path) -> Any:
    """The parameters of a model that carries no identity; None where it has one or cannot be read."""
    try:
        table = _table(folder / DESCRIPTION)
    except TrialError:
        return None
    return table.get("params") if _STUDY not in table else None


def _describes(folder: Path, path: Path) -> bool:
    """Whether it is a description of ours, and not a file of that name which a framework has saved."""
    return _OURS.fullmatch(path.relative_to(folder).as_posix()) is not None


def _table(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrialError(unreadable(error)) from error
    except ValueError as error:
        raise TrialError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise TrialError(f"{path}: a table is needed, found {type(found).__name__}")
    return found
