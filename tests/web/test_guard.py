from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tuner.store.columns import Reader
from tuner.web import pages
from tuner.web.app import build
from tuner.web.guard import is_loopback
from tuner.web.live import Live
from tuner.web.renderer import PageRenderer

TOKEN = "a-long-token"


@pytest.fixture
def visitor(database: Path) -> Iterator[Any]:
    opened: list[Live] = []

    def visit(host: str, token: str | None) -> FlaskClient:
        live = Live(Reader(f"sqlite:///{database}"))
        opened.append(live)
        return build(PageRenderer(live, pages.load()), host, token).test_client()

    yield visit
    for live in opened:
        live.close()


def test_only_this_machines_own_names_are_answered_on_loopback(visitor: Any) -> None:
    client = visitor("127.0.0.1", None)
    assert client.get("/", headers={"Host": "localhost:8080"}).status_code == 200
    assert client.get("/", headers={"Host": "127.0.0.1:8080"}).status_code == 200
    assert client.get("/", headers={"Host": "evil.example:8080"}).status_code == 403
    assert (
        client.post("/_dash-update-component", headers={"Host": "evil.example"}, json={}).status_code == 403
    )


@pytest.mark.parametrize(
    "path", ["/", "/_dash-layout", "/_dash-dependencies", "/-/trials?study=made", "/assets/dashboard.js"]
)
def test_without_the_token_nothing_is_answered(visitor: Any, path: str) -> None:
    client = visitor("0.0.0.0", TOKEN)
    assert client.get(path).status_code == 403
    assert client.get(path + ("&" if "?" in path else "?") + "token=wrong").status_code == 403
    client.set_cookie("tuner_token", "wrong")
    assert client.get(path).status_code == 403


def test_callbacks_need_the_token_too(visitor: Any) -> None:
    assert visitor("0.0.0.0", TOKEN).post("/_dash-update-component", json={}).status_code == 403


def test_the_token_goes_into_a_cookie_and_leaves_the_address(visitor: Any) -> None:
    client = visitor("0.0.0.0", TOKEN)
    answer = client.get(f"/?study=made&token={TOKEN}")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/?study=made"
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]
    assert client.get("/?study=made").status_code == 200
    assert client.get("/-/trials?study=made").status_code == 200


def test_pages_may_load_nothing_from_elsewhere_and_run_no_inline_script(visitor: Any) -> None:
    policy = visitor("127.0.0.1", None).get("/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    scripts = next(rule for rule in policy.split("; ") if rule.startswith("script-src"))
    assert "unsafe" not in scripts


def test_unknown_studies_are_told_to_scripts_too(visitor: Any) -> None:
    answer = visitor("127.0.0.1", None).get("/-/curves.csv?study=nobody")
    assert answer.status_code == 404
    assert "known:" in answer.text
    assert visitor("127.0.0.1", None).get("/-/trials?study=nobody").status_code == 204


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.1.2.3", "::1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.3", "example.org"]))
