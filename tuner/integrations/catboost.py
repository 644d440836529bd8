"""CatBoost: ``model.fit(train, eval_set=val, callbacks=[CatBoostReport(context)])``."""

from __future__ import annotations

from typing import Any

from tuner.integrations import names
from tuner.trainers.context import TrialContext


class CatBoostReport:
    """Reports every so many rounds; the first metric of each set is its loss."""

    def __init__(self, context: TrialContext, every: int = 1) -> None:
        self.context, self.every = context, every

    def after_iteration(self, info: Any) -> bool:
        """Report, where enough rounds have gone by; never stops by itself."""
        if info.iteration % self.every == 0:
            sets = {
                name: {metric: values[-1] for metric, values in metrics.items()}
                for name, metrics in info.metrics.items()
            }
            self.context.report(**names.of_sets(sets))
        return True
