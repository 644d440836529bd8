"""XGBoost: ``xgboost.train(..., evals=..., callbacks=[XGBoostReport(context)])``."""

from __future__ import annotations

from typing import Any

from xgboost.callback import TrainingCallback

from tuner.integrations import names
from tuner.trainers.context import TrialContext


class XGBoostReport(TrainingCallback):
    """Reports every so many rounds; the first metric of each set is its loss."""

    def __init__(self, context: TrialContext, every: int = 1) -> None:
        self.context, self.every = context, every

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report, where enough rounds have gone by; never stops by itself."""
        if (epoch + 1) % self.every == 0:
            sets = {
                name: {metric: values[-1] for metric, values in metrics.items()}
                for name, metrics in evals_log.items()
            }
            path = self.context.folder / "model.ubj"
            model.save_model(path)
            self.context.report(**names.of_sets(sets), model=path)
        return False
