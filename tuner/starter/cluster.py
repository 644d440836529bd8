"""The files that start a Ray cluster elsewhere."""

from __future__ import annotations

from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tuner.errors import SpecError

_FILES = {"slurm": "tuner.sbatch", "kuberay": "kuberay.yaml", "aws": "aws.yaml"}


def write_cluster(kind: str, folder: Path) -> Path:
    """Write the file of a kind of cluster into a folder.

    Raises:
        SpecError: there is a file of its name already.
    """
    path = folder / _FILES[kind]
    text = resources.files("tuner.starter").joinpath("files", "cluster", path.name).read_text("utf-8")
    try:
        release = version("ray")
    except PackageNotFoundError:
        release = "2.60.0"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text.replace("RAY_VERSION", release))
    except FileExistsError as error:
        raise SpecError(f"{path}: is there already; move it away, or give another folder") from error
    return path
