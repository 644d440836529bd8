from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.torch import nets, plain
from tests.trainers.torch.plain import alone, stacked
from tests.trainers.torch.test_recipe_against_plain_loop import OPTIMIZERS
from tests.trainers.torch.test_snapshot import goes_on, job
from tests.trainers.torch.test_stacked import BASE, agree, batches, curves, train
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Failure, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.errors import TunerError
from tuner.testing.trainer import blobs, same, study
from tuner.trainers import load_model
from tuner.trainers.torch.compilable import why_not_fused
from tuner.trainers.torch.start import network_of
from tuner.trainers.torch.training_tensors import tensors_of

RATES = {"*": 0.5, "head.*": 2.0, "inner.weight": 0.0}


def times(name: str) -> float:
    return {"head": 2.0, "inner.weight": 0.0}.get(
        name if name.startswith("inner") else name.split(".")[0], 0.5
    )


@pytest.mark.parametrize("populate", [alone, stacked])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_parts_train_at_their_rates_as_in_the_plain_loop(
    optimizer: str, populate: Callable[[Job], TrialBatch]
) -> None:
    data, spec = blobs(), study(epochs=plain.EPOCHS, model=nets.of("Residual"), rates=RATES)
    params: dict[str, Any] = {"optimizer": optimizer, **OPTIMIZERS[optimizer], "width": 6, "dropout": 0.0}
    params |= {"clipping": "norm", "clip_norm": 0.5, "schedule": "linear", "weight_decay": 0.1, "ema": 0.5}
    network = network_of(Trial(7, params, 5), nets.of("Residual"), tensors_of(Job(spec, data), data), {})
    losses, norms, rates = plain.train(network, data, params, times=times)
    rows = populate(Job(spec, data, rows=2))
    rows.place(0, Trial(7, params, 5))
    curve = [plain.reading(rows) for _ in range(plain.EPOCHS)]
    assert [r.val_loss for r in curve] == pytest.approx(losses, rel=2e-4)
    assert [r.grad_norm for r in curve] == pytest.approx(norms, rel=2e-4)
    assert [r.learning_rate for r in curve] == pytest.approx(rates, rel=1e-12)


@pytest.mark.parametrize("network", ["Gated", "Normalized"])
def test_stacked_rows_give_the_references_curve(network: str) -> None:
    rates = {"inner.*": 0.0, "*.weight": 0.3}
    agree(*curves(blobs(), {"dropout": 0.2, "optimizer": "momentum"}, model=nets.of(network), rates=rates))


@pytest.mark.parametrize("populate", [alone, stacked])
def test_rates_go_on_bit_for_bit(populate: Callable[[Job], TrialBatch]) -> None:
    goes_on(populate, job(model=nets.of("Residual"), rates=RATES), {"optimizer": "adam", "width": 5})


def test_rates_of_one_change_nothing() -> None:
    for one, other in zip(
        batches(blobs(), model=nets.of("Residual")),
        batches(blobs(), model=nets.of("Residual"), rates={"*": 1.0}),
        strict=True,
    ):
        assert same(train(one, Trial(1, BASE, 0)), train(other, Trial(1, BASE, 0)))


@pytest.mark.parametrize("at", [0, 1], ids=["alone", "stacked"])
def test_frozen_parts_are_kept_as_they_were(at: int, tmp_path: Path) -> None:
    trial = Trial(4, {**BASE, "weight_decay": 0.5, "l1": 0.1, "clip_parameters": 0.1}, 0)
    batch = batches(blobs(), model=nets.of("Residual"), rates={"inner.*": 0})[at]
    train(batch, trial)
    assert batch.save(0, tmp_path)
    own = Job(study(model=nets.of("Residual")), blobs())
    first = network_of(trial, nets.of("Residual"), tensors_of(own, blobs()), {}).state_dict()
    kept = load_model(tmp_path).module.state_dict()
    for name, tensor in first.items():
        assert torch.equal(kept[f"network.{name}"], tensor) is name.startswith("inner.")


@pytest.mark.parametrize("populate", [alone, stacked])
def test_frozen_parts_count_among_the_parameters_that_are_not_zero(
    populate: Callable[[Job], TrialBatch],
) -> None:
    table = study(epochs=2, model=nets.of("Residual"), rates={"inner.*": 0}).to_table()
    table["objective"] = {"also": {"nonzero": "minimize", "parameters": "minimize"}}
    rows = populate(Job(StudySpec.parse(table), blobs(), rows=2))
    rows.place(0, Trial(4, BASE, 0))
    for _ in range(2):
        extras = plain.reading(rows).extras
        zeros = 5 * len(blobs().classes)  # some biases at most
        assert extras["parameters"] - zeros < extras["nonzero"] <= extras["parameters"]


@pytest.mark.parametrize("populate", [alone, stacked])
def test_pattern_that_fits_nothing_is_named(populate: Callable[[Job], TrialBatch]) -> None:
    batch = populate(job(model=nets.of("Residual"), rates={"iner.*": 0.1}))
    batch.place(0, Trial(0, BASE, 0))
    found = batch.advance()[0]
    assert isinstance(found, Failure)
    assert "trainer.rates: 'iner.*' fits no parameter of the network; it has inner.weight, " in found.error


def test_optimizer_of_ones_own_has_the_rates_in_its_groups() -> None:
    params: Params = {**BASE, "optimizer": "torch.optim:RAdam"}
    found: list[list[Reading]] = []
    for rates in ({}, {"*": 0.5}, {"head.*": 0.5}):
        batch = alone(job(model=nets.of("Residual"), rates=rates))
        batch.place(0, Trial(0, params, 0))
        found.append([plain.reading(batch) for _ in range(2)])
    batch = alone(job(model=nets.of("Residual")))
    batch.place(0, Trial(0, {**params, "learning_rate": 0.005}, 0))
    half = [plain.reading(batch) for _ in range(2)]
    assert [r.val_loss for r in found[1]] == [r.val_loss for r in half]
    assert len({curve[1].val_loss for curve in found}) == 3


def test_rates_of_the_shipped_mlp_are_not_compiled() -> None:
    spec = study(model="mlp", rates={"0.*": 0.1})
    assert "[trainer.rates]" in str(why_not_fused(spec, blobs(), "cpu"))
    agree(*curves(blobs(), {}, model="mlp", rates={"0.*": 0.1}))


@pytest.mark.parametrize("share", [-0.1, float("nan")])
def test_rate_below_zero_is_refused(share: float) -> None:
    with pytest.raises(TunerError, match="rates"):
        StudySpec.parse({"trainer": {"rates": {"head.*": share}}})
