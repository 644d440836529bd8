"""Artifacts: the files of one study, in a folder that is its alone.

Models and checkpoints are put, got and deleted by the number of their trial; no other package builds
paths in the folder. The folder carries a mark with the study's identity, and so does every model:
what carries another one is neither read nor removed. Several processes may put at the same time, each
of its own trials.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from tuner.artifacts import durable
from tuner.artifacts.model import MEMBERS, copy, params_of, require_signed, sign, unreadable
from tuner.errors import StoreError, TrialError

MODEL: Literal["model"] = "model"
"""The kind of a trial's model, which is a folder; every other kind is a checkpoint, which is a file."""

MARK = "study.json"
"""The file in a study's folder that says whose it is."""
_CHECKPOINTS = "checkpoints"
_LOGS = "logs"
_LOG_BYTES = 256_000
"""A trial's log keeps its beginning, and so much of its end; it may grow to twice of it meanwhile."""
_LOG_HEAD = 16_000
_WRITING = ".writing-"
_REPLACED = ".replaced-"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The files of one study.

    Attributes:
        folder: the study's own, absolute; made when something is put.
        identity: the study's, 32 hexadecimal digits.
        study: its name, for the mark and for messages.
        database: which database it is in, as the mark has it: an SQLite file's path from the folder.
        synced: whether what is put is on the disk, power cut or not, before `put` returns.
    """

    folder: Path
    identity: str
    study: str
    database: str
    synced: bool = False

    def put(self, number: int, kind: str, write: Callable[[Path], bool]) -> Path | None:
        """Write something of a trial so that it is either whole or not there; what was there goes.

        Args:
            number: the trial.
            kind: `MODEL`, or a checkpoint's.
            write: writes into the existing, empty folder that it is given (a model), or to that
                path (a checkpoint), and says whether there was anything to write.

        Returns:
            Where it lies now; None where there was nothing to write.

        Raises:
            OSError: it could not be written; what was there before still is.
        """
        path = self.path(number, kind)
        self._make(path.parent)
        is_model = kind == MODEL
        writing = path.with_name(f"{_WRITING}{number}")
        if is_model:
            shutil.rmtree(writing, ignore_errors=True)
            writing.mkdir()
        try:
            if not write(writing):
                _remove(writing)
                return None
            if is_model:
                sign(writing, self.identity)
                if self.synced:
                    durable.sync_all(writing)
                self._replace(writing, path)
            else:
                if self.synced:
                    durable.sync(writing)
                writing.replace(path)
            if self.synced:
                durable.sync(path.parent)
        except BaseException:
            with suppress(OSError):
                _remove(writing)
            raise
        return path

    def get(self, number: int) -> Path | None:
        """The folder of a trial's model; None where none was kept.

        Raises:
            TrialError: what lies there is not of this study, or cannot be read.
            StoreError: the study's folder is not its own.
        """
        path = self.path(number)
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TrialError(unreadable(error)) from error
        self.require()
        require_signed(path, self.identity)
        return path

    def join(self, number: int, others: Iterable[int]) -> None:
        """Copy models of other trials into that of a trial, as its further members; may be repeated.

        Raises:
            OSError: it could not be written; the trial's model is as it was.
            TrialError: a model is not of this study, or cannot be read.
        """
        model = self.get(number)
        further = [path for each in others if each != number and (path := self.get(each)) is not None]
        if model is None or not further or (model / MEMBERS).exists():
            return

        def write(folder: Path) -> bool:
            copy(model, folder)
            (folder / MEMBERS).mkdir()
            for index, path in enumerate(further, start=1):
                copy(path, folder / MEMBERS / str(index))
            return True

        self.put(number, MODEL, write)

    def delete(self, number: int, kind: str = MODEL) -> None:
        """Remove something of a trial, if it is there and can be removed."""
        # Texts, not paths: every trial that ends comes by, and most have nothing here.
        folder = str(self.folder) if kind == MODEL else f"{self.folder}/{_CHECKPOINTS}"
        name = str(number) if kind == MODEL else f"{number}.{kind}"
        for each in (f"{folder}/{name}", f"{folder}/{_WRITING}{number}"):
            if os.path.lexists(each):
                with suppress(OSError):
                    _remove(Path(each))

    def models(self) -> set[int]:
        """The numbers of the trials whose models lie here."""
        return {int(path.name) for path in self._entries() if path.name.isdecimal()}

    def checkpoints(self) -> set[int]:
        """The numbers of the trials that have checkpoints."""
        found = (path.name.partition(".")[0] for path in (self.folder / _CHECKPOINTS).glob("*.*"))
        return {int(number) for number in found if number.isdecimal()}

    def sweep(self) -> None:
        """Remove what processes that were killed left half-written; no process may be writing meanwhile."""
        for path in (*self._entries(), *(self.folder / _CHECKPOINTS).glob(f"{_WRITING}*")):
            if path.name.startswith(_REPLACED):
                # Its successor was whole, but perhaps not in its place yet.
                former = path.with_name(path.name.removeprefix(_REPLACED))
                with suppress(OSError):
                    _remove(path) if former.exists() else path.rename(former)
            elif path.name.startswith(_WRITING):
                with suppress(OSError):
                    _remove(path)

    def destroy(self) -> None:
        """Remove everything of the study; may be repeated when it was cut off or has failed.

        What somebody else has put into its folder stays, and the folder with it.

        Raises:
            StoreError: the folder is not this study's, or something in it cannot be removed.
        """
        self.require()
        left: list[str] = []
        for path in self._entries():
            if path.name.isdecimal() or path.name.startswith((_CHECKPOINTS, _LOGS, _WRITING, _REPLACED)):
                try:
                    _remove(path)
                except OSError as error:
                    left.append(f"{path / (error.filename or '')} ({error.strerror or error})")
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise StoreError(
                f"study '{self.study}': could not remove {left[0]}{more}; the study stays until they can be: "
                "make them writable, then delete it again"
            )
        # The mark last: without it the rest would belong to no study.
        try:
            (self.folder / MARK).unlink(missing_ok=True)
            if self.folder.is_dir() and not any(self._entries()):
                self.folder.rmdir()
        except OSError as error:
            raise StoreError(
                f"study '{self.study}': could not remove {error.filename} ({error.strerror}); delete it again"
            ) from error

    def log(self, number: int) -> Path:
        """Where what a trial prints is kept, if it prints anything."""
        return Path(f"{self.folder}/{_LOGS}/{number}.txt")

    def open_log(self, number: int) -> int:
        """Open a trial's log to append to it.

        Returns:
            A file descriptor.

        Raises:
            OSError: it cannot be written.
        """
        path = self.log(number)
        self._make(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)

    def shorten_log(self, number: int, most: int = 2 * _LOG_BYTES) -> None:
        """Leave out the middle of a log of more than so many bytes; what is written meanwhile may be lost.

        Raises:
            OSError: it cannot be written.
        """
        path = self.log(number)
        if path.stat().st_size <= most:
            return
        with path.open("rb+") as file:
            head = file.read(_LOG_HEAD)
            file.seek(-_LOG_BYTES, os.SEEK_END)
            tail = file.read()
            left = file.tell() - len(head) - len(tail)
            file.seek(len(head))
            file.truncate()
            file.write(f"\n... {left:,} bytes left out ...\n".encode() + tail)

    def path(self, number: int, kind: str = MODEL) -> Path:
        """Where something of a trial lies, or would."""
        if kind == MODEL:
            return self.folder / str(number)
        return Path(f"{self.folder}/{_CHECKPOINTS}/{number}.{kind}")

    @property
    def place(self) -> Path | str:
        """Where the study's files lie: a folder, or a URL."""
        return self.folder

    @property
    def owner(self) -> str | None:
        """Which database the mark names; None where there is no mark."""
        found = self._mark().get("database")
        return found if isinstance(found, str) else None

    def require(self) -> None:
        """Make sure that the folder, if there is one, is this study's.

        Raises:
            StoreError: it is another one's, leads out of the root, or cannot be read.
        """
        try:
            links = [path for path in (self.folder, self.folder / _CHECKPOINTS) if path.is_symlink()]
            names = [path.name for path in self._entries()]
        except OSError as error:
            raise StoreError(unreadable(error)) from error
        if links:
            raise StoreError(f"{links[0]}: is a link; put the folder of study '{self.study}' itself there")
        whose = self._mark().get("identity")
        if whose == self.identity:
            return
        if whose is not None:
            raise StoreError(
                f"{self.folder}: holds the files of another study than '{self.study}'; move it away"
            )
        if any(not name.startswith(_WRITING) for name in names):
            raise StoreError(
                f"{self.folder}: {MARK}, which says whose files it holds, is missing, damaged or "
                "unreadable; put it back, or move the folder away"
            )

    def mark(self) -> None:
        """Write whose the folder is, making it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"{_WRITING}{uuid4().hex[:8]}"
        draft.write_text(self._mark_text(), encoding="utf-8")
        # Once in a study's life; without it the models could not be attributed to a study.
        durable.sync(draft)
        draft.replace(self.folder / MARK)

    def take_over(self, older: Path, params: dict[int, Any]) -> None:
        """Move models here that were kept before studies had identities; killed half-way, it may be repeated.

        Checkpoints from then go, unless there are models of others: they are not read any more.

        Args:
            older: the folder that they lie in.
            params: the parameters of the trials whose models were kept; a model of others is left.
        """
        for number, known in params.items():
            model, path = older / str(number), self.path(number)
            if path.exists() or model.is_symlink() or params_of(model) != known:
                continue
            self._make(self.folder)
            writing = path.with_name(f"{_WRITING}{number}")
            if writing.exists():
                _remove(writing)
            # Signed as a copy, so that what is there stays whole until it lies here.
            shutil.copytree(model, writing, symlinks=True)
            sign(writing, self.identity)
            writing.rename(path)
            shutil.rmtree(model, ignore_errors=True)
        with suppress(OSError):
            if [path.name for path in older.iterdir()] == [_CHECKPOINTS]:
                _remove_checkpoints(older / _CHECKPOINTS)
            # Unless there is more in it.
            older.rmdir()

    def _make(self, folder: Path) -> None:
        if not (self.folder / MARK).exists():
            if self.synced:
                durable.make(self.folder)
            self.mark()
        durable.make(folder) if self.synced else folder.mkdir(exist_ok=True)

    def _replace(self, writing: Path, path: Path) -> None:
        """Put a folder in the place of another one, which `sweep` puts back if this is cut off."""
        former = path.with_name(f"{_REPLACED}{path.name}")
        if path.exists():
            if former.exists():
                _remove(former)
            path.rename(former)
        try:
            writing.rename(path)
        except BaseException:
            with suppress(OSError):
                former.rename(path)
            raise
        if former.exists():
            shutil.rmtree(former, ignore_errors=True)

    def _entries(self) -> Iterator[Path]:
        yield from list(self.folder.iterdir()) if self.folder.is_dir() else ()

    def _mark(self) -> dict[str, Any]:
        return _mark_of(self.folder)

    def _mark_text(self) -> str:
        table = {"identity": self.identity, "study": self.study, "database": self.database}
        return json.dumps(table, indent=2) + "\n"


def log_tail(files: Artifacts, number: int, most: int = 4_000) -> str:
    """The end of a trial's log; empty where it has printed nothing."""
    try:
        with files.log(number).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - most))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def marks(root: Path) -> dict[Path, dict[str, Any]]:
    """The marks in the folders below a root, by folder; of those that have one."""
    try:
        folders = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    except OSError:
        folders = []
    return {folder: mark for folder in folders if (mark := _mark_of(folder))}


def study_folder_of(path: Path) -> Path | None:
    """The folder of a study that a path lies in, or is; None where it lies in none."""
    whole = path.resolve()
    return next((each for each in (whole, *whole.parents) if "identity" in _mark_of(each)), None)


def _mark_of(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remove_checkpoints(folder: Path) -> None:
    """Remove a folder of checkpoints that carry no identity, unless there is something else in it."""
    if not folder.is_symlink():
        for path in folder.iterdir():
            if re.fullmatch(r"\d+\.(a|b|writing)", path.name):
                path.unlink()
        folder.rmdir()


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
