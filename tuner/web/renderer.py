"""Renderer: makes pages, and the updates that a browser needs to show what is stored now.

A drawing that has changed is sent whole: a patch of it is hardly shorter, since new points move others.
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
from tuner.web import comparing, parts, trial
from tuner.web.attributes import attributes
from tuner.web.cards import card
from tuner.web.live import Live, LiveSnapshot
from tuner.web.pages import Card, Page, Pages
from tuner.web.route import Route

TICK_CHARACTERS = 90_000
"""The JSON of one update is hardly longer; it compresses to a third. The rest comes with the next update."""

SETTLED_S = 1.0
"""How long a page waits for the first importances, so that it is drawn but once."""

SETTLED_TRIALS = 20_000
"""Of more trials they take longer than that: a page does not wait in vain."""

AT_ONCE = 4
"""Figures that are sent with the page; those below come with the next update."""

PREPARED = 48
"""How many drawings of whole studies are kept for the next visitor."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageState:
    """The state of a page: what the route selects, as it is stored now.

    Attributes:
        shape: changes when the body must be rebuilt.
        version: changes when anything in it may have changed.
        summaries: every study, for the list and for comparisons.
        trouble: an error message to show instead.
    """

    shape: str
    version: str
    summaries: tuple[StudySummary, ...] = ()
    trouble: Component | None = None


@dataclass(frozen=True, kw_only=True)
class StudyPageState(PageState):
    """That of a page of a study.

    Attributes:
        snapshot: the study.
        frame: the study with selection and comparisons.
        page: which page.
        beside: the studies that are compared with this one.
    """

    snapshot: LiveSnapshot
    frame: Frame
    page: Page
    beside: tuple[LiveSnapshot, ...]


@dataclass
class PageUpdate:
    """What is sent.

    Attributes:
        pieces: what changed, by key: children of parts, drawings of figures.
        rendered: what the browser shows after it.
    """

    pieces: dict[str, Any] = field(default_factory=dict)
    rendered: dict[str, Any] = field(default_factory=dict)


class PageRenderer:
    """Renders pages of one database.

    Args:
        live: the database.
        pages: the pages.
        allows: whether visitors may ask something of studies.

    Attributes:
        drawn: set once the body of a study's page has been built.
    """

    def __init__(self, live: Live, pages: Pages, *, allows: bool = False) -> None:
        self.allows = allows
        self.drawn = Event()
        self.live = live
        self.pages = pages
        self._prepared: OrderedDict[tuple[str, ...], Any] = OrderedDict()
        self._lock = Lock()

    def prepare(self, name: str, pages: Sequence[Page]) -> None:
        """Draw pages of a study before they are asked for."""
        for page in pages:
            route = Route(study=name, page=page.name)
            state = self.state(route)
            if isinstance(state, StudyPageState) and state.frame is state.snapshot.frame:
                for one in page.cards_of(len(state.frame.objectives)):
                    self._draw(one, state, route)

    def state(self, route: Route) -> PageState:
        """The page's state; a user's error becomes a page that says so."""
        try:
            if route.study is None:
                version, summaries = self.live.studies()
                if not summaries:
                    return _trouble(_no_studies(self.live.reader.location))
                return PageState("studies", version, summaries=tuple(summaries))
            page = self.pages.find(route.page)
            if page.faults:
                return _trouble(parts.faults(page.faults))
            return self._study(route, page)
        except StudyNotFound as error:
            if route.study is None:
                return _trouble(_no_studies(self.live.reader.location))
            return _trouble(_gone(route, str(error)))
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

    def _study(self, route: Route, page: Page) -> StudyPageState:
        snapshot = self.live.snapshot(route.study or "")
        is_soon = len(snapshot.frame) <= SETTLED_TRIALS and not snapshot.frame.importances
        if is_soon and any(one.figure.name in ("importances", "compare_importances") for one in page.cards):
            self.live.settle(snapshot.summary.name, SETTLED_S)
            snapshot = self.live.snapshot(snapshot.summary.name)
        frame = snapshot.frame
        versions = [snapshot.version, f"{hash(parts.machine_told(snapshot.summary.machine)) & 0xFFFFFF:x}"]
        summaries: tuple[StudySummary, ...] = ()
        beside: tuple[LiveSnapshot, ...] = ()
        if "studies" in page.file.all_parts:
            _, found = self.live.studies()
            summaries = tuple(found)
            known = {summary.name for summary in found}
            chosen = (n for n in route.against if n in known and n != route.study)
            beside = tuple(self.live.snapshot(name) for name in chosen)
            versions += [other.version for other in beside]
            frame = replace(frame, beside=tuple(other.frame for other in beside))
        if page.file.of == "trial":
            number = route.trial if route.trial is not None else snapshot.verdict.number
            frame = self._around(frame, number)
            versions += [] if number is None else [str(self.live.reader.log_size(frame.name, number))]
        elif route.selection:
            frame = frame.selecting(route.selection)
        names = ",".join(summary.name for summary in summaries)
        shape = f"{page.name}|{route.trial}|{snapshot.summary.name}|{snapshot.summary.digest}|{names}"
        return StudyPageState(
            _digest(shape),
            "+".join(versions),
            summaries,
            snapshot=snapshot,
            frame=frame,
            page=page,
            beside=beside,
        )

    def _around(self, frame: Frame, number: int | None) -> Frame:
        """The trial alone, with the standard errors of means over folds or seeds."""
        if number is None:
            return frame
        frame = frame.only([number])
        epoch, errors = self.live.reader.errors(frame.name, number)
        at = dict(zip(epoch.tolist(), range(len(epoch)), strict=True))
        rows = [at.get(each, -1) for each in frame.epochs.epoch.tolist()]  # -1: what is behind the last
        known = {name: np.append(column, np.nan)[rows] for name, column in errors.items()}
        return replace(frame, errors=known)

    def within(self, route: Route, key: str, area: figures.Area) -> list[int]:
        """The trials that a card's figure has in an area, drawn or not.

        Raises:
            SpecError: there is no such page or card.
            StoreError: the study cannot be read.
        """
        page = self.pages.find(route.page)
        one = next((each for each in page.cards if each.key == key), None)
        if one is None:
            raise SpecError(f"{page.name}: has no figure '{key}'")
        frame = self._study(route, page).frame
        chosen = {**one.entry.options, **route.options.get(key, {})}
        return figures.within(one.figure, frame, chosen, area)

    def body(self, route: Route, state: PageState) -> tuple[list[Component], dict[str, Any]]:
        """The whole page, and the `rendered` of a browser that shows it."""
        update = PageUpdate(rendered={"shape": state.shape, "version": state.version, "pieces": {}})
        if state.trouble is not None:
            return [state.trouble], update.rendered
        found = self._parts(route, state)
        boxes: dict[str, Component] = {}
        for key, component in found.items():
            _note(update, key, component)
            boxes[key] = html.Div(component, id={"type": "part", "key": key}, className="part")
        if not isinstance(state, StudyPageState):
            return list(boxes.values()), update.rendered
        page, frame = state.page, state.frame
        if page.has_grid:
            boxes["trials"] = parts.trials_tools(state.snapshot)
        cards = []
        for i, one in enumerate(page.cards_of(len(frame.objectives))):
            if i < AT_ONCE:
                drawing = self._draw(one, state, route)
                update.rendered["pieces"][one.key] = _digest(json.dumps(drawing, separators=(",", ":")))
            else:
                drawing = json.loads(to_json_plotly(route.theme.empty("")))
                update.rendered |= {"version": "more", "next": AT_ONCE}
            cards.append(card(one, frame, route.options.get(one.key, {}), drawing))
        self.drawn.set()
        above = [boxes[name] for name in page.file.parts]
        help_ = [html.P(page.file.help, className="quiet")] if page.file.help else []
        return [
            *help_,
            *above,
            html.Div(cards, className="grid"),
            *(boxes[n] for n in page.file.below),
        ], update.rendered

    def update(
        self, route: Route, state: PageState, rendered: Mapping[str, Any], *, at_once: bool
    ) -> PageUpdate:
        """The parts of the page that differ from what the browser has.

        Args:
            route: what it shows.
            state: the route, now.
            rendered: what the browser shows, of the same shape.
            at_once: send everything, whatever its size.
        """
        before: Mapping[str, str] = rendered.get("pieces", {})
        update = PageUpdate(rendered={"shape": state.shape, "version": state.version, "pieces": dict(before)})
        for key, component in self._parts(route, state).items():
            _note(update, key, component, before.get(key))
        if not isinstance(state, StudyPageState):
            return update
        cards, size = list(state.page.cards_of(len(state.frame.objectives))), 0
        start = int(rendered.get("next", 0)) % max(1, len(cards))
        for i, one in enumerate(cards[start:] + cards[:start]):
            if size > TICK_CHARACTERS and not at_once:
                # The next tick begins where this one ends, and finds another version.
                update.rendered["version"] = "more"
                update.rendered["next"] = start + i
                break
            drawing = self._draw(one, state, route)
            text = json.dumps(drawing, separators=(",", ":"))
            if (new := _digest(text)) == before.get(one.key):
                continue
            size += len(text)
            update.pieces[one.key] = drawing
            update.rendered["pieces"][one.key] = new
        return update

    def _parts(self, route: Route, state: PageState) -> dict[str, Component]:
        if not isinstance(state, StudyPageState):
            is_list = state.trouble is None
            return {"studies": parts.studies(state.summaries, route.lost)} if is_list else {}
        found: dict[str, Component] = {}
        for name in state.page.file.all_parts:
            if name == "verdict":
                found[name] = parts.verdict_tiles(state.snapshot)
            elif name == "findings":
                found[name] = parts.found(state.snapshot.findings)
            elif name == "best":
                found[name] = parts.best_table(state.snapshot)
            elif name == "selected":
                found[name] = html.Div(parts.side_by_side(state.frame))
            elif name == "studies":
                beside = comparing.compared([state.snapshot, *state.beside])
                found[name] = html.Div([parts.compared(route, state.summaries), *beside])
            elif name == "trial":
                found[name] = self._story(route, state.snapshot)
        return found

    def panel(self, route: Route) -> Component | None:
        """The trial that was opened beside the figures, with its digest; None where there is none."""
        try:
            if route.study is None or route.open is None:
                return None
            snapshot = self.live.snapshot(route.study)
            found = self.live.reader.trial(route.study, route.open)
            printed = self.live.reader.log(route.study, route.open)
        except StoreError:
            return None  # the page itself says so
        if found is None:
            return None
        shown = trial.panel(snapshot, *found, printed, route.theme, allows=self.allows)
        return html.Div(shown, **attributes(digest=_digest(to_json_plotly(shown))))

    def _story(self, route: Route, snapshot: LiveSnapshot) -> Component:
        number = route.trial if route.trial is not None else snapshot.verdict.number
        row, traceback, printed = None, None, ""
        errors: Mapping[str, float] = {}
        if number is not None:
            name = snapshot.summary.name
            found = self.live.reader.trial(name, number)
            row, traceback = found if found is not None else (None, None)
            printed = self.live.reader.log(name, number)
            errors = _at(row.best_epoch, *self.live.reader.errors(name, number)) if row else {}
        story = replace(route, trial=number)
        return trial.trial_story(snapshot, row, traceback, printed, story, errors, allows=self.allows)

    def _draw(self, one: Card, state: StudyPageState, route: Route) -> Any:
        snapshot, frame = state.snapshot, state.frame
        if frame is not snapshot.frame:
            return self._drawn(one, frame, route)
        chosen = json.dumps(route.options.get(one.key, {}), sort_keys=True, default=str)
        key = (snapshot.summary.name, snapshot.version, state.page.name, one.key, route.theme.name, chosen)
        with self._lock:
            found = self._prepared.get(key)
        if found is None:
            found = self._drawn(one, frame, route)
            with self._lock:
                self._prepared[key] = found
                while len(self._prepared) > PREPARED:
                    self._prepared.popitem(last=False)
        return found

    def _drawn(self, one: Card, frame: Frame, route: Route) -> Any:
        if one.figure.name == "importances" and not frame.importances and len(frame):
            return json.loads(
                to_json_plotly(route.theme.empty("Being computed; it appears here in a few seconds."))
            )
        chosen = {**one.entry.options, **route.options.get(one.key, {})}
        try:
            drawing = figures.plot(one.figure, frame, route.theme, chosen)
        except TunerError as error:
            drawing = route.theme.empty(str(error).splitlines()[0])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001
            # A figure of a user's own must not take the page with it.
            _log.exception("figure %r cannot be drawn", one.key)
            drawing = route.theme.empty(f"This figure failed: {described(error)}")
        return json.loads(to_json_plotly(drawing))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _note(update: PageUpdate, key: str, component: Component, before: str | None = None) -> None:
    text = to_json_plotly(component)
    found = _digest(text)
    if found != before:
        update.pieces[key] = component
        update.rendered["pieces"][key] = found


def _trouble(component: Component) -> PageState:
    text = to_json_plotly(component)
    return PageState("trouble-" + _digest(text), "", trouble=component)


def _no_studies(place: str) -> Component:
    return parts.message(
        "No studies yet",
        f"There is no study in {place}. This page shows one as soon as it is there; start one in another "
        "terminal:",
        "$tune start",
    )


def _gone(route: Route, text: str) -> Component:
    told = parts.message(f"No study '{route.study}'", text)
    return html.Div([told, html.P(html.A("All studies", href="/"))])


def _at(epoch: int | None, epochs: Any, columns: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(error) for name, column in columns.items() for error in column[epochs == epoch]}
