"""Where trials train: the keys `executor`, `cluster` and `resources` of `[trainer]`."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from tuner.core.space.parameters import Section
from tuner.core.stop_spec import amount


class ResourceSpec(Section):
    """`[trainer] resources`: what each worker gets."""

    gpus: float = Field(0.0, ge=0, description="GPUs; 0.25: four workers share one")
    cpus: int | None = Field(None, ge=1, description="processor cores, and so many threads")
    memory: str | None = Field(
        None, description='memory that is set aside, e.g. "8 GiB"; [stop] memory ends a trial that takes more'
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.memory is not None and amount(self.memory) is None:
            raise ValueError(f'memory: {self.memory!r} is no amount; give e.g. "8 GiB" or "500 MB"')
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus: {self.gpus:g} is neither a share of one GPU nor a whole number of them")
        return self

    @property
    def memory_bytes(self) -> int:
        """`memory` as a number; 0 where none is set aside."""
        return amount(self.memory or "") or 0


EXECUTOR: Any = Field(
    "auto",
    description="inline (in this process) | processes | ray | a plugin | package.module:attr | "
    "./file.py:attr; auto: processes for two workers and more, unless a plugin is better suited",
)

CLUSTER: Any = Field(
    "auto",
    description="ray: auto (RAY_ADDRESS, the cluster of this machine, or a new one on it) | "
    "host:port | ray://host:port | local:3 (a new one on this machine with so many cores)",
)

RESOURCES: Any = Field(
    ResourceSpec(), description='what each worker gets: { gpus = 0.25, cpus = 2, memory = "8 GiB" }'
)
