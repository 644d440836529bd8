from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.servers import PostgresServer

# No test depends on how fast the machine is. CI looks at the same examples each time; every other
# run looks at new ones.
settings.register_profile("tuner", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("tuner")

# Whoever runs the tests in the background may have SIGINT ignored, and so would the programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run side by side, one on each core, where threads mostly wait for each other. This is set before numpy
# and torch are imported, and the programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Their process would take longer than most studies of the tests; those that look at them turn them on.
os.environ.setdefault("TUNER_BASELINES", "off")


_RAN: set[str] = set()
"""Names, markers among them, of the tests that have passed."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        _RAN.update(report.keywords)


_UNRUN = "tuner/unrun"
"""The key of pytest's cache under which a run of all tests keeps what has not run."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """A run of all tests that is killed has not run them."""
    if os.environ.get("CI") and not hasattr(session.config, "workerinput") and _is_whole(session):
        assert session.config.cache
        session.config.cache.set(_UNRUN, ["all tests, to their end"])


def _is_whole(session: pytest.Session) -> bool:
    options = session.config.option
    is_named = session.config.args_source is pytest.Config.ArgsSource.ARGS
    return not (is_named or options.keyword or options.markexpr or getattr(options, "lf", False))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int | pytest.ExitCode) -> None:
    """CI fails where tests that need something beside Python have not run at all, or a run was broken off.

    It still does when what failed is tried once more and passes then.
    """
    config = session.config
    if not os.environ.get("CI") or hasattr(config, "workerinput"):
        return
    if getattr(config.option, "lf", False):
        unrun = config.cache.get(_UNRUN, ["all tests, to their end"]) if config.cache else []
    elif not _is_whole(session):
        return
    else:
        unrun = sorted({"browser", "ddp", "postgres", "ray"} - _RAN)
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            unrun.append("all tests, to their end")
        if config.cache:
            config.cache.set(_UNRUN, unrun)
    if unrun:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        config.get_terminal_writer().line(f"\nnot run: {', '.join(unrun)}")


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers of studies that the test itself drives are forked; see `processes.fork_workers`."""
    from tests import processes

    processes.fork_workers(monkeypatch)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; where there is none CI fails, and the tests skip elsewhere."""
    from tests import servers

    if servers.programs() is None:
        missing = "no PostgreSQL server is installed: apt-get install postgresql"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with servers.running() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a database of the test's own, with tables and without studies."""
    url = postgres.create()
    yield url
    postgres.drop(url)
