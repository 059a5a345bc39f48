"""A comparison: methods and seeds on several tasks, and their table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from metaloss.arguments import check_arguments
from metaloss.experiments.experiment import Experiment
from metaloss.experiments.methods import Method
from metaloss.experiments.part_observer import PartObserver
from metaloss.experiments.preflight.specs import check_specs
from metaloss.experiments.records.names import slug
from metaloss.experiments.records.run_folder import Documents, RunFolder
from metaloss.experiments.settings import RunSettings
from metaloss.machine import environment, threads
from metaloss.training.observe import Observer
from metaloss.training.recipe import Recipe
from metaloss.types import TaskSpec
from metaloss.user_errors import as_input_error


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs an :class:`Experiment` on each of several tasks, and writes one table of all.

    Args:
        tasks: the tasks, one column of the table each.
        methods: the methods to compare, one row each.
        recipe: the training recipe for tasks without a recipe of their own. All recipes have the
            same number of epochs.
        model: a function that makes a new network for tasks without a network of their own.
        settings: the seeds, the device and the other settings of the runs.

    Raises:
        InputError: There is no task, two tasks have the same name, a task has no network or
            another number of epochs; and as for :class:`Experiment`.
    """

    tasks: Sequence[TaskSpec]
    methods: Sequence[Method]
    recipe: Recipe
    model: Callable[[], nn.Module] | None = None
    settings: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        """Check the arguments, as far as that needs no data."""
        check_arguments(self)
        check_specs("tasks", self.tasks, self.model, self.recipe)
        self.experiments()

    def experiments(self) -> dict[str, Experiment]:
        """Return the experiment of each task, by the task's name."""
        return {
            spec.name: Experiment(
                task=spec.task,
                model=spec.model or self.model,  # type: ignore[arg-type]
                methods=self.methods,
                recipe=spec.recipe or self.recipe,
                settings=self.settings,
            )
            for spec in self.tasks
        }

    def run(
        self,
        folder: RunFolder,
        observer: Observer | None = None,
        documents: Documents | None = None,
    ) -> list[dict[str, Any]]:
        """Run all runs that are not done yet, and write the table.

        Args:
            folder: the folder to write to, with a folder for each task in it.
            observer: the observer to report progress to.
            documents: texts to write to the folder, as for :meth:`RunFolder.begin`.

        Returns:
            One row per method, as written to ``results.json``: its result on each task, and their
            mean.
        """
        with self.settings.engine.running(), folder:
            return self._run(folder, observer or Observer(), documents or {})

    def _run(
        self, folder: RunFolder, observer: Observer, documents: Documents
    ) -> list[dict[str, Any]]:
        experiments = self.experiments()
        warned = _Warned()
        with threads(self.settings.threads):
            for name, experiment in experiments.items():
                warned.task = name
                with as_input_error(name):
                    experiment.check(observer=warned)
        for line in warned.lines():
            observer.warn(line)
        folder.begin(documents)
        found = {}
        for i, (name, experiment) in enumerate(experiments.items()):
            told = PartObserver(observer, name, i, len(experiments))
            place = folder.part(slug(name))
            found[name] = experiment.run(place, told, first_steps=False)
        rows = across(found)
        with threads(self.settings.threads):
            about = environment(self.settings.device)
        last = min(self.settings.last, self.recipe.epochs)
        folder.write_json("results.json", {"rows": rows, "last": last, **about})
        return rows


def across(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Join the rows of several experiments.

    Args:
        found: the rows of each task's experiment, by the task's name.

    Returns:
        One row per method: its result on each task, and their mean.

    Example:
        >>> from metaloss.experiments.comparison import across
        >>> row = {"method": "CE", "metric": "accuracy", "accuracy_mean": 70.0, "seeds": [0]}
        >>> across({"a": [row], "b": [{**row, "accuracy_mean": 80.0}]})[0]["accuracy_mean"]
        75.0
    """
    table = []
    for i, first in enumerate(next(iter(found.values()))):
        said = {key: first[key] for key in ("method", "metric")}
        tasks = {
            name: {k: v for k, v in rows[i].items() if k not in said}
            for name, rows in found.items()
        }
        key = f"{first['metric']}_mean"
        mean = statistics.fmean(own[key] for own in tasks.values())
        for mark in ("test_unchecked", "informed"):
            if any(own.get(mark) for own in tasks.values()):
                said[mark] = True
        table.append({**said, key: mean, "tasks": tasks})
    return table


class _Warned(Observer):
    """Collects the warnings on several tasks, to give each of them once."""

    def __init__(self) -> None:
        self.task = ""
        self.tasks: dict[str, list[str]] = {}

    def warn(self, line: str) -> None:
        self.tasks.setdefault(line, []).append(self.task)

    def lines(self) -> list[str]:
        """Return each warning, with the first of its tasks and the number of the others."""
        return [
            f"{first}{f' and {len(others)} more' if others else ''}: {line}"
            for line, (first, *others) in self.tasks.items()
        ]
