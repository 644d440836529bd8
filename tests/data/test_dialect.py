from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tuner.core.data_spec import DataSpec
from tuner.core.spec import StudySpec
from tuner.data import dialect, table
from tuner.data.dialect import Dialect
from tuner.errors import DataError, SpecError

HEADER = ("price", "count", "colour", "bought")


def rows(count: int = 40, decimal: str = ".", phrases: bool = False) -> list[list[str]]:
    chance = random.Random(count)
    colours = ["it was fine, really", "bad; do not buy", "a | b", "ok"] if phrases else ["red", "blue"]
    return [
        [
            f"{chance.uniform(-5, 500):.2f}".replace(".", decimal),
            str(chance.randrange(99)),
            chance.choice(colours),
            chance.choice(["yes", "no"]),
        ]
        for _ in range(count)
    ]


def joined(lines: list[list[str]], separator: str, *, quoted: bool = False) -> str:
    def field(value: str) -> str:
        return f'"{value}"' if quoted or any(c in value for c in f"{separator},;|") else value

    return "".join(separator.join(map(field, line)) + "\n" for line in lines)


def read(folder: Path, content: str | bytes, **keys: Any) -> tuple[pd.DataFrame, Dialect]:
    path = folder / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    frame, found = table.read_csv(path, DataSpec(source="a.csv", **keys))
    plain = frame.map(lambda value: value.strip() if isinstance(value, str) else None)
    slow, _ = table._values_only(table._with_pandas(path, found))
    slow = slow.map(lambda value: value.strip() if isinstance(value, str) else None)
    pd.testing.assert_frame_equal(plain, slow, check_dtype=False)
    return frame, found


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("count", [3, 40, 200])
@pytest.mark.parametrize(
    "form", ["plain", "quoted", "phrases", "decimal comma", "crlf", "no header", "bom", "empty fields"]
)
def test_a_file_is_read_whatever_separates_it(tmp_path: Path, separator: str, count: int, form: str) -> None:
    lines = rows(count, "," if form == "decimal comma" else ".", phrases=form == "phrases")
    if form == "empty fields":
        lines = [
            [field if (i + j) % 4 else "" for j, field in enumerate(line)] for i, line in enumerate(lines)
        ]
    header = [] if form == "no header" else [list(HEADER)]
    content = joined(header + lines, separator, quoted=form == "quoted")
    if form == "crlf":
        content = content.replace("\n", "\r\n")
    frame, found = read(tmp_path, content.encode("utf-8-sig" if form == "bom" else "utf-8"))
    assert found.separator == separator
    assert tuple(frame.columns) == (HEADER if header else ("column_1", "column_2", "column_3", "column_4"))
    assert frame.fillna("").to_numpy().tolist() == lines
    assert bool(found.notes) is (form == "no header")


@pytest.mark.parametrize(
    ("content", "names", "values"),
    [
        ("a b y\n1 2 3\n4 5 6\n", "a b y", "123456"),
        ("   a   b  y\n   1  22  3\n  44   5  6\n", "a b y", ["1", "22", "3", "44", "5", "6"]),
        ('"a" "y"\n"1" 1 2\n"2" 3 4\n', "Unnamed:_0 a y", "112234"),
        ("sep=;\na;y\n1,5;2\n3;4\n", "a y", ["1,5", "2", "3", "4"]),
        ('"sep=|"\na|y\n1|2\n3|4\n', "a y", "1234"),
        ("# of 2024; v1\n# by, hand\na,y\n1,2\n3,4\n", "a y", "1234"),
        ("# a y\n1.5 2\n3 4\n", "a y", ["1.5", "2", "3", "4"]),
        ("a,y\n1,2\n# a pause\n3,4\n", "a y", "1234"),
        ("My export\n\na,y\n1,2\n3,4\n", "a y", "1234"),
        ("My export, of May\nand more\na;b;y\n1;2;3\n3;4;3\n", "a b y", "123343"),
        ("a,y,\n1,2,\n3,4,\n", "a y Unnamed:_2", ["1", "2", "", "3", "4", ""]),
        ("a,y\n1,2,\n3,4,\n", "a y Unnamed:_2", ["1", "2", "", "3", "4", ""]),
        ('a, y\n1, "x, y"\n2, "z"\n', "a y", ["1", "x, y", "2", "z"]),
        ('a,y\n1,"x\nz"\n2,"w"\n', "a y", ["1", "x\nz", "2", "w"]),
        ('size,y\n5" rod,1\n6" rod,2\n7 rod,1\n', "size y", ['5" rod', "1", '6" rod', "2", "7 rod", "1"]),
        ("team,2019,2020,2021\nx,1,2,3\nz,4,5,6\n", "team 2019 2020 2021", "x123z456"),
        ("0,1,2\n5,6,7\n7,8,8\n", "0 1 2", "567788"),
        ("2024-01-31,5,Ann\n2024-02-01,6,Ben\n", "column_1 column_2 column_3",
         ["2024-01-31", "5", "Ann", "2024-02-01", "6", "Ben"]),
        ("red,no\nblue,yes\nred,yes\nblue,no\n", "column_1 column_2",
         ["red", "no", "blue", "yes", "red", "yes", "blue", "no"]),
        ("city,colour\nRome,red\nRome,blue\n", "city colour", ["Rome", "red", "Rome", "blue"]),
        ("day;v\n2024-01-01 10:00,5;3\n2024-01-02 10:00,5;4\n", "day v",
         ["2024-01-01 10:00,5", "3", "2024-01-02 10:00,5", "4"]),
        ("a,y\r1,2\r3,4\r", "a y", "1234"),
    ],
)  # fmt: skip
def test_what_stands_around_a_table_does_not_hide_it(
    tmp_path: Path, content: str, names: str, values: str | list[str]
) -> None:
    frame, _ = read(tmp_path, content)
    assert list(frame.columns) == [
        name.replace("_", " ") if "Unnamed" in name else name for name in names.split()
    ]
    assert frame.fillna("").to_numpy().ravel().tolist() == list(values)


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("latin-1", ["Köln", "Málaga", "señor", "façade"]),
        ("cp1252", ["5 €", "Köln"]),
        ("cp1250", ["Łódź", "Gdańsk", "Poznań", "Wrocław"]),
        ("cp1251", ["Москва", "Санкт-Петербург", "Казань"]),
        ("shift_jis", ["東京", "大阪", "名古屋"]),
        ("gb18030", ["北京", "上海", "广州"]),
        ("utf-16", ["Köln", "Łódź"]),
        ("utf-16-le", ["Köln", "plain"]),
        ("utf-8", ["Köln", "東京"]),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_an_encoding_is_found_and_told(tmp_path: Path, encoding: str, words: list[str], late: bool) -> None:
    plain = [f"plain;{i};{i % 7}.5" for i in range(3000 if late else 0)]
    lines = ["name;n;y", *plain, *(f"{words[i % len(words)]};{i};{i % 7}.5" for i in range(30))]
    frame, found = read(tmp_path, "\n".join(lines).encode(encoding))
    assert set(words) <= set(frame["name"])
    is_unicode = encoding.startswith("utf")
    assert bool(found.notes) is not is_unicode
    if not is_unicode:
        assert found.notes[0].startswith("The file is not UTF-8; it is read as ")
        assert "encoding = " in found.notes[0]


def test_options_overrule_what_is_seen(tmp_path: Path) -> None:
    content = "1;2\n3;4\n5;6\n"
    frame, _ = read(tmp_path, content, separator="comma", header=False)
    assert frame.to_numpy().ravel().tolist() == ["1;2", "3;4", "5;6"]
    frame, found = read(tmp_path, content, header=True)
    assert (list(frame.columns), found.notes) == (["1", "2"], ())
    frame, found = read(tmp_path, "Žena;5\nmuž;6\n".encode("cp1250"), encoding="cp1250", header=False)
    assert (frame.iloc[0, 0], found.notes) == ("Žena", ())


@pytest.mark.parametrize(
    ("content", "keys", "expected"),
    [
        (b"a,y\nK\xf6ln,1\n", {"encoding": "utf-8"}, "encoding: 'utf-8' does not decode the file"),
        (b"a,y\n" + b"x,1\n" * 9000 + b"K\xf6ln,1\n", {"encoding": "utf-8"}, "is not utf-8 text"),
        (b"# nothing\n", {}, "is empty; give a CSV file"),
        (
            b"569,30,good\n1,2,3,4,5,6\n1,2,3,4,5,7\n",
            {"header": True},
            "the first line has 3 fields, but",
        ),
        (b"a,y\n1,2\n1,2\n1,2,3\n", {}, "Expected 2 fields in line 4, saw 3; correct the file"),
        (b"# c\n\na,y\n1,2\n1,2\n1,2,3\n", {}, "Expected 2 fields in line 6, saw 3; correct the file"),
        (b'a,y\n1,"2\n1,2\n' + b"1,2\n" * 50, {}, "EOF inside string"),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, content: bytes, keys: dict[str, Any], expected: str
) -> None:
    with pytest.raises(DataError) as raised:
        read(tmp_path, content, **keys)
    assert str(raised.value).startswith("a.csv: ")
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({"separator": "comme"}, "separator: 'comme' is not one character; known: comma,"),
        ({"encoding": "utf-88"}, "encoding: unknown name 'utf-88'"),
    ],
)
def test_options_that_mean_nothing_are_refused(key: dict[str, str], expected: str) -> None:
    with pytest.raises(SpecError, match=expected):
        StudySpec.parse({"name": "s", "data": {"source": "a.csv", "target": "y", **key}})


def test_a_letter_between_two_blocks_is_read(tmp_path: Path) -> None:
    for shift in range(3):
        before = "v,y\n" + "abcdefg,1\n" * 104_857 + "a" * shift
        assert (1 << 20) - 3 < len(before) <= 1 << 20
        rows = [before + "€,1", "b,2", 'c"",3', '"d e",4']
        (tmp_path / "a.csv").write_text("\n".join(rows), "utf-8")
        found = dialect.detect(tmp_path / "a.csv", DataSpec(source="a.csv"))
        assert (found.encoding, found.quotes, found.has_blanks, found.notes) == ("utf-8", 4, True, ())


def test_a_long_text_is_read_whole(tmp_path: Path) -> None:
    long = "word " * 60_000
    frame, _ = read(tmp_path, f'text,y\n"{long}",1\n"short",2\n"{long}more",3\n')
    assert [*frame["text"]] == [long, "short", f"{long}more"]


def test_a_word_in_another_encoding_does_not_change_all_others(tmp_path: Path) -> None:
    mixed = "v,y\né,1\nè,2\n".encode() + "Ü,3\n".encode("latin-1")
    with pytest.raises(DataError, match="is UTF-8 but for 1 words, the first in line 4: 'Ü'; correct them"):
        read(tmp_path, mixed)
    frame, _ = read(tmp_path, mixed, encoding="latin-1")
    assert frame["v"].iloc[-1] == "Ü"
    further = mixed + "à,4\nÄ,5\n".encode("latin-1") + "é,6\nè,7\nô,8\nî,9\n".encode()
    with pytest.raises(DataError, match="but for 3 words, the first in line 4: 'Ü'"):
        read(tmp_path, further)
