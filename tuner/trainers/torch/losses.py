"""The losses: cross_entropy, binary_cross_entropy, mse, mae, huber, and functions of one's own.

A loss says how many outputs a network needs, what targets look like, and what outputs mean: they are
logits, or targets in standardized units. `plain_losses` has the shipped ones without PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tuner import registry
from tuner.core.dataset import Dataset, Task
from tuner.core.spec import StudySpec
from tuner.errors import PluginError, TrialError, TunerError
from tuner.trainers.plain_losses import name_of

GROUP = "tuner.losses"
"""The entry points that losses are registered under: functions, or subclasses of `Loss`."""

_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss and what it makes of N rows; this one is the base of those that are means over outputs.

    Attributes:
        name: as the study names it.
        units: C classes, L labels or T targets.
        tasks: what it is for.
        stacks: whether `each` can take several networks' outputs at once.
        elementwise: the loss of outputs and targets; their mean, or all with ``reduction="none"``.
    """

    name: str
    units: int
    tasks: ClassVar[tuple[Task, ...]] = (Task.REGRESSION,)
    stacks: ClassVar[bool] = True
    elementwise: ClassVar[Callable[..., Tensor]]

    @property
    def outputs(self) -> int:
        """How many numbers the network puts out."""
        return self.units

    def targets(self, y: Tensor) -> Tensor:
        """Bring targets into the shape the loss takes.

        Args:
            y: (N,) class indices, or (N,) or (N, T) numbers.

        Returns:
            (N,) class indices, or float (N, outputs).
        """
        return y.float().reshape(len(y), self.outputs)

    def soft(self, targets: Tensor) -> Tensor:
        """Targets as numbers (N, outputs) that can be mixed: class indices become one-hot rows."""
        return functional.one_hot(targets, self.units).float() if targets.ndim == 1 else targets

    def __call__(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:  # noqa: ARG002
        """The mean over the rows (and over outputs, where a row has several losses); 0-d.

        With smoothing s a class's target y becomes (1 - s) y + s / C (Szegedy et al. 2016, sec. 7);
        each binary target counts as two classes.

        Args:
            outputs: (N, outputs).
            targets: what `targets` or `soft` returned, (N,) or (N, outputs).
            smoothing: ignored by regression.
        """
        return self.elementwise(outputs, targets)

    def weighed(self, outputs: Tensor, targets: Tensor, smoothing: float, weight: Tensor) -> Tensor:
        """The mean over the rows of weight times loss; 0-d. For weights, (N,), see `trainers.row_weights`."""
        return (self.each(outputs, self.smoothed(self.soft(targets), smoothing)) * weight).mean()

    def smoothed(self, soft: Tensor, smoothing: Tensor | float) -> Tensor:  # noqa: ARG002
        """Soft targets (..., outputs) with as much smoothing as `__call__` gives them."""
        return soft

    def each(self, outputs: Tensor, soft: Tensor) -> Tensor:
        """The loss of every sample, (...), whose mean is that of `__call__`.

        Args:
            outputs: (..., outputs).
            soft: numbers of the same shape; see `soft`.
        """
        return self.elementwise(outputs, soft, reduction="none").mean(dim=-1)

    def distilled(self, outputs: Tensor, taught: Tensor, temperature: Tensor | float) -> Tensor:  # noqa: ARG002
        """The loss of every sample against a teacher's outputs, (...), up to what no weight changes.

        Of classes the cross-entropy of what both make of their logits at a temperature, times its square
        (Hinton et al. 2015, section 2); of numbers that of `each`.

        Args:
            outputs: (..., outputs).
            taught: the teacher's, of the same shape.
            temperature: a number, or of the shape (..., 1).
        """
        return self.each(outputs, taught)

    def rows(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of every sample, (N,); takes what `targets` returned."""
        return self.each(outputs, self.soft(targets))

    def indices(self, outputs: Tensor) -> Tensor:
        """The predicted class of each row, (N,)."""
        return (outputs[:, 0] > 0).long() if self.outputs < self.units else outputs.argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The probability of each class, (N, C)."""
        return outputs.softmax(dim=1)

    def logits(self, shares: Tensor) -> Tensor:
        """Outputs that have these probabilities, (N, outputs)."""
        return shares.clamp_min(_TINY).log()


class CrossEntropy(Loss):
    """Of C classes, one logit each."""

    __slots__ = ()
    tasks = (Task.CLASSIFICATION,)

    def targets(self, y: Tensor) -> Tensor:
        """Class indices, (N,)."""
        return y

    def __call__(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """See `Loss`."""
        return functional.cross_entropy(outputs, targets, label_smoothing=smoothing)

    def smoothed(self, soft: Tensor, smoothing: Tensor | float) -> Tensor:
        """See `Loss`."""
        return soft * (1 - smoothing) + smoothing / self.units

    def each(self, outputs: Tensor, soft: Tensor) -> Tensor:
        """See `Loss`."""
        return -(soft * outputs.log_softmax(dim=-1)).sum(dim=-1)

    def distilled(self, outputs: Tensor, taught: Tensor, temperature: Tensor | float) -> Tensor:
        """See `Loss`."""
        return _distilled(outputs, taught, temperature)


class BinaryCrossEntropy(Loss):
    """One logit where two classes need no second; each of more classes is told from the rest."""

    __slots__ = ()
    tasks = (Task.CLASSIFICATION, Task.MULTILABEL)
    elementwise = staticmethod(functional.binary_cross_entropy_with_logits)

    @property
    def outputs(self) -> int:
        """One of two classes."""
        return 1 if self.units == 2 else self.units

    def targets(self, y: Tensor) -> Tensor:
        """Float (N, outputs): of more than two classes one-hot rows."""
        if self.outputs > 1:
            return functional.one_hot(y, self.units).float()
        return y.float().reshape(len(y), 1)

    def __call__(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """See `Loss`."""
        smoothed = targets * (1 - smoothing) + smoothing / 2 if smoothing else targets
        return self.elementwise(outputs, smoothed)

    def smoothed(self, soft: Tensor, smoothing: Tensor | float) -> Tensor:
        """See `Loss`."""
        return soft * (1 - smoothing) + smoothing / 2

    def distilled(self, outputs: Tensor, taught: Tensor, temperature: Tensor | float) -> Tensor:
        """See `Loss`."""
        shares = (taught / temperature).sigmoid()
        each = self.elementwise(outputs / temperature, shares, reduction="none") * temperature**2
        return each.mean(dim=-1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """One-against-rest probabilities are made to sum to 1."""
        shares = outputs.sigmoid()
        if self.outputs == 1:
            return torch.cat([1 - shares, shares], dim=1)
        return shares / shares.sum(dim=1, keepdim=True)

    def logits(self, shares: Tensor) -> Tensor:
        """See `Loss`; of two classes that of the second."""
        of = shares[:, 1:] if self.outputs == 1 else shares
        return of.clamp_min(_TINY).log() - (1 - of).clamp_min(_TINY).log()


class LabelsCrossEntropy(BinaryCrossEntropy):
    """Binary cross-entropy of L labels, one logit each, of which any number may be 1."""

    __slots__ = ()

    @property
    def outputs(self) -> int:
        """One of each label."""
        return self.units

    def targets(self, y: Tensor) -> Tensor:
        """Float (N, L)."""
        return y.float()

    def indices(self, outputs: Tensor) -> Tensor:
        """0 or 1 of each label, (N, L)."""
        return (outputs > 0).long()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The probability that a label is 1, (N, L)."""
        return outputs.sigmoid()


class SquaredError(Loss):
    """The mean squared error."""

    __slots__ = ()
    elementwise = staticmethod(functional.mse_loss)


class AbsoluteError(Loss):
    """The mean absolute error."""

    __slots__ = ()
    elementwise = staticmethod(functional.l1_loss)


class Huber(Loss):
    """Squared up to an error of 1, absolute beyond (Huber 1964)."""

    __slots__ = ()
    elementwise = staticmethod(functional.huber_loss)


@dataclass(frozen=True, slots=True)
class OwnLoss(Loss):
    """A function ``(outputs, targets)`` that returns a loss for every sample, (N,), or their mean.

    Outputs are one logit per class, (N, C), or standardized targets, (N, T). Targets are class indices,
    (N,), or standardized numbers, (N, T); where mixup or label smoothing mixes classes, shares (N, C).

    Attributes:
        task: what is predicted.
        function: the function.
    """

    task: Task
    function: Callable[[Tensor, Tensor], Tensor]
    tasks: ClassVar[tuple[Task, ...]] = tuple(Task)
    stacks: ClassVar[bool] = False

    def targets(self, y: Tensor) -> Tensor:
        """Class indices, (N,), or numbers, (N, T)."""
        return y if self.task is Task.CLASSIFICATION else y.float().reshape(len(y), self.units)

    def __call__(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """See `Loss`."""
        return self._found(outputs, self._spread(targets, smoothing)).mean()

    def weighed(self, outputs: Tensor, targets: Tensor, smoothing: float, weight: Tensor) -> Tensor:
        """See `Loss`.

        Raises:
            TrialError: the function returned a mean, in which rows cannot be weighted any more.
        """
        found = self._found(outputs, self._spread(targets, smoothing))
        if found.ndim == 0 and len(outputs) > 1:
            raise TrialError(
                f"{self.name}: returned a mean, but rows have weights; return a loss for every sample, "
                f"({len(outputs)},)"
            )
        return (found.reshape(len(outputs), -1).mean(dim=1) * weight).mean()

    def distilled(self, outputs: Tensor, taught: Tensor, temperature: Tensor | float) -> Tensor:
        """See `Loss`."""
        if self.task is Task.CLASSIFICATION:
            return _distilled(outputs, taught, temperature)
        return self.rows(outputs, taught)

    def rows(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """One sample at a time where the function returns a mean."""
        found = self._found(outputs, targets)
        if found.ndim == 0:
            pairs = zip(torch.split(outputs, 1), torch.split(targets, 1), strict=True)
            return torch.stack([self._found(*pair).mean() for pair in pairs])
        return found.reshape(len(found), -1).mean(dim=1)

    def _spread(self, targets: Tensor, smoothing: float) -> Tensor:
        if smoothing and self.task is Task.CLASSIFICATION:
            return self.soft(targets) * (1 - smoothing) + smoothing / self.units
        return targets

    def _found(self, outputs: Tensor, targets: Tensor) -> Tensor:
        found = self.function(outputs, targets)
        if isinstance(found, Tensor) and (found.ndim == 0 or len(found) == len(outputs)):
            return found
        what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise TrialError(
            f"{self.name}: returned {what}; return a loss for every sample, ({len(outputs)},), or their mean"
        )


def _distilled(outputs: Tensor, taught: Tensor, temperature: Tensor | float) -> Tensor:
    shares = (taught / temperature).softmax(dim=-1)
    return -(shares * (outputs / temperature).log_softmax(dim=-1) * temperature**2).sum(dim=-1)


def build(name: str, units: int, task: Task, folder: Path | None = None) -> Loss:
    """The loss of a name or a reference.

    Args:
        name: as a study names it.
        units: C classes, or T targets.
        task: what is predicted.
        folder: what relative file references start from; the working folder.

    Raises:
        PluginError: it leads nowhere, or to something that cannot be called.
    """
    found = registry.load(name, GROUP, folder)
    if found is BinaryCrossEntropy and task is Task.MULTILABEL:
        return LabelsCrossEntropy(name, units)
    if isinstance(found, type) and issubclass(found, Loss):
        return found(name, units)
    if not callable(found):
        raise PluginError(f"{name}: is a {type(found).__name__}; give a function (outputs, targets)")
    return OwnLoss(name, units, task, found)


def of(spec: StudySpec, data: Dataset) -> Loss:
    """The loss of a study."""
    return build(name_of(spec, data.task), data.outputs, data.task)


def fault(name: str | None, task: Task) -> str | None:
    """Why a study of a task cannot have a loss; None where it can."""
    try:
        if name is None or task in build(name, 2, task).tasks:
            return None
    except TunerError as error:
        return str(error)
    fitting = [each for each in registry.registered(GROUP) if task in build(each, 2, task).tasks]
    return f"'{name}' is not for {task}; give one of {', '.join(fitting)}"
