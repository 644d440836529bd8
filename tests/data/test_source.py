from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.loaded import from_arrays
from tuner.core.data_spec import DataSpec
from tuner.data import load
from tuner.errors import DataError, PluginError


def told(source: str, folder: Path, **keys: Any) -> str:
    """The one line in which loading is refused."""
    with pytest.raises(DataError) as raised:
        load(DataSpec(source=source, **keys), folder)
    text = str(raised.value)
    assert "\n" not in text
    assert text.startswith((f"{source}: ", "data.source: "))
    return text


def write(folder: Path, text: str, name: str = "a.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


NUMBERS = [f"{i},{i * 3 % 7}.5" for i in range(20)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_the_delimiter_of_a_csv_file_is_found(tmp_path: Path, delimiter: str, bom: str) -> None:
    lines = [f'"a{delimiter}b", z'.replace(", ", delimiter), *(n.replace(",", delimiter) for n in NUMBERS)]
    write(tmp_path, bom + "\n".join(lines) + "\n")
    dataset = load(DataSpec(source="a.csv", target="z"), tmp_path)
    assert dataset.features == (f"a{delimiter}b",)
    assert len(dataset.train) == 12


def test_commas_inside_texts_do_not_hide_a_semicolon(tmp_path: Path) -> None:
    lines = ["note;size;price", *(f"well, yes, no;{i},5;{i * 3 % 7},25" for i in range(20))]
    write(tmp_path, "\n".join(lines))
    dataset = load(DataSpec(source="a.csv", target="price"), tmp_path)
    assert dataset.features == ("size",)
    assert (dataset.train.x[:, 0] % 1 == 0.5).all()


def test_question_marks_and_blanks_are_missing(tmp_path: Path) -> None:
    write(tmp_path, "v,z\n" + "\n".join(f"{v}, {i}.5" for i, v in enumerate(["1", "?", " ", "NA", "4"] * 4)))
    dataset = load(DataSpec(source="a.csv", target="z"), tmp_path)
    assert dataset.features == ("v", "v (missing)")


def test_row_numbers_without_a_name_are_left_out_and_noted(tmp_path: Path) -> None:
    pd.DataFrame({"v": range(20), "z": np.arange(20) / 7}).to_csv(tmp_path / "a.csv")
    dataset = load(DataSpec(source="a.csv", target="z"), tmp_path)
    assert dataset.features == ("v",)
    assert dataset.notes[0] == "A column without a name is left out; a name in the first line keeps it."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("1,2\n3,4\n5,6\n", "target: no column 'z'; known: column_1, column_2"),
        ("a,a,z\n1,2,3\n", "columns with the same name: a; rename them"),
        ("a,z\n", "has no rows"),
        ("a,z\n1,2,3\n4,5,6\n", "the first line has 2 fields, but most rows have 3"),
        (
            "a,z\n1,2\n1,2\n1,2,3\n",
            "is not a CSV file with equally long rows: Expected 2 fields in line 4, saw 3",
        ),
        ('a,z\n1,"2\n1,2\n', "is not a CSV file with equally long rows"),
        ("z\n1.5\n2.5\n3.5\n4.5\n5.5\n6.5\n", "no column is left to learn from"),
    ],
)
def test_a_broken_csv_file_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in told(write(tmp_path, text), tmp_path, target="z")


def test_files_that_are_not_what_their_names_say_are_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet", "a.npz"):
        (tmp_path / name).write_bytes(b"\x89PNG\xff\xfe\x00\x00" * 9)
    assert "is not text; save it as CSV" in told("a.csv", tmp_path, target="z")
    assert "is not a Parquet file" in told("a.parquet", tmp_path, target="z")
    assert "is not an NPZ file" in told("a.npz", tmp_path)
    assert "no such file; looked for" in told("b.csv", tmp_path, target="z")


@pytest.mark.parametrize("source", ["house", "house.xls", "memory"])
def test_a_source_that_names_no_data_is_refused_with_the_forms(tmp_path: Path, source: str) -> None:
    assert "names no data; give sklearn:<set>, file.csv" in told(source, tmp_path)


@pytest.mark.parametrize("first", ["", "a;b;y\n"])
def test_a_target_that_is_missing_without_a_header_is_told_with_the_header(
    tmp_path: Path, first: str
) -> None:
    (tmp_path / "a.csv").write_text(first + "0.5,p,yes\n0.7,q,no\n0.25,p,yes\n" * 9)
    with pytest.raises(DataError) as raised:
        load(DataSpec(source="a.csv", target="y"), tmp_path)
    told = str(raised.value)
    assert told.startswith("a.csv: target: no column 'y'; known: column_1, column_2, column_3. ")
    assert "The first line holds values" in told
    assert ("the first 'a;b;y'" in told) == bool(first)


def test_an_unknown_set_names_the_near_one(tmp_path: Path) -> None:
    assert "unknown set 'irsi'" in told("sklearn:irsi", tmp_path)
    assert told("sklearn:irsi", tmp_path).endswith("did you mean 'iris'?")
    assert "leave target out" in told("sklearn:iris", tmp_path, target="species")


X = np.arange(80, dtype=np.float64).reshape(40, 2)
Y = np.arange(40) % 2


def savez(folder: Path, **arrays: Any) -> str:
    np.savez(folder / "a.npz", **arrays)
    return "a.npz"


def test_splits_that_an_npz_file_brings_are_used_as_they_are(tmp_path: Path) -> None:
    source = savez(tmp_path, X=X, y=Y, X_validation=X[:6] + 1000, y_validation=Y[:6], X_test=X, y_test=Y)
    dataset = load(DataSpec(source=source), tmp_path)
    np.testing.assert_array_equal(dataset.train.x, X)
    np.testing.assert_array_equal(dataset.validation.x, X[:6] + 1000)
    assert "those for the test are not read" in dataset.notes[-1]


def test_fractions_make_only_the_splits_that_are_missing(tmp_path: Path) -> None:
    with_test = load(DataSpec(source=savez(tmp_path, X=X, y=Y, X_test=X, y_test=Y)), tmp_path)
    assert (len(with_test.train), len(with_test.validation)) == (32, 8)
    judged = load(
        DataSpec(source=savez(tmp_path, X=X, y=Y, X_validation=X[:5], y_validation=Y[:5])), tmp_path
    )
    assert (len(judged.train), len(judged.validation)) == (32, 5)


def test_a_test_split_that_is_brought_is_never_read(tmp_path: Path) -> None:
    unreadable = np.array([{"a": 1}], dtype=object)
    source = savez(tmp_path, X=X, y=Y, X_test=unreadable, y_test=unreadable)
    assert len(load(DataSpec(source=source), tmp_path).train) == 32


def test_images_of_an_npz_file_can_be_split_by_an_array_beside_them(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 3, 4, 4), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(40) // 4
    source = savez(tmp_path, X=images, y=Y, patient=np.arange(40) // 4)
    dataset = load(DataSpec(source=source, split="group", group="patient"), tmp_path)
    assert dataset.input_shape == (3, 4, 4)
    assert dataset.train.x.dtype == np.uint8
    patients = [set(s.x[:, 0, 0, 0]) for s in (dataset.train, dataset.validation)]
    assert [len(p) for p in patients] == [6, 2]
    assert not patients[0] & patients[1]


NAN = X.copy()
NAN[3, 1] = np.nan
HUGE = np.where(np.isnan(NAN), 1e300, NAN)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"x": X, "y": Y}, "X is missing; found: x, y; needed: X and y"),
        ({"X": X}, "y is missing; found: X"),
        ({"X": X.astype(object), "y": Y}, "X holds Python objects"),
        ({"X": X.astype(str), "y": np.array([None] * 40)}, "y holds Python objects"),
        ({"X": np.full((40, 2), "red"), "y": Y}, "X holds text or objects where numbers belong"),
        ({"X": NAN, "y": Y}, "X holds 1 values that are NaN, infinite or too large for float32, the "
         "first at [3, 1]"),
        ({"X": HUGE, "y": Y}, "X holds 1 values that are NaN, infinite or too large"),
        ({"X": X, "y": np.where(Y, np.inf, 1.0)}, "y holds 20 values that are NaN, infinite"),
        ({"X": X[:5], "y": Y}, "X has 5 rows, but y has 40"),
        ({"X": X[:, 0], "y": Y}, "X has shape (40,), which is no table; give (N, D)"),
        ({"X": np.zeros((40, 2, 2, 2, 2)), "y": Y}, "X has shape (40, 2, 2, 2, 2), which is no table; give"),
        ({"X": np.zeros((40, 0)), "y": Y}, "X has shape (40, 0), so there is nothing in it"),
        ({"X": X * 1j, "y": Y}, "X holds complex numbers"),
        ({"X": X, "y": np.zeros((40, 2, 2))}, "y has shape (40, 2, 2)"),
        ({"X": X, "y": np.full((40, 2), "a")}, "y has shape (40, 2) and holds no numbers"),
        ({"X": X, "y": Y * 0}, "target: has one value only, '0'"),
        ({"X": X, "y": Y, "X_validation": X}, "X_validation and y_validation belong together"),
        ({"X": X, "y": Y, "X_validation": X[:, :1], "y_validation": Y}, "X_validation has shape (40, 1)"),
        ({"X": X, "y": Y, "X_validation": X, "y_validation": X}, "y_validation has shape (40, 2), but y"),
        ({"X": X, "y": Y, "X_validation": X, "y_validation": Y + 7}, "no validation row has a class"),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_used_are_refused(
    tmp_path: Path, arrays: dict[str, Any], expected: str
) -> None:
    assert told(savez(tmp_path, **arrays), tmp_path).startswith(f"a.npz: {expected}")


def test_a_group_array_of_another_length_is_refused(tmp_path: Path) -> None:
    source = savez(tmp_path, X=X, y=Y, g=np.arange(3))
    assert "g has shape (3,), but X has 40 rows" in told(source, tmp_path, split="group", group="g")
    assert "group: no column 'h'; known: x0, x1" in told(source, tmp_path, split="group", group="h")


def test_a_damaged_npz_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / savez(tmp_path, X=X, y=Y)
    raw = bytearray(path.read_bytes())
    raw[300:400] = b"\0" * 100
    path.write_bytes(raw)
    assert "X cannot be read" in told("a.npz", tmp_path)


FUNCTIONS = """
import numpy as np, pandas as pd
x, y = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
def arrays(): return x, y
def lists(): return x.tolist(), y.tolist()
def table(): return {"X": x, "y": y, "X_validation": x[:4], "y_validation": y[:4]}
def frame(): return pd.DataFrame({"a": x[:, 0], 7: x[:, 1], "y": y})
def raises(): raise ValueError("two\\nlines")
def nothing(): return None
def ragged(): return [[[1, 2], [3]], [[1]]], [0, 1]
number = 5
"""


def test_a_function_may_return_arrays_a_dictionary_or_a_frame(tmp_path: Path) -> None:
    write(tmp_path, FUNCTIONS, "own.py")
    for name in ("arrays", "lists"):
        dataset = load(DataSpec(source=f"./own.py:{name}"), tmp_path)
        assert dataset.input_shape == (2,)
        assert dataset.classes == ("0", "1")
    assert len(load(DataSpec(source="./own.py:table"), tmp_path).validation) == 4
    assert load(DataSpec(source="./own.py:frame", target="y"), tmp_path).features == ("a", "7")
    package = load(DataSpec(source="sklearn.datasets:make_moons"), tmp_path)
    assert package.input_shape == (2,)


def test_a_function_that_fails_or_returns_nonsense_is_refused(tmp_path: Path) -> None:
    write(tmp_path, FUNCTIONS, "own.py")
    assert "the function raised ValueError: two" in told("./own.py:raises", tmp_path)
    assert "the function returned NoneType; return (x, y)" in told("./own.py:nothing", tmp_path)
    assert "X[0] is no array" in told("./own.py:ragged", tmp_path)
    assert "is int, not a function" in told("./own.py:number", tmp_path)
    assert "target is not given" in told("./own.py:frame", tmp_path)
    with pytest.raises(PluginError, match="no 'arays'"):
        load(DataSpec(source="./own.py:arays"), tmp_path)


def test_frames_and_series_in_memory_go_together_by_position() -> None:
    frame = pd.DataFrame({"v": range(40)}, index=range(100, 140))
    series = pd.Series([v / 2 for v in range(40)], index=range(40)[::-1])
    dataset = from_arrays(frame, series, DataSpec(source="memory", target_scaling="none"))
    np.testing.assert_array_equal(dataset.train.x[:, 0] / 2, dataset.train.y)


def test_a_validation_frame_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        "import pandas as pd\n"
        "f = pd.DataFrame({'a': range(20), 'b': range(20)})\n"
        "y = [0, 1] * 10\n"
        "def lacks(): return {'X': f, 'y': y, 'X_validation': f[['a']], 'y_validation': y}\n"
        "def mixes(): return {'X': f, 'y': y, 'X_validation': f.to_numpy(), 'y_validation': y}\n",
        "own.py",
    )
    with pytest.raises(DataError, match="columns are missing: b"):
        load(DataSpec(source="./own.py:lacks"), tmp_path)
    assert "differ in kind" in told("./own.py:mixes", tmp_path)


def test_loading_warns_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(DataSpec(source="sklearn:breast_cancer"), tmp_path)
