"""The progress of runs on a terminal or in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from metaloss.experiments.warnings.skipped_steps import skipped_steps
from metaloss.kinds import METRICS
from metaloss.training import Observer, RunInfo


class _Status(Progress):
    """Progress bars with a line of metrics below, since narrow terminals have no room beside."""

    summary = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the bars and the line below them."""
        yield self.make_tasks_table(self.tasks)
        if self.summary:
            yield Text(self.summary, no_wrap=True, overflow="ellipsis")


class Bars(Observer):
    """Shows a progress bar for the run and one for all runs, with metrics and the time left.

    Args:
        console: the console to draw on.
    """

    def __init__(self, console: Console) -> None:
        # Long names wrap, so that the bars and numbers beside them keep their width.
        name = Column(max_width=max(10, console.width - 55), overflow="fold")
        self.progress = _Status(
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )

    def __enter__(self) -> Bars:
        self.progress.start()
        self.all = self.progress.add_task("all runs", total=None)
        self.one = self.progress.add_task("", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begin(self, info: RunInfo) -> None:
        """Reset the bars for a run."""
        self.offset = (info.number - 1) * info.steps
        self.progress.update(self.all, total=info.runs * info.steps, completed=self.offset)
        self.progress.reset(
            self.one, total=info.steps, description=f"{info.method}, seed {info.seed}"
        )
        self.progress.summary = ""

    def step(self, step: int) -> None:
        """Advance the bars."""
        self.progress.update(self.one, completed=step)
        self.progress.update(self.all, completed=self.offset + step)

    def epoch(self, record: dict[str, Any]) -> None:
        """Show the metrics of an epoch, and a warning if steps were skipped."""
        self.progress.summary = summary(record)
        for line in _skipped(record):
            self.progress.console.print(line, markup=False, highlight=False)

    def note(self, line: str) -> None:
        """Print a line above the bars."""
        self.progress.console.print(line, markup=False, highlight=False)

    def warn(self, line: str) -> None:
        """Print a warning above the bars."""
        self.progress.console.print(f"warning: {line}", markup=False, highlight=False)

    def end(self, record: dict[str, Any]) -> None:
        """Print the result of a run."""
        metric = METRICS[record["metric"]]
        self.progress.console.print(
            Text.assemble(
                (record["method"], "bold"),
                f", seed {record['seed']}: {metric.format_with_unit(record[metric.name])} "
                f"{'(unchecked) ' if record.get('test_unchecked') else ''}"
                f"in {record['seconds']:.1f} s",
            ),
            highlight=False,
        )


class Lines(Observer):
    """Prints a line per epoch, for output that is not a terminal.

    Args:
        console: the console to print to.
        seconds: the minimum time between two lines, except for the last epoch of a run.
    """

    def __init__(self, console: Console, seconds: float = 2.0) -> None:
        self.console = console
        self.seconds = seconds
        self.said = float("-inf")

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, info: RunInfo) -> None:
        """Remember the run."""
        self.info = info
        self.began = time.perf_counter()
        self.steps = 0  # steps done by this process; a resumed run begins later
        self.done = 0

    def step(self, step: int) -> None:
        """Count the step."""
        self.steps += 1
        self.done = step

    def epoch(self, record: dict[str, Any]) -> None:
        """Print the metrics of an epoch, and a warning if steps were skipped."""
        for line in _skipped(record):
            say(line, self.console)
        now = time.perf_counter()
        info = self.info
        last = record["epoch"] == info.epochs
        if last or now - self.said >= self.seconds:
            self.said = now
            left = (info.steps - self.done) * (now - self.began) / max(self.steps, 1)
            say(
                f"[{info.number}/{info.runs}] {info.method}, seed {info.seed}, epoch "
                f"{record['epoch']}/{info.epochs}: {summary(record)}, {left:.0f} s left",
                self.console,
            )

    def note(self, line: str) -> None:
        """Print a line."""
        say(line, self.console)

    def warn(self, line: str) -> None:
        """Print a warning."""
        say(f"warning: {line}", self.console)


def say(line: str, console: Console | None = None) -> None:
    """Print a line as it is: it may be long, or hold what looks like markup."""
    (console or Console()).print(line, soft_wrap=True, highlight=False, markup=False)


def observer(console: Console) -> Bars | Lines:
    """Return :class:`Bars` for a terminal, else :class:`Lines`."""
    return Bars(console) if console.is_terminal else Lines(console)


def summary(record: Mapping[str, Any]) -> str:
    """Summarise the metrics of an epoch in a few words.

    Example:
        >>> from metaloss.console import summary
        >>> summary({"samples_per_second": 1000.0, "train_loss": 0.5, "test_accuracy": 90.0})
        '1000 samples/s, loss 0.500, test 90.00%'
    """
    words = [f"{record['samples_per_second']:.0f} samples/s", f"loss {record['train_loss']:.3f}"]
    if "meta_loss" in record:
        words.append(f"meta loss {record['meta_loss']:.3f}")
    test = "test (unchecked)" if record.get("test_unchecked") else "test"
    words += [
        f"{test} {metric.format_with_unit(record[f'test_{name}'])}"
        for name, metric in METRICS.items()
        if f"test_{name}" in record
    ]
    task = f"{record['task']}: " if "task" in record else ""
    return task + ", ".join(words)


def _skipped(record: Mapping[str, Any]) -> list[str]:
    """Return the warnings for an epoch in which steps were skipped."""
    where = f"{record['task']}, " if "task" in record else ""
    return [f"warning: {where}epoch {record['epoch']}: {line}" for line in skipped_steps([record])]
