"""What the linter of layers does not hold: no cycles, no class name twice, no long files."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import tuner

ROOT = Path(tuner.__file__).parent
MOST_LINES = 400

# What the product may grow to. Whoever needs more says why in the commit that raises it.
MOST_PYTHON = 72_100
"""Lines of tuner/, its contract suites for plugins (tuner/testing) apart."""

MOST_BROWSER = 1_480
"""Lines of our own JavaScript and CSS: points lead to trials by mouse and by key, and the table of trials
has filters, columns and an address."""

# These lists only ever get shorter.
SHARED_NAMES: set[str] = set()
LONG_FILES: set[str] = set()


def modules() -> dict[str, ast.Module]:
    """Every module of the package by its name, a package under its own."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = ("tuner", *path.relative_to(ROOT).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text("utf-8"))
    return found


def running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from running(child)


def imports(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Which modules each module imports, at its top or within a function."""
    found: dict[str, set[str]] = {}
    for name, tree in trees.items():
        mine = found[name] = set()
        for node in running(tree):
            if isinstance(node, ast.Import):
                mine.update(each.name for each in node.names if each.name in trees)
            elif isinstance(node, ast.ImportFrom) and (home := node.module or "") in trees:
                full = [f"{home}.{each.name}" for each in node.names]
                mine.update(each if each in trees else home for each in full)
        mine.discard(name)
    return found


def test_no_module_imports_itself_through_others_not_even_within_functions() -> None:
    try:
        TopologicalSorter(imports(modules())).prepare()
    except CycleError as error:
        raise AssertionError(f"an import cycle: {' -> '.join(error.args[1])}") from None


def test_each_integration_of_a_training_library_is_short_and_imports_it_only_where_it_is_used() -> None:
    trees = modules()
    found = imports(trees)
    package = "tuner.integrations"
    training = {
        name for name, used in found.items() if name.startswith(package) and "tuner.trainers.context" in used
    }
    assert len(training) >= 8
    for name in sorted(training):
        lines = ROOT.parent.joinpath(*name.split(".")).with_suffix(".py").read_text("utf-8").splitlines()
        assert len(lines) <= 60, name
    libraries = {name.rpartition(".")[2].removesuffix("_build") for name in training}
    for name, tree in trees.items():
        nodes = [node for node in running(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        named = {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
        named |= {each.name for n in nodes if isinstance(n, ast.Import) for each in n.names}
        imported = {each.partition(".")[0] for each in named} & libraries
        # A module of the package may be imported by whoever uses its library, and by nobody else.
        assert not imported or name in training, f"{name} imports {imported}"
        assert not found[name] & training or name in training, name


def test_no_class_name_is_used_twice() -> None:
    where = defaultdict(list)
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(name)
    shared = {name: homes for name, homes in where.items() if len(homes) > 1}
    new = {name: homes for name, homes in shared.items() if name not in SHARED_NAMES}
    assert not new, new
    assert set(shared) == SHARED_NAMES, "take these off the list: they are unique now"


def test_no_file_is_long() -> None:
    files = ROOT.rglob("*.py")
    counts = {str(p.relative_to(ROOT)): len(p.read_text("utf-8").splitlines()) for p in files}
    long = {path for path, lines in counts.items() if lines > MOST_LINES}
    assert not long - LONG_FILES, "over 400 lines"
    assert long == LONG_FILES, f"take these off the list: {LONG_FILES - long}"


def test_the_product_stays_within_its_line_budget() -> None:
    python = [path for path in ROOT.rglob("*.py") if "testing" not in path.relative_to(ROOT).parts]
    browser = [path for path in (ROOT / "web" / "assets").iterdir() if path.suffix in (".js", ".css")]
    own = [path for path in browser if ".min." not in path.name]
    for paths, most in ((python, MOST_PYTHON), (own, MOST_BROWSER)):
        assert sum(len(path.read_text("utf-8").splitlines()) for path in paths) <= most
