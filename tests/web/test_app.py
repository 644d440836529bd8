"""Whatever stands in an address, it is answered in words and never by a fault of the server's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tuner.store.columns import Reader
from tuner.web import pages
from tuner.web.app import build
from tuner.web.live import Live
from tuner.web.renderer import PageRenderer

ODD = (
    "²", "٣", "-1", "1e3", "0x10", "9" * 40, "9" * 5000, "", " 1", "\x00", "a\x00b", "\ud800", "nan", "%",
    "../..", "<b>", "1-9" + "9" * 5000, "²-³", "3,٣,4", "true", "\u202e", "𝟗",
)  # fmt: skip


@pytest.fixture(scope="module")
def visitor(database: Path) -> Iterator[FlaskClient]:
    live = Live(Reader(f"sqlite:///{database}"))
    server = build(PageRenderer(live, pages.load()))
    server.testing = False  # as it is served: a fault becomes a 500
    yield server.test_client()
    live.close()


def shown(visitor: FlaskClient, route: dict[str, Any]) -> Any:
    """What the page's first callback answers."""
    outputs = [
        {"id": name, "property": what}
        for name, what in (("body", "children"), ("status", "children"), ("rendered", "data"))
    ]
    body = {
        "output": "..body.children...status.children...rendered.data..",
        "outputs": outputs,
        "inputs": [{"id": "route", "property": "data", "value": route}],
        "changedPropIds": ["route.data"],
        "state": [{"id": "view", "property": "data", "value": route}],
    }
    return visitor.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("key", ["study", "page", "trial", "sel", "theme", "against", "options", "lost"])
def test_any_value_of_an_address_shows_a_page(visitor: FlaskClient, key: str) -> None:
    for value in ODD:
        page = "trial" if key == "trial" else "convergence"
        given: Any = [value] if key == "against" else value
        if key == "options":
            given = {"convergence.axis": value, "convergence.log": value, f"{value}.{value}": value}
        answer = shown(visitor, {"study": "made", "page": page, key: given})
        assert answer.status_code == 200, (key, value[:20], answer.text[:500])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300, 2.5, True, "²", "9" * 5000])
def test_any_number_of_an_option_shows_a_figure(visitor: FlaskClient, value: Any) -> None:
    options = {"curves.best": value, "curves.smoothing": value, "curves.what": value}
    answer = shown(visitor, {"study": "made", "page": "convergence", "options": options})
    assert answer.status_code == 200
    assert "This figure failed" not in answer.text


@pytest.mark.parametrize("path", ["/", "/-/trials", "/-/curves.csv"])
def test_any_value_of_a_query_is_answered(visitor: FlaskClient, path: str) -> None:
    for value in (*(quote(value, errors="surrogatepass") for value in ODD), "%ff%fe", "%", "%zz"):
        for name in ("study", "trial", "since", "first", "digest", "token", "sel"):
            query = f"{path}?study=made&{name}={value}" if name != "study" else f"{path}?study={value}"
            answer = visitor.get(query)
            assert answer.status_code in (200, 204, 404), (query[:60], answer.status_code)
            answer.close()


@pytest.mark.parametrize("host", ["[::1", "", "localhost:abc", "a b", "²", "localhost:99999999"])
def test_any_name_of_the_host_is_answered(visitor: FlaskClient, host: str) -> None:
    assert visitor.get("/", headers={"Host": host}).status_code in (200, 400, 403)


def test_a_token_of_any_text_is_refused(database: Path) -> None:
    live = Live(Reader(f"sqlite:///{database}"))
    visitor = build(PageRenderer(live, pages.load()), "0.0.0.0", "secret").test_client()
    for value in ("²", "%ff", "\x00", "%ed%a0%80", "9" * 3000):
        assert visitor.get(f"/?token={value}").status_code == 403
        visitor.set_cookie("tuner_token", value.replace("\x00", ""))
        assert visitor.get("/").status_code == 403
    live.close()


def test_a_box_selects_trials_that_are_not_drawn(visitor: FlaskClient) -> None:
    route = {"study": "made", "page": "parameters"}
    area = json.dumps({"x": [-10, 10], "y": [0, 100]})
    answer: Any = visitor.post("/-/within", json={"route": route, "card": "slices", "area": area})
    assert len(answer.json["trials"]) > 75, "so many are drawn"
    wrong: list[Any] = [{}, {"area": area}, {"area": area, "route": route, "card": "²"}, {"area": "²"}, []]
    for given in wrong:
        assert visitor.post("/-/within", json=given).status_code == 404
