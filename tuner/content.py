"""Finds search_spaces/, studies/, dashboards/ files: working folder first, then the shipped ones.

Reads TOML into tables, which `core` checks, and says which database is meant: the option, the variable, or
the default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.errors import SpecError, near

FOLDERS: Mapping[str, str] = {"study": "studies", "space": "search_spaces", "page": "dashboards"}
"""The folder of each kind of content, both in the working folder and among the shipped ones."""

DATABASE = "sqlite:///tuner.db"
"""The database where nothing says another one."""


def storage_url(storage: str | None) -> str:
    """The database to use: what was asked for, else ``TUNER_STORAGE``, else tuner.db here."""
    return storage or os.environ.get("TUNER_STORAGE") or DATABASE


def models_root(said: str | Path | None = None, start: Path | None = None) -> Path | str | None:
    """The folder for the models of all studies, or the URL of an object store; None where nothing says which.

    Args:
        said: the folder that was asked for; else the one that ``TUNER_MODELS`` names.
        start: where a relative path starts; the working folder.

    Raises:
        SpecError: it cannot be one.
    """
    named = str(said or os.environ.get("TUNER_MODELS") or "")
    if not named:
        return None
    if "://" in named:
        _require_driver(named)
        return named.rstrip("/")
    try:
        path = ((start or Path.cwd()) / Path(named).expanduser()).resolve()
        if path.exists() and not path.is_dir():
            raise SpecError(f"{named}: is a file, and models go into a folder; name another place")
    except (OSError, RuntimeError, ValueError) as error:
        raise SpecError(
            f"{named!r}: no folder for models can be there ({error}); name another place"
        ) from error
    return path


def _require_driver(url: str) -> None:
    """Make sure that an object store's URL can be used here.

    Raises:
        SpecError: its protocol is unknown, or the package for it is not installed.
    """
    import fsspec

    protocol = url.partition("://")[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError as error:
        raise SpecError(
            f"{url}: unknown protocol '{protocol}'; name s3://, gs://, file:// or a folder"
        ) from error
    except ImportError as error:
        told = str(error)
        raise SpecError(f"{url}: its driver is missing: {told[0].lower()}{told[1:].rstrip('.')}") from error


def shipped(kind: str) -> Path:
    """The folder of the shipped files of a kind, in a wheel as in a checkout."""
    package = Path(__file__).parent
    installed = package / "_content" / FOLDERS[kind]
    return installed if installed.is_dir() else package.parent / FOLDERS[kind]


def names(kind: str, folder: Path | None = None) -> list[str]:
    """Every name that `find` would find, own and shipped, sorted."""
    places = ((folder or Path.cwd()) / FOLDERS[kind], shipped(kind))
    return sorted({path.stem for place in places for path in place.glob("*.toml")})


def find(kind: str, name: str, folder: Path | None = None) -> Path:
    """Find a file by a path that ends in ``.toml``, else by its name.

    Args:
        kind: ``"study"``, ``"space"`` or ``"page"``.
        name: a path or a name.
        folder: where relative paths and the user's own files start; the working folder.

    Raises:
        SpecError: nothing is there; says where it looked, and the near names.
    """
    folder = folder or Path.cwd()
    if name.endswith(".toml"):
        path = folder / name
        if path.is_file():
            return path
        raise SpecError(f"{name}: no such file; looked in {folder}")
    own = folder / FOLDERS[kind] / f"{name}.toml"
    for path in (own, shipped(kind) / f"{name}.toml"):
        if path.is_file() and path.stem == name:
            return path
    raise SpecError(
        f"no {kind} '{name}': looked for {own} and among the shipped ones; {near(name, names(kind, folder))}"
    )


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        SpecError: it cannot be read or is not TOML; says where.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: is not UTF-8 text: byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: is not TOML: {error}") from error
