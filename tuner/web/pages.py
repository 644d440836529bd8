"""Pages: TOML files that say which parts and figures stand on a page, and in what order.

A user's own ./dashboards/*.toml adds pages or replaces shipped ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tuner import content, figures
from tuner.errors import PluginError, SpecError, near

PARTS: Mapping[str, str] = {
    "verdict": "the four answers in words: still improving? over-fitting? which configuration? what next?",
    "findings": "what the study has shown, in plain words, and what to do",
    "best": "the best trials beside the default configuration",
    "trials": "the table of all trials",
    "selected": "the selected trials side by side, with the settings that differ",
    "trial": "how one trial ended, and its settings",
    "studies": "which studies are compared",
}
"""The parts that a page may have beside figures."""


class _PageTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FigureEntry(_PageTable):
    """`[[figures]]`: a figure on a page."""

    use: str = Field(description="a figure's name, package.module:attr or ./file.py:attr")
    title: str | None = Field(None, description="in place of the figure's own")
    width: Literal["full", "half", "third"] = Field("half", description="share of a wide screen's width")
    height: int = Field(340, ge=160, le=2000, description="pixels")
    options: dict[str, Any] = Field({}, description="options' values at first")
    controls: tuple[str, ...] | None = Field(None, description="options with a control; all where left out")
    several_objectives: bool = Field(False, description="only on pages of studies with several objectives")


class PageFile(_PageTable):
    """A page's file."""

    title: str = Field(min_length=1, max_length=60, description="its name in the navigation")
    help: str = Field("", description="a sentence under the title")
    order: float = Field(50.0, description="its place in the navigation")
    of: Literal["study", "trial"] = Field("study", description="what it shows: a study or one trial of it")
    parts: tuple[str, ...] = Field((), description="parts above the figures")
    below: tuple[str, ...] = Field((), description="parts below the figures")
    figures: tuple[FigureEntry, ...] = ()

    @property
    def all_parts(self) -> tuple[str, ...]:
        """Above and below the figures, in that order."""
        return (*self.parts, *self.below)


@dataclass(frozen=True)
class Card:
    """A figure on a page.

    Attributes:
        key: its name in the address: the figure's, with a number if the figure is there twice.
    """

    key: str
    entry: FigureEntry
    figure: figures.Figure[Any]

    @property
    def title(self) -> str:
        """The entry's title, else the figure's."""
        return self.entry.title or self.figure.title


@dataclass(frozen=True)
class Page:
    """A page that can be shown.

    Attributes:
        name: its file's name.
        faults: what is wrong with its file; such a page shows nothing else.
    """

    name: str
    file: PageFile
    cards: tuple[Card, ...] = ()
    faults: tuple[str, ...] = ()

    def cards_of(self, objectives: int) -> tuple[Card, ...]:
        """The cards that a study with so many objectives has."""
        return tuple(card for card in self.cards if objectives > 1 or not card.entry.several_objectives)

    @property
    def has_grid(self) -> bool:
        """Whether the table of all trials stands on it."""
        return "trials" in self.file.all_parts


@dataclass(frozen=True)
class Pages:
    """Every page, in the order of the navigation."""

    pages: tuple[Page, ...]

    @cached_property
    def named(self) -> Mapping[str, Page]:
        """Pages by name."""
        return {page.name: page for page in self.pages}

    @property
    def faults(self) -> Sequence[str]:
        """What is wrong with any of the files, a sentence each."""
        return [fault for page in self.pages for fault in page.faults]

    def find(self, name: str | None) -> Page:
        """The page of that name, else the first one of studies.

        Raises:
            SpecError: nothing has that name.
        """
        if name is None:
            return next(page for page in self.pages if page.file.of == "study")
        if name not in self.named:
            raise SpecError(f"no page '{name}'; {near(name, self.named)}")
        return self.named[name]


def load(folder: Path | None = None) -> Pages:
    """Read every page, own and shipped; faults are kept with the page, so one bad file affects no other.

    Args:
        folder: where the user's own pages and the files they name start; the working folder.
    """
    found = [_page(name, folder) for name in content.names("page", folder)]
    return Pages(tuple(sorted(found, key=lambda page: (page.file.order, page.name))))


def _page(name: str, folder: Path | None) -> Page:
    path = content.find("page", name, folder)
    try:
        table = content.read(path)
        file = PageFile.model_validate(table)
    except SpecError as error:
        return _faulty(name, path, error.faults)
    except ValidationError as error:
        return _faulty(name, path, [f"{path}: {_sentence(each)}" for each in error.errors()])
    faults = [
        f"{path}: parts: unknown part '{part}'; {near(part, PARTS)}"
        for part in file.all_parts
        if part not in PARTS
    ]
    cards, seen = [], Counter[str]()
    for i, entry in enumerate(file.figures):
        try:
            figure = figures.find(entry.use, folder)
        except PluginError as error:
            faults.append(f"{path}: figures.{i}.use: {error}")
            continue
        seen[figure.name] += 1
        key = figure.name if seen[figure.name] == 1 else f"{figure.name}-{seen[figure.name]}"
        cards.append(Card(key, entry, figure))
    if faults:
        return _faulty(name, path, faults)
    return Page(name, file, tuple(cards))


def _faulty(name: str, path: Path, faults: Sequence[str]) -> Page:
    file = PageFile(title=path.stem[:60] or name, order=99.0)
    return Page(name, file, faults=tuple(faults))


def _sentence(error: Any) -> str:
    key = ".".join(str(place) for place in error["loc"])
    if error["type"] == "extra_forbidden":
        known = FigureEntry.model_fields if "figures" in error["loc"] else PageFile.model_fields
        return f"{key}: unknown key; {near(str(error['loc'][-1]), known)}"
    if error["type"] == "missing":
        return f"{key}: is missing"
    message = str(error["msg"])
    return f"{key}: {message[0].lower()}{message[1:]}; found {error.get('input')!r}"
