"""tune cluster: what it writes and refuses; the SLURM script with stand-ins for srun, scontrol, ray, tune."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tuner.cli.app import main
from tuner.starter import write_cluster

STAND_INS = {
    "scontrol": 'echo "$@" >>scontrol.txt\nif [ "$1" = show ]; then echo one; echo two; fi',
    "srun": 'while [ "${1#-}" != "$1" ]; do if [ "$1" = -w ]; then shift; fi; shift; done\nexec "$@"',
    "ray": 'echo "$@" "$RAY_AUTH_MODE $RAY_AUTH_TOKEN" >>ray.txt\n'
    'case "$1" in start) exec sleep 600;; get-auth-token) echo secret; esac',
    "tune": 'sleep 600 &\ntrap "kill $!; exit $CODE" TERM\necho "$RAY_ADDRESS $@" >>tune.txt\nwait $!',
}


def starts(folder: Path) -> list[str]:
    """How Ray was started."""
    return [line for line in (folder / "ray.txt").read_text().splitlines() if line.startswith("start")]


@pytest.mark.parametrize(
    ("kind", "name"), [("slurm", "tuner.sbatch"), ("kuberay", "kuberay.yaml"), ("aws", "aws.yaml")]
)
def test_the_file_of_a_cluster_is_written_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    for code in (0, 2):
        with pytest.raises(SystemExit) as left:
            main(["cluster", "init", f"--{kind}", str(tmp_path / "jobs")])
        assert left.value.code == code
    assert "is there already" in capsys.readouterr().err
    text = (tmp_path / "jobs" / name).read_text()
    assert "RAY_VERSION" not in text
    assert "tune start" in text


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("kuberay", ["\n  authOptions: {mode: token}\n"]),
        ("aws", ["{/home/ubuntu/.ray/auth_token: ~/.ray/auth_token}", "export RAY_AUTH_MODE=token"]),
    ],
)
def test_the_machines_of_a_cluster_share_a_token_whatever_lies_on_one_of_them(
    tmp_path: Path, kind: str, parts: list[str]
) -> None:
    text = write_cluster(kind, tmp_path).read_text()
    assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize("arguments", [["init"], ["--slurm"], ["--address", "nowhere"]])
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["cluster", *arguments])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: t")


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGUSR1, 130), (signal.SIGTERM, 130), (signal.SIGTERM, 0)]
)
def test_a_job_that_is_about_to_end_stops_the_driver_and_is_queued_again(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    script = write_cluster("slurm", tmp_path)
    for name, text in STAND_INS.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "CODE": str(code),
        "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "one,two", "SLURM_CPUS_PER_TASK": "8",
    }  # fmt: skip
    with subprocess.Popen(["bash", script.name, "digits"], cwd=tmp_path, env=environment) as job:
        deadline = time.monotonic() + 120
        while not (tmp_path / "tune.txt").exists() or len(starts(tmp_path)) < 2:
            assert time.monotonic() < deadline
            assert job.poll() is None
            time.sleep(0.05)
        job.send_signal(sent)
        assert job.wait(120) == code
    assert (tmp_path / "tune.txt").read_text() == "one:6379 start digits --exists resume --cluster auto\n"
    started = starts(tmp_path)
    assert len(started) == 2
    assert all(line.endswith(" token secret") for line in started)
    assert sum("--head --port=6379" in line for line in started) == 1
    assert sum("--address=one:6379" in line for line in started) == 1
    assert ("requeue 7" in (tmp_path / "scontrol.txt").read_text()) == (code == 130)
