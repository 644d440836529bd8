from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.figures.parts import HOSTILE, frame, losses
from tuner.figures import LIGHT, safe
from tuner.figures.scale import Scale


def test_choices_stand_at_whole_numbers_under_their_safe_names() -> None:
    scale = Scale.of(frame(losses(1.0)), "optimizer")
    assert scale.labels == ("sgd", "adam", HOSTILE)
    axis = scale.axis(LIGHT)
    assert axis["tickvals"] == [0, 1, 2]
    assert axis["ticktext"][2] == safe(HOSTILE, 16)
    assert axis["range"] == [-0.5, 2.5]


def test_a_logarithmic_range_is_told_in_powers_of_ten() -> None:
    axis = Scale.of(frame(losses(1.0)), "rate").axis(LIGHT)
    assert axis["type"] == "log"
    assert axis["range"][0] < -4
    assert 0 < axis["range"][1] < 1


@given(st.floats(0, 1))
def test_places_are_shares_of_the_range_and_back(share: float) -> None:
    scale = Scale.of(frame(losses(1.0)), "rate")
    assert scale.shares(scale.at(np.array([share])))[0] == pytest.approx(share, abs=1e-9)


@given(st.lists(st.integers(0, 10**6), min_size=1, unique=True), st.integers(0, 2))
def test_jitter_never_moves_a_choice_to_another(numbers: list[int], choice: int) -> None:
    scale = Scale.of(frame(losses(1.0)), "optimizer")
    places = np.full(len(numbers), float(choice))
    moved = scale.jittered(places, np.array(numbers))
    assert (np.abs(moved - places) <= 0.25).all()
    assert scale.said(moved) == [safe(scale.labels[choice], 40)] * len(numbers)


def test_a_continuum_is_not_moved() -> None:
    scale = Scale.of(frame(losses(1.0)), "rate")
    assert scale.jittered(np.array([0.1]), np.array([7])).tolist() == [0.1]
