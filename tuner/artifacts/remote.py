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
from tuner.artifacts.model import DESCRIPTION, require_signed, sign
from tuner.errors import StoreError, TrialError, TunerError, described

_DRAFT = ".writing-"


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
        """See `Artifacts.put`; a model is in the object store, too, before it returns.

        Raises:
            StoreError: the object store does not take the model.
        """
        if kind != MODEL:
            return super().put(number, kind, write)
        key = ""

        def write_and_send(folder: Path) -> bool:
            nonlocal key
            if not write(folder):
                return False
            sign(folder, self.identity)
            key = self._send(number, folder)
            return True

        path = super().put(number, kind, write_and_send)
        if path is not None:
            self._note(number, key)
        return path

    def _send(self, number: int, folder: Path) -> str:
        """Put a model into the object store; while it is sent, the one from before is still there.

        Returns:
            What changes with the model there.
        """
        names = [each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()]
        names.sort(key=DESCRIPTION.__eq__)  # what says that there is a model comes last
        fault = f"the model of trial {number} cannot be stored: "
        go_on = ", and go on with `tune resume`: nothing is lost"
        with _reached(f"{self.url}/{number}", fault, go_on) as (system, there):
            draft = _draft_of(there)
            _remove(system, draft)
            for name in names:
                _write(system, f"{draft}/{name}", (folder / name).read_bytes())
            _remove(system, there)
            for name in names:
                system.makedirs(f"{there}/{name}".rpartition("/")[0], exist_ok=True)
                system.cp_file(f"{draft}/{name}", f"{there}/{name}")
            _remove(system, draft)
            return str(system.ukey(f"{there}/{DESCRIPTION}"))

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
        except StoreError as error:
            raise TrialError(f"the model cannot be fetched: {error}") from error
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
            with suppress(StoreError), _reached(f"{self.url}/{number}") as (system, there):
                _remove(system, there)
                _remove(system, _draft_of(there))

    def models(self) -> set[int]:
        """See `Artifacts.models`.

        Raises:
            StoreError: the object store cannot be read.
        """
        with _reached(self.url, self._fault) as (system, there):
            found = _names(system, there)
        return super().models() | {int(name) for name in found if name.isdecimal()}

    def destroy(self) -> None:
        """See `Artifacts.destroy`."""
        super().destroy()
        with _reached(self.url, self._fault, ", and delete it again") as (system, there):
            for name in _names(system, there):
                if name.isdecimal() or name.startswith(_DRAFT):
                    _remove(system, f"{there}/{name}")
            _remove(system, f"{there}/{MARK}")  # last, as that of a folder

    def mark(self) -> None:
        """See `Artifacts.mark`.

        Raises:
            StoreError: the object store does not take it.
        """
        # Before the one here, which would say that there is one.
        with _reached(self.url, self._fault) as (system, there):
            _write(system, f"{there}/{MARK}", self._mark_text().encode())
        super().mark()

    @property
    def _fault(self) -> str:
        return f"study '{self.study}': "

    def _mark(self) -> dict[str, Any]:
        return super()._mark() or mark_at(self.url)


def mark_at(url: str) -> dict[str, Any]:
    """What the mark at a study's place in an object store says; empty where there is none.

    Raises:
        StoreError: the object store cannot be read.
    """
    with _reached(f"{url}/{MARK}") as (system, there):
        text = system.cat_file(there) if system.exists(there) else b"{}"
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _reached(url: str, fault: str = "", to_do: str = "") -> Iterator[tuple[Any, str]]:
    """The file system of a URL, and its path there; whatever goes wrong is a StoreError.

    Args:
        url: what is read or written.
        fault: what the error says before it.
        to_do: what to do, once it is in reach.
    """
    import fsspec

    try:
        yield fsspec.core.url_to_fs(url, use_listings_cache=False)  # others write there
    except TunerError:
        raise
    except Exception as error:  # of the driver's own kinds, too
        told = f"{fault}{url}: {described(error)}; see whether it is in reach{to_do}"
        raise StoreError(told) from error


def _names(system: Any, there: str) -> list[str]:
    """The names of what lies in a place."""
    found = system.ls(there, detail=False) if system.exists(there) else []
    return [PurePosixPath(each).name for each in found]


def _draft_of(there: str) -> str:
    """Where a model is sent first, beside its place."""
    place, _, number = there.rpartition("/")
    return f"{place}/{_DRAFT}{number}"


def _write(system: Any, name: str, content: bytes) -> None:
    system.makedirs(name.rpartition("/")[0], exist_ok=True)
    system.pipe_file(name, content)


def _remove(system: Any, name: str) -> None:
    if system.exists(name):
        system.rm(name, recursive=True)
