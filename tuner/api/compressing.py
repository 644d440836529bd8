"""compress: a study that makes a smaller and quicker model of a kept one, and what was gained by it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner import content
from tuner.api.command import options
from tuner.api.run import start
from tuner.api.specify import compose
from tuner.api.watching import Progress
from tuner.api.workbench import load
from tuner.core.ports import Observer
from tuner.core.space import Float
from tuner.core.space.section import parse_space
from tuner.core.spec import StudySpec
from tuner.errors import SpecError, StudyLocked, TrialError, near
from tuner.judging.intervals import POSITIVE
from tuner.judging.measures import scale_of
from tuner.results import Study, TrialView
from tuner.trainers.model import describe
from tuner.trainers.torch.recipe import TAUGHT, Recipe
from tuner.trainers.torch.shipped import PRUNED, SHIPPED

MARGIN, SHARE = 0.005, 0.01
"""What may be lost where nothing is said: of a score up to 1, and as a share of one that is an error."""

COSTS = ("size_bytes", "latency_ms")
"""What may be limited, in onnxruntime, by names without ``[onnx]``."""

TRIALS = 100
"""Trials of a compression where nothing is said."""


def compress(
    name: str,
    *,
    to: str | None = None,
    lose_at_most: Mapping[str, float] | None = None,
    at_most: Mapping[str, float] | None = None,
    trials: int | None = None,
    seconds: float | None = None,
    workers: int | None = None,
    device: str | None = None,
    data: Any = None,
    confirm: bool = True,
    settings: Mapping[str, Any] | None = None,
    storage: str | None = None,
    models: str | Path | None = None,
    progress: Progress = "auto",
    observer: Observer | None = None,
) -> Study:
    """Search for a smaller, quicker model that is not worse: pruned, taught by the kept one, in integers.

    The search is a study of its own, which is stored, resumed, shown and judged as any other. It begins with
    the model that the study has kept of its recommended trial, on the same rows. Of the candidates that keep
    every limit on the validation rows the smallest is taken; whether it is not worse by more than
    `lose_at_most` is tested on the locked rows.

    Args:
        name: the study whose model is compressed.
        to: the name of the new study; ``NAME-compressed`` where it is left out.
        lose_at_most: by how much it may be worse: ``{"score": 0.005}``, ``{"loss": 0.01}`` or both; 0.005 of
            a score, or 1 % of one that is an error, where it is left out.
        at_most: ``{"latency_ms": 0.1, "size_bytes": 20_000}``, of one row in onnxruntime with one thread.
        trials: how many trials; 100 where it is left out.
        seconds: how much wall time in all.
        workers: see `start`.
        device: see `start`.
        data: the data, where the study was started with it from Python.
        confirm: test it when the search has finished.
        settings: further keys of the new study by dotted name, e.g. ``{"trainer.epochs": 9}``.
        storage: the database's URL.
        models: the folder for the models of all studies, where they were moved.
        progress: see `start`.
        observer: see `start`.

    Returns:
        The new study.

    Raises:
        StudyNotFound: nothing has that name.
        StudyExists: the new study is stored already.
        StudyLocked: the study is running.
        TrialError: it has no kept model.
        SpecError: it is no study whose networks can be compressed, or a limit makes no sense.
    """
    study = load(name, storage=storage, models=models)
    own = dict(settings or {})
    limits = dict(lose_at_most or {}), dict(at_most or {})
    spec = compression(study, to or f"{name}-compressed", *limits, own.get("space.fixed.pruning"))
    if spec.data is not None and spec.data.source == "memory" and data is None:
        raise SpecError(f"'{name}' learns from data that was passed from Python; pass it again as data=")
    own = options(trials or (None if seconds else TRIALS), seconds, workers, device) | own
    first = _first(compose(spec, settings=own)[0])
    return start(
        spec, data=data, settings=own, first=first, confirm=confirm, storage=storage, models=models,
        progress=progress, observer=observer,
    )  # fmt: skip


def compression(
    study: Study,
    name: str,
    lose_at_most: Mapping[str, float],
    at_most: Mapping[str, float],
    pruning: str | None = None,
) -> StudySpec:
    """The study that compresses the recommended model of another one; see `compress`.

    Where `pruning` is not given, a model whose weights were pruned loses further weights.
    """
    spec, view = study.spec, _kept(study)
    params, recipe = view.params, Recipe.of(view.params)
    model = describe(view.folder)["network"]
    is_pruned = model in SHIPPED and "pruned" in SHIPPED[model].settings
    space = parse_space(content.read(content.find("space", "compression")), "compression")
    left_out: tuple[str, ...] = PRUNED[1:] if recipe.depth < 2 else ()  # one layer has one share
    if model not in SHIPPED:  # nobody knows which layer is the first, or how first weights are drawn
        left_out = (*PRUNED[1:], "from_scratch")
    elif not is_pruned:
        left_out = (*PRUNED, "from_scratch")
    space = {key: each for key, each in space.items() if key not in left_out}
    # What was compressed before is compressed from what is left of it: a network of its own where it can be.
    # Weights that are zero are no smaller network: they grow back unless as large a share is pruned again.
    loses_more = recipe.prunes_weights and pruning in (None, recipe.pruning)
    is_even = not loses_more and (recipe.prunes_weights or recipe.pruned == recipe.first_share)
    for key, had in zip(PRUNED, (recipe.pruned, recipe.first_share), strict=True):
        if key in space and not is_even:
            high = 1 - (1 - had) * (1 - space[key]["high"])
            space[key] = {**space[key], "low": had, "default": had, "high": high}
    rate = recipe.learning_rate
    space["learning_rate"] = {
        "type": "float", "low": rate / 30, "high": rate * 3, "default": rate / 3, "log": True,
        "doc": "the peak learning rate; the kept model was trained with three times its default",
    }  # fmt: skip
    kept_too = (*PRUNED, "pruning") if loses_more else ()
    fixed = {key: value for key, value in params.items() if key in kept_too or key not in TAUGHT}
    fixed = {key: value for key, value in fixed.items() if key not in space}
    if is_pruned and is_even and recipe.pruned:
        fixed["width"] = (*recipe.widths, recipe.width)[0]
        fixed |= {"dense_units": recipe.dense_width} if recipe.dense_units else {}
    metric = spec.primary_objective().metric
    kept, constraints = _limits(study, view, lose_at_most)
    further = {f"{each}[onnx]": "minimize" for each in COSTS}
    objective = {
        "metric": metric if metric in ("val_loss", "val_score") else "val_loss",
        "also": further,
        **constraints,
    }
    objective["at_most"] = {**constraints.get("at_most", {}), **_costs(at_most)}
    table, epochs = spec.to_table(), spec.trainer.epochs
    table["trainer"] |= {
        "teacher": str(view.folder.resolve()),
        "model": spec.trainer.model or model,
        "repeats": 1,
    }
    return StudySpec.parse(
        {
            **{key: table[key] for key in ("data", "durability")},
            "trainer": table["trainer"],
            "name": name,
            "description": f"a smaller model of trial {view.number} of {study.name}",
            "objective": objective,
            # By its loss a rung would end the small networks, which are what is looked for.
            "search": {"sampler": "tpe", "pruner": "none", "seed": spec.search.seed},
            "budget": {"trials": TRIALS},
            "stop": {"patience": max(3, epochs // 5)},
            "confirm": {"repeats": 5, "lose_at_most": kept},
            "baselines": {"use": []},
            "space": {"fixed": fixed, **space},
        },
        name,
    )


def _kept(study: Study) -> TrialView:
    """The recommended trial, with the model that it had in the search.

    Its repeats in a confirmation have trained on rows by which the new study judges.
    """
    spec, summary = study.spec, study.summary
    name = study.name
    if summary.confirms is not None:
        raise SpecError(f"'{name}' holds trainings of '{summary.confirms}'; compress that one")
    if spec.trainer.use != "torch":
        raise SpecError(
            f"'{name}' was trained by {spec.trainer.use!r}, and only networks of the torch trainer are "
            "compressed; name a study of such, or see `tune export --format`"
        )
    if summary.is_driven:
        raise StudyLocked(f"study '{name}' is running; wait until it has ended, or stop it")
    if spec.data is not None and (spec.data.folds or spec.data.reshuffle):
        raise SpecError(
            f"'{name}': its models have trained on rows that others are judged by ([data] folds or reshuffle)"
            "; start it again without, and compress that"
        )
    view = study.trial(study.recommended.number)
    try:
        _ = view.folder
    except TrialError as error:
        raise TrialError(f"nothing to compress: {error}") from error
    return view


def _limits(
    study: Study, view: TrialView, lose_at_most: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The margins, and the constraints on validation that follow from them."""
    reading, trainer = view.reading, study.spec.trainer
    assert reading is not None  # noqa: S101 - a model was kept of its best epoch
    known, falls = ("score", "loss"), trainer.score_falls
    for key, value in lose_at_most.items():
        if key not in known:
            raise SpecError(f"lose_at_most: unknown name {key!r}; {near(key, known)}, e.g. score=0.005")
        if not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise SpecError(f"lose_at_most: {key} has {value!r}; give a number from 0 up, e.g. score=0.005")
    kept = {key: float(value) for key, value in lose_at_most.items()}
    if not kept:
        name = trainer.score_name or ""
        is_error = scale_of("val_score", name) is POSITIVE
        kept = {"score": SHARE * reading.val_score if is_error else MARGIN}
    constraints: dict[str, dict[str, float]] = {"at_least": {}, "at_most": {}}
    for key, margin in kept.items():
        had, rises = reading.get(f"val_{key}"), key == "score" and not falls
        if not math.isfinite(had):
            raise TrialError(f"trial {view.number} of '{study.name}' has no {key}; give another margin")
        constraints["at_least" if rises else "at_most"][f"val_{key}"] = had + margin * (-1 if rises else 1)
    return kept, constraints


def _costs(at_most: Mapping[str, float]) -> dict[str, float]:
    """Limits by the names of readings."""
    found = {}
    for key, value in at_most.items():
        name = key.removesuffix("[onnx]")
        if name not in COSTS:
            raise SpecError(f"at_most: unknown name {key!r}; {near(key, COSTS)}, e.g. latency_ms=0.1")
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise SpecError(f"at_most: {key} has {value!r}; give a number above 0, e.g. latency_ms=0.1")
        found[f"{name}[onnx]"] = float(value)
    return found


def _first(spec: StudySpec) -> list[dict[str, Any]]:
    """Configurations that are tried right after the default, as far as the space has them."""
    space = spec.search_space()
    less = [
        {
            key: one.default + share * (1 - one.default)
            for key, one in space.parameters.items()
            if key in PRUNED and isinstance(one, Float)
        }
        for share in (0.5, 0.75)
    ]
    wanted: list[dict[str, Any]] = [{"quantization": "int8"}]
    if all(less):
        wanted += [{**each, "quantization": kind} for each in less for kind in ("none", "int8")]
        wanted.append({**less[1], "distil_weight": 0.5})
    found = []
    for each in wanted:
        free = {key: value for key, value in each.items() if key not in space.fixed}
        if free and free not in found and not space.faults({**space.defaults(), **free}):
            found.append(free)
    return found
