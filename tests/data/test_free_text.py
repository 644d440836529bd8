from __future__ import annotations

import re
import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tuner.data import free_text
from tuner.data.free_text import MOST_OF_ALL, MOST_WORDS

TEXTS = st.lists(st.one_of(st.none(), st.text("abÄ\u0301 1,.'_\n", max_size=20)), min_size=1, max_size=30)


def slowly(text: str | None) -> list[str]:
    lower = unicodedata.normalize("NFC", text or "").lower()
    return [word for word in re.split(r"[\W_]+", lower) if word]


@given(TEXTS, TEXTS)
def test_words_are_found_as_they_are_word_by_word(training: list[str | None], rows: list[str | None]) -> None:
    known, different = free_text.vocabulary(pa.array(training, pa.large_string()))
    among = [set(slowly(text)) for text in training]
    everything = set().union(*among)
    assert different == len(everything)
    weight = {word: min(n := sum(word in each for each in among), len(training) - n) for word in everything}
    ranked = sorted(
        (word for word in everything if weight[word] >= 3), key=lambda word: (-weight[word], word)
    )
    assert known == ranked[: len(training) // 4]
    encoded = free_text.encoded(pa.array(rows, pa.large_string()), known)
    assert encoded[0].tolist() == [len(slowly(text)) for text in rows]
    for word, column in zip(known, encoded[1:], strict=True):
        assert column.tolist() == [word in slowly(text) for text in rows]


def test_vocabularies_are_bounded() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 900, 30)) for _ in range(2000)]
    known, different = free_text.vocabulary(pa.array(texts, pa.large_string()))
    assert (len(known), different) == (MOST_WORDS, 900)
    shared = free_text.shared([known] * 10)
    assert sum(map(len, shared)) <= MOST_OF_ALL
    assert shared[0] == sorted(known[: MOST_OF_ALL // 10])
