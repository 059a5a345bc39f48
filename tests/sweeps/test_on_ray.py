"""Runs of a grid with Ray, on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from metaloss.checks import InputError
from metaloss.experiments import RunFolder
from metaloss.sweeps import Local, OnRay, Sweep
from tests.sweeps.grids import CE, GCE, MISFIT, grid

MORTAL = """
import os
from pathlib import Path

from torch import nn

def dies_once():
    mark = Path(__file__).parent / "died"
    if not mark.exists():
        mark.touch()
        os._exit(9)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""
DIES_ONCE = "from __gin__ import dynamic_registration\nimport mortal\nMODEL = @mortal.dies_once\n"


@pytest.mark.exhaustive  # workers take long to start
def test_runs_failures_and_a_worker_that_dies(tmp_path: Path) -> None:
    (tmp_path / "mortal.py").write_text(MORTAL)
    (tmp_path / "dies.gin").write_text(DIES_ONCE)
    dies = [str(tmp_path / "dies.gin"), *CE]
    # Parsing calls no function of the module, so that only workers die.
    methods = {"dies": dies, "GCE": GCE, "misfit": MISFIT}
    sweep = Sweep(grid(methods, seeds=(0,)), tmp_path / "out", only={"noise": ["40%"]})
    lines: list[str] = []
    left: list[int] = []
    watch = lambda jobs: left.append(len(jobs))  # noqa: E731
    failed = sweep.run(OnRay(cpus=1, retries=1, tell=lines.append, watch=watch))
    assert left[0] == 3 and left[-1] == 0
    assert [outcome.job.name for outcome in failed] == ["40%, misfit, seed 0"]
    assert (tmp_path / "died").exists()
    assert {line.partition("] ")[2].partition(": ")[0] for line in lines} == {
        "40%, dies, seed 0",
        "40%, GCE, seed 0",
        "40%, misfit, seed 0",
    }
    table = sweep.table()
    here = Sweep(grid(methods, seeds=(0,)), tmp_path / "here", only={"noise": ["40%"]})
    here.run(Local())
    again = here.table()
    assert table is not None and again is not None
    assert table.scores == again.scores


@pytest.mark.exhaustive
def test_a_run_that_another_process_makes_is_waited_for(tmp_path: Path) -> None:
    sweep = Sweep(grid({"CE": CE}, seeds=(0,)), tmp_path / "out", only={"noise": ["40%"]})
    ((_, job),) = sweep.runs
    other = RunFolder(job.folder)
    other.__enter__().begin()
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if "another process" in line:
            other.__exit__(None, None, None)

    assert sweep.run(OnRay(tell=tell)) == []
    assert lines == [f"{job.name}: another process makes this run", f"[1/1] {job.name}: finished"]


@pytest.mark.exhaustive
def test_more_than_the_machine_has(tmp_path: Path) -> None:
    sweep = Sweep(grid({"CE": CE}, seeds=(0,)), tmp_path / "out")
    with pytest.raises(InputError, match=r"cpus: expected at most the \d+ that one machine has"):
        sweep.run(OnRay(cpus=10_000))


@pytest.mark.exhaustive
def test_what_is_no_address(tmp_path: Path) -> None:
    sweep = Sweep(grid({"CE": CE}, seeds=(0,)), tmp_path / "out")
    with pytest.raises(InputError, match="ray: expected a cluster at nonsense, got "):
        sweep.run(OnRay(address="nonsense"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cpus": 0}, "cpus: expected a number above 0, got 0"),
        ({"gpus": -1}, "gpus: expected a number of at least 0, got -1"),
        ({"retries": -1}, "retries: "),
    ],
)
def test_numbers_out_of_range(settings: dict[str, int], said: str) -> None:
    with pytest.raises(InputError) as refused:
        OnRay(**settings)  # type: ignore[arg-type]
    assert said in str(refused.value)


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    sweep = Sweep(grid({"CE": CE}, seeds=(0,)), tmp_path / "out")
    with pytest.raises(InputError, match=r"pip install 'metaloss\[ray\]'"):
        sweep.run(OnRay())
