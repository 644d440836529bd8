"""Figure: a data half and a drawing half under a name; options; finding and plotting one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tuner import registry
from tuner.core.columns import Floats
from tuner.core.frame import Frame
from tuner.errors import PluginError, SpecError, near
from tuner.figures.numbers import spans_decades
from tuner.figures.room import make_room
from tuner.figures.theme import LIGHT, Theme

GROUP = "tuner.figures"
"""The entry points that figures are registered under."""

C = TypeVar("C")

Drawing = dict[str, Any]
"""A Plotly figure as plain JSON-ready values: ``data`` and ``layout``."""


class NothingToPlot(Exception):
    """A data half has nothing to show; the text says what to do."""


@dataclass(frozen=True)
class Option:
    """A setting of a figure, for a control and for an address.

    Attributes:
        name: the data half's keyword.
        label: what stands beside its control.
        default: its default value; a bool makes a switch, a tuple a list of choices.
        choices: (value, label) pairs to choose from; empty for switches and numbers.
        low: the least value of a number.
        high: the greatest value of a number.
    """

    name: str
    label: str
    default: Any
    choices: tuple[tuple[str, str], ...] = ()
    low: float = 0.0
    high: float = 1.0

    @property
    def kind(self) -> str:
        """``"switch"``, ``"number"``, ``"choice"`` or ``"choices"`` (several at once)."""
        if isinstance(self.default, bool):
            return "switch"
        if isinstance(self.default, tuple):
            return "choices"
        return "choice" if isinstance(self.default, str) else "number"

    def read(self, given: Any) -> Any:
        """A value from a control, an address (text; several joined by commas) or a page's file.

        Raises:
            SpecError: it is not one of the choices, or not a number.
        """
        if self.kind == "switch":
            return given if isinstance(given, bool) else str(given).lower() in ("true", "1", "yes", "on")
        known = [value for value, _ in self.choices]
        if self.kind == "choices":
            # A list that is joined by commas; a name may hold commas itself where it comes alone.
            items = given.split(",") if isinstance(given, str) and given not in known else given
            return tuple(self._one(each, known) for each in ([items] if isinstance(items, str) else items))
        if self.kind == "choice":
            return self._one(given, known)
        try:
            return min(max(float(given), self.low), self.high)
        except (TypeError, ValueError):
            raise SpecError(f"{self.name}: a number is needed, found {given!r}") from None

    def _one(self, given: Any, known: Sequence[str]) -> str:
        given = str(given).lower() if isinstance(given, bool) else given
        if given not in known:
            raise SpecError(f"{self.name}: unknown choice {given!r}; {near(str(given), known)}")
        return str(given)


def scale_option() -> Option:
    """How a quantity that may be chosen is shown; by default as its numbers want it, see `is_log`."""
    return Option("log", "scale", "auto", (("auto", "auto"), ("false", "linear"), ("true", "log")))


def is_log(log: str, values: Floats) -> bool:
    """Whether a logarithmic axis is wanted, or suits these numbers where the choice is left to them."""
    return log == "true" or (log == "auto" and spans_decades(values))


def parameter_option(
    frame: Frame, name: str, label: str, explains: str = "value", place: int = 0, several: int = 0
) -> Option:
    """Which searched parameter, or which ones, to look at.

    Args:
        frame: the study.
        name: the option's name.
        label: the option's label.
        explains: what the important parameters are to explain; see `Frame.importances`.
        place: the default is the most important but so many.
        several: how many are chosen at first, of an option that takes many; 0 for one that takes one.
    """
    known = frame.ordered_params(explains)
    choices = tuple((each, each) for each in known)
    if several:
        return Option(name, label, tuple(known[:several]), choices)
    return Option(name, label, known[min(place, len(known) - 1)] if known else "", choices)


def _no_options(frame: Frame) -> Sequence[Option]:  # noqa: ARG001
    return ()


@dataclass(frozen=True)
class Figure(Generic[C]):
    """A figure.

    Attributes:
        name: what it is registered under.
        title: its heading.
        help: what it shows and what good looks like, in one or two sentences.
        data: turns a frame and the options' values (keywords) into numbers; raises `NothingToPlot`.
        draw: turns those numbers into a Plotly figure of plain values.
        options: the options that a frame's study has.
    """

    name: str
    title: str
    help: str
    data: Callable[..., C]
    draw: Callable[[C, Theme], Drawing]
    options: Callable[[Frame], Sequence[Option]] = _no_options


def names() -> list[str]:
    """Every registered figure, sorted."""
    return sorted(registry.registered(GROUP))


def find(reference: str, folder: Path | None = None) -> Figure[Any]:
    """Find a figure by its registered name, ``package.module:attr`` or ``./file.py:attr``.

    Raises:
        PluginError: nothing is there, or it is no figure.
    """
    found = registry.load(reference, GROUP, folder)
    if not isinstance(found, Figure):
        raise PluginError(f"{reference}: is no tuner.figures.Figure, found {type(found).__name__}")
    return found


def settings(figure: Figure[Any], frame: Frame, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every option's value: as given, else its default.

    Raises:
        SpecError: with every fault.
    """
    options = {option.name: option for option in figure.options(frame)}
    values = {name: option.default for name, option in options.items()}
    faults = []
    for name, value in (given or {}).items():
        if name not in options:
            faults.append(f"{figure.name}: unknown option '{name}'; {near(name, options)}")
            continue
        try:
            values[name] = options[name].read(value)
        except SpecError as error:
            faults += [f"{figure.name}: {fault}" for fault in error.faults]
    if faults:
        raise SpecError(faults)
    return values


def plot(
    figure: Figure[Any], frame: Frame, theme: Theme = LIGHT, given: Mapping[str, Any] | None = None
) -> Drawing:
    """Both halves, one after the other; options that are not given have their defaults.

    Returns:
        ``data`` and ``layout``. The layout's ``uirevision`` stays the same while the options do,
        so that zoom and legend survive new data. Without data the figure says so.

    Raises:
        SpecError: an option is unknown or has a wrong value.
    """
    values = settings(figure, frame, given)
    try:
        drawing = figure.draw(figure.data(frame, **values), theme)
    except NothingToPlot as nothing:
        drawing = theme.empty(str(nothing))
    make_room(drawing)
    drawing["layout"]["uirevision"] = "|".join([figure.name, *(f"{k}={v}" for k, v in values.items())])
    return drawing
