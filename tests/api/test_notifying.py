"""Whom `[notify]` names is told how a study goes."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import tuner
from tuner.errors import SpecError

SPACE = {"x": tuner.Float(0, 1, default=0.5)}
LISTENER = "import sys; open('told.txt', 'a').write(sys.argv[1] + '\\n')"


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    if context.number == 2:
        raise ValueError("boom")
    yield {"val_loss": 1 - 0.1 * context.number}


def started(trainer: Any = train, **notify: Any) -> tuner.Study:
    settings = {"search.pruner": "none", "confirm.auto": False}
    settings |= {f"notify.{key}": value for key, value in notify.items()}
    return tuner.start(trainer=trainer, space=SPACE, name="s", trials=5, settings=settings)


@pytest.fixture
def posted() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a webhook, and what it was sent."""
    found: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", found
    server.shutdown()
    server.server_close()


def test_a_webhook_is_told_of_the_best_of_failures_and_of_the_end(
    posted: tuple[str, list[dict[str, Any]]],
) -> None:
    url, told = posted
    started(url=url, on=["end", "failure", "best"])
    by_event = {event: [each for each in told if each["event"] == event] for event in ("best", "failure")}
    assert by_event["best"][-1]["trial"] == 4
    assert by_event["best"][-1]["text"] == "s: trial 4 is the best so far, validation loss 0.6"
    assert by_event["failure"][0]["text"] == "s: 1 trial failed so far; see: tune show s"
    assert told[-1]["event"] == "end"
    assert told[-1]["study"] == "s"
    assert told[-1]["text"].startswith("s finished: the budget of 5 trials is used up; trial ")
    assert told[-1]["value"] == pytest.approx(1 - 0.1 * told[-1]["trial"])


def test_a_command_is_told_of_the_end_however_it_came() -> None:
    command = f'{sys.executable} -c "{LISTENER}"'
    started(command=command)
    lines = Path("told.txt").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["s finished"]

    def broken(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
        if context.number == 7:
            raise KeyboardInterrupt
        yield {"val_loss": 1.0}

    with pytest.raises(KeyboardInterrupt):
        tuner.resume("s", trainer=broken, trials=9)
    assert Path("told.txt").read_text().splitlines()[1:] == ["s was interrupted"]


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ({"url": "http://127.0.0.1:9/nobody"}, "the notice could not be posted"),
        ({"command": "no-such-program-here"}, "its command failed"),
        ({"command": f"{sys.executable} -c 'raise SystemExit(3)'"}, "exit status 3"),
    ],
)
def test_what_cannot_be_delivered_is_told_once_and_the_study_goes_on(
    to: dict[str, str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        study = started(**to, on=["end", "best"])
    assert study.summary.started == 5
    assert [words in each.message for each in caplog.records if "notify:" in each.message] == [True]


@pytest.mark.parametrize(
    ("notify", "words"),
    [
        ({"on": ["best"]}, "nobody is told"),
        ({"url": "hook"}, "notify.url"),
        ({"command": ""}, "notify.command"),
    ],
)
def test_a_section_that_tells_nobody_is_refused(notify: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        started(**notify)
