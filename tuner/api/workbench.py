"""check, copy, init, load, compare, write_report, export: public functions that train nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner import content, starter
from tuner.api.card import card
from tuner.api.deploying import FORMATS, deploy, require_format
from tuner.api.ensembles import copy_members, gained
from tuner.api.inference import inferred
from tuner.api.planning import embeds, plan
from tuner.api.provenance import require_unchanged
from tuner.api.specify import in_memory
from tuner.artifacts import fill_folder
from tuner.content import storage_url
from tuner.core.dataset import Dataset, ReadData
from tuner.core.spec import StudySpec
from tuner.errors import DataError, SpecError, near
from tuner.judging.sentences import sentences
from tuner.results import Comparison, Study, brief, spreadsheet
from tuner.results import compare as compare_studies
from tuner.results.markup import save

if TYPE_CHECKING:
    from tuner.data import ColumnSummary


@dataclass(frozen=True)
class Checked:
    """The result of `tune check` without faults.

    Attributes:
        data: None where the study has no `[data]`.
        columns: those of its table; none where the data is no table.
        examples: some of its texts and what becomes of them, a line each; none of other inputs.
        notes: what was done to the data.
    """

    spec: StudySpec
    data: Dataset | None
    columns: tuple[ColumnSummary, ...] = ()
    examples: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on data preparation, one sentence each."""
        return self.data.notes if self.data is not None else ()


def check(
    study: str | Path | Mapping[str, Any] | StudySpec | None = None,
    *,
    data: Any = None,
    target: str | Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Checked:
    """Check a study as `start` would, data and trainer included, and train nothing.

    Args:
        study: as `start` takes it.
        data: likewise.
        target: the column to predict, or several.
        settings: further keys of a study file by dotted name.

    Raises:
        SpecError: with every fault.
        DataError: the data cannot be used.
        PluginError: a reference leads nowhere.
    """
    from tuner import callbacks, executors
    from tuner.data import examples, summarize
    from tuner.search import OptunaSearcher

    data, read = in_memory(data, target), ReadData(columns=[])
    planned = plan(study, data=data, target=target, settings=settings, resampling=True, read=read)
    spec = planned.spec
    OptunaSearcher(spec.search_space(), spec.search, spec.primary_objective())
    callbacks.build(spec)
    if spec.trainer.executor != executors.AUTO:
        executors.kind(spec.trainer.executor)
    columns = summarize(planned.data, read.columns) if planned.data is not None else []
    if not embeds(spec):
        columns = [replace(each, embedded=False) for each in columns]
    shown = examples(planned.data) if planned.data is not None else []
    return Checked(spec, planned.data, tuple(columns), tuple(shown))


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
    folder: str | Path = ".",
    *,
    source: str | Path | None = None,
    target: str | Sequence[str] | None = None,
    command: str | None = None,
) -> list[Path]:
    """Write a small commented project, or a study for a data file, or for a command.

    Args:
        folder: where.
        source: the data file.
        target: its column to predict.
        command: e.g. ``python train.py``, whose settings are read from its ``--help``.

    Returns:
        The files that were written.

    Raises:
        SpecError: a file is there already, or the command has no settings that are found; nothing is
            written then.
        DataError: the data file cannot be used.
    """
    place = Path(folder)
    if command is not None:
        if source is not None or target is not None:
            raise SpecError("init: a command reads its data by itself; give either a data file or a command")
        return [starter.write_study(place, starter.study_of(command))]
    if source is None:
        return starter.write(place)
    table = inferred(Path(source), target)
    return [starter.write_study(place, table)]


def load(name: str, *, storage: str | None = None, models: str | Path | None = None) -> Study:
    """A stored study, read now; `Study.refresh` reads it again.

    Args:
        name: the study.
        storage: the database's URL.
        models: the folder for the models of all studies, where they were moved.

    Raises:
        StudyNotFound: no study has that name; lists similar names.
    """
    study = Study(name, storage_url(storage), models)
    _ = study.summary
    return study


def compare(
    names: Sequence[str], *, html: str | Path | None = None, storage: str | None = None
) -> Comparison:
    """Put studies side by side.

    Args:
        names: at least two studies that search for the same metric.
        html: a file for the browser, which is replaced; None: none is written.
        storage: the database's URL.

    Raises:
        StudyNotFound: there is no study of one of the names.
        SpecError: fewer than two studies, they search for different things, or the file cannot be written.
        TrialError: one of them has no value yet.
    """
    if len(set(names)) < 2:
        raise SpecError(f"compare: at least two studies are needed, found: {', '.join(names) or 'none'}")
    studies = [load(name, storage=storage) for name in dict.fromkeys(names)]
    comparison = compare_studies(studies)
    if html is not None:
        from tuner.results.side_by_side import page

        save(Path(html), page(comparison, studies))
    return comparison


def write_report(
    name: str,
    path: str | Path = "report.html",
    *,
    ignore_changes: bool = False,
    storage: str | None = None,
) -> Path:
    """Write what a study has found, and how it was run, as one file for the browser.

    Args:
        name: the study; it may still be running.
        path: the file; it is replaced.
        ignore_changes: report what is stored though the data file has changed since.
        storage: the database's URL.

    Returns:
        The file.

    Raises:
        StudyNotFound: there is no study of that name.
        SpecError: the file cannot be written, or the data file has changed since.
    """
    from tuner.results.report import page

    place, study = Path(path), load(name, storage=storage)
    if not ignore_changes:
        require_unchanged(study)
    save(place, page(study))
    return place


def export(
    name: str,
    folder: str | Path,
    *,
    trial: int | None = None,
    ensemble: int | None = None,
    kind: str = FORMATS[0],
    data: Any = None,
    figures: bool = False,
    ignore_changes: bool = False,
    storage: str | None = None,
    models: str | Path | None = None,
) -> list[Path]:
    """Write a folder that stands alone: the model of the trial to take, its card, trials, curves.

    The model loads in a fresh process by `tuner.load_model(folder)`; with ``kind="onnx"`` by `predict.py` in
    the folder, which needs numpy and onnxruntime alone. What is written for other programs is run, and
    compared with the study's model on the validation rows.

    Args:
        name: the study.
        folder: must not exist, or be empty.
        trial: a trial's number; None: `Study.recommended`.
        ensemble: so many of the best kept models instead, whose mean predicts; see `Study.best_kept`.
        kind: ``"safetensors"``, ``"onnx"``, ``"onnx-int8"``, ``"onnx-int8-static"``, ``"torchscript"``,
            ``"torch-export"`` or ``"skops"``.
        data: the data, where the study was started with it from Python; see `start`.
        figures: also every figure as PNG and SVG in ``figures/``, and ``report.html``.
        ignore_changes: export what is stored though the data file has changed since.
        storage: the database's URL.
        models: the folder for the models of all studies, where they were moved.

    Returns:
        The files that were written.

    Raises:
        TrialError: the trial's model was not kept, is not there, or cannot be written so.
        SpecError: the format is unknown, the folder has something in it, or the data file has changed since.
        PluginError: pictures need kaleido and a Chromium, ONNX needs ``tuner[onnx]``.
    """
    require_format(kind)
    study = Study(name, storage_url(storage), models)
    if not ignore_changes:
        require_unchanged(study)
    if ensemble is not None and trial is not None:
        raise SpecError("export: an ensemble is of several trials; give either trial or ensemble")
    taken = (
        [study.recommended if trial is None else study.trial(trial)]
        if ensemble is None
        else study.best_kept(ensemble)
    )
    chosen, place = taken[0], Path(folder)
    _ = chosen.folder  # refuses what was not kept, before anything is written

    def write(draft: Path) -> None:
        copy_members(taken, draft / "model")
        (draft / "trials.csv").write_text(spreadsheet.csv(study.trials), encoding="utf-8", newline="")
        (draft / "curves.csv").write_text(spreadsheet.csv(study.curves), encoding="utf-8", newline="")
        _write_json(draft / "study.json", {"study": name, "spec": study.spec.to_table()})
        _write_json(draft / "best.json", brief(study, chosen))
        said = " ".join(name.split()).replace("`", "'")
        gains = gained(study, taken, lambda: _raw_rows(study, data)) if len(taken) > 1 else ()
        numbers = ", ".join(str(each.number) for each in taken)
        why = " ".join(gains) or _why(study, trial)
        text = _EXPORT_README.format(name=said, number=numbers, s="s" * (len(taken) > 1), why=why)
        (draft / "README.md").write_text(text, encoding="utf-8")
        written = deploy(draft / "model", draft, kind, lambda train: _raw_rows(study, data, train)[0])
        (draft / "MODEL_CARD.md").write_text(card(study, taken, written, gains), encoding="utf-8")
        if figures:
            from tuner.results import study_figures
            from tuner.results.report import page

            save(draft / "report.html", page(study))
            study_figures.write(study.explained, draft / "figures")

    try:
        fill_folder(place, write)
    except OSError as error:
        raise SpecError(
            f"{place}: cannot be written: {error.strerror or error}; name a folder that can be written"
        ) from error
    return sorted(path for path in place.rglob("*") if path.is_file())


def _raw_rows(study: Study, data: Any, train: bool = False) -> tuple[Any, Any]:
    """The raw rows that the study's trials are judged by, or train on, and their truth.

    Raises:
        DataError: they cannot be read.
    """
    from tuner.data.load import split_rows

    spec = study.spec.data
    if spec is None:
        raise DataError("the study has no [data]")
    if spec.source == "memory" and data is None:
        raise DataError("its data was in memory; give it again as data=")
    return split_rows(spec, Path.cwd(), in_memory(data, spec.target), study.fingerprint, train)


def _why(study: Study, trial: int | None) -> str:
    """Why this trial's model is exported."""
    return (
        " ".join(" ".join(sentences(study.verdict)).split())
        if trial is None
        else "It was asked for by its number."
    )


def _write_json(path: Path, table: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


_EXPORT_README = """# The model of trial{s} {number} of study `{name}`

{why}

```python
import tuner

model = tuner.load_model(".")         # this folder
model.predict(rows)                   # rows as in the data: a DataFrame or an array
model.module                          # what was trained: an nn.Module or an estimator, or a list of them
```

| file | what it holds |
|---|---|
| `model/` | the weights of the best epoch, the network's description, scaling and encoding |
| `model/members/` | likewise of the other models, if the mean of several predicts |
| `best.json` | the trial's parameters and numbers, beside those of the default configuration |
| `MODEL_CARD.md` | what it was made from, how it was judged, and what it cannot do |
| `trials.csv` | every trial; a text that a spreadsheet would run has an apostrophe before it |
| `curves.csv` | every epoch of every trial |
| `study.json` | the study as it was run |
"""
