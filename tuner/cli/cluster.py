"""tune cluster: what a Ray cluster has, runs and lacks, and the files that start one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tuner.cli import screen
from tuner.errors import SpecError

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune cluster                        nodes, what runs where, what is wrong\n"
    "  tune cluster --address 10.0.0.1:6379\n"
    "  tune cluster init --slurm jobs      a batch script; then: sbatch jobs/tuner.sbatch digits\n"
    "  tune start digits --cluster auto    train there"
)


def run(
    action: Annotated[Literal["show", "init"], typer.Argument(metavar="[show|init]")] = "show",
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="With init: where to write.")] = Path(),
    address: Annotated[
        str,
        typer.Option(metavar="auto|HOST:PORT", help="Which; auto: $RAY_ADDRESS, or this machine's."),
    ] = "auto",
    slurm: Annotated[bool, typer.Option("--slurm", help="With init: a batch script for SLURM.")] = False,
    kuberay: Annotated[bool, typer.Option("--kuberay", help="With init: a manifest for KubeRay.")] = False,
    aws: Annotated[bool, typer.Option("--aws", help="With init: a file for `ray up` on AWS.")] = False,
) -> None:
    """Show a Ray cluster in words, or write the files that start one elsewhere."""
    from tuner.api.cluster import cluster
    from tuner.starter import write_cluster

    wanted = {"slurm": slurm, "kuberay": kuberay, "aws": aws}
    if action == "show":
        if any(wanted.values()):
            raise SpecError("tune cluster: --slurm, --kuberay and --aws belong to: tune cluster init")
        for sentence in cluster(address):
            screen.say(sentence)
        return
    kinds = [kind for kind, is_wanted in wanted.items() if is_wanted]
    if not kinds:
        raise SpecError("tune cluster init: give --slurm, --kuberay or --aws")
    for kind in kinds:
        screen.say(f"wrote {write_cluster(kind, folder)}; how it is used stands at its beginning")
