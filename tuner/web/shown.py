"""Shown: what a browser shows of a place, and what must be sent so that it shows what is stored now.

Keeps the last drawings so that only differences are sent; a browser that knows none gets the whole.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from threading import Event, Lock
from typing import Any

import numpy as np
from dash import html
from dash.development.base_component import Component
from plotly.io.json import to_json_plotly

from tuner import figures
from tuner.errors import SpecError, StoreError, StudyNotFound, TunerError, described
from tuner.figures import Frame
from tuner.store.values import StudySummary
from tuner.web import parts
from tuner.web.cards import card
from tuner.web.difference import patch
from tuner.web.live import Live, Look
from tuner.web.pages import Card, Page, Pages
from tuner.web.place import Place

TICK_CHARACTERS = 90_000
"""A tick's JSON is hardly longer, which packs to a third; what is left over comes with the next one."""

DRAWINGS_KEPT = 96
"""How many drawings are remembered for differences, over all browsers."""

SETTLED_S = 1.0
"""How long a page waits for the first importances, so that it is drawn but once."""

AT_ONCE = 4
"""So many figures are seen without scrolling; those below them come with the next tick."""

AHEAD = 48
"""How many drawings of whole studies are remembered to be shown again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scene:
    """What a place is, now.

    Attributes:
        shape: changes when the body must be built anew.
        version: changes when anything in it may have changed.
        look: the study.
        frame: the study with selection and comparisons.
        page: which page; None: none.
        summaries: every study, for the list and for comparisons.
        trouble: what is shown instead.
    """

    shape: str
    version: str
    look: Look | None = None
    frame: Frame | None = None
    page: Page | None = None
    summaries: tuple[StudySummary, ...] = ()
    trouble: Component | None = None


@dataclass
class PageUpdate:
    """What is sent.

    Attributes:
        pieces: what changed, by key: children of parts, drawings or patches of figures.
        seen: what the browser shows after it.
    """

    pieces: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)


class Stage:
    """Scenes of one database's studies and pages.

    Args:
        live: the database.
        pages: the pages.

    Attributes:
        shown: set once the body of a study's page has been built.
    """

    def __init__(self, live: Live, pages: Pages) -> None:
        self.shown = Event()
        self.live = live
        self.pages = pages
        self._drawings: OrderedDict[str, Any] = OrderedDict()
        self._ahead: OrderedDict[tuple[str, ...], Any] = OrderedDict()
        self._lock = Lock()

    def prepare(self, name: str, pages: Sequence[Page]) -> None:
        """Draw pages of a study before they are asked for."""
        for page in pages:
            place = Place(study=name, page=page.name)
            scene = self.scene(place)
            if scene.look is not None and scene.frame is scene.look.frame:
                for one in page.cards:
                    self._draw(one, scene, place)

    def scene(self, place: Place) -> Scene:
        """What the place is now; never raises for what a user can mend."""
        try:
            if place.study is None:
                version, summaries = self.live.studies()
                if not summaries:
                    return _trouble(_no_studies(self.live.reader.place))
                return Scene("studies", version, summaries=tuple(summaries))
            page = self.pages.find(place.page)
            if page.faults:
                return _trouble(parts.faults(page.faults))
            return self._study(place, page)
        except StudyNotFound as error:
            if place.study is None:
                return _trouble(_no_studies(self.live.reader.place))
            return _trouble(_gone(place, str(error)))
        except SpecError as error:
            return _trouble(parts.message("There is no such page", str(error)))
        except StoreError as error:
            return _trouble(
                parts.message(
                    "The database cannot be read",
                    str(error),
                    "This page tries again every second; nothing is lost.",
                )
            )

    def _study(self, place: Place, page: Page) -> Scene:
        look = self.live.look(place.study or "")
        if not look.frame.importances and any(one.figure.name == "importances" for one in page.cards):
            self.live.settle(look.summary.name, SETTLED_S)
            look = self.live.look(look.summary.name)
        frame = look.frame
        versions = [look.version]
        summaries: tuple[StudySummary, ...] = ()
        if "studies" in page.file.all_parts:
            _, found = self.live.studies()
            summaries = tuple(found)
            known = {summary.name for summary in found}
            beside = [self.live.look(n) for n in place.against if n in known and n != place.study]
            versions += [other.version for other in beside]
            frame = replace(frame, beside=tuple(other.frame for other in beside))
        if page.file.of == "trial":
            frame = self._around(frame, place.trial if place.trial is not None else look.verdict.number)
        elif place.selection:
            frame = frame.selecting(place.selection)
        names = ",".join(summary.name for summary in summaries)
        shape = f"{page.name}|{place.trial}|{look.summary.name}|{look.summary.digest}|{names}"
        shape = blake2b(shape.encode(), digest_size=8).hexdigest()
        return Scene(shape, "+".join(versions), look, frame, page, summaries)

    def _around(self, frame: Frame, number: int | None) -> Frame:
        """The trial alone, with the standard errors of what are means over folds or seeds."""
        if number is None:
            return frame
        frame = frame.only([number])
        epoch, errors = self.live.reader.errors(frame.name, number)
        at = dict(zip(epoch.tolist(), range(len(epoch)), strict=True))
        rows = [at.get(each, -1) for each in frame.epochs.epoch.tolist()]  # -1: what is behind the last
        known = {name: np.append(column, np.nan)[rows] for name, column in errors.items()}
        return replace(frame, errors=known)

    def within(self, place: Place, key: str, area: figures.Area) -> list[int]:
        """The trials that a card's figure has in an area, drawn or not.

        Raises:
            SpecError: there is no such page or card.
            StoreError: the study cannot be read.
        """
        page = self.pages.find(place.page)
        one = next((each for each in page.cards if each.key == key), None)
        if one is None:
            raise SpecError(f"{page.name}: has no figure '{key}'")
        frame = self._study(place, page).frame
        chosen = {**one.entry.options, **place.options.get(key, {})}
        return figures.within(one.figure, frame, chosen, area) if frame is not None else []

    def body(self, place: Place, scene: Scene) -> tuple[list[Component], dict[str, Any]]:
        """The whole page, and what the browser has then seen."""
        update = PageUpdate(seen={"shape": scene.shape, "version": scene.version, "pieces": {}})
        if scene.trouble is not None:
            return [scene.trouble], update.seen
        found = self._parts(place, scene)
        boxes: dict[str, Component] = {}
        for key, component in found.items():
            _note(update, key, component)
            boxes[key] = html.Div(component, id={"type": "part", "key": key}, className="part")
        page, frame = scene.page, scene.frame
        if page is None or frame is None or scene.look is None:
            return list(boxes.values()), update.seen
        if page.has_grid:
            boxes["trials"] = parts.trials_tools(scene.look)
        cards = []
        for i, one in enumerate(page.cards):
            if i < AT_ONCE:
                drawing = self._draw(one, scene, place)
                update.seen["pieces"][one.key] = self._keep(drawing)
            else:
                drawing = json.loads(to_json_plotly(place.theme.empty("")))
                update.seen |= {"version": "more", "next": AT_ONCE}
            cards.append(card(one, frame, place.options.get(one.key, {}), drawing))
        self.shown.set()
        above = [boxes[name] for name in page.file.parts]
        help_ = [html.P(page.file.help, className="quiet")] if page.file.help else []
        return [
            *help_,
            *above,
            html.Div(cards, className="grid"),
            *(boxes[n] for n in page.file.below),
        ], update.seen

    def update(self, place: Place, scene: Scene, seen: Mapping[str, Any], *, at_once: bool) -> PageUpdate:
        """What of the page differs from what the browser has seen.

        Args:
            place: what it shows.
            scene: the place, now.
            seen: what it has seen, of the same shape.
            at_once: send all of it, however much it is.
        """
        before: Mapping[str, str] = seen.get("pieces", {})
        update = PageUpdate(seen={"shape": scene.shape, "version": scene.version, "pieces": dict(before)})
        for key, component in self._parts(place, scene).items():
            _note(update, key, component, before.get(key))
        if scene.page is None or scene.frame is None:
            return update
        cards, size = list(scene.page.cards), 0
        start = int(seen.get("next", 0)) % max(1, len(cards))
        for i, one in enumerate(cards[start:] + cards[:start]):
            if size > TICK_CHARACTERS and not at_once:
                # The next tick begins where this one ends, and finds another version.
                update.seen["version"] = "more"
                update.seen["next"] = start + i
                break
            drawing = self._draw(one, scene, place)
            old, new = before.get(one.key, ""), self._keep(drawing)
            if old == new:
                continue
            known = self._drawings.get(old)
            sent, characters = (drawing, 0) if known is None else patch(known, drawing)
            size += characters or len(json.dumps(drawing))
            update.pieces[one.key] = sent
            update.seen["pieces"][one.key] = new
        return update

    def _parts(self, place: Place, scene: Scene) -> dict[str, Component]:
        if scene.shape == "studies":
            return {"studies": parts.studies(scene.summaries)}
        found: dict[str, Component] = {}
        if scene.page is None or scene.look is None or scene.frame is None:
            return found
        for name in scene.page.file.all_parts:
            if name == "verdict":
                found[name] = parts.verdict_tiles(scene.look)
            elif name == "findings":
                found[name] = parts.found(scene.look.findings)
            elif name == "best":
                found[name] = parts.best_table(scene.look)
            elif name == "studies":
                found[name] = parts.compared(place, scene.summaries)
            elif name == "trial":
                found[name] = self._story(place, scene.look)
        return found

    def _story(self, place: Place, look: Look) -> Component:
        number = place.trial if place.trial is not None else look.verdict.number
        row, traceback = None, None
        errors: Mapping[str, float] = {}
        if number is not None:
            found = self.live.reader.trial(look.summary.name, number)
            row, traceback = found if found is not None else (None, None)
            errors = _at(row.best_epoch, *self.live.reader.errors(look.summary.name, number)) if row else {}
        return parts.trial_story(look, row, traceback, replace(place, trial=number), errors)

    def _draw(self, one: Card, scene: Scene, place: Place) -> Any:
        look, frame = scene.look, scene.frame
        if look is None or frame is None or frame is not look.frame or scene.page is None:
            return self._drawn(one, frame, place) if frame is not None else place.theme.empty("")
        chosen = json.dumps(place.options.get(one.key, {}), sort_keys=True, default=str)
        key = (look.summary.name, look.version, scene.page.name, one.key, place.theme.name, chosen)
        with self._lock:
            found = self._ahead.get(key)
        if found is None:
            found = self._drawn(one, frame, place)
            with self._lock:
                self._ahead[key] = found
                while len(self._ahead) > AHEAD:
                    self._ahead.popitem(last=False)
        return found

    def _drawn(self, one: Card, frame: Frame, place: Place) -> Any:
        if one.figure.name == "importances" and not frame.importances and len(frame):
            return json.loads(
                to_json_plotly(place.theme.empty("Being computed; it appears here in a few seconds."))
            )
        chosen = {**one.entry.options, **place.options.get(one.key, {})}
        try:
            drawing = figures.plot(one.figure, frame, place.theme, chosen)
        except TunerError as error:
            drawing = place.theme.empty(str(error).splitlines()[0])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001
            # A figure of a user's own must not take the page with it.
            _log.exception("figure %r cannot be drawn", one.key)
            drawing = place.theme.empty(f"This figure failed: {described(error)}")
        return json.loads(to_json_plotly(drawing))

    def _keep(self, drawing: Any) -> str:
        text = json.dumps(drawing, separators=(",", ":"))
        key = blake2b(text.encode(), digest_size=8).hexdigest()
        with self._lock:
            self._drawings[key] = drawing
            self._drawings.move_to_end(key)
            while len(self._drawings) > DRAWINGS_KEPT:
                self._drawings.popitem(last=False)
        return key


def _note(update: PageUpdate, key: str, component: Component, before: str | None = None) -> None:
    text = to_json_plotly(component)
    found = blake2b(text.encode(), digest_size=8).hexdigest()
    if found != before:
        update.pieces[key] = component
        update.seen["pieces"][key] = found


def _trouble(component: Component) -> Scene:
    text = to_json_plotly(component)
    return Scene("trouble-" + blake2b(text.encode(), digest_size=8).hexdigest(), "", trouble=component)


def _no_studies(place: str) -> Component:
    return parts.message(
        "No studies yet",
        f"There is no study in {place}. This page shows one as soon as it is there; start one in another "
        "terminal:",
        "$tune start",
    )


def _gone(place: Place, text: str) -> Component:
    return html.Div(
        [parts.message(f"No study '{place.study}'", text), html.P(html.A("All studies", href="/"))]
    )


def _at(epoch: int | None, epochs: Any, columns: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(error) for name, column in columns.items() for error in column[epochs == epoch]}
