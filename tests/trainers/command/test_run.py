from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.servers import until
from tests.trainers.command.scripts import STATEFUL
from tuner import script
from tuner.core.job import Job, Resources
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, TrialBatch
from tuner.core.trial import Reading, Trial
from tuner.trainers import open_batch
from tuner.trainers.command import CommandTrainer

SPACE = {"rate": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}}


def placed(command: str, resources: Resources | None = None, **trainer: Any) -> TrialBatch:
    spec = StudySpec.parse({"trainer": {"command": command, "epochs": 5, **trainer}, "space": SPACE})
    batch = open_batch(CommandTrainer(), Job(spec, None, resources=resources or Resources()))
    batch.place(0, Trial(7, {"rate": 0.25}, 3))
    return batch


def shell(text: str, **trainer: Any) -> TrialBatch:
    return placed(shlex.join(["sh", "-c", text]), **trainer)


def outcomes(batch: TrialBatch, count: int) -> list[Any]:
    return [batch.advance()[0] for _ in range(count)]


def losses(found: list[Any]) -> list[Any]:
    return [each.val_loss if isinstance(each, Reading) else each for each in found]


def is_alive(pid: int) -> bool:
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_a_shell_command_tells_its_numbers_and_is_exhausted() -> None:
    batch = shell('for e in 1 2; do echo "train_loss=0.1"; echo "val_loss: 0.$e, depth=3"; done')
    first, second, third = outcomes(batch, 3)
    assert losses([first, second, third]) == [0.1, 0.2, Exhausted()]
    assert (first.epoch, second.epoch, second.train_loss, second.extras) == (1, 2, 0.1, {"depth": 3.0})


def test_a_command_is_told_of_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("TUNER_TRIAL", "TUNER_SEED", "TUNER_EPOCHS", "TUNER_CHECKPOINT", "TUNER_PARAMS")
    monkeypatch.setenv("OWN", "kept")
    code = (
        "import json, os; from pathlib import Path; e = os.environ; "
        f"assert all(name in e for name in {names}); assert e['OWN'] == 'kept'; "
        "assert Path(e['TUNER_CHECKPOINT']).is_dir(); "
        "assert json.loads(Path(e['TUNER_PARAMS']).read_text()) == {'rate': 0.25}; "
        "print(json.dumps({'val_loss': 1, 'trial': int(e['TUNER_TRIAL']), 'most': int(e['TUNER_EPOCHS'])}))"
    )
    (reading,) = outcomes(placed(shlex.join(["python", "-c", code])), 1)
    assert isinstance(reading, Reading), reading
    assert reading.extras == {"trial": 7.0, "most": 5.0}


@pytest.mark.parametrize(
    ("told", "device", "seen"),
    [
        ("2,3", "cuda:1", "3"),
        ("MIG-a,MIG-b", "cuda:1", "MIG-b"),
        ("GPU-8f1c", "cuda", "GPU-8f1c"),
        (None, "cuda:1", "1"),
        ("2,3", "cpu", "2,3"),
        (None, "cpu", "none"),
    ],
)
def test_a_command_sees_the_gpus_of_its_trial(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str | None, device: str, seen: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if told is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    # torch is imported here, and would be asked for the state of the GPU's generator.
    monkeypatch.setattr("tuner.trainers.global_rng.sys", SimpleNamespace(modules={}))
    text = f'echo "${{CUDA_VISIBLE_DEVICES-none}}" > {tmp_path}/seen; echo val_loss=1'
    assert losses(outcomes(placed(shlex.join(["sh", "-c", text]), Resources((device,))), 1)) == [1.0]
    assert (tmp_path / "seen").read_text() == f"{seen}\n"


@pytest.mark.parametrize(
    ("text", "told", "last"),
    [
        ("echo one; echo two >&2; exit 3", "the command ended with exit code 3; its last line: two", "two"),
        ("echo val_loss=1; kill -SEGV $$", "the command was killed by SIGSEGV", "val_loss=1"),
        ("echo loss=1", "the command ended and told no val_loss; its last line: loss=1", "loss=1"),
        ("true", "the command ended and told no val_loss", "no val_loss"),
    ],
)
def test_a_command_that_fails_is_told_with_its_last_lines(text: str, told: str, last: str) -> None:
    *_, failure = outcomes(shell(text), 2 if "val_loss" in text else 1)
    assert isinstance(failure, Failure)
    assert told in failure.error
    assert last in failure.traceback.splitlines()[-1]


def test_a_program_that_is_not_there_fails_the_trial() -> None:
    (failure,) = outcomes(placed("/nowhere/train"), 1)
    assert isinstance(failure, Failure)
    assert "/nowhere/train" in failure.error


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_numbers_come_from_a_file(kind: str) -> None:
    head, line = (
        ("echo e,val_loss", "echo $e,0.$e") if kind == "csv" else ("true", 'echo {\\"val_loss\\": 0.$e}')
    )
    text = f"f=$1; {head} > $f; for e in 1 2; do {line} >> $f; done"
    command = f"{shlex.join(['sh', '-c', text])} x ${{folder}}/m.{kind}"
    assert losses(outcomes(placed(command, metrics=f"${{folder}}/m.{kind}"), 3)) == [0.1, 0.2, Exhausted()]


def test_the_whole_group_ends_with_its_trial(tmp_path: Path) -> None:
    text = f"sleep 60 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/own; echo val_loss=1; wait"
    batch = shell(text)
    outcomes(batch, 1)
    pids = [int((tmp_path / name).read_text()) for name in ("child", "own")]
    assert all(map(is_alive, pids))
    batch.clear(0)
    until(lambda: not any(map(is_alive, pids)))


def test_a_command_may_end_by_itself_before_it_is_killed(tmp_path: Path) -> None:
    text = f"trap 'echo saved > {tmp_path}/done; exit' TERM; echo val_loss=1; while :; do sleep 0.01; done"
    batch = shell(text)
    outcomes(batch, 1)
    batch.clear(0)
    assert (tmp_path / "done").read_text() == "saved\n"


def test_a_command_that_ignores_its_end_is_killed_after_the_grace(tmp_path: Path) -> None:
    text = f"trap '' TERM; echo $$ > {tmp_path}/own; echo val_loss=1; while :; do sleep 0.01; done"
    batch = shell(text, grace_seconds=0.1)
    outcomes(batch, 1)
    batch.clear(0)
    pid = int((tmp_path / "own").read_text())
    until(lambda: not is_alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the command")
def test_a_command_ends_with_the_process_that_runs_it(tmp_path: Path) -> None:
    text = f"echo $$ > {tmp_path}/own; echo val_loss=1; while :; do sleep 0.01; done"
    code = (
        "import sys, os, signal; from tests.trainers.command.test_run import shell, outcomes; "
        f"batch = shell({text!r}); outcomes(batch, 1); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = str(Path(__file__).parents[3])
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": root}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    pid = int((tmp_path / "own").read_text())
    until(lambda: not is_alive(pid))


def test_what_a_command_prints_after_its_end_and_without_a_newline_is_no_harm(
    capfd: pytest.CaptureFixture[str],
) -> None:
    batch = shell("printf 'a\\rb\\n'; echo bad >&2; printf '\\377 val_loss=1'; exit 0")
    assert losses(outcomes(batch, 2)) == [1.0, Exhausted()]
    out, err = capfd.readouterr()
    assert out == "a\nb\n\ufffd val_loss=1\n"
    assert err == "bad\n"


def test_a_command_may_wait_for_an_answer_in_any_language(tmp_path: Path) -> None:
    text = (
        "for e in 1 2 3; do echo $e > $TUNER_CHECKPOINT/e; "
        'echo "{\\"val_loss\\": 0.$e, \\"state\\": \\"$TUNER_CHECKPOINT\\"}"; '
        f"read answer; echo $answer >> {tmp_path}/answers; [ $answer = continue ] || exit 0; done"
    )
    batch = shell(text)
    assert losses(outcomes(batch, 2)) == [0.1, 0.2]
    assert (tmp_path / "answers").read_text() == "continue\n"
    snapshot = batch.snapshot(0)
    assert snapshot is not None
    assert [bytes(each) for name, each in snapshot.arrays.items() if name.endswith("/e")] == [b"2\n"]
    batch.clear(0)
    assert (tmp_path / "answers").read_text() == "continue\nstop\n"


def test_a_report_without_the_objective_fails_and_does_not_wait_for_ever() -> None:
    (failure,) = outcomes(placed("python -c 'import tuner; tuner.report(loss=1)'"), 1)
    assert isinstance(failure, Failure)
    assert "the objective needs val_loss, but epoch 1 has only: loss" in failure.error


@pytest.mark.parametrize("order", ["{print}; {report}", "{report}; {print}"])
def test_what_a_script_prints_beside_its_reports_is_no_epoch(order: str) -> None:
    each = order.format(print="print(f'val_loss={e / 3:.2f}')", report="tuner.report(val_loss=e / 3, e=e)")
    batch = placed(shlex.join(["python", "-c", f"import tuner\nfor e in (1, 2, 3): {each}"]))
    assert [round(each, 2) for each in losses(outcomes(batch, 3))] == [0.33, 0.67, 1.0]
    assert outcomes(batch, 1) == [Exhausted()]


def test_what_a_script_reports_as_its_only_epoch_ends_its_trial_unless_it_has_told_another() -> None:
    def told(text: str, count: int) -> list[Any]:
        return outcomes(placed(shlex.join(["python", "-c", f"from tuner import script; {text}"])), count)

    (only,) = told("script.report_only(val_loss=1, size=3)", 1)
    assert (only.val_loss, only.extras, only.is_last) == (1.0, {"size": 3.0}, True)
    for text in ("script.report(val_loss=2)", "print('val_loss=2')"):
        first, end = told(f"{text}; script.report_only(val_loss=1)", 2)
        assert (first.val_loss, first.is_last, end) == (2.0, False, Exhausted())
    (failure,) = told("script.report_only(val_loss='high')", 1)
    assert "the objective needs val_loss" in failure.error


def test_a_script_that_prints_and_reports_its_state_goes_on_from_there(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        STATEFUL.replace("tuner.report(", "print('val_loss=5'); tuner.report(")
    )
    batch = placed(f"python {tmp_path}/train.py")
    outcomes(batch, 3)
    snapshot = batch.snapshot(0)
    expected = outcomes(batch, 2)
    batch.clear(0)
    batch.place(0, Trial(7, {"rate": 0.25}, 3), snapshot)
    assert losses(outcomes(batch, 2)) == losses(expected)


def test_a_script_that_reports_ends_by_its_own_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DONE", str(tmp_path / "done"))
    (tmp_path / "train.py").write_text(STATEFUL)
    batch = placed(f"python {tmp_path}/train.py")
    outcomes(batch, 2)
    batch.clear(0)
    assert (tmp_path / "done").read_text() == "2"


def test_alone_a_script_reports_nothing_and_has_its_own_settings(tmp_path: Path) -> None:
    text = "import tuner; print(tuner.params(rate=0.5)); tuner.report(val_loss=1, state='x')"
    known = {name: value for name, value in os.environ.items() if not name.startswith("TUNER_")}
    told = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, env=known, cwd=tmp_path
    )
    assert told.stdout == "{'rate': 0.5}\n"
    assert told.stderr == ""


def test_only_the_first_process_of_a_trial_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params.json").write_text(json.dumps({"rate": 0.25, "more": 1}))
    monkeypatch.setenv("TUNER_PARAMS", str(tmp_path / "params.json"))
    monkeypatch.setenv("TUNER_TRIAL", "1")
    monkeypatch.setenv("RANK", "1")
    script.report(val_loss=1)
    assert capfd.readouterr().out == ""
    assert script.params(rate=0.5, units=8) == {"rate": 0.25, "units": 8, "more": 1}
