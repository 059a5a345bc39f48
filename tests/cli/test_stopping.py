"""Runs that are stopped, and how to go on with them."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from metaloss import files
from metaloss.cli import options
from metaloss.console import Lines
from tests.conftest import Command

QUICK = [
    *("--gin_param", "experiments.Experiment.methods = [@ce/experiments.Conventional()]"),
    *("--gin_param", "EPOCHS = 3"),
    *("--gin_param", "SEEDS = (0,)"),
    *("--gin_param", "tasks.classification_task.subset = 200"),
]


def at_epoch(number: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something once an epoch is done, in the middle of a run."""
    told = Lines.epoch

    def epoch(self: Lines, record: dict[str, object]) -> None:
        told(self, record)
        if record["epoch"] == number:
            act()

    monkeypatch.setattr(Lines, "epoch", epoch)


@pytest.mark.parametrize(
    ("sent", "code", "out"),
    [(signal.SIGINT, 130, []), (signal.SIGTERM, 143, ["--out", "my run"])],
)
def test_a_signal_ends_in_one_line_that_says_how_to_go_on(
    sent: signal.Signals, code: int, out: list[str], run_main: Command, tmp_path: Path, monkeypatch
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        at_epoch(2, lambda: os.kill(os.getpid(), sent), patch)
        found, shown, errors = run_main("demo", *QUICK, *out)
    assert (found, shown) == (code, "")
    *_, last = errors.splitlines()
    assert last.startswith("stopped; go on with: metaloss demo --gin_param 'experiments.Exp")
    place = Path(out[1]) if out else next((tmp_path / "runs").iterdir()).relative_to(tmp_path)
    assert f"--out {shlex.quote(str(place))}" in last and last.endswith("--resume")
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    found, shown, _ = run_main(*shlex.split(last)[5:])
    assert found == 0
    assert f"results: {place}" in shown
    lines = (tmp_path / place / "CE/seed-0/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_a_run_stopped_before_it_began_has_nothing_to_go_on_with(
    run_main: Command, tmp_path: Path, monkeypatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("metaloss.runner.build", stop)
    assert run_main("demo", *QUICK) == (130, "", "stopped; nothing was written yet\n")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_what_is_there_can_be_resumed(
    run_main: Command, monkeypatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        at_epoch(2, lambda: patch.setattr(files.os, "fsync", full), patch)
        code, shown, errors = run_main("demo", *QUICK, "--out", "out")
    assert (code, shown) == (2, "")
    *_, last = errors.splitlines()
    assert last.startswith("error: out/CE/seed-0/checkpoint.pt: No space left on device; once")
    code, shown, _ = run_main(*shlex.split(last.partition("go on with: ")[2])[1:])
    assert code == 0
    assert "results: out" in shown


def test_two_runs_of_one_second_have_folders_of_their_own(
    run_main: Command, tmp_path: Path, monkeypatch
) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None) -> datetime:
            return cls(2026, 1, 2, 12)

    monkeypatch.setattr(options, "datetime", Noon)
    for words, end in ((["demo"], ""), (["train", "experiments/demo.gin"], "-2")):
        place = f"runs/demo-20260102-120000{end}"
        assert f"results: {place}\n" in run_main(*words, *QUICK)[1]
        assert (tmp_path / place / "results.json").is_file()


def test_refusals_of_folders_say_what_to_do(run_main: Command, tmp_path: Path) -> None:
    def said(*words: str) -> str:
        code, shown, errors = run_main("demo", *QUICK, *words)
        assert (code, shown) == (2, "")
        (line,) = errors.splitlines()
        return line

    long = "x" * 300
    assert said("--resume").endswith("--resume: expected --out with the run's folder, got none")
    assert said("--out", long).endswith("cannot make this folder: File name too long")
    assert said("--out", long, "--resume").endswith("got none with a run")
    (tmp_path / "out/CE/seed-0").mkdir(parents=True)
    assert "--resume goes on with it" in said("--out", "out")
    assert "got one from Python" in said("--out", "out", "--resume")
    (tmp_path / "out/config.gin").write_bytes(b"\xff\x00\xfe")
    assert "config.gin: expected a file of text" in said("--out", "out", "--resume")
    (tmp_path / "out/config.gin").write_text("EPOCHS = 7\n")
    assert "got another: expected `EPOCHS = 7`, got " in said("--out", "out", "--resume")
