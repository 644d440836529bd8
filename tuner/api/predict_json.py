"""predict.json and predict.py: what `standalone` has to know of a model, and its code in one file."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.api import raw_rows, standalone
from tuner.core.dataset import Task
from tuner.data import date_forms, model_inputs, number_forms, words
from tuner.errors import TrialError
from tuner.trainers import threshold
from tuner.trainers.model import Model

if TYPE_CHECKING:
    from tuner.trainers.sklearn import SklearnModel
    from tuner.trainers.torch.model import TorchModel
    from tuner.trainers.torch.scaled_network import ScaledNetwork

MODULES = (words, number_forms, date_forms, model_inputs, raw_rows, standalone)
"""The modules that predict.py is put together of, in their order."""

_OWN = re.compile(r"^from tuner\.\S+ import (?:\([^)]*\)|.*)\n", re.MULTILINE)
_FUTURE = "from __future__ import annotations\n"


def write_table(folder: Path, tables: Sequence[Mapping[str, Any]], model: Model) -> None:
    """Write predict.json, with the tables of a model's members, and predict.py."""
    description = model.description
    context = description["context"]
    table: dict[str, Any] = {"format": 1, "members": list(tables)}
    if labels := description.get("labels"):
        table["labels"] = [list(pair) for pair in labels.values()]
    elif context["task"] == Task.CLASSIFICATION:
        table["classes"] = list(context["classes"])
        if threshold.KEY in description:
            at = description[threshold.KEY]
            table["threshold"] = [list(context["classes"]).index(at["class"]), at["at"]]
    (folder / "predict.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    (folder / "predict.py").write_text(_program(), encoding="utf-8")


def _program() -> str:
    """predict.py: the modules one after the other, without their imports of each other."""
    parts = [inspect.getsource(each).partition(_FUTURE) for each in MODULES]
    return parts[-1][0] + _FUTURE + "\n\n".join(_OWN.sub("", body).strip() for *_, body in parts) + "\n"


def table_of(model: TorchModel | SklearnModel, file: str) -> dict[str, Any]:
    """What `standalone` needs to know of a network or an estimator.

    Raises:
        TrialError: it cannot prepare such rows by itself, or knows no meaning of the loss.
    """
    from tuner.trainers.sklearn import SklearnModel

    description = model.description
    how, context = description["encoding"], description["context"]
    if fault := _unread(how):
        raise TrialError(f"predict.py cannot read {fault} by itself; use --format safetensors")
    own = _of_estimator(model) if isinstance(model, SklearnModel) else _of_network(model)
    return own | {
        "file": file,
        "is_of_labels": bool(description.get("labels")),
        "classes": len(context["classes"]),
        "target": description["target"],
        "features": context["features"],
        "input_shape": context["input_shape"],
        "encoding": how,
        "missing": sorted(map(str, words.CATEGORY_MISSING)),
    }


def _of_network(model: TorchModel) -> dict[str, Any]:
    from tuner.trainers.plain_losses import TASKS

    loss = model.description["loss"]["name"]
    if loss not in TASKS:
        raise TrialError(f"predict.py does not know what outputs mean under the loss {loss}")
    scaled: Any = model.module
    each = zip(scaled.parts, scaled.scalings, strict=True)
    parts = [[part.name, _scaling_of(own)] for part, own in each]
    return {"loss": loss, "scaling": _scaling_of(scaled) | ({"parts": parts} if parts else {})}


def _scaling_of(scaled: ScaledNetwork) -> dict[str, Any]:
    arrays = {"shift": scaled.shift, "factor": scaled.factor, "knots": scaled.knots, "levels": scaled.levels}
    scaling = {name: tensor.tolist() for name, tensor in arrays.items() if tensor is not None}
    return scaling | {"masked": scaled.masked}


def _of_estimator(model: SklearnModel) -> dict[str, Any]:
    from tuner.data.scaling import MOST_COUNTED

    description, estimator = model.description, model.module
    parts = [part["vocabulary"] for part, _ in description["scaling"].get("parts", ())]
    most = [min(known, MOST_COUNTED) for known in parts or [description["context"]["vocabulary"]]]
    found = {"scaling": description["scaling"], "flat": most if parts else most[0]}
    if description["context"]["task"] == Task.REGRESSION:
        return found
    each = estimator.estimators_ if description.get("labels") else [estimator]
    known = [np.asarray(one.classes_).tolist() for one in each]
    own = {"known": known if description.get("labels") else known[0]}
    return found | {"estimator": own | {"has_shares": hasattr(estimator, "predict_proba")}}


def _unread(how: Mapping[str, Any]) -> str | None:
    """What of an encoding `standalone` does not read, in words."""
    if "steps" in how:
        return "sequences of rows"
    if faults := [fault for part in how.get("parts", ()) if (fault := _unread(part["how"]))]:
        return faults[0]
    return "files of images" if "column" in how.get("images", {}) else None
