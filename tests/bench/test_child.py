"""Jobs in processes of their own."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import warnings
from dataclasses import asdict, replace
from typing import Any

import pytest

from metaloss.bench.check import FAILED
from metaloss.bench.child import in_child, main
from metaloss.bench.jobs import MEMORY, TIME, Job
from metaloss.bench.methods import CE

JOB = Job(
    task=TIME,
    case="mlp",
    steps=1,
    methods=("mixed",),
    batch=4,
    repeats=2,
    device="cpu",
    threads=1,
    channels_last=False,
    small=True,
)


@pytest.mark.exhaustive
def test_a_job_comes_back_with_its_findings() -> None:
    found = in_child(JOB)
    assert set(found) == {CE, "mixed"}
    assert [len(times) for times in found.values()] == [2, 2]


def test_a_job_that_fails_says_why_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asdict(replace(JOB, case="abacus")))))
    with warnings.catch_warnings():
        main()
    assert json.loads(capsys.readouterr().out) == {FAILED: "KeyError: 'abacus'"}


@pytest.mark.parametrize(
    ("code", "stderr", "expected"),
    [
        (-signal.SIGKILL, "", "the process was ended by SIGKILL (out of memory?)"),
        (1, "Traceback\nImportError: no torch\n", "ImportError: no torch"),
        (3, "", "exit code 3"),
    ],
)
def test_a_process_that_dies_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, code: int, stderr: str, expected: str
) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr("metaloss.bench.child.subprocess.run", run)
    assert in_child(JOB) == {FAILED: expected}


def test_what_a_peer_prints_is_not_taken_for_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def perform(job: Job) -> dict[str, Any]:
        print("Initializing ...")  # noqa: T201
        return {"methods": list(job.methods)}

    monkeypatch.setattr("metaloss.bench.child.perform", perform)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asdict(replace(JOB, task=MEMORY)))))
    with warnings.catch_warnings():
        main()
    written = capsys.readouterr()
    assert json.loads(written.out) == {"methods": ["mixed"]}
    assert "Initializing" in written.err


@pytest.mark.parametrize("task", [TIME, MEMORY])
def test_memory_alone_is_measured_with_large_tensors_mapped(
    monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    seen: dict[str, str] = {}

    def run(command: list[str], *, env: dict[str, str], **_: Any) -> object:
        seen.update(env)
        return subprocess.CompletedProcess(command, 0, "{}", "")

    monkeypatch.setattr("metaloss.bench.child.subprocess.run", run)
    assert in_child(replace(JOB, task=task)) == {}
    assert ("MALLOC_MMAP_THRESHOLD_" in seen) == (task == MEMORY)
    assert "PATH" in seen
