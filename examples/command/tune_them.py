"""Two commands as trials: a script in Python that prints its numbers, one in shell that keeps its state."""

from pathlib import Path

import tuner

HERE = Path(__file__).parent

study = tuner.start(
    {
        "trainer": {"command": f"python {HERE}/train.py --epochs ${{epochs}} ${{args}}", "epochs": 9},
        "space": {
            "learning-rate": {"type": "float", "low": 1e-4, "high": 1.0, "default": 0.01, "log": True},
            "alpha": {"type": "float", "low": 1e-6, "high": 0.1, "default": 1e-4, "log": True},
            "penalty": {"type": "choice", "choices": ["l2", "l1", "elasticnet"], "default": "l2"},
        },
    },
    name="digits-script",
    trials=4,
    settings={"confirm.auto": False},
)
print(study.best.params, study.best.value)

study = tuner.start(
    {
        "trainer": {"command": f"sh {HERE}/train.sh ${{damping}}", "epochs": 9},
        "space": {"damping": {"type": "float", "low": 0.1, "high": 1.5, "default": 0.5}},
    },
    name="shell-script",
    trials=8,
    settings={"confirm.auto": False},
)
print(study.best.params, study.best.value)
