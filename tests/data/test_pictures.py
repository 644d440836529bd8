"""Pictures in files: any mode and size, found in folders and in columns, and read again for a model."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, FingerprintCheck, InputKind
from tuner.data import differences, encode, load, outline, pictures, read_rows
from tuner.data.locked import unlock
from tuner.errors import DataError, PluginError

Image = pytest.importorskip("PIL.Image")

RED, WHITE = (255, 0, 0), (255, 255, 255)


def drawn(shade: Any, size: tuple[int, int] = (8, 8)) -> Any:
    return Image.new("RGB" if isinstance(shade, tuple) else "L", size, shade)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """20 dark and 20 light pictures, grey and of one size, and files that are none."""
    for kind, start in (("dark", 0), ("light", 150)):
        for i in range(20):
            place = tmp_path / "photos" / kind / ("deep" if i % 5 == 0 else "")
            place.mkdir(parents=True, exist_ok=True)
            drawn(start + 2 * i).save(place / f"{i}.png")
        (tmp_path / "photos" / kind / "readme.txt").write_text("no picture")
        (tmp_path / "photos" / kind / ".hidden.png").write_text("no picture")
    (tmp_path / "photos" / ".git").mkdir()
    (tmp_path / "photos" / ".git" / "a.png").write_text("no picture")
    return tmp_path


def read(folder: Path, **keys: Any) -> Dataset:
    return load(DataSpec(source="photos/", **keys), folder)


def stored(data: Dataset) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(dict(data.encoding)))
    return found


def test_folders_are_classes(photos: Path) -> None:
    data = read(photos)
    assert (data.kind, data.classes, data.input_shape) == (InputKind.IMAGE, ("dark", "light"), (1, 8, 8))
    assert data.train.x.dtype == np.uint8
    assert any("no pictures are left out: 2" in note for note in data.notes)
    assert not any("resized" in note for note in data.notes)
    assert outline(DataSpec(source="photos/"), photos).kind is InputKind.IMAGE
    assert outline(DataSpec(source="photos"), photos).kind is InputKind.IMAGE
    np.testing.assert_array_equal(np.unique(data.train.x.reshape(24, -1).std(axis=1)), [0])
    assert read(photos, size=5, channels=3).input_shape == (3, 5, 5)
    assert len(unlock(DataSpec(source="photos/"), photos)) == 8


def test_a_column_names_files_seen_from_its_table(photos: Path) -> None:
    files = [path for path in sorted((photos / "photos").rglob("*.png")) if "." not in path.stem]
    files = [path for path in files if not path.name.startswith(".") and ".git" not in path.parts]
    table = pd.DataFrame(
        {
            "file": [str(path.relative_to(photos / "photos")) for path in files],
            "y": [float(np.asarray(Image.open(path)).mean()) for path in files],
            "who": [f"p{i % 8}" for i in range(40)],
            "w": 1.0,
        }
    )
    table.to_csv(photos / "photos" / "all.csv", index=False)
    spec = DataSpec(source="photos/all.csv", image="file", target="y", split="group", group="who", weight="w")
    data = load(spec, photos)
    assert (data.kind, data.outputs) == (InputKind.IMAGE, 1)
    assert data.train.weight is not None
    rows = read_rows(photos / "photos" / "all.csv", "all.csv")
    found = encode(rows, stored(data))
    np.testing.assert_array_equal(found[:, 0, 0, 0], table["y"])
    np.testing.assert_array_equal(encode([str(path) for path in files], stored(data)), found)
    np.testing.assert_array_equal(encode(found, stored(data)), found)
    with pytest.raises(
        DataError, match="image: no column 'fiel'; known: file, w, who, y; did you mean 'file'"
    ):
        load(spec.model_copy(update={"image": "fiel"}), photos)
    with pytest.raises(DataError, match="rows: columns are missing: file; found: a"):
        encode(pd.DataFrame({"a": ["x"]}), stored(data))


def test_the_pictures_of_a_folder_are_predicted(photos: Path) -> None:
    data = read(photos)
    rows = read_rows(photos / "photos" / "light", "light")
    assert len(rows) == 20
    assert encode(rows, stored(data)).min() == 150


def bytes_of(picture: Any, form: str, **how: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **how)
    return file.getvalue()


def turned() -> bytes:
    picture = Image.new("RGB", (8, 4), WHITE)
    picture.paste(RED, (0, 0, 4, 4))  # red at the left, and above once it is turned
    exif = Image.Exif()
    exif[0x0112] = 6
    return bytes_of(picture, "PNG", exif=exif)


def palette() -> bytes:
    picture = drawn(RED).convert("P")
    return bytes_of(picture, "GIF")


def clear() -> bytes:
    picture = Image.new("RGBA", (8, 8), (*RED, 0))
    picture.paste((*RED, 255), (0, 0, 8, 4))
    return bytes_of(picture, "PNG")


def deep() -> bytes:
    return bytes_of(Image.fromarray(np.full((8, 8), 257 * 128, np.uint16)), "PNG")


@pytest.mark.parametrize(
    ("content", "channels", "above", "below"),
    [
        (turned(), 3, RED, WHITE),
        (palette(), 3, RED, RED),
        (clear(), 3, RED, WHITE),
        (clear(), 1, (76,), (255,)),
        (deep(), 1, (128,), (128,)),
        (deep(), 3, (128,) * 3, (128,) * 3),
        (bytes_of(drawn(7).convert("LA"), "PNG"), 1, (7,), (7,)),
        (bytes_of(drawn(255).convert("1"), "PNG"), 1, (255,), (255,)),
        (bytes_of(Image.fromarray(np.full((8, 8), 0.5, np.float32) * 255), "TIFF"), 1, (128,), (128,)),
        (bytes_of(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"), 3, WHITE, WHITE),
    ],
    ids=[
        "exif",
        "palette",
        "alpha",
        "alpha-grey",
        "16-bits",
        "16-bits-colour",
        "grey-alpha",
        "bits",
        "float",
        "cmyk",
    ],
)
def test_a_picture_of_any_mode_is_read(
    tmp_path: Path, content: bytes, channels: int, above: tuple[int, ...], below: tuple[int, ...]
) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    how = {"images": {"shape": [channels, 8, 8]}}
    (found,) = encode([str(tmp_path / "a.bin")], how)
    np.testing.assert_allclose(found[:, 0, 0].astype(int), above, atol=1)
    np.testing.assert_allclose(found[:, -1, -1].astype(int), below, atol=1)


def test_pictures_of_several_sizes_are_resized_and_of_several_modes_coloured(photos: Path) -> None:
    drawn(RED, (300, 200)).save(photos / "photos" / "light" / "large.jpg")
    data = read(photos)
    assert data.input_shape == (3, 32, 32)
    assert any("resized to 32 x 32 pixels; size under [data]" in note for note in data.notes)
    found = encode([str(photos / "photos" / "light" / "large.jpg")], stored(data))[0]
    np.testing.assert_allclose(
        found.astype(int), np.broadcast_to(np.array(RED)[:, None, None], (3, 32, 32)), atol=3
    )


def test_large_pictures_of_one_size_are_resized(tmp_path: Path) -> None:
    for kind in ("a", "b"):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for i in range(10):
            drawn(i, (100, 70)).save(tmp_path / "photos" / kind / f"{i}.png")
    assert read(tmp_path).input_shape == (1, 32, 32)


def test_all_broken_files_are_named_together(photos: Path) -> None:
    (photos / "photos" / "dark" / "cut.png").write_bytes(bytes_of(drawn(3, (64, 64)), "PNG")[:60])
    (photos / "photos" / "light" / "words.jpg").write_text("no picture")
    (photos / "photos" / "light" / "empty.jpg").write_bytes(b"")
    with pytest.raises(
        DataError, match="3 files cannot be read as pictures; mend or remove them: "
    ) as raised:
        read(photos, size=8)
    assert all(name in str(raised.value) for name in ("cut.png", "words.jpg", "empty.jpg"))
    assert "\n" not in str(raised.value)
    with pytest.raises(
        DataError, match=r"rows: 1 file cannot be read as pictures; .*gone.png \(is not there\)"
    ):
        encode([str(photos / "gone.png")], {"images": {"shape": [1, 8, 8]}})


def test_folders_without_classes_are_refused(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(DataError, match="photos/: target: the folders are the classes; leave target out"):
        read(photos, target="y")
    (tmp_path / "sets" / "train" / "a").mkdir(parents=True)
    (tmp_path / "sets" / "test" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match=r'its folders are splits \(test, train\).* source = "sets/test/"'):
        load(DataSpec(source="sets/"), tmp_path)
    with pytest.raises(DataError, match="has 1 folder of pictures; give at least two, one for each class"):
        load(DataSpec(source="photos/dark/"), photos)
    with pytest.raises(DataError, match="none/: no such folder; looked for"):
        load(DataSpec(source="none/"), tmp_path)
    pd.DataFrame({"a": [1] * 20, "y": [0, 1] * 10}).to_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match="the data are a table; name its column of file names: image"):
        load(DataSpec(source="a.csv", target="y", kind="image"), tmp_path)


def test_changed_pictures_are_seen(photos: Path) -> None:
    spec = DataSpec(source="photos/")
    first = load(spec, photos, check=FingerprintCheck(None, lambda _: None))
    assert first.fingerprint is not None
    assert differences(spec, photos, first.fingerprint, files_only=True) == []
    drawn(99).save(photos / "photos" / "dark" / "1.png")
    assert differences(spec, photos, first.fingerprint, files_only=True) == ["1 row changed"]


def test_pillow_is_named_where_it_is_missing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(PluginError, match=r"pip install 'tuner\[images\]'"):
        read(photos, size=4)


def test_a_picture_is_read_whatever_its_neighbours_are(photos: Path) -> None:
    files = [str(path) for path in pictures.files_in(photos / "photos" / "dark")[0]]
    how = {"images": {"shape": [3, 6, 6]}}
    together: NDArray[Any] = encode(files, how)
    for file, found in zip(files, together, strict=True):
        np.testing.assert_array_equal(encode([file], how)[0], found)
