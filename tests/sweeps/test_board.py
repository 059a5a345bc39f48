"""The live table of a sweep with several workers."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from metaloss.sweeps import Local, Sweep
from metaloss.sweeps.board import Board, board, epochs_finished
from tests.sweeps.grids import CE, grid


def lines(console: Console) -> str:
    return " ".join(console.export_text().split())


def test_what_runs_and_what_waits(tmp_path: Path) -> None:
    sweep = Sweep(grid({"CE": CE}, seeds=(0, 1)), tmp_path / "out", ["EPOCHS = 2"])
    jobs = [job for _, job in sweep.runs]
    assert [epochs_finished(job) for job in jobs] == [None] * 4
    list(Local()(jobs[:1]))
    assert epochs_finished(jobs[0]) == 2
    console = Console(record=True, width=80)
    console.print(board(jobs[:3], jobs=4))
    shown = lines(console)
    assert "1 of 4 runs ended, 1 running, 2 waiting" in shown
    assert "20%, CE, seed 0 │ 2" in shown


def test_it_is_drawn_on_a_terminal_alone(tmp_path: Path) -> None:
    (_, job), *_ = Sweep(grid({"CE": CE}), tmp_path / "out").runs
    for terminal in (True, False):
        console = Console(record=True, force_terminal=terminal, width=80)
        with Board(console, jobs=1) as shown:
            shown.show([job])
        assert ("0 of 1 runs ended" in lines(console)) == terminal
