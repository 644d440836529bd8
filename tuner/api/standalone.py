"""Predict with an exported model: needs numpy and onnxruntime, or where model.skops lies beside it skops.

    python predict.py rows.csv > predictions.csv

or from Python, with rows as they stand in the data: a table of columns by name, an array, or
a dictionary of several inputs by name.

    from predict import ExportedModel
    model = ExportedModel()
    model.predict({"age": ["31", "57"], "city": ["Bern", "Jena"]})

`tune export NAME DIR --format onnx` writes this file beside model.onnx and predict.json, and `raw_rows`
into it, so that it imports nothing of tuner.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.api.raw_rows import RawRows


class ExportedModel:
    """The network or the estimator, or the mean of several, with everything that its inputs need.

    Args:
        folder: where predict.json lies; this file's.
        threads: of a prediction.

    Raises:
        ValueError: the folder is damaged, or the rows do not fit; in words.
    """

    def __init__(self, folder: str | Path = Path(__file__).parent, threads: int = 1) -> None:
        place = Path(folder)
        try:
            self.table = json.loads((place / "predict.json").read_text(encoding="utf-8"))
            if not isinstance(self.table, dict) or self.table.get("format") != 1:
                raise ValueError("predict.json is not of format 1")
        except (OSError, ValueError) as error:
            raise ValueError(f"{place}: holds no exported model: {error}") from error
        self.members = [ExportedMember(place, table, threads) for table in self.table["members"]]

    def predict(self, rows: Any) -> NDArray[Any]:
        """(N,) names of classes, (N, L) of labels, or (N,) or (N, T) numbers in their own units."""
        table = self.table
        if "classes" in table:
            shares = self._decisive(rows)
            if "threshold" in table:
                positive, at = table["threshold"]
                return np.asarray(
                    np.take(table["classes"], np.where(shares[:, positive] >= at, positive, 1 - positive))
                )
            return np.asarray(np.take(table["classes"], shares.argmax(axis=1)))
        if "labels" in table:
            pairs = np.asarray(table["labels"])  # (L, 2)
            return np.where(self._decisive(rows) > 0.5, pairs[:, 1], pairs[:, 0])
        found = np.mean([member.values(rows) for member in self.members], axis=0)
        return np.asarray(found[:, 0] if found.shape[1] == 1 else found)

    def probabilities(self, rows: Any) -> NDArray[np.float32]:
        """Of each class, (N, C), in the order of `table["classes"]`; of each label, (N, L)."""
        if "classes" not in self.table and "labels" not in self.table:
            raise ValueError("a regression model has no probabilities; use predict")
        if not all(member.has_shares for member in self.members):
            raise ValueError("the model has no probabilities; use predict")
        return np.asarray(np.mean([member.shares(rows) for member in self.members], axis=0), np.float32)

    def _decisive(self, rows: Any) -> NDArray[np.float32]:
        """Probabilities, or what one estimator predicts, or votes where a model has nothing else."""
        alone = len(self.members) == 1 and "threshold" not in self.table
        if all(member.has_shares and not (alone and member.estimator) for member in self.members):
            return self.probabilities(rows)
        return np.asarray(np.mean([member.voted(rows) for member in self.members], axis=0), np.float32)


class ExportedMember:
    """One network or estimator, and how its inputs are prepared."""

    def __init__(self, place: Path, table: Mapping[str, Any], threads: int) -> None:
        self.table, self.rows = table, RawRows(table)
        self.estimator = table.get("estimator", {})
        self.has_shares = self.estimator.get("has_shares", True)
        file = place / table["file"]
        try:
            self.run = _estimator(file, table) if file.suffix == ".skops" else _graph(file, threads, table)
        except ImportError:
            raise
        except Exception as error:
            raise ValueError(f"{file}: is missing or damaged: {' '.join(str(error).split())}") from error

    def values(self, rows: Any) -> NDArray[np.float32]:
        """Numbers in their own units, (N, T)."""
        units = self.table["target"]
        found = self.outputs(rows) * np.asarray(units["scale"], np.float32)
        found = found + np.asarray(units["shift"], np.float32)
        return np.exp(found) if units.get("log") else found

    def shares(self, rows: Any) -> NDArray[np.float32]:
        """Probabilities of classes, (N, C), or of labels, (N, L)."""
        if self.estimator:
            return self._of_known(self.run(self.rows.inputs(rows))[1])
        outputs = self.outputs(rows)
        if self.table["loss"] != "binary_cross_entropy":
            powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
        ones = np.asarray(0.5 * np.tanh(0.5 * outputs) + 0.5, np.float32)
        if self.table["is_of_labels"]:
            return ones
        if ones.shape[1] == 1:
            return np.concatenate([1 - ones, ones], axis=1)
        return np.asarray(ones / ones.sum(axis=1, keepdims=True), np.float32)

    def voted(self, rows: Any) -> NDArray[np.float32]:
        """1 of what it predicts, 0 of all other classes, (N, C); of labels 0 or 1, (N, L)."""
        if not self.estimator:
            shares = self.shares(rows)
            labels = shares > 0.5 if self.table["is_of_labels"] else shares.argmax(axis=1)
        else:
            labels = np.asarray(self.run(self.rows.inputs(rows))[0])
        if labels.ndim == 2:
            return labels.astype(np.float32)
        return np.eye(self.table["classes"], dtype=np.float32)[labels.astype(np.int64)]

    def outputs(self, rows: Any) -> NDArray[np.float32]:
        """Logits, or targets in standardized units, (N, outputs)."""
        found = self.run(self.rows.inputs(rows))[0]
        return np.asarray(found, np.float32).reshape(len(found), -1)

    def _of_known(self, shares: Any) -> NDArray[np.float32]:
        """Of all classes, (N, C), 0 of those that training did not have; of label 1 of each, (N, L)."""
        known = self.estimator["known"]
        if self.table["is_of_labels"]:
            ones = [each @ (np.asarray(own) == 1) for each, own in zip(shares, known, strict=True)]
            return np.stack(ones, axis=1).astype(np.float32)
        whole = np.zeros((len(shares), self.table["classes"]), np.float32)
        whole[:, known] = shares
        return whole


def _graph(file: Path, threads: int, table: Mapping[str, Any]) -> Callable[[NDArray[Any]], list[Any]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: NDArray[Any]) -> list[Any]:
        # What is rounded as it comes is so row by row: together, one very large number would wipe out all.
        parts = np.split(x, len(x)) if table.get("by_row") and len(x) else [x]
        found = [session.run(None, {name: part}) for part in parts]
        return [np.concatenate(each) for each in zip(*found, strict=True)]

    return run


def _estimator(file: Path, table: Mapping[str, Any]) -> Callable[[NDArray[Any]], list[Any]]:
    """Needs scikit-learn and skops, which make nothing but the types that the table names."""
    from skops import io

    has_shares = table.get("estimator", {}).get("has_shares", False)
    estimator = io.load(file, trusted=table["trusted"])

    def run(x: NDArray[Any]) -> list[Any]:
        labels = [estimator.predict(x)]
        return [*labels, estimator.predict_proba(x)] if has_shares else labels

    return run


def main(path: str) -> None:
    """Read rows of a CSV, NPY or NPZ file, and write predictions as CSV to the standard output."""
    model = ExportedModel()
    rows: Any
    if path.endswith((".npy", ".npz")):
        rows = np.load(path, allow_pickle=False)
        rows = rows if path.endswith(".npy") else dict(rows)
    else:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
        rows = {name: [line[name] for line in lines] for name in (lines[0] if lines else {})}
    found = model.predict(rows)
    found = found[:, None] if found.ndim == 1 else found
    writer = csv.writer(sys.stdout, lineterminator="\n")
    several = [f"prediction_{i}" for i in range(found.shape[1])]
    writer.writerow(several if len(several) > 1 else ["prediction"])
    writer.writerows(found.tolist())


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (IndexError, ValueError, OSError) as fault:
        sys.exit(f"predict.py: {fault if len(sys.argv) > 1 else 'give a file of rows, e.g. rows.csv'}")
