"""Pictures in files as arrays of bytes: a folder with a subfolder for each class, or a column of file names.

Each is brought to one size and one number of channels by itself, so that a model reads new files as it read
its own. Needs Pillow, which comes with an extra.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.words import count
from tuner.errors import DataError, PluginError, first_line

ENDINGS = frozenset({"bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "ppm", "tif", "tiff", "webp"})
"""How files end that are taken from a folder."""

SIZE = 32
"""Pixels of each side where the study says none; pictures that are all of one size up to `KEPT` keep it."""

KEPT = 64

FOLDER = "folder"
"""`DataFrame.attrs` of rows of a file: what the names in it are seen from."""

FOLDER_FILE = "file"
"""The column of the names of a folder's pictures, where they are to be predicted."""

_SPLITS = {"train", "training", "val", "valid", "validation", "test"}
_GREY = {"1", "L", "LA", "La", "F"}
_SHOWN = 10
_WHITE = 255
_Result = TypeVar("_Result")


def in_folder(folder: Path, where: str) -> tuple[list[Path], list[str], tuple[str, ...]]:
    """The pictures of a folder, the class of each, which is its subfolder's name, and what was left out.

    Raises:
        DataError: there are no classes.
    """
    classes = [path for path in sorted(folder.iterdir()) if path.is_dir() and _is_seen(path.name)]
    if classes and {path.name.lower() for path in classes} <= _SPLITS:
        names = ", ".join(path.name for path in classes)
        raise DataError(
            f"{where}: its folders are splits ({names}), not classes; name the one to learn "
            f'from: source = "{Path(where) / classes[0].name}/"'
        )
    found, others = [], 0
    for path in classes:
        files, further = files_in(path)
        found += [(file, path.name) for file in files]
        others += further
    if len({name for _, name in found}) < 2:
        have = count(len({name for _, name in found}), "folder")
        raise DataError(f"{where}: has {have} of pictures; give at least two, one for each class")
    notes = (f"Files that are no pictures are left out: {others}.",) * (others > 0)
    return [file for file, _ in found], [name for _, name in found], notes


def files_in(folder: Path) -> tuple[list[Path], int]:
    """The pictures below a folder, in their order, and how many other files there are that are not hidden."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and all(map(_is_seen, path.relative_to(folder).parts))
    ]
    found = [path for path in files if path.suffix[1:].lower() in ENDINGS]
    return found, len(files) - len(found)


def digest(folder: Path) -> str:
    """What changes where a file of a folder does."""
    return repr([(str(path.relative_to(folder)), *_stamp(path)) for path in files_in(folder)[0]])


def read(files: Sequence[Path], spec: DataSpec, where: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The pictures as uint8 (N, C, H, W), and what was done, a sentence each.

    Raises:
        DataError: files cannot be read; names them all together.
        PluginError: Pillow is not installed.
    """
    seen = _each(_looked_at, files, where)
    sizes = {size for size, _ in seen}
    height, width = (SIZE, SIZE) if spec.size is None else (spec.size, spec.size)
    if spec.size is None and len(sizes) == 1 and max(next(iter(sizes))) <= KEPT:
        width, height = next(iter(sizes))
    channels = spec.channels or (1 if all(is_grey for _, is_grey in seen) else 3)
    notes = []
    if sizes != {(width, height)}:
        says = "" if spec.size else "; size under [data] says otherwise"
        notes.append(f"The pictures are resized to {height} x {width} pixels{says}.")
    return _decoded(
        tuple((str(path), *_stamp(path)) for path in files), (channels, height, width), where
    ), tuple(notes)


def encode(rows: Any, how: Mapping[str, Any]) -> NDArray[np.uint8] | None:
    """The pictures that rows to predict name; None where they name none.

    Args:
        rows: a data frame with the column, or names of files.
        how: the encoding's ``"images"``.

    Raises:
        DataError: files cannot be read.
    """
    folder = Path()
    if isinstance(rows, pd.DataFrame):
        name = how.get("column", rows.columns[0] if len(rows.columns) == 1 else None)
        if name not in rows.columns:
            raise DataError(
                f"rows: columns are missing: {name or 'one of file names'}; found: {', '.join(rows.columns)}"
            )
        folder, rows = Path(rows.attrs.get(FOLDER, "")), rows[name]
    elif not isinstance(rows, pd.Series):
        if isinstance(rows, np.ndarray) and rows.dtype.kind in "biuf":
            return None
        if not all(isinstance(each, str | Path) for each in rows):
            return None
        rows = pd.Series([str(each) for each in rows], dtype=object)
    channels, height, width = how["shape"]
    files = named(rows, folder, "rows")
    return _decoded(tuple((str(path), *_stamp(path)) for path in files), (channels, height, width), "rows")


def named(names: pd.Series[Any], folder: Path, where: str) -> list[Path]:
    """The files of a column.

    Raises:
        DataError: a row names none.
    """
    gone = names.isna().to_numpy(bool) | np.array([not str(name).strip() for name in names], bool)
    if gone.any():
        raise DataError(
            f"{where}: image: {count(int(gone.sum()), 'row')} without the name of a file, the first is row "
            f"{int(np.argmax(gone)) + 1}; leave such rows out"
        )
    return [folder / str(name) for name in names]


def _is_seen(name: str) -> bool:
    return not name.startswith((".", "__"))


def _stamp(path: Path) -> tuple[int, int]:
    """What changes with a file; zeros of one that is not there."""
    try:
        told = path.stat()
    except OSError:
        return 0, 0
    return told.st_size, told.st_mtime_ns


@lru_cache(maxsize=1)  # a study reads its data several times, and decoding takes longest
def _decoded(
    stamped: tuple[tuple[str, int, int], ...], shape: tuple[int, int, int], where: str
) -> NDArray[np.uint8]:
    found = np.stack(_each(partial(_pixels, shape=shape), [Path(name) for name, *_ in stamped], where))
    found.setflags(write=False)
    return found


def _each(function: Callable[[Path], _Result], files: Sequence[Path], where: str) -> list[_Result]:
    """What a function returns for each file, which Pillow decodes without holding the interpreter's lock."""
    _pillow()
    broken: list[str] = []

    def attempt(path: Path) -> Any:
        try:
            return function(path)
        except FileNotFoundError:
            broken.append(f"{path} (is not there)")
        except Exception as error:  # noqa: BLE001 - of a damaged file decoders raise anything
            broken.append(f"{path} ({first_line(error)})")
        return None

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(attempt, files))
    if broken:
        listed = "; ".join(sorted(broken)[:_SHOWN]) + (
            f"; and {len(broken) - _SHOWN} more" * (len(broken) > _SHOWN)
        )
        raise DataError(
            f"{where}: {count(len(broken), 'file')} cannot be read as pictures; mend or remove them: {listed}"
        )
    return found


def _looked_at(path: Path) -> tuple[tuple[int, int], bool]:
    """Width and height as it is shown, and whether it is grey; only the head of the file is read."""
    with _pillow().open(path) as picture:
        width, height = picture.size
        turned = picture.getexif().get(_ORIENTATION, 1) in _LYING
        return ((height, width) if turned else (width, height)), (
            picture.mode in _GREY or picture.mode.startswith("I")
        )


def _pixels(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """One picture, (C, H, W); transparent parts are white."""
    from PIL import ImageOps

    image = _pillow()
    channels, height, width = shape
    with image.open(path) as opened:
        side = 2 * max(width, height)
        opened.draft(None, (side, side))  # a large JPEG is decoded at a part of its size
        picture = ImageOps.exif_transpose(opened)
        if picture.mode.startswith(("I", "F")):  # 16 bits, or more
            values = np.asarray(picture, np.float64)
            most = 65535 if picture.mode.startswith("I;16") or values.max(initial=0) > _WHITE else _WHITE
            picture = image.fromarray((values.clip(0, most) * (_WHITE / most)).round().astype(np.uint8))
        if "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
            picture = picture.convert("RGBA")
            ground = image.new("RGBA", picture.size, (_WHITE,) * 4)
            picture = image.alpha_composite(ground, picture)
        picture = picture.convert("L" if channels == 1 else "RGB")
        if picture.size != (width, height):
            picture = picture.resize((width, height), image.Resampling.BILINEAR)
        pixels = np.asarray(picture, np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise PluginError("pictures in files need Pillow: pip install 'tuner[images]'") from None
    return Image
