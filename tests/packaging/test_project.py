"""What the files around the code say of each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import tuner

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOW = (ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_version_of_the_installed_package_is_that_of_the_project() -> None:
    assert tuner.__version__ == PROJECT["version"]


def test_the_changelog_begins_with_what_comes_next_or_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] in ("Unreleased", PROJECT["version"])


def test_the_workflow_calls_only_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    called = {word for line in re.findall(r"run: make (.+)", WORKFLOW) for word in line.split()}
    assert called == {"lint", "docs", "test", "wheel", "coverage"}
    assert called <= targets


def test_every_python_that_is_promised_is_tested() -> None:
    promised = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)}
    (tested,) = re.findall(r"python: \[(.+)\]", WORKFLOW)
    assert promised == set(re.findall(r"[\d.]+", tested))
    assert PROJECT["requires-python"] == f">={min(promised)}"


def test_everything_that_is_pinned_is_pinned_once() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    names = [re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower() for pin in pins]
    assert sorted(set(names)) == sorted(names)
    wanted = [
        *PROJECT["dependencies"],
        *(each for extra in PROJECT["optional-dependencies"].values() for each in extra),
    ]
    asked = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=]", each)[0]).lower() for each in wanted} - {"tuner"}
    assert asked <= set(names)
