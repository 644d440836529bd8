"""RemoteArtifacts: a study's files whose models are kept in an object store, by fsspec.

The study's folder on this machine has its checkpoints, its logs and a copy of each model that was written or
read here. The object store's copy counts: one that was replaced from another machine is fetched again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from tuner.artifacts.artifacts import MARK, MODEL, Artifacts
from tuner.artifacts.model import DESCRIPTION, require_signed
from tuner.errors import StoreError, TrialError, TunerError, described


@dataclass(frozen=True)
class RemoteArtifacts(Artifacts):
    """The files of one study, its models in an object store.

    Attributes:
        url: the study's own place there, such as ``s3://bucket/models/digits-0123abcd``.
    """

    url: str = ""

    @property
    def place(self) -> Path | str:
        """Where those of this one lie."""
        return self.url

    def put(self, number: int, kind: str, write: Callable[[Path], bool]) -> Path | None:
        """See `Artifacts.put`; a model is in the object store, too, before it returns."""
        path = super().put(number, kind, write)
        if path is not None and kind == MODEL:
            with _reached(f"{self.url}/{number}") as (system, there):
                _remove(system, there)
                files = [each for each in sorted(path.rglob("*")) if each.is_file()]
                # What says that there is a model comes last.
                for each in sorted(files, key=(path / DESCRIPTION).__eq__):
                    _write(system, f"{there}/{each.relative_to(path).as_posix()}", each)
                self._note(number, system.ukey(f"{there}/{DESCRIPTION}"))
        return path

    def get(self, number: int) -> Path | None:
        """See `Artifacts.get`; a model that is not here, or not the newest, is fetched."""
        try:
            with _reached(f"{self.url}/{number}") as (system, there):
                if system.exists(f"{there}/{DESCRIPTION}"):
                    newest, copy = system.ukey(f"{there}/{DESCRIPTION}"), self._copy(number)
                    known = copy.read_text(encoding="utf-8") if copy.exists() else None
                    if known != newest or not self.path(number).exists():
                        super().put(number, MODEL, partial(self._fetch, system, there))
                        self._note(number, newest)
        except OSError as error:
            raise TrialError(f"the model cannot be fetched: {error}; see whether it is in reach") from error
        return super().get(number)

    def _copy(self, number: int) -> Path:
        """The file that says which one of the object store's the model here is a copy of."""
        return self.log(number).with_suffix(".copy")

    def _note(self, number: int, key: str) -> None:
        self._copy(number).parent.mkdir(exist_ok=True)
        self._copy(number).write_text(key, encoding="utf-8")

    def _fetch(self, system: Any, there: str, folder: Path) -> bool:
        for name in system.find(there):
            part = PurePosixPath(name).relative_to(there)
            if ".." in part.parts:
                raise TrialError(f"{name}: leads out of its folder, and tuner writes none such; remove it")
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            (folder / part).write_bytes(system.cat_file(name))
        require_signed(folder, self.identity)  # before it is signed as a copy
        return True

    def delete(self, number: int, kind: str = MODEL) -> None:
        """See `Artifacts.delete`."""
        super().delete(number, kind)
        if kind == MODEL:
            with suppress(OSError), _reached(f"{self.url}/{number}") as (system, there):
                _remove(system, there)

    def models(self) -> set[int]:
        """See `Artifacts.models`."""
        with _reached(self.url) as (system, there):
            found = system.ls(there, detail=False) if system.exists(there) else []
        names = (PurePosixPath(each).name for each in found)
        return super().models() | {int(name) for name in names if name.isdecimal()}

    def destroy(self) -> None:
        """See `Artifacts.destroy`."""
        numbers = self.models()
        super().destroy()
        try:
            with _reached(self.url) as (system, there):
                for name in (*map(str, numbers), MARK):
                    _remove(system, f"{there}/{name}")
        except OSError as error:
            raise StoreError(f"study '{self.study}': {error}; delete it again") from error

    def mark(self) -> None:
        """See `Artifacts.mark`."""
        super().mark()
        with _reached(self.url) as (system, there):
            _write(system, f"{there}/{MARK}", self.folder / MARK)

    def _mark(self) -> dict[str, Any]:
        return super()._mark() or mark_at(self.url)


def mark_at(url: str) -> dict[str, Any]:
    """What the mark at a study's place in an object store says; empty where there is none.

    Raises:
        StoreError: the object store cannot be read.
    """
    try:
        with _reached(f"{url}/{MARK}") as (system, there):
            found = json.loads(system.cat_file(there)) if system.exists(there) else {}
    except ValueError:
        return {}
    except OSError as error:
        raise StoreError(f"{error}; see whether it is in reach") from error
    return found if isinstance(found, dict) else {}


@contextmanager
def _reached(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL, and its path there; whatever goes wrong is an OSError."""
    import fsspec

    try:
        yield fsspec.core.url_to_fs(url, use_listings_cache=False)  # others write there
    except (OSError, ValueError, TunerError):
        raise
    except Exception as error:  # of the driver's own kinds
        raise OSError(f"{url}: {described(error)}") from error


def _write(system: Any, name: str, file: Path) -> None:
    system.makedirs(name.rpartition("/")[0], exist_ok=True)
    system.pipe_file(name, file.read_bytes())


def _remove(system: Any, name: str) -> None:
    if system.exists(name):
        system.rm(name, recursive=True)
