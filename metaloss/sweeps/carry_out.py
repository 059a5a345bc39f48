"""Run a sweep from the command line: progress, files and the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from rich.console import Console

from metaloss.checks import require
from metaloss.console import observer, say, score_table
from metaloss.diagnostics.score_files import ENDINGS, write_table
from metaloss.experiments.tables.score_table import Published
from metaloss.sweeps.board import Board
from metaloss.sweeps.local import Local
from metaloss.sweeps.on_ray import OnRay
from metaloss.sweeps.sweep import Executor, Gathered, Outcome, Sweep


def parsed_only(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the patterns of each axis from words such as ``method=A-*``.

    Raises:
        InputError: a word has another form.

    Example:
        >>> from metaloss.sweeps.carry_out import parsed_only
        >>> parsed_only(["method=A-*", "method=CE", "seed=0"])
        {'method': ['A-*', 'CE'], 'seed': ['0']}
    """
    only: dict[str, list[str]] = {}
    for word in words:
        axis, equals, pattern = word.partition("=")
        require(
            bool(axis and equals and pattern),
            f"--only: expected AXIS=PATTERN, such as 'method=A-*', got {word!r}",
        )
        only.setdefault(axis.strip(), []).append(pattern.strip())
    return only


def carry_out(
    sweep: Sweep,
    ray: OnRay | None = None,
    published: Mapping[tuple[str, str], Published] | None = None,
) -> list[Outcome]:
    """Make the runs that are not finished; print and write the table, and report failures.

    If it is stopped, the table has what is finished.

    Returns:
        The outcomes of the runs that failed.
    """
    try:
        failed = make_runs(sweep, ray)
    except KeyboardInterrupt:
        _show(sweep.gather(published), sweep)
        raise
    _show(sweep.gather(published), sweep)
    return failed


def _show(gathered: Gathered, sweep: Sweep) -> None:
    """Print and write the table; without one, leave that of runs with other settings."""
    table, left_out = gathered
    if left_out:
        others = f"{_counted(len(left_out))} of other settings, such as {left_out[0]}"
        say(f"{sweep.out}: the table leaves out {others}", Console(stderr=True))
    if table is not None:
        Console().print(score_table(table))
        write_table(table, sweep.out)
        say(f"results: {sweep.out}/results.csv, .md, .tex and .png")
        return
    old = [name for ending in ENDINGS if (sweep.out / (name := f"results{ending}")).exists()]
    left = f"; {', '.join(old)} there are of runs with other settings" if old else ""
    say(f"{sweep.out}: no run is finished, so there is no table{left}", Console(stderr=True))


def make_runs(sweep: Sweep, ray: OnRay | None = None) -> list[Outcome]:
    """Make the runs that are not finished, and report and return those that failed."""
    left = len(sweep.unfinished)
    runs = len(sweep.runs)
    console = Console(stderr=True)
    tell = partial(say, console=console)
    tell(f"{sweep.out}: {_counted(runs)}, {runs - left} of them finished")
    with executor(ray, left) as execute:
        failed = sweep.run(execute)
    report(failed)
    if failed:
        tell(f"{_counted(len(failed))} failed; tracebacks: {sweep.out / 'errors'}")
    return failed


@contextmanager
def executor(ray: OnRay | None, jobs: int) -> Iterator[Executor]:
    """Return what makes so many jobs, with its progress on standard error."""
    console = Console(stderr=True)
    if ray is not None:
        with Board(console, jobs) as board:
            yield replace(ray, watch=board.show, tell=partial(say, console=console))
    else:
        with observer(console) as watching:
            yield Local(watching)


def report(failed: Sequence[Outcome]) -> None:
    """Print the errors of jobs, each of them once."""
    alike: dict[str, list[str]] = {}
    for outcome in failed:
        alike.setdefault(outcome.error, []).append(outcome.job.name)
    for error, (first, *others) in alike.items():
        more = f" and {len(others)} more" if others else ""
        say(f"failed: {first}{more}: {error}", Console(stderr=True))


def _counted(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
