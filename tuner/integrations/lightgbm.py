"""LightGBM: ``lightgbm.train(..., valid_sets=[train, val], callbacks=[LightGBMReport(context)])``."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tuner.integrations import names
from tuner.trainers.context import TrialContext


class LightGBMReport:
    """Reports every so many rounds; the first metric of each set is its loss."""

    order = 20
    before_iteration = False

    def __init__(self, context: TrialContext, every: int = 1) -> None:
        self.context, self.every = context, every

    def __call__(self, env: Any) -> None:
        """Report, where enough rounds have gone by."""
        if (env.iteration + 1) % self.every == 0:
            sets: dict[str, dict[str, Any]] = defaultdict(dict)
            for name, metric, value, *_ in env.evaluation_result_list:
                sets[name][metric] = value
            path = self.context.folder / "model.txt"
            env.model.save_model(path)
            self.context.report(**names.of_sets(sets), model=path)
