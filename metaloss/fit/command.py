"""The command: look at the data, choose, say what was chosen, train, and rank the labels."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metaloss.checks import require
from metaloss.experiments import RunFolder
from metaloss.experiments.finished import Choice
from metaloss.files import user_path
from metaloss.fit.choices import Choices, Options, choose
from metaloss.fit.facts import Facts, facts_of
from metaloss.fit.gin_lines import gin_run
from metaloss.labels.command import judge_run
from metaloss.runner import run
from metaloss.stopping import resumable
from metaloss.tasks.own_data import own_source
from metaloss.tasks.own_parts import OwnParts, own_parts


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
    """

    baseline: bool = False
    seeds: tuple[int, ...] = (0,)
    device: str | None = None
    strict: bool = False
    top: int = 40
    bindings: tuple[str, ...] = ()


def fit_data(
    places: Places, options: Options, settings: Settings, out: Path | None, *, resume: bool = False
) -> Path:
    """Train on data with doubtful labels, and rank the labels.

    Args:
        places: where the samples are.
        options: what the user chose.
        settings: how the run is made.
        out: the run's folder; by default, a new one in ``runs``.
        resume: go on with a run that was stopped.

    Returns:
        The run's folder, with the files of ``metaloss train`` and those of ``metaloss labels``.

    Raises:
        InputError: the data cannot be read or used, or the folder cannot be written to.
    """
    require(not resume or out is not None, "--resume: expected --out with the run's folder")
    folder = RunFolder(
        out or Path("runs") / f"fit-{datetime.now():%Y%m%d-%H%M%S}",
        resume,
        find_free=out is None,
    )
    macros = places.macros
    found = own_parts(
        macros["DATA"], clean=macros["CLEAN"], test=macros["TEST"], label=places.label
    )
    facts = facts_of(found)
    choices = choose(facts, options)
    _show(facts, choices, _remarks(found, facts, choices, strict=settings.strict))
    config = gin_run(
        facts,
        choices,
        macros,
        baseline=settings.baseline,
        seeds=settings.seeds,
        device=settings.device,
        strict=settings.strict,
    )
    with resumable(folder, sys.argv[1:]):
        first, *others = config.files
        run(first, folder, others, (*config.bindings, *settings.bindings))
    judge_run(folder.path, Choice(method="recommended"), top=settings.top)
    return folder.path


def _remarks(found: OwnParts, facts: Facts, choices: Choices, *, strict: bool) -> tuple[str, ...]:
    """Read all samples once, so that what is wrong with them is known before the run begins."""
    return own_source(
        found,
        size=choices.size,
        channels=choices.channels if facts.files else 3,
        in_memory=choices.in_memory,
        strict=strict,
    ).remarks


def _show(facts: Facts, choices: Choices, remarks: tuple[str, ...]) -> None:
    console = Console(stderr=True)
    kind = "images" if facts.images else "rows"
    clean = f"{facts.clean:,} with checked labels" if facts.clean else "none with a checked label"
    console.print(
        f"{facts.samples + facts.clean:,} {kind} of {facts.classes} classes, {clean}",
        highlight=False,
    )
    for remark in remarks:
        console.print(Text(f"note: {remark}"), soft_wrap=True, highlight=False)
    table = Table("chosen", "value", "why", "option", box=None, padding=(0, 2, 0, 0))
    for choice in choices.said:
        table.add_row(choice.what, str(choice.value), choice.why, choice.option)
    console.print(table, highlight=False)
