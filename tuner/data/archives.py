"""NPZ files: their arrays by name."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from tuner.errors import DataError


def arrays_of(
    path: Path, wanted: Collection[str], where: str, unchecked: Collection[str] = ()
) -> dict[str, Any]:
    """The wanted arrays of an NPZ file; None for each other one.

    Of those that are unchecked the bytes will do where they hold no numbers.

    Raises:
        DataError: it cannot be read.
    """
    values: dict[str, Any] = {}
    key = "the file"
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise DataError(f"{where}: is not an NPZ file; write it with numpy.savez")
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                try:
                    values[key] = archive[key] if key in wanted else None
                except ValueError:
                    if key not in unchecked:
                        raise
                    values[key] = np.frombuffer(archive.zip.read(f"{key}.npy"), np.uint8)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{where}: {key} holds Python objects (text, or rows of unequal length); store numbers"
            ) from error
        raise DataError(f"{where}: {key} cannot be read: {' '.join(str(error).split())}") from error
    return values
