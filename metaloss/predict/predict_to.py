"""The command: read a run and data, predict, and write CSV."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from metaloss.checks import require
from metaloss.console import say
from metaloss.experiments.records.finished import Choice
from metaloss.files import check_file_place, user_path, writing_atomically
from metaloss.predict.data import Data, open_data
from metaloss.predict.network import RunNetwork, read_network
from metaloss.predict.predictions import predicted
from metaloss.predict.table import csv_rows, csv_titles

_TEXT = {"", ".csv", ".tsv", ".txt"}  # not the name of an image that is there


def predict_to(
    run: Path,
    data: Path,
    choice: Choice,
    *,
    out: Path | None,
    batch_size: int,
    device: str | None = None,
    strict: bool = False,
) -> None:
    """Predict data by the network of a run, and write CSV part by part.

    Progress and warnings are written to standard error.

    Args:
        run: the folder that ``metaloss train`` wrote to.
        data: the path of the data.
        choice: which of the runs.
        out: the CSV file, written completely or not at all; standard output by default.
        batch_size: the number of samples that are read and predicted at a time.
        device: the device to predict on; by default a GPU if there is one.
        strict: whether to stop at the first sample that cannot be read, rather than skip it.

    Raises:
        InputError: as for :func:`~metaloss.predict.predict_run`, or ``out`` is no place for a file.
    """
    if out is not None:
        out = user_path(out)
        check_file_place("out", out)
        require(out.suffix.lower() in _TEXT, f"out: expected the name of a CSV file, got {out}")
        require(
            not (out.exists() and user_path(data).exists() and out.samefile(user_path(data))),
            f"out: expected another file than the data, got {out}",
        )
    network = read_network(run, choice, device)
    samples = open_data(data, network.inputs)
    said = Console(stderr=True)
    say(f"{network.method}, seed {network.seed}: {network.folder}", said)
    try:
        with _place(out) as write:
            done, skipped = _write(network, samples, write, said, batch_size, strict=strict)
    except BrokenPipeError:  # whoever reads, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    left = f", {skipped} of {samples.total} skipped" if skipped else ""
    say(f"{done} predicted{left}{'' if out is None else f': {out}'}", said)


@contextmanager
def _place(out: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Yield what writes to the file, or to standard output at once."""
    if out is not None:
        with writing_atomically(out) as file:
            yield file.write
        return

    def write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    yield write


def _write(
    network: RunNetwork,
    data: Data,
    write: Callable[[bytes], object],
    said: Console,
    batch_size: int,
    *,
    strict: bool,
) -> tuple[int, int]:
    """Write a line for each sample that can be read, and return how many can and cannot."""
    names, done, skipped = network.inputs.class_names, 0, 0
    with _bar(said) as bar:
        task = bar.add_task("predicting", total=data.total)
        for part in predicted(network, data, batch_size, strict=strict):
            for each in part.skipped:
                say(f"skipped {each.reason}", said)
            if part.ids:
                titles = "" if done else csv_titles(data.column, names)
                text = titles + csv_rows(part.ids, part.probabilities, names)
                write(text.encode(errors="surrogateescape"))  # paths may be of any bytes
            done, skipped = done + len(part.ids), skipped + len(part.skipped)
            bar.update(task, completed=done + skipped)
    return done, skipped


def _bar(said: Console) -> Progress:
    """Return a bar on a terminal, and one that is not shown elsewhere."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    hidden = not said.is_terminal or sys.stdout.isatty()
    return Progress(*columns, TimeRemainingColumn(), console=said, transient=True, disable=hidden)
