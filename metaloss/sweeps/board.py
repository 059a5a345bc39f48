"""The runs of a sweep that are on their way, as a table that is kept up to date."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from metaloss.sweeps.jobs import Job

MOST = 20  # rows; a terminal shows no more of a table


class Board:
    """A live table of the runs that several workers make; on a terminal alone.

    Args:
        console: the console to draw on.
        jobs: the number of jobs in all.
    """

    def __init__(self, console: Console, jobs: int) -> None:
        self.jobs = jobs
        self.live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Board:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def show(self, left: Sequence[Job]) -> None:
        """Show the runs that have not ended.

        Args:
            left: the jobs that have not ended.
        """
        if self.live is not None:
            self.live.update(board(left, self.jobs), refresh=True)


def board(left: Sequence[Job], jobs: int) -> Table:
    """Return a table of the runs that are being made, with the number of their finished epochs.

    Args:
        left: the jobs that have not ended.
        jobs: the number of jobs in all.
    """
    epochs = {job.name: epochs_finished(job) for job in left}
    running = [name for name, number in epochs.items() if number is not None]
    ended, waiting = jobs - len(left), len(left) - len(running)
    table = Table(title=f"{ended} of {jobs} runs ended, {len(running)} running, {waiting} waiting")
    table.add_column("run")
    table.add_column("epochs finished", justify="right")
    for name in running[:MOST]:
        table.add_row(name, str(epochs[name]))
    return table


def epochs_finished(job: Job) -> int | None:
    """Return the number of epochs that a job has finished, preliminary runs included.

    Returns:
        ``None`` if it has not begun.
    """
    if not (Path(job.folder) / "config.gin").is_file():
        return None
    return sum(path.read_bytes().count(b"\n") for path in Path(job.folder).rglob("metrics.jsonl"))
