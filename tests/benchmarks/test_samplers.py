from __future__ import annotations

import numpy as np
import pytest

from benchmarks import samplers
from benchmarks.samplers import Found, Table


@pytest.fixture(scope="module")
def table() -> Table:
    """A bowl whose bottom is at (1, 1, "0"), three runs of each configuration."""
    at = np.indices((6, 5, 3))
    means = (at[0] - 1.0) ** 2 + (at[1] - 1.0) ** 2 + at[2] + 1.0
    runs = means[..., None] + np.array([-0.1, 0.0, 0.1])
    return Table.of("bowl", {"a": 6, "b": 5, "c": 3}, frozenset("c"), runs, log=False)


def test_the_best_configuration_has_no_regret_and_the_median_one_a_regret_of_one(table: Table) -> None:
    assert table.regrets[1, 1, 0] == table.regrets.min() == 0
    assert np.median(table.regrets) == pytest.approx(1)


def test_a_configuration_has_one_value_for_each_seed(table: Table) -> None:
    values = [table.value((2, 3, 1), seed) for seed in range(40)]
    assert values == [table.value((2, 3, 1), seed) for seed in range(40)]
    assert sorted(set(values)) == pytest.approx([6.9, 7.0, 7.1])


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
@pytest.mark.parametrize("program", [samplers.ours, samplers.theirs])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_each_side_searches_the_table(table: Table, program: samplers.Program, sampler: str) -> None:
    first, found = program(sampler, table, 0, 1), program(sampler, table, 0, 30)
    assert first.regret == table.regrets[3, 2, 1]
    assert found.regret < 0.5
    assert found.seconds > 0


def test_the_row_counts_pairs_and_ratios_below_one_favour_ours() -> None:
    found = {
        "x": [(Found(0.1, 0.1), Found(0.2, 0.4)), (Found(0.1, 0.1), Found(0.2, 0.2))],
        "y": [(Found(0.0, 0.1), Found(0.0, 0.2)), (Found(0.3, 0.1), Found(0.1, 0.2))],
    }
    cells = [cell.strip() for cell in samplers.row("tpe", found, 100).split("|")[1:-1]]
    assert cells[:6] == ["tpe", "4", "0.1000", "0.1500", "1.75 (0.50-3.00)", "2 / 1 / 1"]
    assert cells[7:] == ["1.00", "2.00", "0.50"]
    assert samplers.HEAD.splitlines()[0].count("|") == samplers.HEAD.splitlines()[1].count("|") == 11
