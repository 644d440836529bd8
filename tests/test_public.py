from __future__ import annotations

import subprocess
import sys

import tuner


def test_every_public_name_is_there_and_nothing_else_is_promised() -> None:
    assert sorted(tuner.__all__) == tuner.__all__ == dir(tuner)
    for name in tuner.__all__:
        assert getattr(tuner, name) is not None


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, tuner, tuner.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "torch", "optuna", "pandas", "sqlalchemy", "sklearn", "pydantic"} & set(loaded)


def test_every_name_for_plugins_is_there_and_costs_nothing_before_it_is_used() -> None:
    from tuner import plugins

    assert set(plugins.__all__) == set(dir(plugins))
    for name in plugins.__all__:
        assert getattr(plugins, name) is not None
    code = "import sys, tuner.plugins; from tuner.plugins import load; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "torch", "optuna", "pandas", "sqlalchemy", "sklearn", "pydantic"} & set(loaded)
