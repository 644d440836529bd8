"""What the start of a study waits for: which libraries it imports, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "torch._dynamo", "sklearn")

DIGITS = """
import json, sys
import tuner

def heavy():
    return [name for name in {heavy!r} if name in sys.modules]

class Watch:
    first = None
    def begin(self, spec, notes):
        pass
    def turn(self, status):
        if Watch.first is None:
            Watch.first = [name for name in ("scipy.special",) if name in sys.modules]

study = tuner.start("digits", trials=6, confirm=True, progress=False, observer=Watch(),
                    settings={{"trainer.epochs": 3, "confirm.repeats": 3}})
told = {{"first": Watch.first, "confirmed": study.confirmation is not None, "study": heavy()}}
model = tuner.load_model(study.recommended.folder)
model.predict([[0.0] * 64])
told["predicted"] = heavy()
model.module
told["module"] = heavy()
tuner.start("digits", name="alone", trials=1, progress=False,
            settings={{"trainer.epochs": 2, "trainer.rows": 1}})
told["one at a time"] = heavy()
print(json.dumps(told))
"""


def test_a_study_of_the_shipped_mlp_imports_torch_once_its_module_is_asked_for(tmp_path: Path) -> None:
    script = DIGITS.format(heavy=HEAVY)
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout.splitlines()[-1])
    without = {"first": [], "confirmed": True, "study": [], "predicted": []}
    assert told == {**without, "module": ["torch"], "one at a time": ["torch"]}


LOOP = """
import json, sys
import tuner

def train(params, context):
    for epoch in range(context.epochs):
        yield {{"val_loss": params["x"] + 1 / (epoch + 1)}}

space = {{"x": tuner.Float(0.0, 1.0)}}
tuner.start(trainer=train, space=space, name="loop", trials=3, progress=False)
print(json.dumps([name for name in {late!r} if name in sys.modules]))
"""


def test_a_loop_without_data_waits_for_no_library_of_tables_and_no_compiler(tmp_path: Path) -> None:
    script = LOOP.format(late=("numba", "pandas", "pyarrow", "scipy", "sklearn", "torch", "tuner.data"))
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout.splitlines()[-1]) == []


def test_the_display_is_there_before_the_libraries_of_a_study_are_imported(tmp_path: Path) -> None:
    late = ("numba", "optuna", "pandas", "scipy", "sqlalchemy", "torch", "tuner.api.run")
    script = "import json, sys, tuner.cli, tuner.cli.drive, tuner.cli.progress; "
    script += f"print(json.dumps([name for name in {late!r} if name in sys.modules]))"
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout) == []
