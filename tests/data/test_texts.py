"""Texts as tokens: the vocabulary is the training rows', and any text has its tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loaded import from_memory
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import UNKNOWN, Dataset, InputKind
from tuner.data import encode, load, outline, summarize, tell
from tuner.data.locked import unlock
from tuner.errors import DataError

WORDS = ["red", "Blue", "green,", "GRÜN", "ノート", "7", "don't"]


def frame(count: int = 80) -> pd.DataFrame:
    chance = np.random.default_rng(0)
    texts = [" ".join(chance.choice(WORDS, 1 + i % 9)) for i in range(count)]
    return pd.DataFrame({"said": texts, "n": np.arange(count), "y": ["a", "b"] * (count // 2)})


def of(table: Any, **keys: Any) -> Dataset:
    keys = {"text": "said", "target": "y"} | keys
    return from_memory(table, DataSpec(source="memory", **keys))


def stored(data: Dataset) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(dict(data.encoding)))
    return found


def test_a_text_is_its_words_in_their_order() -> None:
    data = of(frame())
    assert (data.kind, data.input_shape) == (InputKind.TOKENS, (12,))
    known = stored(data)["text"]["known"]
    assert set(known) == {"red", "blue", "green", "grün", "ノート", "7", "don", "t"}
    (found,) = encode(["GREEN red; unheard-of"], stored(data))
    places = {word: i for i, word in enumerate(known, 2)}
    assert found.tolist() == [places["green"], places["red"], UNKNOWN, UNKNOWN, *[0] * 8]
    assert data.vocabulary == 10
    assert (
        outline(DataSpec(source="memory", text="said", target="y"), Path(), frame()).kind is InputKind.TOKENS
    )
    assert (
        summarize(from_memory(frame(), DataSpec(source="memory", text="said", target="y"), resampling=True))
        == []
    )


def test_the_commonest_tokens_come_first() -> None:
    texts = ["a a a b"] * 30 + ["b c"] * 20 + ["once"]
    data = of(pd.DataFrame({"said": texts, "y": [0, 1] * 25 + [0]}), vocabulary=2, test=0)
    assert stored(data)["text"]["known"] == ["a", "b"]
    assert "2 of" in data.notes[-1]


def test_characters_keep_their_case_and_combined_marks_are_one() -> None:
    texts = ["Ab\u0301", "bB"] * 20
    data = of(pd.DataFrame({"said": texts, "y": [0, 1] * 20}), tokens="characters")
    assert set(stored(data)["text"]["known"]) == {"A", "b\u0301", "b", "B"} - {"b\u0301"} | {"\u0301"}
    composed = of(pd.DataFrame({"said": ["e\u0301", "x"] * 20, "y": [0, 1] * 20}), tokens="characters")
    assert set(stored(composed)["text"]["known"]) == {"é", "x"}


def test_words_with_vowel_signs_are_whole() -> None:
    data = of(pd.DataFrame({"said": ["हिन्दी भाषा", "भाषा"] * 20, "y": [0, 1] * 20}))
    assert set(stored(data)["text"]["known"]) == {"हिन्दी", "भाषा"}


ODD: dict[str, Any] = {
    "empty": "",
    "none": None,
    "nan": np.nan,
    "blanks": " \t",
    "signs": "!?",
    "unseen": "unseen",
    "half": "\ud800",
    "long": "a" * 500,
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_text_without_a_known_token_is_one_unknown(odd: Any) -> None:
    table = frame()
    table["said"] = table["said"].astype(object)
    table.loc[::9, "said"] = odd
    data = of(table)
    found = encode(pd.Series([odd, "red"], dtype=object), stored(data))
    if odd not in ("unseen", "a" * 500):  # which stands in several training texts
        assert found[0].tolist() == [UNKNOWN, *[0] * (found.shape[1] - 1)]
    assert (data.train.x[:, 0] > 0).all()
    assert encode(["nobody said this"], stored(data))[0].tolist()[:3] == [UNKNOWN] * 3


def test_numbers_as_texts_stay_what_was_written(tmp_path: Path) -> None:
    table = pd.DataFrame({"said": ["007", "7", "1.50"] * 20, "y": ["a", "b", "c"] * 20})
    table.to_csv(tmp_path / "a.csv", index=False)
    data = load(DataSpec(source="a.csv", text="said", target="y"), tmp_path)
    assert set(stored(data)["text"]["known"]) == {"007", "7", "1", "50"}
    numbers = of(pd.DataFrame({"said": [7, 50] * 20, "y": ["a", "b"] * 20}))
    assert encode(pd.DataFrame({"said": [50, 7]}), stored(numbers))[:, 0].tolist() == [
        2 + ["50", "7"].index(w) for w in ("50", "7")
    ]


def test_the_length_follows_from_the_training_texts_and_cut_ones_are_told() -> None:
    texts = ["a b c"] * 97 + ["a " * 40] * 3
    table = pd.DataFrame({"said": texts, "y": [0, 1] * 50})
    assert of(table).input_shape == (40,)
    short = of(table, length=2)
    assert short.input_shape == (2,)
    assert "up to 2 of a text" in short.notes[-1]
    assert "(100.0 %) are longer; `length` under [data]" in short.notes[-1]
    assert of(pd.DataFrame({"said": ["a " * 900] * 40, "y": [0, 1] * 20})).input_shape == (256,)


def test_nothing_of_other_rows_is_in_the_vocabulary() -> None:
    table = frame()
    data = of(table)
    marked = table.assign(said=[f"m{i} {text}" for i, text in enumerate(table["said"])])
    spec = DataSpec(source="memory", text="said", target="y")
    x: Any = unlock(spec, Path(), marked).x
    held = [int(text.split()[0][1:]) for text in x]
    table.loc[held, "said"] = "new words of locked rows, new words"
    assert of(table).encoding == data.encoding


def test_other_columns_only_divide_the_rows() -> None:
    table = frame().assign(who=[f"p{i % 8}" for i in range(80)], w=1.0)
    data = of(table, split="group", group="who", weight="w")
    assert data.kind is InputKind.TOKENS
    assert data.train.weight is not None
    assert of(table, folds=3).kind is of(table, reshuffle=True).kind is InputKind.TOKENS


def test_texts_may_come_apart_from_their_target() -> None:
    table = frame()
    texts = table["said"]
    for x in (list(texts), texts, texts.to_numpy(object), np.array(list(texts))):
        data = from_memory((x, table["y"]), DataSpec(source="memory"))
        np.testing.assert_array_equal(data.train.x, of(table).train.x)
        np.testing.assert_array_equal(encode(x, stored(data))[:5], encode(table, stored(of(table)))[:5])


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="text: no column 'sad'; known: n, said; did you mean 'said'"):
        of(frame(), text="sad")
    with pytest.raises(DataError, match=r"rows: columns are missing: said; found: x"):
        encode(pd.DataFrame({"x": [1]}), stored(of(frame())))
    with pytest.raises(DataError, match="rows: hold no texts; give texts, or a data frame"):
        encode(np.zeros((3, 2)), stored(of(frame())))
    with pytest.raises(
        DataError, match=r"no word of 'said' stands in two training texts; .* tokens = \"characters\""
    ):
        of(frame().assign(said=[f"w{i}" for i in range(80)]))
    with pytest.raises(ValueError, match="leave one of them out"):
        DataSpec(source="m", text="a", kind="image")


def test_texts_without_a_known_token_are_told_to_whoever_predicts(caplog: pytest.LogCaptureFixture) -> None:
    tell(["red", "unheard"], stored(of(frame())))
    assert caplog.messages == ["text: 1 of 2 rows hold no token that training knew"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=8), st.sampled_from(["words", "characters"]))
def test_any_text_is_encoded_whatever_its_neighbours_are(texts: list[str], tokens: str) -> None:
    table = pd.DataFrame({"said": ["red blue", *texts, "blue red"] * 8})
    data = of(table.assign(y=np.arange(len(table)) % 2), tokens=tokens, test=0)
    how = stored(data)
    together = encode(texts, how)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_array_equal(encode([text], how)[0], row)
        assert row[0] > 0
        assert (np.diff((row == 0).astype(int)) >= 0).all()
