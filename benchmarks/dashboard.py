"""The dashboard beside optuna-dashboard and beside an empty page of its own stack, in a real browser.

    python -m benchmarks.dashboard                    both sizes, three rounds; takes about half an hour
    python -m benchmarks.dashboard --sizes 300x10 --rounds 1 --no-peer
    python -m benchmarks.dashboard --sizes 100000x50 --rounds 1 --no-peer

Rounds alternate the programs; every round starts each server anew and opens it in a fresh browser
profile. A page is ready when every figure has its data and the table its rows.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.web.made import make_study

EMPTY_PAGE = 'title = "Empty"\n[[figures]]\nuse = "./empty.py:FIGURE"\n'
EMPTY_FIGURE = """
from tuner.figures import Figure
FIGURE = Figure("empty", "Empty", "Nothing.", lambda frame: None,
                lambda columns, theme: {"data": [{"x": [0, 1], "y": [0, 1]}], "layout": theme.layout()})
"""
WATCH = """
window.whenReady = (test) => new Promise(done => {
  const look = () => test() ? done(performance.now()) : setTimeout(look, 20);
  look();
});
window.longTasks = [];
new PerformanceObserver(list => list.getEntries().forEach(e => window.longTasks.push(e.duration)))
  .observe({type: 'longtask', buffered: true});
window.areDrawn = (inView) => {
  const cards = [...document.querySelectorAll('main .card .dash-graph')];
  return cards.length > 0 && cards.every(card => {
    const plot = card.querySelector('.js-plotly-plot');
    const isDrawn = plot && plot.calcdata && plot.data.length && plot.querySelector('.main-svg');
    return isDrawn || (inView && card.getBoundingClientRect().top > window.innerHeight);
  });
};
"""
OURS_READY = "() => whenReady(() => areDrawn() && document.querySelectorAll('main tbody tr').length > 8)"
DRAWN = "() => whenReady(() => areDrawn())"
PEER_READY = """() => whenReady(() => {
  const plots = [...document.querySelectorAll('.js-plotly-plot')].filter(p => p.data && p.data.length);
  const longest = Math.max(0, ...plots.flatMap(p => p.data.map(t => (t.x || []).length)));
  return plots.length >= 3 && longest >= AMOUNT;
})"""
LOOK_MS = 1000
LONGEST_MS = 900_000
"""So long a page may take."""
LARGE = 100_000
"""From so many trials on, seconds are limited instead of the ratio to an empty page."""
LOCAL = ("http://127.0.0.1", "data:", "blob:")


@dataclass
class Load:
    """One opening of a page."""

    ready_s: float
    sent_kb: float
    study_kb: float
    memory_mb: float
    freeze_s: float
    complaints: list[str] = field(default_factory=list)
    more: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """Something that shows a study in the browser: how it starts, where, and when it is ready."""

    name: str
    command: Callable[[int], list[str]]
    folder: Path
    path: str
    ready: str
    then: Callable[[Page], dict[str, float]] = lambda _page: {}


@contextmanager
def running(program: Program) -> Iterator[tuple[int, int]]:
    """Port and process of a server that answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        program.command(port), cwd=program.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield port, server.pid
        finally:
            server.terminate()


def opened(browser: Browser, program: Program) -> Load:
    """Start the server, open the page, wait until it is ready."""
    with running(program) as (port, pid):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script(WATCH)
        page = context.new_page()
        page.set_default_timeout(LONGEST_MS)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(LOCAL) else None)
        wire = page.context.new_cdp_session(page)
        wire.send("Network.enable")
        kinds: dict[str, str] = {}
        sent = {"all": 0.0, "study": 0.0}
        wire.on("Network.responseReceived", lambda e: kinds.update({e["requestId"]: e["response"]["url"]}))

        def finished(event: Mapping[str, Any]) -> None:
            sent["all"] += event["encodedDataLength"]
            if any(mark in kinds.get(event["requestId"], "") for mark in ("_dash-update", "/-/", "/api/")):
                sent["study"] += event["encodedDataLength"]

        wire.on("Network.loadingFinished", finished)
        page.goto(f"http://127.0.0.1:{port}{program.path}", wait_until="commit")
        ready = page.evaluate(program.ready) / 1000
        page.wait_for_timeout(200)
        freeze = page.evaluate("() => Math.max(0, ...window.longTasks)") / 1000
        load = Load(ready, sent["all"] / 1000, sent["study"] / 1000, 0.0, freeze, complaints)
        load.more = program.then(page)
        load.memory_mb = memory_mb(pid)
        context.close()
        return load


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    total = 0.0
    status = Path(f"/proc/{pid}/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmRSS"):
            total += int(line.split()[1]) / 1000
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if status.exists() else ():
        total += memory_mb(int(child))
    return total


def use(page: Page) -> dict[str, float]:
    """Seconds to switch pages, to change an axis and to open the table, until what is in view is there.

    A person looks at each page for a second before they go on, and opens each for the first time.
    """
    timed = {}
    switch = """name => {
      const t0 = performance.now();
      document.querySelector(`#pages a[data-page="${name}"]`).click();
      return whenReady(() => location.search.includes('page=' + name) && document.title.includes(name)
        && document.querySelector('main .card') && !document.querySelector('main .card').dataset.old
        && areDrawn(true)).then(t => (t - t0) / 1000); }"""
    old = "() => document.querySelectorAll('main .card').forEach(card => card.dataset.old = '1')"
    for name in ("convergence", "over-fitting", "parameters"):
        page.evaluate(old)
        page.wait_for_timeout(LOOK_MS)
        timed[f"to {name}"] = page.evaluate(switch, name)
    axis = """() => {
      const t0 = performance.now();
      document.querySelector('[data-option="slices.log"]').click();
      const plot = document.querySelector('#card-slices .js-plotly-plot');
      const before = plot.layout.yaxis.type;
      return whenReady(() => plot.layout.yaxis.type !== before).then(t => (t - t0) / 1000); }"""
    page.wait_for_timeout(LOOK_MS)
    timed["log axis"] = page.evaluate(axis)
    table = """() => {
      const t0 = performance.now();
      document.querySelector('#pages a[data-page="trials"]').click();
      const since = test => whenReady(test).then(t => (t - t0) / 1000);
      return Promise.all([
        since(() => document.querySelector('main .ag-row .ag-cell')),
        since(() => /^[0-9,]+ trials/.test((document.querySelector('#table-state') || {}).textContent)),
      ]); }"""
    page.wait_for_timeout(LOOK_MS)
    timed["to the table"], timed["to all its rows"] = page.evaluate(table)
    sort = """() => {
      const t0 = performance.now();
      const first = () => document.querySelector('.ag-row[row-index="0"] .link');
      const before = first().textContent;
      document.querySelector('[col-id=val_loss] .ag-header-cell-label').click();
      return whenReady(() => first() && first().textContent !== before).then(t => (t - t0) / 1000); }"""
    timed["sort the table"] = page.evaluate(sort)
    chosen = """() => {
      const t0 = performance.now();
      const input = document.querySelector('.ag-floating-filter input[aria-label^="state"]');
      input.value = 'failed';
      input.dispatchEvent(new Event('input'));
      return whenReady(() => / of /.test(document.querySelector('#table-state').textContent))
        .then(t => (t - t0) / 1000); }"""
    timed["filter the table"] = page.evaluate(chosen)
    panel = """() => {
      const t0 = performance.now();
      document.querySelector('.ag-row[row-index="0"] .ag-cell.state').click();
      return whenReady(() => document.querySelector('#panel h2')).then(t => (t - t0) / 1000); }"""
    timed["open the panel"] = page.evaluate(panel)
    return timed


def lag_s(browser: Browser, program: Program, path: Path, seen: str, rounds: int = 3) -> float:
    """Seconds from a commit in the database to its point on the screen; the median."""
    found = []
    with running(program) as (port, _):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script(WATCH)
        page = context.new_page()
        page.set_default_timeout(300_000)
        page.goto(f"http://127.0.0.1:{port}{program.path}")
        page.evaluate(program.ready)
        for _ in range(rounds):
            page.wait_for_timeout(1700)
            number = add_trial(path)
            began = time.time()
            page.evaluate(f"number => whenReady(() => {seen})", number)
            found.append(time.time() - began)
        context.close()
    return statistics.median(found)


def add_trial(path: Path) -> int:
    """One more finished trial, better than all before, in one transaction.

    Returns:
        Its number.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    last, study, number = connection.execute(
        "SELECT trial_id, study_id, number FROM tuner_trials ORDER BY trial_id DESC LIMIT 1"
    ).fetchone()
    new, value = last + 1, 0.02 / (number + 1)
    connection.execute(
        "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete) "
        "SELECT ?, ?, study_id, 'COMPLETE', datetime_start, datetime_complete FROM trials WHERE trial_id = ?",
        (new, number + 1, last),
    )
    copied = "study_id, params, best_epoch, epochs, seconds, interruptions, started_at, ended_at"
    connection.execute(
        f"INSERT INTO tuner_trials (trial_id, number, value, state, conclusive, {copied}) "
        f"SELECT ?, ?, ?, 'finished', 1, {copied} FROM tuner_trials WHERE trial_id = ?",
        (new, number + 1, value, last),
    )
    connection.execute(
        "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?, 0, ?, 'FINITE')",
        (new, value),
    )
    connection.execute(
        "INSERT INTO tuner_epochs (trial_id, epoch, train_loss, val_loss) VALUES (?, 1, ?, ?)",
        (new, value, value),
    )
    connection.execute(
        "UPDATE tuner_studies SET updated_at = ? WHERE study_id = ?", (str(time.time()), study)
    )
    connection.execute("COMMIT")
    connection.close()
    return int(number) + 1


def programs(folder: Path, database: Path, amount: int, peer: Path | None) -> list[Program]:
    """What is compared on one database."""
    tiny = folder / "tiny.db"
    if not tiny.exists():
        make_study(tiny, "made", 12, 2)
        (folder / "dashboards").mkdir()
        (folder / "dashboards/empty.toml").write_text(EMPTY_PAGE)
        (folder / "empty.py").write_text(EMPTY_FIGURE)

    def tune(path: Path) -> Callable[[int], list[str]]:
        return lambda port: [
            *(sys.executable, "-m", "tuner", "dashboard", "--no-open"),
            *("--storage", f"sqlite:///{path}", "--port", str(port)),
        ]  # fmt: skip

    found = [
        Program("empty page", tune(tiny), folder, "/?study=made&page=empty", DRAWN),
        Program("tune dashboard", tune(database), folder, "/?study=made", OURS_READY, use),
    ]
    if peer is not None:
        ready = PEER_READY.replace("AMOUNT", str(int(amount * 0.6)))
        command = peer.with_name("optuna-dashboard")
        found.append(
            Program(
                "optuna-dashboard",
                lambda port: [
                    str(command),
                    f"sqlite:///{database}",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(port),
                ],
                folder,
                "/dashboard/studies/1",
                ready,
            )
        )
    return found


def installed_peer(folder: Path) -> Path:
    """The Python of a virtual environment with optuna-dashboard from PyPI."""
    venv.create(folder / "peer", with_pip=True)
    python = folder / "peer/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "optuna-dashboard"], check=True)
    return python


def report(size: str, loads: Mapping[str, Sequence[Load]], lags: Mapping[str, float]) -> None:
    """The table of one size, with what must hold."""

    def median(name: str, what: str) -> float:
        return float(statistics.median(getattr(load, what) for load in loads[name]))

    print(f"\n{size} (trials x epochs), median of {len(loads['tune dashboard'])}")
    heads = ("ready s", "sent kB", "study kB", "memory MB", "freeze s", "lag s")
    print(f"{'':18}" + "".join(f"{head:>11}" for head in heads) + "  each ready")
    for name, each in loads.items():
        found = [median(name, what) for what in ("ready_s", "sent_kb", "study_kb", "memory_mb", "freeze_s")]
        found.append(lags.get(name, math.nan))
        numbers = "".join(f"{value:11.2f}" if value < 100 else f"{value:11.0f}" for value in found)
        print(f"{name:18}{numbers}  " + " ".join(f"{load.ready_s:.2f}" for load in each))
    ours = loads["tune dashboard"]
    for what in ours[0].more:
        print(f"  {what:18} {statistics.median(load.more[what] for load in ours):5.2f} s")
    ready = median("tune dashboard", "ready_s")
    taken = {what: statistics.median(load.more[what] for load in ours) for what in ours[0].more}
    panel, chosen = taken.pop("open the panel"), taken.pop("filter the table")
    is_large = int(size.partition("x")[0]) >= LARGE
    musts = [
        ("s until the page is ready", ready, 5.0)
        if is_large
        else ("within 1.5x of the empty page", ready / median("empty page", "ready_s"), 1.5),
        ("MB sent in all", median("tune dashboard", "sent_kb") / 1000, 3.0),
        ("kB sent for the study", median("tune dashboard", "study_kb"), 200.0),
        ("s to switch pages and axes, the slowest", max(taken.values()), 0.5),
        ("s to open the panel of a trial", panel, 0.2),
        ("s to filter the table", chosen, 0.3),
        ("MB of server memory", median("tune dashboard", "memory_mb"), 1500.0 if is_large else 350.0),
        ("complaints and foreign requests", float(sum(len(load.complaints) for load in ours)), 0.0),
    ]
    if "tune dashboard" in lags:
        musts.append(("s from commit to screen", lags["tune dashboard"], 3.0))
    if "optuna-dashboard" in loads:
        least = 8.0 if int(size.partition("x")[0]) < 10_000 else 10.0
        times = median("optuna-dashboard", "ready_s") / ready
        told = "ok  " if times >= least else "MISS"
        print(f"  {told} {times:.1f}x as fast as optuna-dashboard (at least {least:g}x)")
    for words, value, most in musts:
        print(f"  {'ok  ' if value <= most else 'MISS'} {words}: {value:.2f} (at most {most:g})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="2000x30,10000x50", help="trials x epochs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--peer-python", type=Path, help="a Python that has optuna-dashboard; else it is installed"
    )
    parser.add_argument("--no-peer", action="store_true", help="leave optuna-dashboard out")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or sys.exit("no chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        peer = None if given.no_peer else given.peer_python or installed_peer(folder)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for size in given.sizes.split(","):
            amount, epochs = (int(number) for number in size.split("x"))
            database = folder / f"{size}.db"
            make_study(database, "made", amount, epochs)
            compared = programs(folder, database, amount, peer)
            loads: dict[str, list[Load]] = {program.name: [] for program in compared}
            for _ in range(given.rounds):
                for program in compared:
                    loads[program.name].append(opened(browser, program))
            shown = "[...document.querySelectorAll('.js-plotly-plot')].some(p => (p.data || []).some(t => "
            lags = {
                "tune dashboard": lag_s(
                    browser, compared[1], database, shown + "(t.customdata || []).includes(number)))"
                )
            }
            if peer is not None:
                lags["optuna-dashboard"] = lag_s(
                    browser, compared[2], database, shown + "(t.x || []).includes(number)))", 1
                )
            report(size, loads, lags)
        browser.close()
        print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
