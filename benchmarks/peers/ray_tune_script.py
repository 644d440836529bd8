"""Ray Tune with ASHA on trials that only wait, as its documentation has it; prints the seconds of `fit`.

Knows nothing of `tuner`.

Run: python ray_tune_script.py TRIALS SECONDS_PER_EPOCH [FOLDER]
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

EPOCHS = 10


def main(trials: int, epoch_s: float) -> None:
    """Run a study on two cores."""

    def train(config: dict[str, Any]) -> None:
        for epoch in range(1, EPOCHS + 1):
            time.sleep(epoch_s)
            tune.report({"val_loss": config["x"] + 1 / epoch})

    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"x": tune.uniform(0.0, 1.0)},
        tune_config=tune.TuneConfig(
            metric="val_loss",
            mode="min",
            num_samples=trials,
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3),
        ),
        run_config=tune.RunConfig(verbose=0, storage_path=sys.argv[3] if len(sys.argv) > 3 else None),
    )
    begun = time.perf_counter()
    tuner.fit()
    seconds = time.perf_counter() - begun
    ray.shutdown()
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
