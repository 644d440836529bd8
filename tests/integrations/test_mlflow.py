"""What is written into a local file is read with MLflow's own client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuner

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

STATUS = {"finished": "FINISHED", "stopped": "KILLED"}


def test_every_trial_is_a_run_also_of_what_was_cut_off(
    tracked: Callable[..., tuner.Study], tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracked("mlflow", uri=uri)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)

    def runs() -> dict[int, Any]:
        experiment = client.get_experiment_by_name("copied")
        assert experiment is not None
        found = client.search_runs([experiment.experiment_id])
        return {int(run.data.tags["tuner.trial"]): run for run in found}

    lost = runs()[1].info.run_id
    client.delete_run(lost)
    study = tracked("mlflow", trials=6, uri=uri)
    stored = runs()
    assert sorted(stored) == [record.number for record in study.records] == list(range(6))
    for record in study.records:
        run = stored[record.number]
        assert run.info.run_name == f"trial {record.number}"
        assert run.info.status == STATUS[record.state.value]
        assert run.data.params == {name: str(value) for name, value in record.params.items()}
        assert run.data.metrics["value"] == record.value
        assert run.data.tags["tuner.reason"] == (record.reason or "")
        history = client.get_metric_history(run.info.run_id, "val_loss")
        expected = [(each.epoch, each.val_loss) for each in study.trial(record.number).curve]
        assert [(each.step, each.value) for each in history] == expected
