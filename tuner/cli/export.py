"""tune export: writes a folder that stands alone, with the model of the trial to take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import IgnoreChangesOption, JsonOption, ModelsOption, NameArgument, StorageOption

EXAMPLES = (
    "\b\nExamples:\n  tune export digits out\n  tune export digits out-17 --trial 17\n"
    "  tune export digits out-3 --format onnx\n"
    "  tune export digits out-2 --figures"
)


def run(
    name: NameArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    trial: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Export this trial instead of the one to take.")
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(min=2, metavar="K", help="The mean of the K best kept models, and what it gains."),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="safetensors | onnx (with a predict.py that needs numpy and onnxruntime alone) | "
            "onnx-int8, onnx-int8-static (in 8-bit integers) | torchscript | torch-export | "
            "skops (scikit-learn); compared with the study's model on validation rows.",
        ),
    ] = "safetensors",
    figures: Annotated[
        bool, typer.Option("--figures", help="Also every figure: PNG, SVG, and one page for the browser.")
    ] = False,
    ignore_changes: IgnoreChangesOption = False,
    as_json: JsonOption = False,
    storage: StorageOption = None,
    models: ModelsOption = None,
) -> None:
    """Write the model of the trial to take, its card, every trial and every curve into a folder."""
    from tuner.cli.contract import dump
    from tuner.judging.sentences import short

    study = tuner.load(name, storage=storage, models=models)
    verdict = study.verdict
    number = verdict.number if trial is None else trial
    if ensemble is not None:
        number = study.best_kept(ensemble)[0].number
    files = tuner.export(
        name,
        folder,
        trial=trial,
        ensemble=ensemble,
        kind=kind,
        figures=figures,
        ignore_changes=ignore_changes,
        storage=storage,
        models=models,
    )
    if as_json:
        told = {"study": name, "folder": str(folder), "files": [str(file) for file in files]}
        dump({**told, "trial": number, "ensemble": ensemble})
        return
    for file in files:
        screen.say(file)
    if ensemble is not None:
        screen.say(f"mean of the {ensemble} best models; README.md says what it gains")
        return
    screen.say(f"model of trial {number}" + (f" ({short(verdict)})" if trial is None else ""))
