from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tuner.data.fitting import median


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=9))
def test_the_median_is_that_of_numpy(values: list[float]) -> None:
    assert median(np.array(values)) == np.median(values)
