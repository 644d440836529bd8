from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from tuner.core.trial import Reading
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.state import freeze, reading_of, reading_table, thaw

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ARRAYS = arrays_of.arrays(
    arrays_of.boolean_dtypes() | arrays_of.integer_dtypes() | arrays_of.floating_dtypes(),
    arrays_of.array_shapes(min_dims=0, min_side=0, max_side=3),
)
TREES = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text("ab/", max_size=3) | st.integers(0, 2), inner, max_size=3)
    ),
    max_leaves=8,
)


def back(tree: Any) -> Any:
    """The tree as it comes back from a file of safetensors and one of JSON."""
    arrays, facts = freeze(tree)
    written = safetensors.numpy.load(safetensors.numpy.save(arrays))
    return thaw(written, json.loads(json.dumps(facts)))


def bits(tree: Any) -> Any:
    """The tree with everything as text, so that equal means equal bit by bit."""
    if isinstance(tree, dict):
        return {key: bits(part) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(bits, tree))
    if isinstance(tree, np.ndarray):
        return tree.dtype.name, tree.shape, tree.astype(tree.dtype.newbyteorder("=")).tobytes()
    return repr(tree)


@given(TREES)
def test_trees_come_back_bit_for_bit(tree: Any) -> None:
    assert bits(back(tree)) == bits(tree)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "int64", "bool", "complex128"]
)
@pytest.mark.parametrize("shape", [(), (0,), (3, 2)])
def test_tensors_of_any_type_come_back_as_they_were(dtype: str, shape: tuple[int, ...]) -> None:
    tensor = torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape).to(getattr(torch, dtype))
    found = back({"a": [tensor.T if tensor.ndim > 1 else tensor]})["a"][0]
    wanted = tensor.T if tensor.ndim > 1 else tensor
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.to(torch.complex128).tolist() == wanted.to(torch.complex128).tolist()


def test_order_in_memory_comes_back() -> None:
    table = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert back([table])[0].strides == table.strides


def test_modules_and_optimizers_stand_for_their_states() -> None:
    network = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    found = back({"network": network, "optimizer": optimizer})
    other = torch.nn.Linear(2, 1)
    again = torch.optim.Adam(other.parameters())
    other.load_state_dict(found["network"])
    again.load_state_dict(found["optimizer"])
    assert torch.equal(other.weight, network.weight)
    for one, two in zip(optimizer.state.values(), again.state.values(), strict=True):
        assert all(torch.equal(one[name], two[name]) for name in one)
        assert list(one) == list(two)


def test_what_is_frozen_and_what_is_thawed_are_copies() -> None:
    array, tensor = np.zeros(2), torch.zeros(2)
    arrays, facts = freeze({"array": array, "tensor": tensor})
    array += 1
    tensor += 1
    for _ in range(2):
        found = thaw(arrays, facts)
        assert found["array"].tolist() == found["tensor"].tolist() == [0, 0]
        found["array"] += 1
        found["tensor"] += 1


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (object(), "it: a object cannot be kept; give arrays, tensors, numbers, text or paths"),
        ({"a": [1, {2}]}, "a/1: a set cannot be kept"),
        ({"a": np.array(["x"])}, "a: an array of <U1 cannot be kept"),
        ({"a": {(1, 2): 3}}, r"a/\(1, 2\): names are text or whole numbers"),
    ],
)
def test_what_cannot_be_frozen_is_told_with_its_place(tree: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        freeze(tree)


@pytest.mark.parametrize("reading", [None, Reading(3, math.inf, 0.1, extras={"a": -0.0, "b": math.nan})])
def test_readings_come_back(reading: Reading | None) -> None:
    assert repr(reading_of(json.loads(json.dumps(reading_table(reading))))) == repr(reading)


def drawn(streams: GlobalRng) -> list[Any]:
    with streams:
        return [random.gauss(0, 1), random.random(), np.random.normal(), torch.rand(2).tolist()]


def test_global_streams_go_on_where_others_were() -> None:
    one, two = GlobalRng(1), GlobalRng(2)
    drawn(one)
    state = back(one.state())
    two.restore(state)
    assert back(two.state()).keys() == {"random", "numpy", "torch"}
    assert [drawn(two) for _ in range(3)] == [drawn(one) for _ in range(3)]


def test_streams_that_were_never_entered_start_from_their_seed() -> None:
    one, two = GlobalRng(1), GlobalRng(1)
    two.restore(back(one.state()))
    assert drawn(two) == drawn(one)
