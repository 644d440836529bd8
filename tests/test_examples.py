"""Every script of examples/, and the code of its notebook, runs in an empty folder."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.processes import run

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
FOLDERS = ["command/tune_them.py", "hydra/app.py"]
"""Scripts with files beside them."""
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))


def code(notebook: str) -> list[dict[str, object]]:
    """The cells of a notebook that are code."""
    cells = json.loads((EXAMPLES / notebook).read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def missing(script: str) -> list[str]:
    """The packages that a script imports and that are not installed."""
    tree = ast.parse((EXAMPLES / script).read_text(encoding="utf-8"))
    named = [each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names]
    named += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    tops = sorted({name.partition(".")[0] for name in named})
    return [name for name in tops if importlib.util.find_spec(name) is None]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SCRIPTS, *FOLDERS, *NOTEBOOKS])
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    if name not in NOTEBOOKS and (absent := missing(name)):
        pytest.skip(f"{name} IS NOT RUN: {', '.join(absent)} is not installed")
    source, script = EXAMPLES / name, Path(name).name
    for each in source.parent.iterdir() if name in FOLDERS else [source]:
        shutil.copy(each, tmp_path)
    if name in NOTEBOOKS:
        # Without a kernel, which would bring more packages than it has cells.
        script = "notebook.py"
        texts = ["".join(map(str, cell["source"])) for cell in code(name) if isinstance(cell["source"], list)]
        (tmp_path / script).write_text("\n".join(texts), encoding="utf-8")
    run(script, cwd=tmp_path, check=True)
    assert (tmp_path / "tuner.db").is_file()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_plain_python_and_stored_without_outputs(name: str) -> None:
    for cell in code(name):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
        assert isinstance(cell["source"], list)
        ast.parse("".join(cell["source"]))


def test_the_examples_are_short_and_their_readme_names_each() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name in [*SCRIPTS, *FOLDERS, *NOTEBOOKS]:
        assert f"({name})" in readme, name
    for name in [*SCRIPTS, *FOLDERS]:
        assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 60, name


def test_the_lines_of_frameworks_are_those_of_the_examples() -> None:
    page = (EXAMPLES.parent / "docs" / "howto" / "frameworks.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n# from examples/(\S+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == page.count("```python") >= 8
    for script, block in blocks:
        lines = (EXAMPLES / script).read_text(encoding="utf-8").splitlines()
        assert not [line for line in block.splitlines() if line not in lines], script
