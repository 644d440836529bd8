"""The compiled functions one by one, beside numpy, scipy and torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, ndtr

from tests.fused import reference
from tuner.compiled import njit_inline
from tuner.fused import fast_math
from tuner.fused.layout import LANES, ROWS, aligned
from tuner.fused.loss_kernels import highest
from tuner.fused.matmul_kernel import NOTHING, product, transpose


@njit_inline
def _table(x: Any, y: Any) -> None:
    """Every function of one number, a row each."""
    for i in range(len(x)):
        y[0, i] = fast_math.exp(x[i])
        y[1, i] = fast_math.tanh(x[i])
        y[2, i] = fast_math.sigmoid(x[i])
        y[3, i], y[4, i] = fast_math.normal_cdf_pdf(x[i])
        y[5, i] = fast_math.log(fast_math.exp(x[i]))


@njit_inline
def _words(places: Any, key: Any, words: Any, pairs: Any) -> None:
    for i in range(len(places)):
        words[0, i] = fast_math.mix_bits(fast_math.u32(places[i] ^ key))
        words[1, i] = fast_math.random_bits(key, i)
        pairs[0, i], pairs[1, i] = fast_math.normal_pair(words[0, i], words[1, i])


X = np.linspace(-15, 15, 4001, dtype=np.float32)


@pytest.fixture(scope="module")
def table() -> Any:
    y = np.empty((6, len(X) + 3), np.float32)
    _table(np.concatenate([X, np.array([np.nan, np.inf, -np.inf], np.float32)]), y)
    return y


@pytest.mark.parametrize(
    ("index", "function", "relative", "absolute"),
    [
        (0, np.exp, 2e-7, 0),
        (1, np.tanh, 2e-7, 0),
        (2, expit, 3e-7, 0),
        (3, ndtr, 0, 3e-7),
        (4, stats.norm.pdf, 0, 1e-7),
        (5, lambda x: x, 0, 2e-6),
    ],
    ids=["exp", "tanh", "sigmoid", "normal distribution", "normal density", "log"],
)
def test_function_is_as_exact_as_single_precision(
    table: Any, index: int, function: Callable[[Any], Any], relative: float, absolute: float
) -> None:
    np.testing.assert_allclose(table[index, :-3], function(X.astype(np.float64)), relative, absolute)


def test_nan_stays_nan_and_infinity_is_a_limit(table: Any) -> None:
    assert np.isnan(table[:5, -3]).all()
    assert table[0, -2] == np.inf
    assert table[:4, -1] == pytest.approx([0, -1, 0, 0], abs=1e-37)
    assert table[1:4, -2] == pytest.approx([1, 1, 1])


def test_words_are_those_of_the_torch_back_end_and_look_random() -> None:
    places, key = np.arange(20000, dtype=np.uint32), np.uint32(77)
    words, pairs = np.empty((2, 20000), np.uint32), np.empty((2, 20000), np.float32)
    _words(places, key, words, pairs)
    assert np.array_equal(words[0], reference.scrambled(places ^ key))
    assert np.array_equal(words[1], reference.words(77, 0, 20000))
    for shares in words / 2.0**32:
        assert stats.kstest(shares, "uniform").pvalue > 1e-3
        assert abs(correlation(shares[:-1], shares[1:])) < 0.03
    for normal in pairs:
        assert stats.kstest(normal, "norm").pvalue > 1e-3
    assert abs(correlation(*pairs)) < 0.03


def test_noise_of_the_torch_back_end_is_the_kernels() -> None:
    keys = reference.words(5, 4, 2)
    noise = reference.normals(keys, 50, 8)
    places = np.arange(200, dtype=np.uint32)
    one, two = (reference.scrambled(places ^ key) for key in keys)
    pairs: Any = np.empty((2, 200), np.float32)
    _pairs(one, two, pairs)
    wanted = np.concatenate([half.reshape(50, 4) for half in pairs], axis=1)
    np.testing.assert_allclose(noise, wanted, rtol=1e-6, atol=5e-6)


def correlation(one: Any, two: Any) -> float:
    return float(np.mean((one - one.mean()) * (two - two.mean())) / (one.std() * two.std()))


@njit_inline
def _pairs(one: Any, two: Any, pairs: Any) -> None:
    for i in range(len(one)):
        pairs[0, i], pairs[1, i] = fast_math.normal_pair(one[i], two[i])


@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(0, 7),
    st.booleans(),
    st.sampled_from(["itself", "a row", "nothing"]),
    st.integers(0, 9),
)
def test_product_is_numpys(
    rows: int, columns: int, terms: int, extra: int, turned: bool, added: str, seed: int
) -> None:
    rows, columns = rows * ROWS, columns * LANES
    generator = np.random.default_rng(seed)
    a = generator.normal(size=(rows, terms + extra)).astype(np.float32)
    b = generator.normal(size=(terms, columns + extra)).astype(np.float32)
    c = generator.normal(size=(rows, columns + extra)).astype(np.float32)
    row = generator.normal(size=columns).astype(np.float32)
    d = {
        "itself": (c, (c.ravel(), 0, columns + extra, 1)),
        "a row": (row, (row, 0, 0, 1)),
        "nothing": (np.float32(0), (NOTHING, 0, 0, 0)),
    }[added]
    wanted = c.astype(np.float64)
    wanted[:, :columns] = a[:, :terms].astype(np.float64) @ b[:, :columns]
    wanted[:, :columns] += c[:, :columns] if added == "itself" else np.asarray(d[0])
    flat, steps = (a.T, (1, rows)) if turned else (a, (terms + extra, 1))
    product(
        rows, columns, terms, np.ascontiguousarray(flat).ravel(), 0, *steps, b.ravel(), 0, columns + extra,
        c.ravel(), 0, columns + extra, *d[1],
    )  # fmt: skip
    np.testing.assert_allclose(c, wanted, rtol=1e-5, atol=1e-5)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 9))
def test_transpose_is_numpys(rows: int, columns: int, extra: int) -> None:
    rows, columns = rows * LANES, columns * LANES
    a = np.arange(rows * (columns + extra), dtype=np.float32).reshape(rows, -1)
    b = aligned(columns * (rows + extra)).reshape(columns, -1)
    transpose(rows, columns, a.ravel(), 0, columns + extra, b.ravel(), 0, rows + extra)
    assert np.array_equal(b[:, :rows], a[:, :columns].T)
    assert not b[:, rows:].any()


def test_highest_is_numpys_argmax() -> None:
    outputs = np.random.default_rng(0).integers(0, 3, size=(200, 4)).astype(np.float32)
    outputs[np.random.default_rng(1).random(outputs.shape) < 0.1] = np.nan
    classes = np.empty(len(outputs), np.int64)
    highest(outputs, classes)
    assert np.array_equal(classes, outputs.argmax(axis=1))
