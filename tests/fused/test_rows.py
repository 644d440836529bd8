from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.fused.made import (
    FEATURES,
    HELD,
    TRAIN,
    Rows,
    bits,
    first_weights,
    place,
    recipe,
    trained,
    varied,
)
from tuner.fused import FusedRow, Layout, LossKind, RowInputs, RowTargets

EPOCHS, TRIALS = 4, 7


@pytest.fixture(scope="module")
def alone() -> dict[int, list[tuple[Any, ...]]]:
    """Each trial's epochs, trained by itself."""
    return {number: [bits(m) for m in trained(varied(number), EPOCHS)] for number in range(TRIALS)}


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 5),
    st.integers(1, 2),
    st.permutations(range(TRIALS)),
    st.lists(st.tuples(st.sampled_from(["stop", "move", "train"]), st.integers(0, 4)), max_size=8),
)
def test_numbers_depend_on_the_trial_alone_however_rows_are_refilled(
    alone: dict[int, list[tuple[Any, ...]]],
    capacity: int,
    threads: int,
    waiting: Sequence[int],
    orders: list[tuple[str, int]],
) -> None:
    rows = Rows(EPOCHS, threads=threads)
    queue, running, orders = list(waiting), dict[int, int](), list(orders)
    seen: dict[int, list[tuple[Any, ...]]] = {}
    while queue or running:
        for row in range(capacity):
            if row not in running and queue:
                running[row] = queue.pop()
                place(rows, row, varied(running[row]))
        for row, measured in rows.advance().items():
            seen.setdefault(running[row], []).append(bits(measured))
            if measured.epoch == EPOCHS:
                del rows[row]
                del running[row]
        order, index = orders.pop() if orders else ("train", 0)
        if running and order != "train":
            row = sorted(running)[index % len(running)]
            number = running.pop(row)
            if order == "stop":
                del rows[row]
                continue
            state = rows[row].snapshot()
            del rows[row]
            elsewhere = next(r for r in range(capacity)[::-1] if r not in running)
            place(rows, elsewhere, varied(number), start=state)
            running[elsewhere] = number
    assert set(seen) == set(range(TRIALS))
    assert all(alone[number][: len(found)] == found for number, found in seen.items())


def test_taken_row_goes_on_identically_in_another_population() -> None:
    wanted = [bits(m) for m in trained(varied(1), EPOCHS)]
    here, there = (Rows(EPOCHS) for _ in range(2))
    place(here, 0, varied(1))
    found = [bits(here.advance()[0])]
    here[0].keep()
    kept = here[0].kept()
    state = here[0].snapshot()
    del here[0]
    assert here.advance() == {}
    place(there, 1, varied(1), start=state)
    moved = there[1].kept()
    found += [bits(there.advance()[1]) for _ in range(EPOCHS - 1)]
    assert found == wanted
    assert kept is not None
    assert moved is not None
    assert all(np.array_equal(kept[name], moved[name]) for name in kept)


def test_row_at_its_end_rests_and_keeps_its_model() -> None:
    rows = Rows(epochs=1)
    place(rows, 1, recipe())
    assert list(rows.advance()) == [1]
    rows[1].keep()
    assert rows.advance() == {}
    assert rows[1].kept() is not None


def test_state_is_a_copy_and_can_be_placed_twice() -> None:
    rows = Rows(EPOCHS)
    place(rows, 0, varied(3))
    rows.advance()
    state = rows[0].snapshot()
    del rows[0]
    place(rows, 0, varied(3), start=state)
    rows.advance()
    place(rows, 1, varied(3), start=state)
    first, second = rows.advance()[1], trained(varied(3), EPOCHS)[1]
    assert bits(first) == bits(second)


def test_diverging_row_is_a_value_and_leaves_its_neighbours_and_successors_alone(
    alone: dict[int, list[tuple[Any, ...]]],
) -> None:
    rows = Rows(EPOCHS)
    mad = recipe(widths=varied(1).widths, layer_norm=True, rate=lambda *_: 1e30, l2=1.0)
    place(rows, 0, varied(0))
    place(rows, 1, mad)
    place(rows, 2, varied(1))
    first = rows.advance()
    assert not math.isfinite(first[1].train_loss)
    assert not math.isfinite(first[1].val_loss)
    del rows[1]
    place(rows, 1, varied(2))
    second = rows.advance()
    assert bits(second[0]) == alone[0][1]
    assert bits(second[2]) == alone[1][1]
    assert bits(second[1]) == alone[2][0]


def test_clipped_row_that_diverged_leaves_nothing_behind_in_the_padding() -> None:
    rows = Rows(EPOCHS)
    # So wide that matrices are padded beyond their last vector of columns.
    place(rows, 0, recipe(widths=(128, 128), rate=lambda *_: 1e30, l2=1.0, clip_norm=1.0))
    assert not math.isfinite(rows.advance()[0].train_loss)
    del rows[0]
    place(rows, 0, recipe(widths=(128, 128)))
    assert bits(rows.advance()[0]) == bits(trained(recipe(widths=(128, 128)), EPOCHS)[0])


def test_losses_are_those_of_the_outputs() -> None:
    targets = RowTargets.of(LossKind.MSE, 1, *(np.arange(n)[:, None] / n for n in (TRAIN, HELD, HELD)))
    rows = Rows(1)
    given = recipe()
    layout = Layout(FEATURES, given.widths, 1, False)
    start = {
        n: np.full_like(a, 0.1) for n, a in layout.unpack(np.zeros(layout.parameters, np.float32)).items()
    }
    place(rows, 0, given, learned=targets, start=start)
    measured = rows.advance()[0]
    y = np.arange(HELD)[:, None] / HELD
    assert measured.train_loss == pytest.approx(np.mean((measured.sample_outputs - y) ** 2), rel=1e-5)
    assert measured.val_loss == pytest.approx(np.mean((measured.val_outputs - y) ** 2), rel=1e-5)
    assert measured.sample_outputs.shape == measured.val_outputs.shape == (HELD, 1)


def test_kept_parameters_are_those_of_the_moment() -> None:
    rows = Rows()
    place(rows, 0, recipe())
    assert rows[0].kept() is None
    rows[0].keep()
    start = first_weights(recipe())
    rows.advance()
    kept = rows[0].kept()
    assert kept is not None
    assert all(np.array_equal(kept[name], start[name]) for name in start)
    rows[0].keep()
    later = rows[0].kept()
    assert later is not None
    assert not np.array_equal(later["0.weight"], start["0.weight"])


def test_rates_are_asked_for_by_step_and_the_last_is_reported() -> None:
    asked: list[tuple[int, int]] = []

    def rate(at: NDArray[np.int64], steps: int) -> NDArray[np.float64]:
        asked.extend((step, steps) for step in at.tolist())
        return np.float64(0.001) * (at + 1.0)

    measured = trained(recipe(rate=rate, batch=20), 3)
    assert asked == [(step, 12) for step in range(12)]
    assert [m.learning_rate for m in measured] == pytest.approx([0.004, 0.008, 0.012])


def test_dropout_drops_its_share_of_units_anew_in_every_step() -> None:
    # One linear layer from equal inputs through identity: the gradient of the output weights is the mask.
    share, samples, width = 0.3, 64, 200
    x = np.ones((samples, 1), np.float32)
    targets = RowTargets.of(LossKind.MSE, 1, *(np.zeros((samples, 1)),) * 3)
    masks = []
    for seed in (1, 2):
        rows = Rows(1)
        given = recipe(seed, widths=(width,), dropout=share, batch=1, rate=lambda *_: 0.0)
        start = first_weights_of_ones(width)
        rows[0] = FusedRow(given, targets, RowInputs.of(x, x, x), 1, start)
        # The norm of the gradient of a step is a function of how many units were kept.
        masks.append(rows.advance()[0].grad_norm)
    kept = width * (1 - share)
    # outputs = kept / (1 - share); d loss / d w = 2 outputs / (1 - share) for kept ones; likewise below.
    outputs = kept / (1 - share)
    wanted = 2 * outputs * math.sqrt(kept * 3 / (1 - share) ** 2 + 1)
    assert masks == pytest.approx([wanted, wanted], rel=0.05)
    assert masks[0] != masks[1]


def first_weights_of_ones(width: int) -> dict[str, Any]:
    one = {"0.weight": (width, 1), "0.bias": (width,), "1.weight": (1, width), "1.bias": (1,)}
    zero = ("0.bias", "1.bias")
    return {n: (np.zeros if n in zero else np.ones)(shape, np.float32) for n, shape in one.items()}
