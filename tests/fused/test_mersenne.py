from __future__ import annotations

import numpy as np
import pytest
import torch

from tuner.fused.mersenne import Mersenne

SEEDS = (0, 1, 5489, 2**32 - 1)
COUNTS = (0, 1, 2, 7, 15, 16, 17, 31, 623, 624, 625, 5000)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_draws_what_torch_draws_in_any_order(seed: int) -> None:
    its, mine = torch.Generator().manual_seed(seed), Mersenne(seed)
    for count in (*COUNTS, *COUNTS[::-1]):
        assert np.array_equal(torch.randperm(count, generator=its).numpy(), mine.permutation(count))
        assert np.array_equal(torch.empty(count).uniform_(generator=its).numpy(), mine.uniform(count))
        normal = torch.empty(count).normal_(generator=its).numpy()
        assert np.allclose(normal, mine.normal(count), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("drawn", [0, 1, 623, 624, 625, 1000])
def test_a_state_is_one_of_torch_and_the_other_way_round(drawn: int) -> None:
    its, mine = torch.Generator().manual_seed(3), Mersenne(3)
    torch.empty(drawn).uniform_(generator=its)
    mine.uniform(drawn)
    copied, restored = torch.Generator(), Mersenne(0)
    copied.set_state(torch.tensor(mine.state()))
    restored.restore(its.get_state().numpy())
    for _ in range(3):
        wanted = torch.randperm(500, generator=its).numpy()
        assert np.array_equal(torch.randperm(500, generator=copied).numpy(), wanted)
        assert np.array_equal(mine.permutation(500), wanted)
        assert np.array_equal(restored.permutation(500), wanted)
