from __future__ import annotations

import pytest

from tuner.integrations import names


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("loss", "train_loss"),
        ("train_loss", "train_loss"),
        ("train/loss", "train_loss"),
        ("training_loss", "train_loss"),
        ("valid_loss", "val_loss"),
        ("validation-loss", "val_loss"),
        ("eval_loss", "val_loss"),
        ("Val/Loss", "val_loss"),
        ("val_loss_epoch", "val_loss"),
        ("accuracy", "train_score"),
        ("val_acc", "val_score"),
        ("eval_accuracy", "val_score"),
        ("eval_runtime", "eval_runtime"),
        ("grad_norm", "grad_norm"),
        ("lossless", "lossless"),
    ],
)
def test_losses_and_scores_have_the_names_of_a_reading(theirs: str, ours: str) -> None:
    assert names.reading({theirs: 0.5}) == {ours: 0.5}


def test_numbers_of_single_steps_are_left_out_and_the_first_of_two_counts() -> None:
    found = names.reading({"train_loss_step": 9.0, "train_loss_epoch": 1.0, "loss": 2.0})
    assert found == {"train_loss": 1.0}


def test_of_several_sets_the_first_metric_is_the_loss_and_the_others_keep_their_names() -> None:
    sets = {
        "training": {"logloss": 0.1, "auc": 0.9},
        "valid_0": {"logloss": 0.3, "auc": 0.8},
    }
    assert names.of_sets(sets) == {"train_loss": 0.1, "train_auc": 0.9, "val_loss": 0.3, "val_auc": 0.8}
    assert names.of_sets({"learn": {"Logloss": 0.1}, "validation": {"Logloss": 0.2, "Accuracy": 0.7}}) == {
        "train_loss": 0.1,
        "val_loss": 0.2,
        "val_score": 0.7,
    }
