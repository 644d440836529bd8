"""A study for a command: its settings are read from what it prints with ``--help``.

Understands the help of argparse, click and typer, and of what prints alike; defaults that the help does not
show are read from the script, if it is one in Python. What is proposed is written for a person to look over.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tuner.errors import SpecError, shortened

_SECONDS = 120
_OPTION = re.compile(r"(?:\*\s+)?(?:-\w(?:[ =][^\s,]+)?,?\s+)?--([a-zA-Z][\w-]*)(?:\s*[/,]\s*-\S+)*(.*)")
_DEFAULT = re.compile(r"[(\[][^()\[\]]*\bdefault(?: is)?[:=]?\s*([^)\];]+)", re.IGNORECASE)
_CHOICES = re.compile(r"\s*(?:-\w\s+)?(?:\{([^}]+)\}|[\[<]([^\]>\s]+\|[^\]>\s]*)[\]>])")
_FLOAT = re.compile(r"\s*(?:-\w\s+)?<?float\b", re.IGNORECASE)

_OF_TRIAL = {
    **dict.fromkeys(("epochs", "num_epochs", "n_epochs", "max_epochs", "num_train_epochs"), "epochs"),
    **dict.fromkeys(("seed", "random_seed", "random_state"), "seed"),
}
"""Settings that are a trial's, not searched."""

_NOT_SEARCHED = re.compile(
    r"help|version|workers|threads|jobs|port|verbos|log|every|device|gpu|rank|resume|steps$"
)
_SHARE = re.compile(r"drop|momentum|prob|ratio|fraction|smoothing|beta")


def study_of(command: str) -> dict[str, Any]:
    """The table of a study that runs a command.

    Args:
        command: e.g. ``python train.py``; options that it names already stay as they are.

    Raises:
        SpecError: it cannot be run with ``--help``, or that names nothing that could be searched.
    """
    words = shlex.split(command)
    given = {word.partition("=")[0].lstrip("-").replace("-", "_") for word in words if word.startswith("--")}
    options = [each for each in _options(_help(command, words)) if each[0] not in given]
    declared = _declared(words)
    space: dict[str, Any] = {}
    further: list[str] = []
    epochs = None
    for name, flag, rest in options:
        default = _default(rest, declared.get(name))
        if name in _OF_TRIAL:
            further += [flag, f"${{{_OF_TRIAL[name]}}}"]
            if _OF_TRIAL[name] == "epochs" and isinstance(default, int) and default > 0:
                epochs = default
        elif not _NOT_SEARCHED.search(name) and (range_ := _proposed(name, rest, default)):
            space[name] = range_
            further += [flag, f"${{{name}}}"]
    if not space:
        raise SpecError(
            f"{command}: its --help names no numbers with a default and no choices; write a study file with "
            f'[trainer] command = "{command} ..." and a [space] of your own'
        )
    script = next((Path(word).stem for word in words if word.endswith((".py", ".sh"))), Path(words[0]).stem)
    return {
        "name": re.sub(r"\W+", "-", script).strip("-") or "command",
        "trainer": {"command": f"{command} {' '.join(further)}", **({"epochs": epochs} if epochs else {})},
        "budget": {"trials": 30},
        "space": space,
    }


def _help(command: str, words: list[str]) -> str:
    if not words:
        raise SpecError('command: is empty; give e.g. "python train.py"')
    program = [sys.executable if words[0] == "python" else words[0], *words[1:]]
    plain = [re.sub(r"\$\{\w+\}", "1", word) for word in program if not re.fullmatch(r"\$\{args\w*\}", word)]
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1", "TERMINAL_WIDTH": "200"}
    try:
        ended = subprocess.run(
            [*plain, "--help"],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpecError(f"{command} --help: cannot be run: {error}") from error
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip().splitlines() or ["it printed nothing"]
        raise SpecError(
            f"{command} --help: ended with exit code {ended.returncode}: {shortened(said[-1])}; "
            "run it by hand until it prints its options"
        )
    return ended.stdout or ended.stderr


def _options(text: str) -> Iterator[tuple[str, str, str]]:
    """Name, flag, and what stands behind it, of each option; help that goes on in further lines is joined."""
    found: list[list[str]] = []
    for line in text.splitlines():
        part = line.strip(" \t│|")
        if match := _OPTION.fullmatch(part):
            found.append([match[1], match[2]])
        elif found and part and not part.startswith(("-", "╭", "╰", "─")):
            found[-1][1] += f" {part}"
    for flag, rest in found:
        yield flag.replace("-", "_"), f"--{flag}", rest


def _default(rest: str, declared: Any) -> Any:
    told = _DEFAULT.search(rest)
    if told is None:
        return declared
    text = told[1].strip().strip("'\"")
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        return float(text)
    return text


def _proposed(name: str, rest: str, default: Any) -> dict[str, Any] | None:
    """The range of a setting; None where nothing tells one."""
    if choices := _CHOICES.match(rest):
        values = [value.strip() for value in (choices[1] or choices[2]).split("," if choices[1] else "|")]
        first = str(default) if str(default) in values else values[0]
        return {"type": "choice", "choices": values, "default": first} if len(values) > 1 else None
    if isinstance(default, bool) or not isinstance(default, int | float) or default < 0:
        return None
    if isinstance(default, int) and not _FLOAT.match(rest):
        if default == 0:
            return None
        return {
            "type": "int",
            "low": max(1, default // 4),
            "high": default * 4,
            "default": default,
            "log": True,
        }
    if _SHARE.search(name) and default < 1:
        return {
            "type": "float",
            "low": 0.0,
            "high": 0.99 if default > 0.9 else 0.9,
            "default": float(default),
        }
    if default == 0:
        return {"type": "float", "low": 0.0, "high": 0.1, "default": 0.0}
    low, high = (float(f"{default * factor:.3g}") for factor in (0.01, 100))
    return {"type": "float", "low": low, "high": high, "default": float(default), "log": True}


def _declared(words: list[str]) -> Mapping[str, Any]:
    """The defaults of options that a script in Python declares as constants, by name."""
    path = next((Path(word) for word in words if word.endswith(".py")), None)
    found: dict[str, Any] = {}
    with suppress(OSError, SyntaxError, UnicodeDecodeError):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path is not None else ():
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            names = [each.value for each in node.args if isinstance(each, ast.Constant)]
            flags = [each[2:] for each in names if isinstance(each, str) and each.startswith("--")]
            default = next((each.value for each in node.keywords if each.arg == "default"), None)
            if node.func.attr in ("add_argument", "option") and flags and default is not None:
                with suppress(ValueError):
                    found[flags[0].replace("-", "_")] = ast.literal_eval(default)
    return found
