"""The application: a page's shell, two callbacks, and three small routes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dash
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component
from flask import Flask, Response, request, send_file
from flask_compress import Compress

from tuner.errors import TunerError
from tuner.figures import Area
from tuner.web import actions, parts, table, trial
from tuner.web.attributes import attributes, button
from tuner.web.guard import guard
from tuner.web.pages import Pages
from tuner.web.renderer import PageRenderer, PageState, StudyPageState
from tuner.web.route import Route

TICK_MS = 1000
"""How often a page asks for changes."""

_ASSETS = Path(__file__).parent / "assets"
_LATER = "ag-grid-community-36.2.0.min.js"
"""Runs when the table of trials is near."""
_ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><rect width='16' height='16' rx='3' "
    "fill='#0072b2'/><path d='M3 4c1 6 4 8 10 8' fill='none' stroke='#fff' stroke-width='2' "
    "stroke-linecap='round'/></svg>"
)
_UNUSED = re.compile(r'<script src="[^"]*/dash_table/[^"]*"></script>\n?')


class _Dashboard(Dash):
    """Loads no script before it is needed."""

    pages: Pages

    def interpolate_index(self, **parts_of_index: Any) -> str:  # type: ignore[override]
        self.index_string = self.index_string.replace("<html>", '<html lang="en">')
        scripts = str(parts_of_index["scripts"])
        named = {
            "grid-script": self.get_asset_url(_LATER),
            "grid-pages": ",".join(page.name for page in self.pages.pages if page.has_grid),
            "plotly-script": "/_dash-component-suites/plotly/package_data/plotly.min.js",
        }
        metas = "".join(f'<meta name="{name}" content="{escape(text)}">' for name, text in named.items())
        parts_of_index["metas"] = str(parts_of_index.get("metas", "")) + metas
        # In the page itself: browsers ask for a file of it each time the address changes.
        parts_of_index["favicon"] = f'<link rel="icon" href="data:image/svg+xml,{quote(_ICON)}">'
        parts_of_index["scripts"] = _UNUSED.sub("", scripts)
        return str(super().interpolate_index(**parts_of_index))  # type: ignore[no-untyped-call]


def build(
    renderer: PageRenderer, host: str = "127.0.0.1", token: str | None = None, *, url: str | None = None
) -> Flask:
    """The dashboard as a WSGI application.

    Args:
        renderer: renders the pages.
        host: where it will listen; see `guard`.
        token: what visitors must know; see `guard`.
        url: the database that actions are stored in; None: there are none.
    """
    app = _Dashboard(
        "tuner",
        assets_folder=str(_ASSETS),
        assets_ignore=re.escape(_LATER),
        title="tuner",
        update_title="",
        serve_locally=True,
        add_log_handler=False,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.pages = renderer.pages
    app.layout = _shell(renderer.pages)
    app.enable_dev_tools(debug=False, dev_tools_disable_version_check=True)
    server: Flask = app.server
    _compressed(server)
    _callbacks(app, renderer)
    _routes(server, renderer)
    _actions(server, url if token is not None else None)
    guard(server, host, token, app.csp_hashes())
    return server


def _compressed(server: Flask) -> None:
    """Answers are packed as the browser likes it, tables of numbers, too."""
    server.config["COMPRESS_MIN_SIZE"] = 300
    server.config["COMPRESS_MIMETYPES"] = [
        "text/html", "text/css", "text/csv", "text/javascript", "application/javascript", "application/json",
    ]  # fmt: skip
    Compress(server)


def _shell(pages: Pages) -> Component:
    links = [
        html.A(page.file.title, href="#", **attributes(page=page.name))
        for page in pages.pages
        if page.file.of == "study"
    ]
    return html.Div(
        [
            dcc.Store(id="route"),
            dcc.Store(id="view"),
            dcc.Store(id="opened"),
            dcc.Store(id="rendered"),
            dcc.Store(id="ready"),
            dcc.Interval(id="tick", interval=TICK_MS),
            html.Header(
                [
                    html.A("tuner", href="/", className="brand", title="all studies"),
                    html.H1(id="study-name"),
                    html.Nav(links, id="pages", **attributes(label="pages")),
                    html.Div(
                        [
                            button(id="selection", hidden=True, title="clear the selection (Esc)"),
                            button("dark", id="theme", title="dark or light (t)"),
                            button("keys", id="keys", title="keyboard (?)"),
                        ],
                        className="tools",
                    ),
                ],
                className="top",
            ),
            html.Div(id="status", className="status", role="status"),
            html.Main(html.P("Loading …", className="quiet"), id="body"),
            html.Aside(id="panel", **attributes(label="the chosen trial")),
            html.Div(id="tip", role="status", hidden=True),
            html.Footer(id="offline", hidden=True),
            html.Div(id="offscreen"),
        ],
        id="app",
    )


def _callbacks(app: Dash, renderer: PageRenderer) -> None:
    begin = ClientsideFunction("tuner", "begin")
    in_browser: Any = app.clientside_callback
    in_browser(begin, Output("route", "data"), Input("tick", "interval"))
    in_browser(ClientsideFunction("tuner", "rendered"), Output("ready", "data"), Input("rendered", "data"))
    in_browser(
        ClientsideFunction("tuner", "point"),
        Output("ready", "data", allow_duplicate=True),
        Input({"type": "figure", "key": ALL}, "clickData"),
        Input({"type": "figure", "key": ALL}, "selectedData"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("body", "children"),
        Output("status", "children"),
        Output("rendered", "data"),
        Input("route", "data"),
        State("view", "data"),
        prevent_initial_call=True,
    )
    def show(route: Any, view: Any) -> Any:
        parsed = _read_route(route, view)
        state = renderer.state(parsed)
        body, rendered = renderer.body(parsed, state)
        return body, _status(state, renderer), {**rendered, "route": route}

    @app.callback(
        Output("panel", "children"),
        Input("opened", "data"),
        prevent_initial_call=True,
    )
    def opened(route: Any) -> Any:
        panel = renderer.panel(Route.read(route))
        if panel is not None and getattr(panel, "data-digest") == route.get("has"):
            raise dash.exceptions.PreventUpdate
        return panel

    @app.callback(
        Output({"type": "figure", "key": ALL}, "figure"),
        Output({"type": "part", "key": ALL}, "children"),
        Output("status", "children", allow_duplicate=True),
        Output("rendered", "data", allow_duplicate=True),
        Input("tick", "n_intervals"),
        Input("view", "data"),
        State("route", "data"),
        State("rendered", "data"),
        State("opened", "data"),
        running=[(Output("tick", "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def refresh(_tick: Any, view: Any, route: Any, rendered: Any, opened: Any) -> Any:
        if not isinstance(rendered, Mapping) or route is None or rendered.get("route") != route:
            raise dash.exceptions.PreventUpdate  # the page is being built
        parsed = _read_route(route, view)
        state = renderer.state(parsed)
        wanted = dash.callback_context.outputs_list
        keys = [[output["id"]["key"] for output in outputs] for outputs in wanted[:2]]
        nothing = [[no_update] * len(outputs) for outputs in keys]
        if state.shape != rendered.get("shape"):
            return *nothing, no_update, {"rebuild": state.shape}
        is_tick = "view.data" not in dash.callback_context.triggered_prop_ids
        log = _log_size(renderer, Route.read(opened))
        if is_tick and state.version == rendered.get("version"):
            if log == rendered.get("log", 0):
                raise dash.exceptions.PreventUpdate
            return *nothing, no_update, {**rendered, "log": log}  # the panel asks for itself
        update = renderer.update(parsed, state, rendered, at_once=not is_tick)
        pieces = [[update.pieces.get(key, no_update) for key in group] for group in keys]
        return *pieces, _status(state, renderer), {**update.rendered, "route": route, "log": log}


def _actions(server: Flask, url: str | None) -> None:
    @server.post("/-/ask")
    def ask() -> Any:
        if url is None:
            text = "This dashboard only looks: start it with `tune dashboard --allow-actions`."
            return Response(text, status=403, mimetype="text/plain")
        try:
            return {"is_noted": True, "told": actions.ask(url, request.get_json(silent=True))}
        except TunerError as error:
            return {"is_noted": False, "told": str(error)}


def _read_route(route: Any, view: Any) -> Route:
    table_ = {**(route if isinstance(route, Mapping) else {}), **(view if isinstance(view, Mapping) else {})}
    return Route.read(table_)


def _log_size(renderer: PageRenderer, route: Route) -> int:
    """The size of the opened trial's log, which may grow between two readings."""
    if route.study is None or route.open is None:
        return 0
    try:
        return renderer.live.reader.log_size(route.study, route.open)
    except TunerError:
        return 0  # the page says what is wrong


def _status(state: PageState, renderer: PageRenderer) -> list[Component]:
    if not isinstance(state, StudyPageState):
        return []
    return parts.header(state.snapshot, allows=renderer.allows)


def _routes(server: Flask, renderer: PageRenderer) -> None:
    live = renderer.live

    @server.errorhandler(TunerError)
    def told(error: TunerError) -> Response:
        if not request.path.startswith("/-/"):
            raise error  # a callback's is no answer: it is logged, with its traceback
        return Response(str(error), status=404, mimetype="text/plain")

    @server.get("/-/trials")
    def trials() -> Any:
        try:
            snapshot = live.snapshot(request.args.get("study", ""))
        except TunerError:
            return Response(status=204)  # it may be deleted while the page is open, which tells it
        same = request.args.get("digest") == snapshot.summary.digest
        since = request.args.get("since", 0, type=int) if same else 0
        found = table.columns(snapshot, since, request.args.get("first", type=int))
        return {**found, "digest": snapshot.summary.digest}

    @server.post("/-/within")
    def within() -> Any:
        given = request.get_json(silent=True)
        table_ = given if isinstance(given, Mapping) else {}
        area = Area.read(str(table_.get("area")))
        return {"trials": renderer.within(Route.read(table_.get("route")), str(table_.get("card")), area)}

    @server.get("/-/trial")
    def told_of() -> Any:
        name, number = request.args.get("study", ""), request.args.get("trial", -1, type=int)
        found = live.reader.trial(name, number)
        return {"lines": [] if found is None else trial.at_point(live.snapshot(name), found[0])}

    @server.get("/-/model.zip")
    def model() -> Any:
        name, number = request.args.get("study", ""), request.args.get("trial", -1, type=int)
        found = live.reader.trial(name, number)
        folder = None if found is None or found[0].model_path is None else Path(found[0].model_path)
        if folder is None or not folder.is_dir():
            return Response(f"The model of trial {number} was not kept.", status=404, mimetype="text/plain")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(each for each in folder.rglob("*") if each.is_file()):
                archive.write(path, path.relative_to(folder))
        packed.seek(0)
        return send_file(packed, "application/zip", as_attachment=True, download_name=f"trial-{number}.zip")

    @server.get("/-/curves.csv")
    def curves() -> Any:
        snapshot = live.snapshot(request.args.get("study", ""))
        headers = {"Content-Disposition": "attachment; filename=curves.csv"}
        return Response(table.curves_csv(snapshot.frame), mimetype="text/csv", headers=headers)
