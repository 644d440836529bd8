"""From a name, a file, a table or a function to a checked StudySpec; neither data nor trainer are looked at.

`planning` goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tuner import content, registry
from tuner.api.inference import complete
from tuner.core.data_spec import MEMORY
from tuner.core.dataset import ReadData
from tuner.core.space.section import parse_space
from tuner.core.spec import StudySpec
from tuner.errors import SpecError, TunerError

NAMED = {
    "trainer.use": ("tuner.trainers",),
    "trainer.executor": ("tuner.executors", "auto"),
    "trainer.loss": ("tuner.losses",),
    "trainer.score": ("tuner.scores",),
    "search.sampler": ("tuner.samplers",),
    "search.pruner": ("tuner.pruners",),
    "tracking.use": ("tuner.trackers",),
}
"""The keys that name what is registered: the group of each, and what else is valid there."""


def compose(
    study: str | Path | Mapping[str, Any] | StudySpec | None = None,
    *,
    name: str | None = None,
    data: Any = None,
    target: str | Sequence[str] | None = None,
    trainer: str | Callable[..., Any] | None = None,
    space: Any = None,
    metric: str | None = None,
    settings: Mapping[str, Any] | None = None,
    read: ReadData | None = None,
) -> tuple[StudySpec, str]:
    """The spec alone, before data and trainer are looked at, and what faults in it are prefixed with.

    Args:
        study: a shipped or own study's name, a path to a TOML or data file, a table, a spec, or
            None when `trainer` and `space` say it all.
        name: the study's name in the store.
        data: a source as in `[data]`, or data in memory as `in_memory` returns it.
        target: the column to predict, or several.
        trainer: a reference as in `[trainer] use`, or a function of one's own.
        space: names of spaces, or parameters by name (tables, `Float`, `Int`, `Choice`).
        metric: the objective.
        settings: further keys by dotted name, e.g. ``{"trainer.epochs": 9}``.
        read: takes up what is read of the data on the way, for `prepare`.

    A study that has data and no space gets one that suits the data, and so it does with all else that it
    leaves out; see `inference.complete`.

    Raises:
        SpecError: with every fault of the study.
        DataError: the study has no space, and the data that it would follow from cannot be used.
    """
    table, where, folder = _table(study, trainer)
    if study is None and isinstance(data, str | Path) and is_data_file(str(data)):
        table["name"] = Path(data).stem
    _put(table, "name", name)
    _put(table, "objective.metric", metric)
    if isinstance(data, str | Path):
        _put(table, "data.source", str(data))
    elif data is not None:
        _put(table, "data.source", MEMORY)
    if isinstance(table.get("data"), Mapping):
        _put(table, "data.target", _named(target))
    if isinstance(trainer, str):
        _put(table, "trainer.use", trainer)
    elif trainer is not None:
        _put(
            table,
            "trainer.use",
            f"{trainer.__module__}:{getattr(trainer, '__qualname__', type(trainer).__name__)}",
        )
    if space is not None:
        table["space"] = _space_table(space)
    for section, keys in (getattr(trainer, "study_defaults", None) or {}).items():
        table[section] = {**keys, **table.get(section, {})}
    asked = _copied(table)
    _put_all(asked, settings)
    if "space" not in table and ("space" not in asked or is_data_file(where)):
        complete(table, asked, folder, passed(data), read)
    _put_all(table, settings)
    _anchor(table, folder)
    _direct(table)
    unknown = [f"{where}: {fault}" for fault in _unknown_names(table)]
    if isinstance(study, StudySpec) and not unknown and table == study.to_table():
        return study, where
    try:
        spec = StudySpec.parse(table, where, partial(_find_space, folder=folder))
    except SpecError as error:
        raise SpecError([*error.faults, *unknown]) from None
    if unknown:
        raise SpecError(unknown)
    return spec, where


def name_of(study: str | Path | Mapping[str, Any] | StudySpec, trainer: Any = None) -> str:
    """The name of a study that is given; see `compose`.

    Raises:
        SpecError: there is no such study.
    """
    return str(_table(study, trainer)[0].get("name", StudySpec.model_fields["name"].default))


def _table(study: Any, trainer: Any) -> tuple[dict[str, Any], str, Path]:
    """The study's table, what to call it in messages, and where its relative paths start."""
    here = Path.cwd()
    if study is None:
        name = getattr(trainer, "__name__", None) or "study"
        return {"name": name if name.isidentifier() else "study"}, "study", here
    if isinstance(study, StudySpec):
        return study.to_table(), study.name, here
    if isinstance(study, Mapping):
        return _copied(study), str(study.get("name", "study")), here
    if not isinstance(study, str | Path):
        raise SpecError(
            f"study: found a {type(study).__name__}; data is given as data=, e.g. "
            'tuner.start(data=frame, target="y")'
        )
    text = str(study)
    if is_data_file(text):
        return {"name": Path(text).stem, "data": {"source": text}}, text, here
    try:
        path = content.find("study", text)
    except SpecError:
        if text.endswith(".toml") or not Path(text).is_file():
            raise
        raise SpecError(
            f"{text}: is neither a study (.toml) nor data in a form that is read; save the table as CSV or "
            "Parquet, or pass it from Python: tuner.start(data=frame, target=...)"
        ) from None
    table = content.read(path)
    table.setdefault("name", path.stem)
    own = path.parent != content.shipped("study")
    # A project keeps its studies in studies/, its data and code beside that folder.
    folder = path.resolve().parent if own else here
    return table, text, folder.parent if folder.name == content.FOLDERS["study"] else folder


def is_data_file(text: str) -> bool:
    """Whether a name ends as a file that can be read, or a folder: a study given so is inferred from it."""
    return text.endswith("/") or Path(text).suffix[1:].lower() in registry.registered("tuner.sources")


def _copied(table: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copied(v) if isinstance(v, Mapping) else v for k, v in table.items()}


def _put_all(table: dict[str, Any], settings: Mapping[str, Any] | None) -> None:
    for key, value in (settings or {}).items():
        _put(table, key, value)


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, unless the value is None."""
    if value is None:
        return
    *sections, last = key.split(".")
    place: Any = table
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise SpecError(f"{key}: '{section}' is no section; it has the value {place!r}")
    place[last] = value


def _anchor(table: dict[str, Any], folder: Path) -> None:
    """Make relative file references absolute, so that workers and `tune resume` find them from anywhere."""
    for key in ("data.source", "trainer.model", "stop.rules", "tracking.options", *NAMED):
        section, _, name = key.partition(".")
        found = table.get(section)
        if isinstance(found, dict) and name in found:
            found[name] = _absolute(found[name], folder)
            path = (folder / str(found[name])).resolve()
            if is_data_file(str(found[name])) or (key == "data.source" and path.is_dir()):
                found[name] = f"{path}{'/' * path.is_dir()}"
    trainer = table.get("trainer")
    if isinstance(trainer, dict) and isinstance(trainer.get("teacher"), str):
        trainer["teacher"] = str((folder / trainer["teacher"]).resolve())
    if isinstance(table.get("space"), dict):
        table["space"] = _absolute(table["space"], folder)


def _absolute(value: Any, folder: Path) -> Any:
    """The value, with every ``./file.py:attr`` in it that is seen from a folder made absolute."""
    if isinstance(value, Mapping):
        return {_absolute(key, folder): _absolute(each, folder) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_absolute(each, folder) for each in value]
    file, colon, attribute = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return f"{(folder / file).resolve()}:{attribute}" if colon and file.endswith(".py") else value


def _direct(table: dict[str, Any]) -> None:
    """Store the direction of a user's score, so that a stored study can be read without its file."""
    trainer = table.get("trainer")
    name = trainer.get("score") if isinstance(trainer, Mapping) else None
    if isinstance(name, str) and "score_direction" not in table["trainer"]:
        from tuner.trainers import scores

        # The trainer reports what cannot be found.
        with suppress(TunerError):
            found = scores.find(name)
            if not found.shipped:
                _put(table, "trainer.score_direction", found.direction)


def _unknown_names(table: Mapping[str, Any]) -> Iterator[str]:
    """Names that nothing is registered under; references are followed when what they name is needed."""
    for key, (group, *also) in NAMED.items():
        section, _, name = key.partition(".")
        found = table.get(section)
        value = found.get(name) if isinstance(found, Mapping) else None
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str) and (fault := registry.unknown(each, group, *also)):
                yield f"{key}: {fault}"


def _find_space(name: str, folder: Path | None) -> dict[str, Any]:
    path = content.find("space", name, folder)
    return parse_space(_absolute(content.read(path), folder or Path.cwd()), str(path))


def _space_table(space: Any) -> dict[str, Any]:
    if isinstance(space, str):
        return {"use": [space]}
    if isinstance(space, list | tuple):
        return {"use": list(space)}
    if not isinstance(space, Mapping):
        raise SpecError(f"space: names of spaces or parameters by name are needed, found {space!r}")
    return {name: _parameter_table(name, parameter) for name, parameter in space.items()}


def _parameter_table(name: str, parameter: Any) -> Any:
    if type(parameter).__module__.startswith("optuna.distributions"):
        from tuner.search.optuna_space import parameter_of  # Optuna is loaded by then

        try:
            parameter = parameter_of(parameter)
        except SpecError as error:
            raise SpecError([f"space.{name}: {fault}" for fault in error.faults]) from None
    return (
        parameter.model_dump(mode="json", exclude_none=True)
        if hasattr(parameter, "model_dump")
        else parameter
    )


def passed(data: Any) -> Any:
    """Data that was passed from Python; None for a source's name."""
    return None if isinstance(data, str | Path) else data


def in_memory(given: Any, target: str | Sequence[str] | None) -> Any:
    """Data that was passed from Python, read into frames and arrays; a source's name, and None, as they are.

    Raises:
        DataError: it is nothing that can be used.
    """
    if given is None or isinstance(given, str | Path):
        return given
    from tuner import data

    names = _named(target)
    return data.opened(given, names[0] if isinstance(names, list) else names)


def _named(target: Any) -> str | list[str] | None:
    """Columns to predict by name; the numbers that pandas gives them become text, as all names do."""
    if target is None or isinstance(target, str):
        return target
    names = list(map(str, target)) if isinstance(target, Iterable) else str(target)
    if not names:
        raise SpecError("target: names no column; give the name of the column to predict")
    return names
