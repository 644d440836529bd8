"""StudySpec: one study file, checked whole, all faults reported together.

Takes tables that `content` has read. A key's description is what `tune check --keys` and the reference show.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from tuner.core.baseline import BaselinesSpec
from tuner.core.budget import Budget
from tuner.core.data_spec import DataSpec
from tuner.core.faults import sentence
from tuner.core.objectives import Objectives, ObjectiveSpec
from tuner.core.sections import ConfirmSpec, NotifySpec, ResourceSpec, StopSpec
from tuner.core.space import SearchSpace
from tuner.core.space.parameters import Section
from tuner.core.space.section import SOME_SPACE, SpaceSpec, compose
from tuner.core.trial import Objective
from tuner.errors import SpecError, near

FALLING_SCORES = frozenset({"rmse", "mae", "mape", "quantile", "log_loss", "brier"})
"""Scores of which less is better, though a study does not say so with `[trainer] score_direction`."""


def falls(score: str | None, direction: str | None) -> bool:
    """Whether less of a score is better; `direction` is what a study says of it."""
    return score in FALLING_SCORES if direction is None else direction == "minimize"


IMPORTED = "imported"
"""`[trainer] use` of a study that has imported trials and nothing yet that trains further ones."""


COMMAND = "command"
"""`[trainer] use` of a study whose trials are commands."""


class TrainerSpec(Section):
    """`[trainer]`: what is trained, and where."""

    use: str = Field("torch", description="torch | sklearn | a plugin | package.module:attr | ./file.py:attr")
    model: str | None = Field(
        None,
        description="mlp | cnn | a reference to build(params, context) (torch) or to an estimator (sklearn)",
    )
    command: str | None = Field(
        None,
        description='a command that is run for each trial: "python train.py --lr ${learning_rate} ${args}"; '
        "${args} is --name=value for each setting, ${args_no_hyphens} name=value, ${args_json} one object",
    )
    metrics: str | None = Field(
        None,
        description="command: where its numbers are: a regular expression with named groups for a line that "
        "it prints, or a file, ${folder}/metrics.csv or .jsonl; lines of JSON and name=value that it prints "
        "where it is left out",
    )
    grace_seconds: float = Field(
        5.0, ge=0, description="command: seconds between SIGTERM and SIGKILL when its trial ends"
    )
    epochs: int = Field(27, ge=1, description="epochs of a trial that nothing stops")
    repeats: int = Field(
        1, ge=1, le=100, description="seeds that every trial is trained with, side by side; the mean counts"
    )
    loss: str | None = Field(
        None,
        description="cross_entropy | binary_cross_entropy | mse | mae | huber | a plugin | "
        "package.module:attr | ./file.py:attr; seen from the task where it is left out. With a loop of your "
        "own: which of these its val_loss is, so that findings set it beside a constant prediction's",
    )
    score: str | None = Field(
        None,
        description="accuracy | balanced_accuracy | precision | recall | f1 | precision_macro | "
        "recall_macro | f1_macro | mcc | roc_auc | average_precision | log_loss | brier | exact_match | r2 | "
        "rmse | mae | mape | quantile | a plugin | package.module:attr | ./file.py:attr; accuracy, f1_macro "
        "(several labels) or r2 where it is left out. Of two classes f1, precision, recall and "
        "average_precision are the positive one's ([data] positive); of more, as f1_macro and its like "
        "always, means over classes; of several labels all but exact_match are means over labels",
    )
    quantile: float = Field(
        0.5, gt=0, lt=1, description="the level of the score quantile, the pinball loss; 0.5 is half the mae"
    )
    score_direction: Literal["minimize", "maximize"] | None = Field(
        None, description="whether less or more of the score is better; what the score itself says"
    )
    class_weight: Literal["balanced"] | dict[str, float] | None = Field(
        None,
        description='what a row of each class counts in the training loss: "balanced" (every class the '
        'same in all) | {"no" = 1.0, "yes" = 5.0} (1 where a class is left out); the losses and scores of '
        "readings do not count so",
    )
    rates: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        {},
        description="torch: what the learning rate of parts of the network is multiplied by, by patterns of "
        'their parameters: {"backbone.*" = 0.1}; 0: they stay as they are; the last one that fits counts',
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="torch: bfloat16 trains in mixed precision, which only pays for large networks; weights, "
        "losses and all that is measured stay float32",
    )
    teacher: str | None = Field(
        None,
        description="torch: the folder of a kept model that trials begin with, with as many units as "
        "`pruned` leaves, and learn from as far as `distil_weight` says; as `tune compress` sets it",
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] | None = Field(
        None,
        description="two classes: the probability from which on the positive one is predicted; auto: the "
        "best one on the validation rows, by the score if it is accuracy, balanced_accuracy, f1, f1_macro or "
        "mcc, else by balanced_accuracy; the more probable class where it is left out",
    )
    device: str = Field(
        "auto",
        description="auto (every GPU of CUDA, else cpu) | cpu | cuda | cuda:1 | mps, or several that the "
        "workers share: cuda:0, cuda:1",
    )
    devices_per_worker: int = Field(
        1, ge=1, description="devices that each worker gets, for loops that train on several at once"
    )
    world_size: int | Literal["auto"] = Field(
        1,
        description="processes that train each trial together, on one device each: data parallel with the "
        "torch trainer, by `context.rank` in a loop of one's own; auto: one trial on all devices (cores) or "
        "one on each, as measured",
    )
    sync_every: int = Field(
        1, ge=1, description="torch with world_size: steps between averages of the weights; 1: of gradients"
    )
    executor: str = Field(
        "auto",
        description="inline (in this process) | processes | ray | a plugin | package.module:attr | "
        "./file.py:attr; auto: processes for two workers and more, unless a plugin is better suited",
    )
    cluster: str = Field(
        "auto",
        description="ray: auto (RAY_ADDRESS, the cluster of this machine, or a new one on it) | "
        "host:port | ray://host:port | local:3 (a new one on this machine with so many cores)",
    )
    resources: ResourceSpec = Field(
        ResourceSpec(), description='what each worker gets: { gpus = 0.25, cpus = 2, memory = "8 GiB" }'
    )
    workers: int | Literal["auto"] = Field(
        "auto", description="how many workers; auto: one per core for single trials, measured for fused ones"
    )
    rows: int | Literal["auto"] = Field(
        "auto",
        description="trials that each worker trains at once, fused; auto: measured; 1: not fused",
    )
    threads: int | Literal["auto"] = Field(
        "auto", description="threads of each worker; auto: all cores for fused trials, else one"
    )
    keep: int = Field(5, ge=1, description="how many of the best models are kept")
    models: str | None = Field(
        None,
        description="the folder for all studies' models and checkpoints, seen from the database's own, or "
        "an object store's URL for models; `TUNER_MODELS` or tuner_models where it is left out",
    )
    restarts: int = Field(2, ge=0, description="how often a trial goes on after its worker died")
    checkpoint_seconds: float = Field(
        5.0, ge=0, description="seconds between checkpoints of the trials that train; 0: none are written"
    )
    reproducible: bool | None = Field(
        None,
        description="several workers: decide in a fixed order, so that a study repeats bit for bit; "
        "workers then wait for each other; left out: where that costs nothing",
    )
    settings: dict[str, Any] = Field({}, description="further constants, handed to the trainer as they are")

    @model_validator(mode="before")
    @classmethod
    def _run_command(cls, table: Any) -> Any:
        if isinstance(table, Mapping) and table.get("command") is not None:
            return {"use": COMMAND, **table}
        return table

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.command is not None and self.use != COMMAND:
            raise ValueError(f"command: {self.use!r} runs no command; drop use, or drop command")
        for name in ("workers", "rows", "threads", "world_size"):
            value = getattr(self, name)
            if value != "auto" and value < 1:
                raise ValueError(f'{name}: {value} is not at least 1; give a number or "auto"')
        if isinstance(self.class_weight, dict):
            for name, value in self.class_weight.items():
                if not 0 <= value < math.inf:
                    raise ValueError(f"class_weight: {name!r} has {value:g}; give numbers from 0 up")
        if self.world_size != 1 and self.rows not in ("auto", 1):
            raise ValueError(f"rows: {self.rows} beside world_size; such trials are not fused; drop one")
        if "mps" in self.devices and self.world_size != 1:
            raise ValueError("world_size: processes on mps cannot exchange what they train; drop world_size")
        if "mps" in self.devices and self.precision != "float32":
            raise ValueError(f"precision: {self.precision} was not tried on mps; drop precision")
        if self.sync_every > 1 and self.world_size == 1:
            raise ValueError("sync_every: nothing is to be averaged; set world_size, or drop it")
        if more := len(self.devices) % self.devices_of_worker:
            raise ValueError(
                f"devices_per_worker: {len(self.devices)} devices by {self.devices_of_worker} leave {more}; "
                "name as many devices as the workers share out"
            )
        return self

    @property
    def devices_of_worker(self) -> int:
        """`devices_per_worker`, or one for each process of a trial where several devices are named."""
        if "devices_per_worker" in self.model_fields_set or len(self.devices) == 1:
            return self.devices_per_worker
        return len(self.devices) if self.world_size == "auto" else self.world_size

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that `device` names, in this order."""
        return tuple(name.strip() for name in self.device.split(","))

    @property
    def score_name(self) -> str | None:
        """The score in one word: of a reference, what it names in the module or file."""
        return self.score and self.score.rpartition(":")[2]

    @property
    def score_falls(self) -> bool:
        """Whether less of the score is better."""
        return falls(self.score, self.score_direction)


class SearchSpec(Section):
    """`[search]`: how configurations are chosen and hopeless ones cut."""

    sampler: str = Field(
        "tpe",
        description="tpe | gp | cmaes | nsga2 | qmc | random | grid | a plugin | a sampler class of Optuna's "
        "as package.module:attr | ./file.py:attr",
    )
    pruner: str = Field(
        "asha",
        description="asha (pauses; the best go on) | asha-stop | hyperband | median | percentile | none | "
        "a plugin | a pruner class of Optuna's as package.module:attr | ./file.py:attr",
    )
    min_epochs: int = Field(1, ge=1, description="epochs before a pruner may stop a trial")
    reduction: int = Field(3, ge=2, description="asha, hyperband: one in so many goes on at each rung")
    percentile: float = Field(
        25.0, gt=0, lt=100, description="percentile pruner: the share that goes on, in percent"
    )
    startup_trials: int = Field(
        10, ge=1, description="trials before the sampler's model and median pruning begin"
    )
    grid_points: int = Field(5, ge=1, description="grid: points per continuous parameter")
    presets: bool = Field(True, description="start with the default configuration of each try_first choice")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of everything random")

    @property
    def pauses(self) -> bool:
        """Whether its pruner is the shipped one that pauses trials; the others stop them."""
        return self.pruner == "asha"


class TrackingSpec(Section):
    """`[tracking]`: programs that the study is copied to while it runs."""

    use: tuple[str, ...] = Field(
        (),
        description="tensorboard | mlflow | wandb | trackio | a plugin | a class as package.module:attr | "
        "./file.py:attr",
    )
    options: dict[str, dict[str, Any]] = Field(
        {},
        description='what each of them is told, by name: {tensorboard = {folder = "runs"}, '
        'mlflow = {uri = "...", experiment = "..."}}; wandb and trackio: what their init takes',
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if idle := [name for name in self.options if name not in self.use]:
            raise ValueError(f"options: {idle[0]!r} is not in use; use = {json.dumps(self.use)}")
        return self


class StudySpec(Section):
    """A whole study: what to train, what to search and when to end."""

    name: str = Field("study", min_length=1, max_length=200, description="the study's name in the store")
    description: str = Field("", description="a line for `tune list`")
    durability: Literal["normal", "full"] = Field(
        "normal",
        description="full: every turn and checkpoint is on the disk before the study goes on, so that it "
        "survives a power cut; normal: it survives the end of the process",
    )
    data: DataSpec | None = None
    trainer: TrainerSpec = TrainerSpec()
    objective: ObjectiveSpec = ObjectiveSpec()
    search: SearchSpec = SearchSpec()
    budget: Budget = Budget(trials=100)
    stop: StopSpec = StopSpec()
    confirm: ConfirmSpec = ConfirmSpec()
    baselines: BaselinesSpec = BaselinesSpec()
    tracking: TrackingSpec = TrackingSpec()
    notify: NotifySpec = NotifySpec()
    space: SpaceSpec

    @classmethod
    def parse(
        cls,
        table: Mapping[str, Any],
        where: str = "study",
        find_space: Callable[[str], Mapping[str, Any]] | None = None,
    ) -> StudySpec:
        """Check a study file's table as a whole.

        Args:
            table: as `tomllib` reads it, or as `to_table` returns it.
            where: what faults are prefixed with, e.g. the file's path.
            find_space: gives the table of the space called so; raises SpecError where there is none.

        Raises:
            SpecError: with every fault, each as ``where: key: what is wrong; what to do``.
        """
        faults: list[str] = []
        raw = dict(table)
        if "space" in raw:
            composed = compose(raw["space"], find_space, faults)
            # Conditions are checked only when every parameter is valid: one fault would bring ten.
            raw["space"] = SOME_SPACE if faults else composed
        for key in [k for k in raw if k not in cls.model_fields]:
            del raw[key]
            faults.append(f"{key}: unknown section; {near(key, cls.model_fields)}")
        try:
            spec = cls.model_validate(raw)
        except ValidationError as error:
            # A rule over a whole section may state several faults, one a line.
            for each in error.errors(include_url=False):
                faults += sentence(each, cls).splitlines()
        else:
            if not faults:
                return spec
        raise SpecError([f"{where}: {fault}" for fault in dict.fromkeys(faults)])

    def to_table(self) -> dict[str, Any]:
        """The spec as a JSON-ready table that `parse` reads back to an equal spec."""
        table = self.model_dump(mode="json", exclude={"space"}, exclude_none=True)
        parameters = {}
        for name, each in self.space.parameters.items():
            empty = set() if getattr(each, "lists", ()) else {"lists"}
            parameters[name] = each.model_dump(mode="json", exclude_none=True, exclude=empty)
        table["space"] = {"fixed": dict(self.space.fixed), **parameters}
        if self.space.learned:
            table["space"]["learned"] = True
        return table

    @property
    def digest(self) -> str:
        """A hash that changes when any key does."""
        return hashlib.sha256(json.dumps(self.to_table(), sort_keys=True).encode()).hexdigest()

    def search_space(self) -> SearchSpace:
        """The composed search space."""
        return SearchSpace.compose(self.space.parameters, self.space.fixed)

    def primary_objective(self) -> Objective:
        """The metric and its direction."""
        return self.objectives().primary

    def objectives(self) -> Objectives:
        """All of `[objective]`: further objectives and constraints too."""
        return self.objective.objectives(self.trainer.score_falls)

    def extended(self, section: str, values: Mapping[str, Any]) -> StudySpec:
        """This spec with values of one section.

        Raises:
            SpecError: they are none.
        """
        table = self.to_table()
        return self.parse({**table, section: {**table.get(section, {}), **values}}, self.name)
