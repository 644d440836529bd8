"""check, copy, init, export: what surrounds a study; trains nothing."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner import content, starter
from tuner.api import spreadsheet
from tuner.api.provenance import require_unchanged
from tuner.api.specify import inferred, plan
from tuner.api.study import Study, TrialView
from tuner.artifacts import copy as copy_model
from tuner.artifacts import fill
from tuner.content import storage_url
from tuner.core.dataset import Dataset
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading
from tuner.errors import SpecError, near


@dataclass(frozen=True)
class Checked:
    """What `tune check` found: nothing wrong.

    Attributes:
        data: None where the study has no `[data]`.
        notes: what was done to the data.
    """

    spec: StudySpec
    data: Dataset | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the data, a sentence each."""
        return self.data.notes if self.data is not None else ()


def check(
    study: str | Path | Mapping[str, Any] | StudySpec,
    *,
    target: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Checked:
    """Check a study as `start` would, data and trainer included, and train nothing.

    Raises:
        SpecError: with every fault.
        DataError: the data cannot be used.
        PluginError: a reference leads nowhere.
    """
    from tuner import callbacks
    from tuner.search import OptunaSearcher

    planned = plan(study, target=target, settings=settings)
    spec = planned.spec
    OptunaSearcher(spec.search_space(), spec.search, spec.goal())
    callbacks.build(spec)
    return Checked(spec, planned.data)


def copy(kind: str, name: str, *, folder: str | Path | None = None) -> Path:
    """Copy a shipped study, space or page to the working folder, to be changed there.

    Args:
        kind: ``"study"``, ``"space"`` or ``"page"``.
        name: of the shipped file.
        folder: instead of the working folder.

    Raises:
        SpecError: unknown kind or name, or the file is there already.
    """
    if kind not in content.FOLDERS:
        raise SpecError(f"copy: unknown kind '{kind}'; {near(kind, content.FOLDERS)}")
    source = content.shipped(kind) / f"{name}.toml"
    if not source.is_file():
        known = [path.stem for path in content.shipped(kind).glob("*.toml")]
        raise SpecError(f"copy: no shipped {kind} '{name}'; {near(name, known)}")
    place = Path(folder or Path.cwd()) / content.FOLDERS[kind] / source.name
    if place.exists():
        raise SpecError(f"{place}: is there already; remove or rename it first")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)
    return place


def init(
    folder: str | Path = ".", *, source: str | Path | None = None, target: str | None = None
) -> list[Path]:
    """Write a small commented project, or with `source` a study for that data file.

    Returns:
        The files that were written.

    Raises:
        SpecError: a file is there already; nothing is written then.
        DataError: the data file cannot be used.
    """
    place = Path(folder)
    if source is None:
        return starter.write(place)
    table = inferred(Path(source), target)
    return [starter.write_study(place, table)]


def export(
    name: str,
    folder: str | Path,
    *,
    trial: int | None = None,
    figures: bool = False,
    ignore_changes: bool = False,
    storage: str | None = None,
    models: str | Path | None = None,
) -> list[Path]:
    """Write a folder that stands alone: the model of the trial to take, trials, curves.

    The model loads in a fresh process by `tuner.load_model(folder)`.

    Args:
        name: the study.
        folder: must not exist, or be empty.
        trial: another trial's number than that of `Study.recommended`.
        figures: also every figure as PNG and SVG in ``figures/``, and ``report.html``.
        ignore_changes: export what is stored though the data file has changed since.
        storage: the database's URL.
        models: the folder for the models of all studies, where they were moved.

    Returns:
        The files that were written.

    Raises:
        TrialError: the trial's model was not kept or is not there.
        SpecError: the folder has something in it, or the data file has changed since.
        PluginError: pictures need kaleido and a Chromium.
    """
    study = Study(name, storage_url(storage), models)
    if not ignore_changes:
        require_unchanged(name, study.spec, study.url)
    chosen = study.recommended if trial is None else study.trial(trial)
    source, place = chosen.folder, Path(folder)

    def write(draft: Path) -> None:
        copy_model(source, draft / "model")
        (draft / "trials.csv").write_text(spreadsheet.csv(study.trials), encoding="utf-8", newline="")
        (draft / "curves.csv").write_text(spreadsheet.csv(study.curves), encoding="utf-8", newline="")
        _write_json(draft / "study.json", {"study": name, "spec": study.spec.to_table()})
        _write_json(draft / "best.json", brief(study, chosen))
        said = " ".join(name.split()).replace("`", "'")
        text = _EXPORT_README.format(name=said, number=chosen.number, why=_why(study, trial))
        (draft / "README.md").write_text(text, encoding="utf-8")
        if figures:
            from tuner.api import pictures
            from tuner.api.reporting import page, save

            save(draft / "report.html", page(study))
            pictures.write(study, draft / "figures")

    try:
        fill(place, write)
    except OSError as error:
        raise SpecError(
            f"{place}: cannot be written: {error.strerror or error}; name a folder that can be written"
        ) from error
    return sorted(path for path in place.rglob("*") if path.is_file())


def _why(study: Study, trial: int | None) -> str:
    """Why it is this trial's model that is exported."""
    from tuner.judging import sentences

    return (
        " ".join(" ".join(sentences(study.verdict)).split())
        if trial is None
        else "It was asked for by its number."
    )


def brief(study: Study, chosen: TrialView) -> dict[str, Any]:
    """A trial beside the default configuration, as `tune best --json` prints it; `nan` becomes None.

    With ``front``: the trials that no other one dominates, see `Verdict.front`.
    """
    from tuner.judging import sentences

    goals, verdict = study.spec.goals(), study.verdict
    found = verdict.confirmation

    def told(view: TrialView) -> dict[str, Any]:
        return {"trial": view.number, "params": dict(view.params), **_numbers(view)}

    def weighed(view: TrialView) -> dict[str, Any]:
        values = {name: _finite(view.reading.get(name)) if view.reading else None for name in goals.names}
        return {"values": values, "feasible": not goals.violation(view.reading)}

    return {
        "study": study.name,
        **told(chosen),
        **weighed(chosen),
        "default": told(study.default),
        "front": [
            {"trial": view.number, "params": dict(view.params), "value": view.value, **weighed(view)}
            for view in map(study.trial, verdict.front)
        ],
        "gain": _gain(study, chosen),
        "confirmed": None if found is None else found.to_table(),
        "verdict": {**verdict.to_table(), "sentences": sentences(verdict)},
        "model_path": str(chosen.model_path) if chosen.model_path else None,
    }


def _gain(study: Study, chosen: TrialView) -> dict[str, float | None]:
    """By how much a trial is better than the default configuration; negative: worse."""
    mine, others = _numbers(chosen), _numbers(study.default)
    falls = {"value": study.spec.goal().minimize, "val_score": study.spec.trainer.score_falls}
    return {
        name: (others[name] - mine[name]) * (1 if falls[name] else -1)
        if None not in (mine[name], others[name])
        else None
        for name in falls
    }


def _numbers(view: TrialView) -> dict[str, Any]:
    reading = view.reading or Reading(0, math.nan, math.nan)
    names = ("train_loss", "val_loss", "train_score", "val_score", "gap")
    found = {"value": view.value, **{name: reading.get(name) for name in names}}
    over = view.overfitting
    return {
        **{name: _finite(x) for name, x in found.items()},
        "errors": dict(reading.errors),
        "gap_last": _finite(over.gap_last),
        "onset_epoch": over.onset_epoch,
        "rise": over.rise,
        "epoch": reading.epoch or None,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _write_json(path: Path, table: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


_EXPORT_README = """# The model of trial {number} of study `{name}`

{why}

```python
import tuner

model = tuner.load_model(".")         # this folder
model.predict(rows)                   # rows as in the data: a DataFrame or an array
model.module                          # what was trained: an nn.Module or an estimator
```

| file | what it holds |
|---|---|
| `model/` | the weights of the best epoch, the network's description, scaling and encoding |
| `best.json` | the trial's parameters and numbers, beside those of the default configuration |
| `trials.csv` | every trial; a text that a spreadsheet would run has an apostrophe before it |
| `curves.csv` | every epoch of every trial |
| `study.json` | the study as it was run |
"""
