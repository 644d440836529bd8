"""Writes a new project, a study, or what starts a cluster: all of its files or none.

Called by `tune init` and `tune cluster init`. The contents lie in `files/` as they are written; the tests
run the project.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tuner.errors import SpecError
from tuner.starter.toml import study_toml

FILES = Path(__file__).parent / "files"


def write(folder: Path) -> list[Path]:
    """Write a small commented project: studies, a space, a network and a trainer of one's own.

    Args:
        folder: the project's; made where it is missing.

    Returns:
        The files that were written.

    Raises:
        SpecError: a file is there already, or the folder cannot be written; nothing is written then.
    """
    sources = sorted(p for p in FILES.rglob("*") if p.suffix in (".toml", ".py", ".md"))
    texts = {str(path.relative_to(FILES)): path.read_text(encoding="utf-8") for path in sources}
    return _write_all(folder, texts)


def write_study(folder: Path, table: Mapping[str, Any]) -> Path:
    """Write a study's table as a commented file under `studies/`.

    Args:
        folder: the project's.
        table: as a study file has it; its `[data] source` is relative to the working folder.

    Raises:
        SpecError: as for `write`.
    """
    table = dict(table)
    source = table.get("data", {}).get("source")
    if source is not None and Path(source).is_file() and not Path(source).is_absolute():
        # A study in studies/ is read with its project's folder as the one where paths start.
        table["data"] = {**table["data"], "source": Path(os.path.relpath(source, folder)).as_posix()}
    name = table["name"]
    text = study_toml(table, head=(f"Start it with: tune start {name}", "Every key: tune check --keys"))
    return _write_all(folder, {f"studies/{name}.toml": text})[0]


def write_cluster(kind: str, folder: Path) -> Path:
    """Write the file that starts a Ray cluster of a kind elsewhere into a folder.

    Raises:
        SpecError: as for `write`.
    """
    name = {"slurm": "tuner.sbatch", "kuberay": "kuberay.yaml", "aws": "aws.yaml"}[kind]
    try:
        release = version("ray")
    except PackageNotFoundError:
        release = "2.60.0"
    text = (FILES / "cluster" / name).read_text(encoding="utf-8").replace("RAY_VERSION", release)
    return _write_all(folder, {name: text})[0]


def _write_all(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    places = {folder / name: text for name, text in texts.items()}
    taken = [path for path in places if path.exists()]
    if taken:
        raise SpecError([f"{path}: is there already; remove it or name another folder" for path in taken])
    made: list[Path] = []
    try:
        for path, text in places.items():
            missing = [p for p in (path.parent, *path.parent.parents) if not p.exists()]
            made += reversed(missing)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                made.append(path)
                file.write(text)
    except OSError as error:
        for path in reversed(made):
            if path.is_dir():
                path.rmdir()
            elif path.is_file():
                path.unlink()
        raise SpecError(f"{error.filename or folder}: cannot be written: {error.strerror}") from error
    return list(places)
