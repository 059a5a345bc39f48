"""The command: look at the data, choose, say what was chosen, train, and rank the labels."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metaloss.checks import InputError, require
from metaloss.experiments import RunFolder
from metaloss.experiments.records.finished import Choice
from metaloss.experiments.records.run_folder import holds_run
from metaloss.files import user_path
from metaloss.fitting.choices import Choices, Options, choose
from metaloss.fitting.facts import Facts, facts_of
from metaloss.fitting.gin_lines import LEARNED, gin_run
from metaloss.labels import Assessment, FinishedRun
from metaloss.labels.judge_run import judge_run
from metaloss.runner import run
from metaloss.tasks.own_parts import OwnParts, own_parts
from metaloss.tasks.own_reading import read_records
from metaloss.tasks.own_source import ImageReading, OwnSource, own_source


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the samples are.

    Attributes:
        data: the data set, as for :func:`metaloss.tasks.own_data`.
        clean: samples with checked labels; ``None`` if there are none.
        test: test samples; ``None`` for those of ``data``, or held-out ones.
        label: the name of the column of labels.
    """

    data: str | Path
    clean: str | Path | None = None
    test: str | Path | None = None
    label: str = "label"

    @property
    def macros(self) -> Mapping[str, object]:
        """The macros of ``gin/tasks/own_data.gin``, with absolute paths."""
        data, clean, test = (
            None if each is None else str(user_path(each).resolve())
            for each in (self.data, self.clean, self.test)
        )
        return {"DATA": data, "CLEAN": clean, "TEST": test, "LABEL": self.label}

    def moved_to(self, folder: RunFolder) -> Places:
        """Move the files into a run's folder, which is created and locked."""
        folder.begin()

        def moved(path: str | Path | None) -> Path | None:
            return None if path is None else Path(shutil.move(path, folder.path))

        data = moved(self.data)
        assert data is not None
        return replace(self, data=data, clean=moved(self.clean), test=moved(self.test))

    def remove(self) -> None:
        """Remove the files."""
        for path in (self.data, self.clean, self.test):
            if path is not None:
                Path(path).unlink()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the run is made.

    Attributes:
        baseline: whether cross entropy is trained beside.
        seeds: the seeds.
        device: a device; by default, a GPU if there is one.
        strict: whether an image that cannot be read is an error.
        top: the number of doubtful images on the contact sheet.
        bindings: further gin bindings.
        tensorboard: whether to write the metrics for TensorBoard, too.
        keep_data: whether the files of ``Places`` are moved into the run's folder.
    """

    baseline: bool = False
    seeds: tuple[int, ...] = (0,)
    device: str | None = None
    strict: bool = False
    top: int = 40
    bindings: tuple[str, ...] = ()
    tensorboard: bool = False
    keep_data: bool = False


class Outcome(NamedTuple):
    """What a fit leaves behind.

    Attributes:
        found: the data set.
        run: the run that learned which labels to trust.
        judged: its training samples' labels.
    """

    found: OwnParts
    run: FinishedRun
    judged: Assessment


def fit_data(places: Places, options: Options, settings: Settings, folder: RunFolder) -> Outcome:
    """Train on data with doubtful labels, and rank the labels.

    The run's folder gets the files of ``metaloss train`` and ``metaloss labels``.

    Raises:
        InputError: the data cannot be read or used, or the folder cannot be written to.
    """
    for given in (places.data, places.clean, places.test):
        _check_outside(folder.path, given)
    found = own_parts(places.data, clean=places.clean, test=places.test, label=places.label)
    if "clean" in found.parts:
        checked = sorted(set(found.parts["clean"].labels))
        require(
            len(checked) > 1,
            f"{places.clean}: expected checked labels of two classes or more (clean), got "
            f"{checked[0]!r} alone",
        )
    facts = facts_of(found)
    choices = choose(facts, options)
    read = _read(found, facts, choices, strict=settings.strict)
    # Images that cannot be read are no samples to choose batches and held-out samples by.
    facts = replace(facts, samples=len(read.source.train), clean=len(read.source.clean or ()))
    _check_every_class(read, str(places.data))
    choices = choose(facts, options)
    _show(facts, choices, read.notes)
    with folder:
        if settings.keep_data:
            places = places.moved_to(folder)
        config = gin_run(
            facts,
            choices,
            places.macros,
            baseline=settings.baseline,
            seeds=settings.seeds,
            device=settings.device,
            strict=settings.strict,
        )
        first, *others = config.files
        lines = (*config.bindings, *settings.bindings)
        try:
            run(first, folder, others, lines, tensorboard=settings.tensorboard)
        except InputError:
            if settings.keep_data and not holds_run(folder.path):  # it was refused
                places.remove()
            raise
    finished, judged = judge_run(
        folder.path, Choice(method=LEARNED), top=settings.top, checked=_checked(found, places)
    )
    return Outcome(found, finished, judged)


def _check_outside(folder: Path, data: str | Path | None) -> None:
    """Refuse a folder for the run that is inside of the data: its pictures would be samples."""
    if data is None or not user_path(data).is_dir():
        return
    place = user_path(data).resolve()
    require(
        not folder.resolve().is_relative_to(place),
        f"out: expected a folder outside of the data in {place}, for the pictures of a run would "
        f"be taken for samples, got {folder}; name another with --out",
    )


def _check_every_class(read: OwnSource, data: str) -> None:
    """Refuse data without a training sample of each class."""
    train = read.source.train
    counts = torch.as_tensor(train.targets).bincount(minlength=len(train.class_names))
    empty = [
        name for name, count in zip(train.class_names, counts.tolist(), strict=True) if not count
    ]
    require(
        not empty,
        f"{data}: expected training samples of each class, got none of "
        f"{', '.join(map(repr, empty))}: they cannot be read, or all of them are clean samples",
    )


def _checked(found: OwnParts, places: Places) -> dict[str, str]:
    """Return the labels of clean samples that are among the data, by their names in the run."""
    clean, rest = found.parts.get("clean"), set(found.parts["train"].ids)
    if clean is None or not found.clean_named:
        return {}
    at = {name: position for position, name in enumerate(found.ids) if name not in rest}
    known = {
        at[name]: label for name, label in zip(clean.ids, clean.labels, strict=True) if name in at
    }
    if not known:
        return {}
    # Of image files the run has absolute paths.
    names = read_records(str(places.macros["DATA"]), places.label)["train"].ids
    return {names[position]: label for position, label in known.items()}


def _read(found: OwnParts, facts: Facts, choices: Choices, *, strict: bool) -> OwnSource:
    """Read all samples once, so that what is wrong with them is known before the run begins."""
    how = ImageReading(
        size=choices.size,
        channels=choices.channels if facts.files else 3,
        in_memory=choices.in_memory,
        strict=strict,
    )
    return own_source(found, how)


def _show(facts: Facts, choices: Choices, notes: tuple[str, ...]) -> None:
    console = Console(stderr=True)
    kind = "images" if facts.images else "rows"
    clean = f"{facts.clean:,} with checked labels" if facts.clean else "none with a checked label"
    console.print(
        f"{facts.samples + facts.clean:,} {kind} of {facts.classes} classes, {clean}",
        highlight=False,
    )
    for note in notes:
        console.print(Text(f"note: {note}"), soft_wrap=True, highlight=False)
    table = Table("chosen", "value", "why", "option", box=None, padding=(0, 2, 0, 0))
    for choice in choices.said:
        table.add_row(choice.what, str(choice.value), choice.why, choice.option)
    console.print(table, highlight=False)
