"""Mirror: the files of trials, carried between a study's folder and one on another machine.

The study's side packs what a trial goes on from; the other side packs what has changed since it last did.
Whether both see one folder, so that nothing has to be carried, is proven by a token.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tuner.artifacts.artifacts import MODEL, Artifacts

_CHECKPOINTS = ("a", "b")
_LOG = "log"


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """A file of a trial, or its model.

    Attributes:
        kind: a checkpoint's, `MODEL` or that of the log.
        content: its bytes, a model's as a tar archive; None: there is none any more.
        since: where a log's bytes belong; what stood behind that goes.
    """

    number: int
    kind: str
    content: bytes | None
    since: int = 0


def files_in(files: Artifacts, folder: Path) -> Artifacts:
    """The same files in a folder of another machine, and nowhere else."""
    return Artifacts(folder, files.identity, files.study, files.database, files.synced)


def carried(files: Artifacts, numbers: Collection[int]) -> list[CarriedFile]:
    """The checkpoints of trials, as far as there are any."""
    found = []
    for number in numbers:
        for kind in _CHECKPOINTS:
            with suppress(OSError):
                found.append(CarriedFile(number, kind, files.path(number, kind).read_bytes()))
    return found


def receive(files: Artifacts, carried_files: Sequence[CarriedFile]) -> None:
    """Put what was carried in its place.

    Raises:
        OSError: it could not be written.
    """
    for each in carried_files:
        content = each.content
        if each.kind == _LOG:
            with os.fdopen(files.open_log(each.number), "rb+") as file:
                file.truncate(min(each.since, os.fstat(file.fileno()).st_size))
                file.write(content or b"")
        elif content is None:
            files.delete(each.number, each.kind)
        else:
            _put(files, each.number, each.kind, content)


class Outbox:
    """What has changed in a folder that holds only the files of trials that train here."""

    def __init__(self, files: Artifacts) -> None:
        """Nothing is looked at yet."""
        self._files = files
        self._seen: dict[tuple[int, str], tuple[int, int]] = {}

    def receive(self, numbers: Collection[int], carried_files: Sequence[CarriedFile]) -> None:
        """Take in all that there is of some trials, in place of what lies here of them."""
        for number in numbers:
            self.forget(number)
        receive(self._files, carried_files)
        for each in carried_files:
            self._seen[each.number, each.kind] = _mark(self._files.path(each.number, each.kind)) or (0, 0)

    def changed(self, number: int) -> Iterator[CarriedFile]:
        """What has changed of a trial since this was last called."""
        for kind in (*_CHECKPOINTS, MODEL, _LOG):
            path = self._files.log(number) if kind == _LOG else self._files.path(number, kind)
            before, now = self._seen.pop((number, kind), None), _mark(path)
            if now is not None:
                self._seen[number, kind] = now
            if now == before or (now is None and kind in (MODEL, _LOG)):
                continue
            since = before[1] if before is not None and now is not None and now[1] > before[1] else 0
            yield CarriedFile(number, kind, _content(path, since if kind == _LOG else 0), since)

    def forget(self, number: int) -> None:
        """A trial has left; its files do."""
        for kind in (*_CHECKPOINTS, MODEL):
            self._files.delete(number, kind)
        self._files.log(number).unlink(missing_ok=True)
        for key in [key for key in self._seen if key[0] == number]:
            del self._seen[key]


@contextmanager
def token(files: Artifacts) -> Iterator[tuple[str, str]]:
    """A file in the study's folder, for a while: its path and what proves that it was read."""
    files.mark()
    path = files.folder / f".writing-token-{uuid4().hex}"
    path.write_text(uuid4().hex, encoding="utf-8")
    try:
        yield str(path), _proof(path) or ""
    finally:
        path.unlink(missing_ok=True)


def is_shared(path: str, proof: str) -> bool:
    """Whether the folder of a token is this machine's, too, and may be written to."""
    return _proof(Path(path)) == proof and os.access(Path(path).parent, os.W_OK)


def _proof(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _content(path: Path, since: int) -> bytes | None:
    if not path.is_dir():
        with suppress(OSError), path.open("rb") as file:
            file.seek(since)
            return file.read()
        return None
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        for each in sorted(path.iterdir()):
            archive.add(each, each.name)
    return memory.getvalue()


def _put(files: Artifacts, number: int, kind: str, content: bytes) -> None:
    def write(path: Path) -> bool:
        if kind == MODEL:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(path, filter="data")
        else:
            path.write_bytes(content)
        return True

    files.put(number, kind, write)
