"""An experiment: methods and seeds on one task, and their table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn

from metaloss.arguments import check_arguments
from metaloss.experiments.makers import fresh, make_task
from metaloss.experiments.methods import Method
from metaloss.experiments.preflight.dry_run import dry_run
from metaloss.experiments.records.names import check_names
from metaloss.experiments.records.run_folder import Documents, RunFolder
from metaloss.experiments.settings import RunSettings
from metaloss.experiments.tables.results import row
from metaloss.experiments.trainer import Trainer
from metaloss.experiments.warnings.beforehand import warned_before
from metaloss.machine import environment, threads
from metaloss.processes import alone
from metaloss.training.observe import Observer, RunInfo
from metaloss.training.recipe import Recipe
from metaloss.types import TaskLike


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Trains each method with each seed on one task: what ``metaloss train`` runs.

    All methods share the data, the noise, the initial network and the order of batches of a seed.

    Args:
        task: a function that makes the data of one seed, called with ``seed`` and ``device``.
        model: a function that makes a new network.
        methods: the methods to compare, one row of the table each.
        recipe: the training recipe.
        settings: the seeds, the device and the other settings of the runs.

    Raises:
        InputError: There is no method, two methods have the same name, or the recipe does not
            evaluate the epochs whose mean is reported.
    """

    task: Callable[..., TaskLike]
    model: Callable[[], nn.Module]
    methods: Sequence[Method]
    recipe: Recipe
    settings: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        """Check the arguments, as far as that needs no data."""
        check_arguments(self)
        check_names("methods", [method.name for method in self.methods])
        self.settings.check_recipe(self.recipe)

    def check(self, *, first_steps: bool = True, observer: Observer | None = None) -> TaskLike:
        """Try the data, the network, the optimizers and each method on one batch.

        Args:
            first_steps: also take the first steps of each method's run.
            observer: told, by ``warn``, what the runs are unlikely to learn.

        Returns:
            The first seed's task.

        Raises:
            InputError: They do not fit together; see
                :func:`~metaloss.experiments.preflight.dry_run.dry_run`.
        """
        task = self._task(self.settings.seeds[0])
        make = partial(self._model, self.settings.seeds[0])
        with alone():  # each process tries all of it
            dry_run(task, make, self.recipe, self.methods, first_steps=first_steps)
        if observer is not None:
            recipes = {task.name: self.recipe}
            for line in warned_before(self.methods, {task.name: task}, recipes):
                observer.warn(line)
        return task

    def run(
        self,
        folder: RunFolder,
        observer: Observer | None = None,
        documents: Documents | None = None,
        *,
        first_steps: bool = True,
    ) -> list[dict[str, Any]]:
        """Run all runs that are not done yet, and write the table.

        Args:
            folder: the folder to write to.
            observer: the observer to report progress to.
            documents: texts to write to the folder, as for :meth:`RunFolder.begin`.
            first_steps: try the first steps of each method beforehand, and say what the runs are
                unlikely to learn; not needed after :meth:`check`.

        Returns:
            One row per method, as written to ``results.json``.

        Raises:
            InputError: As for :meth:`check`, or another process writes to the folder.
        """
        observer = observer or Observer()
        with self.settings.engine.running(), threads(self.settings.threads), folder:
            task = self.check(first_steps=first_steps, observer=observer if first_steps else None)
            folder.begin(documents or {})
            return self._run(task, folder, observer)

    def _run(self, task: TaskLike, folder: RunFolder, observer: Observer) -> list[dict[str, Any]]:
        results: dict[str, list[dict[str, Any]]] = {method.name: [] for method in self.methods}
        number, runs = 1, sum(method.num_trainings for method in self.methods)
        train = Trainer(self.model, self.recipe, self.settings)
        for seed in self.settings.seeds:
            if seed != self.settings.seeds[0]:
                task = self._task(seed)
            for method in self.methods:
                info = RunInfo(
                    method=method.name,
                    seed=seed,
                    number=number,
                    runs=runs * len(self.settings.seeds),
                    steps=self.recipe.epochs * len(task.train),
                    epochs=self.recipe.epochs,
                )
                records = folder.run(method.name, seed)
                results[method.name].append(train.run(method, task, info, records, observer))
                number += method.num_trainings
        rows = [row(name, runs, runs[0]["metric"]) for name, runs in results.items()]
        for found, method in zip(rows, self.methods, strict=True):
            found.update({"informed": True} if method.informed else {})
            found["task"] = task.name
        last, about = min(self.settings.last, self.recipe.epochs), environment(self.settings.device)
        folder.write_json("results.json", {"rows": rows, "last": last, **about})
        return rows

    def _task(self, seed: int) -> TaskLike:
        return make_task(self.task, seed, self.settings.torch_device)

    def _model(self, seed: int) -> nn.Module:
        return fresh(self.model, seed).to(self.settings.torch_device)
