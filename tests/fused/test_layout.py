from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tuner.fused.layout import (
    ACTIVATION,
    CHUNK,
    COLUMNS,
    DELTA,
    FAN_IN,
    FAN_OUT,
    IN_ROWS,
    LANES,
    ROWS,
    SLOPE,
    STRIDE,
    WEIGHT,
    Layout,
    aligned,
    padded,
)

LAYOUTS = st.builds(
    Layout,
    inputs=st.integers(1, 40),
    widths=st.lists(st.integers(1, 300), max_size=4).map(tuple),
    outputs=st.integers(1, 20),
    layer_norm=st.booleans(),
)


@given(LAYOUTS, st.integers(0, 99))
def test_unpack_is_the_inverse_of_pack(layout: Layout, seed: int) -> None:
    generator = np.random.default_rng(seed)
    empty = layout.unpack(np.zeros(layout.parameters, np.float32))
    state = {name: generator.normal(size=array.shape).astype(np.float32) for name, array in empty.items()}
    found = layout.unpack(layout.pack(state))
    assert list(found) == list(layout.names)
    assert all(np.array_equal(found[name], state[name]) for name in layout.names)


@given(LAYOUTS)
def test_parameters_do_not_overlap_and_the_rest_is_zero(layout: Layout) -> None:
    empty = layout.unpack(np.zeros(layout.parameters, np.float32))
    flat = layout.pack({name: np.ones_like(array) for name, array in empty.items()})
    assert flat.sum() == sum(array.size for array in empty.values())


@given(LAYOUTS)
def test_matrices_are_named_and_shaped_as_in_torch(layout: Layout) -> None:
    state = layout.unpack(np.zeros(layout.parameters, np.float32))
    sizes = layout.sizes
    assert [state[f"{i}.weight"].shape for i in range(len(layout.widths) + 1)] == [
        (fan_out, fan_in) for fan_in, fan_out in pairwise(sizes)
    ]
    assert ("0.scale" in state) == (layout.layer_norm and len(layout.widths) > 0)


@given(LAYOUTS)
def test_every_layer_fits_the_tile_and_its_own_space(layout: Layout) -> None:
    table = layout.table
    assert CHUNK % ROWS == 0
    for layer in table:
        assert layer[FAN_IN] <= layer[IN_ROWS]
        assert layer[FAN_OUT] <= layer[COLUMNS] <= layer[STRIDE]
        assert layer[IN_ROWS] % ROWS == layer[COLUMNS] % LANES == 0
        assert layer[WEIGHT] + layer[IN_ROWS] * layer[STRIDE] <= layout.parameters
    places = sorted(int(layer[field]) for layer in table for field in (ACTIVATION, SLOPE, DELTA))
    assert places[0] >= CHUNK * layout.input_stride
    assert len(set(places)) == len(places)
    assert places[-1] < layout.workspace


def test_padded_inputs_keep_their_numbers_and_start_at_a_cache_line() -> None:
    x = np.arange(2 * 3 * 5, dtype=np.float64).reshape(2, 3, 5)
    whole = padded(x)
    assert whole.shape == (2, 16)
    assert np.array_equal(whole[:, :15], x.reshape(2, 15))
    assert not whole[:, 15].any()
    assert whole.ctypes.data % 64 == aligned(7).ctypes.data % 64 == 0
