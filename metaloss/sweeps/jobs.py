"""The runs of a sweep as jobs: a configuration's text and a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from metaloss.checks import InputError, require
from metaloss.config import configuration, find
from metaloss.experiments import Experiment, RunFolder
from metaloss.experiments.records.run_folder import holds_run
from metaloss.files import read_text
from metaloss.runner import build, run_parsed
from metaloss.sweeps.grid import Grid, GridCell
from metaloss.sweeps.process import run_in_processes
from metaloss.training.observe import Observer
from metaloss.user_errors import as_input_error

RESULTS = "results.json"
"""What a run that is finished leaves in its folder."""


@dataclass(frozen=True)
class Job:
    """A run of a sweep, which any process can make that sees the folder.

    Attributes:
        name: the run's name in messages.
        text: its whole configuration, as one gin file.
        folder: its folder.
        importable: folders that hold modules which the configuration imports.
        processes: the number of processes that make it together.
    """

    name: str
    text: str
    folder: str
    importable: tuple[str, ...] = ()
    processes: int = 1

    def result(self, moved: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return the run's ``results.json``, or ``None`` if it is not known to be finished.

        A run with another configuration is not: whether it is the same run is found out by
        :meth:`run`, from its data, its network and its recipe.

        A damaged file is of a run that is not finished; :meth:`run` writes it anew.

        Args:
            moved: texts of the configuration, such as the folder of the data, that may have been
                others when the run was made.
        """
        with suppress(InputError, ValueError, RecursionError):
            written = read_text(Path(self.folder) / "config.gin")
            if written == self.text or (moved and _same_but_for(moved, self.text, written)):
                found = json.loads(read_text(Path(self.folder) / RESULTS))
                if _is_of_one_run(found):
                    return found
        return None

    def run(self, observer: Observer | None = None) -> None:
        """Make the run, or what is left of it.

        Args:
            observer: the observer to report progress to.

        Raises:
            InputError: another run was begun in the folder, or the run is not possible.
        """
        if self.processes > 1:
            run_in_processes(asdict(self))
        else:
            self.make(observer)

    def check_data(self) -> None:
        """Make the task of the job's experiment, to see whether its data is there.

        Raises:
            InputError: it is not, or cannot be read.
        """
        with configuration((), text=self.text, importable=self.importable) as parsed:
            experiment = build(parsed)
            assert isinstance(experiment, Experiment)  # as jobs_of checks
            experiment.task(seed=experiment.settings.seeds[0], device="cpu")

    def make(self, observer: Observer | None = None) -> None:
        """Make the run in this process, which may be one of several that make it together."""
        folder = RunFolder(self.folder, resume=holds_run(Path(self.folder)))
        with configuration((), text=self.text, importable=self.importable) as parsed:
            engine = build(parsed).settings.engine
            with engine.running(), folder:
                run_parsed(parsed, folder, observer, any_text=True, engine=engine)


def jobs_of(
    grid: Grid,
    cells: Sequence[GridCell],
    out: Path,
    bindings: Sequence[str] = (),
    places: Mapping[str, str] | None = None,
) -> list[Job]:
    """Return the job of each cell, in order, after parsing its configuration.

    Args:
        grid: the grid.
        cells: the cells, or some of them.
        out: the folder of the sweep.
        bindings: bindings for every run, read last.
        places: the texts that words in braces in the grid's bindings stand for; ``{out}`` stands
            for the folder of the sweep.

    Raises:
        InputError: a configuration is invalid or is not of an experiment on one task, or two runs
            have the same one.
    """
    jobs: list[Job] = []
    names: dict[str, str] = {}
    places = {"out": str(out.resolve()), **(places or {})}
    for cell in cells:
        own = [placed(binding, places) for binding in cell.bindings]
        files = [grid.experiment, *cell.files]
        with as_input_error(cell.name), configuration(files, [*own, *bindings]) as parsed:
            experiment = build(parsed)
            require(
                isinstance(experiment, Experiment),
                f"expected a file whose task is Experiment.task, got a {type(experiment).__name__}",
            )
            require(
                len(experiment.methods) == 1,
                f"expected one method a run, got {len(experiment.methods)}",
            )
            require(
                tuple(experiment.settings.seeds) == (cell.seed,),
                f"expected the grid's seed, {cell.seed}, got {tuple(experiment.settings.seeds)}; "
                "set the seeds of the grid",
            )
            text = parsed.text
            processes = experiment.settings.engine.processes
        require(
            text not in names,
            f"{cell.name}: expected a run of its own, got the configuration of {names.get(text)}",
        )
        names[text] = cell.name
        importable = dict.fromkeys(str(find(name).resolve().parent) for name in files)
        folder = str((out / cell.folder).absolute())  # a worker may be elsewhere
        jobs.append(Job(cell.name, text, folder, tuple(importable), processes))
    return jobs


def _same_but_for(moved: Sequence[str], text: str, written: str) -> bool:
    """Return whether two configurations differ at most in these texts, which stand in quotes."""
    pattern = re.escape(_unwrapped(text))
    for each in sorted(map(in_quotes, moved), key=len, reverse=True):
        pattern = pattern.replace(re.escape(each), "[^']*")
    return re.fullmatch(pattern, _unwrapped(written)) is not None


def _unwrapped(text: str) -> str:
    """Return the text of a gin file in one line, and its long strings in one piece."""
    return " ".join(text.replace("\\\n", " ").split()).replace("' '", "")


def _is_of_one_run(found: Any) -> bool:
    """Return whether this is what ``results.json`` of one run holds."""
    rows = found.get("rows") if isinstance(found, dict) and "last" in found else None
    if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
        return False
    return f"{rows[0].get('metric')}_mean" in rows[0]


def in_quotes(text: str) -> str:
    """Return a text as it stands inside the quotes of a gin file."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def placed(binding: str, places: Mapping[str, str]) -> str:
    """Return a binding with the words in braces replaced.

    Example:
        >>> from metaloss.sweeps.jobs import placed
        >>> placed("DATA = '{data}/images'", {"data": "/photos"})
        "DATA = '/photos/images'"
    """
    for word, text in places.items():
        binding = binding.replace(f"{{{word}}}", in_quotes(text))
    left = re.search(r"\{[a-z]+\}", binding)
    if left is not None:
        raise InputError(
            f"{binding}: expected something for {left.group()}, got nothing; a grid of the paper "
            "is run by: metaloss reproduce TARGET"
        )
    return binding
