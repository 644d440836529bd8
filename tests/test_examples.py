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
SAYS = {
    "keras_on_noise.py": {"Nothing was learned: the best validation loss is ": 2},
    "with_keras.py": {"\nloss 0.": 10},
}
"""What scripts print, and how often."""
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
    ended = run(script, cwd=tmp_path, check=True)
    assert (tmp_path / "tuner.db").is_file()
    for words, times in SAYS.get(name, {}).items():
        assert ended.stdout.count(words) == times, ended.stdout


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


def test_at_most_three_lines_of_a_script_change_where_a_library_is_called() -> None:
    scripts = sorted(EXAMPLES.glob("with_*.py"))
    assert len(scripts) >= 8
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        marked = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef):
                lines = text.splitlines()[node.lineno : node.end_lineno]
                marks = [int(mark) for line in lines for mark in re.findall(r"# (\d)$", line)]
                if marks:
                    marked[node.name] = marks
                    # Rows of the study's data are what they were before, wherever they came from.
                    ours = [re.sub(r"context\.data|splits\(context\)", "", line) for line in lines]
                    ours = [line for line in ours if re.search(r"\b(context|report|yield)\b", line)]
                    assert all(re.search(r"# \d$", line) for line in ours), (script.name, ours)
        assert marked, script.name
        for name, marks in marked.items():
            assert marks == list(range(1, len(marks) + 1)), (script.name, name)
            assert len(marks) <= 3, (script.name, name)
