"""What the integrations refuse to be told, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tuner.errors import SpecError, TrialError
from tuner.trainers.context import TrialContext


def context(folder: Path) -> TrialContext:
    return cast("TrialContext", SimpleNamespace(folder=folder, seed=3, epochs=4))


@pytest.mark.parametrize("given", [{"eval_strategy": "no"}, {"eval_strategy": "steps", "eval_steps": 0.1}])
def test_transformers_that_are_not_evaluated_by_epochs_or_steps_are_refused(
    given: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    from transformers import TrainingArguments

    from tuner.integrations.transformers import apply

    args = TrainingArguments(str(tmp_path), use_cpu=True, **given)
    with pytest.raises(SpecError, match='give eval_strategy="epoch", or "steps" with whole eval_steps'):
        apply(args, {}, context(tmp_path))
    args = TrainingArguments(str(tmp_path), use_cpu=True, eval_strategy="steps", eval_steps=5)
    assert apply(args, {}, context(tmp_path)).max_steps == 20


def test_a_state_of_other_parts_is_told() -> None:
    own = TrialContext.__new__(TrialContext)
    object.__setattr__(own, "resume", lambda: {"net": {}})
    with pytest.raises(
        TrialError, match=r"context\.restore: the state is of net, not of network; yield what"
    ):
        own.restore(network=object())


def test_what_the_study_says_is_not_told_to_fit_again() -> None:
    pytest.importorskip("keras")
    from tuner.integrations.keras_build import KerasBuild

    with pytest.raises(SpecError, match="KerasBuild: epochs, validation_data: the study says that"):
        KerasBuild(lambda _: None, epochs=5, validation_data=(), callbacks=[])
