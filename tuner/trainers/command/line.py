"""A command with places for settings, ``python train.py --lr ${rate} ${args}``, as a list of arguments.

No shell is asked: a setting is never more than one argument.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from tuner.core.spec import StudySpec
from tuner.errors import near

_PLACE = re.compile(r"\$\{(\w+)\}")

_SEVERAL = ("args", "args_no_hyphens", "env")
"""Places that stand for any number of arguments, and alone."""

OF_TRIAL = ("trial", "seed", "epochs", "folder")
"""Places that are no settings."""


def arguments(command: str, params: Mapping[str, Any], trial: Mapping[str, Any]) -> list[str]:
    """Put a trial's settings into a command.

    Args:
        command: as in a study file.
        params: the settings.
        trial: values for `OF_TRIAL`.
    """
    found: list[str] = []
    for word in shlex.split(command):
        match word:
            case "${env}":
                found.append("/usr/bin/env")
            case "${args}":
                found += (f"--{name}={text(value)}" for name, value in params.items())
            case "${args_no_hyphens}":
                found += (f"{name}={text(value)}" for name, value in params.items())
            case _:
                found.append(filled(word, params, trial))
    # With the packages that are installed here.
    return [sys.executable, *found[1:]] if found[0] == "python" else found


def filled(word: str, params: Mapping[str, Any], trial: Mapping[str, Any]) -> str:
    """A text with its places filled."""
    known = {**trial, "args_json": json.dumps(dict(params)), **params}
    return _PLACE.sub(lambda place: text(known[place[1]]), word)


def text(value: Any) -> str:
    """A setting as an argument."""
    return value if isinstance(value, str) else json.dumps(value)


def faults(command: str, spec: StudySpec) -> list[str]:
    """What is wrong with a command, ``key: what; what to do`` each."""
    key = "trainer.command"
    try:
        words = shlex.split(command)
    except ValueError as error:
        return [f"{key}: cannot be read: {str(error).lower()}; quote it as for a shell"]
    if not words:
        return [f'{key}: is empty; give e.g. "python train.py ${{args}}"']
    found = []
    program = words[0]
    if not _PLACE.search(program) and program != "python" and shutil.which(program) is None:
        found.append(f"{key}: there is no program {program!r}; give one that is on the PATH, or its path")
    parameters = spec.search_space().parameters
    fixed = spec.space.fixed
    known = [*parameters, *fixed, *OF_TRIAL, *_SEVERAL, "args_json"]
    for word in words:
        for name in _PLACE.findall(word):
            if name not in known:
                found.append(f"{key}: ${{{name}}} is no setting of the space; {near(name, known)}")
            elif name in _SEVERAL and word != f"${{{name}}}":
                found.append(f"{key}: ${{{name}}} is several arguments; write it as a word of its own")
            elif name in parameters and parameters[name].when:
                found.append(f"{key}: not every trial has {name!r}; write ${{args}}, which leaves it out")
    return found
