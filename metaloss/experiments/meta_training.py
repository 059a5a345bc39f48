"""Meta-training: adjusters learned on many tasks and evaluated on others (Section 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import nn

from metaloss.arguments import check_arguments
from metaloss.checks import require
from metaloss.experiments.comparison import Comparison
from metaloss.experiments.experiment import Experiment
from metaloss.experiments.makers import fresh, make_task
from metaloss.experiments.methods import Adjusted, Method, Transferred
from metaloss.experiments.methods.conventional import baselines
from metaloss.experiments.preflight.dry_run import dry_run
from metaloss.experiments.preflight.specs import check_specs
from metaloss.experiments.records.identity import run_identity
from metaloss.experiments.records.names import check_names
from metaloss.experiments.records.run_folder import Documents, RunFolder
from metaloss.experiments.records.run_records import RunRecords
from metaloss.experiments.result_entries import held_out_of, meta_result, rounded
from metaloss.experiments.resume import run_resumable
from metaloss.experiments.settings import RunSettings
from metaloss.experiments.warnings.beforehand import warned_before
from metaloss.experiments.warnings.learned import doubts_of
from metaloss.losses import toward_defaults
from metaloss.machine import environment, threads
from metaloss.objective import AdjustedLoss
from metaloss.pretrained import add_to_card, save_adjuster
from metaloss.processes import alone, on_first
from metaloss.seeding import derive
from metaloss.training.meta_learner import MetaLearner
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.observe import Observer, RunInfo
from metaloss.training.recipe import Recipe
from metaloss.training.sampler import TaskSampler
from metaloss.training.state import TrainState
from metaloss.training.task_training import TaskTraining
from metaloss.types import TaskLike, TaskSpec
from metaloss.user_errors import as_input_error


@dataclass(frozen=True, kw_only=True)
class MetaTraining:
    """Meta-trains adjusters on many tasks, and evaluates them on held-out tasks.

    A task is a data set with a noise type and rate. Each has its own classifier, optimizer, order
    of batches and conditioner; the adjuster is shared (Section 4.4). For each method and seed the
    snapshots of Algorithm 1 are saved for Algorithm 2. Then the first seed's adjusters, frozen,
    are compared on the held-out tasks with cross entropy and with the losses at their default
    hyperparameters.

    Args:
        tasks: the tasks to learn from. Data sets, numbers of classes and networks may differ.
        methods: the methods whose adjusters are learned, one after the other.
        recipe: the training recipe for tasks without a recipe of their own. All recipes have the
            same number of epochs. The adjuster's optimizer and snapshots are always this one's.
        model: a function that makes a new network for tasks without a network of their own.
        sampler: the order in which tasks take their steps.
        held_out: the tasks to evaluate the adjusters on.
        held_out_recipe: the training recipe for held-out tasks without a recipe of their own;
            ``recipe`` by default.
        held_out_seeds: the seeds of the runs on held-out tasks.
        strengths: by method name, the factor in (0, 1] by which the saved adjuster's distance
            from the default hyperparameters is scaled (:func:`~metaloss.losses.toward_defaults`);
            1 by default.
        about: further entries of the adjusters' cards, such as the source of the data and the
            limits of use.
        settings: the seeds, the device and the other settings of the meta-training runs. ``last``
            applies to the held-out report; the tasks learned from report their last epoch.

    Raises:
        InputError: There is no task or method, two have the same name, a task has no network or
            another number of epochs, or the sampler spreads tasks in mixed precision.
    """

    tasks: Sequence[TaskSpec]
    methods: Sequence[Adjusted]
    recipe: Recipe
    model: Callable[[], nn.Module] | None = None
    sampler: TaskSampler = field(default_factory=TaskSampler)
    held_out: Sequence[TaskSpec] = ()
    held_out_recipe: Recipe | None = None
    held_out_seeds: Sequence[int] = (0,)
    strengths: Mapping[str, float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    settings: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        """Check the arguments, as far as that needs no data."""
        check_arguments(self)
        check_specs("tasks", self.tasks, self.model, self.recipe)
        if self.held_out:
            check_specs("held_out", self.held_out, self.model, self._held_out_recipe)
            self._comparison(baselines([method.loss for method in self.methods]))
        both = {spec.name for spec in self.tasks} & {spec.name for spec in self.held_out}
        require(
            not both,
            f"held_out: expected tasks that are not among those to learn from, got "
            f"{', '.join(sorted(both))}",
        )
        check_names("methods", [method.name for method in self.methods])
        for method in self.methods:
            toward_defaults(method.loss, self.strengths.get(method.name, 1.0))
        names = [method.name for method in self.methods]
        for name in self.strengths:
            require(name in names, f"strengths: expected names of {', '.join(names)}, got {name!r}")
        self.sampler.check([spec.name for spec in self.tasks], self.settings.engine)

    def run(
        self,
        folder: RunFolder,
        observer: Observer | None = None,
        documents: Documents | None = None,
    ) -> list[dict[str, Any]]:
        """Run all runs that are not done yet, and write the held-out report.

        Args:
            folder: the folder to write to. Adjusters are saved in ``METHOD/seed-S/adjuster``, the
                report in ``held-out``.
            observer: the observer to report progress to.
            documents: texts to write to the folder, as for :meth:`RunFolder.begin`.

        Returns:
            The rows of the held-out report; empty if no task is held out.
        """
        with self.settings.engine.running(), folder:
            return self._run(folder, observer or Observer(), documents or {})

    def _run(
        self, folder: RunFolder, observer: Observer, documents: Documents
    ) -> list[dict[str, Any]]:
        with threads(self.settings.threads):
            tasks = self._tasks(self.settings.seeds[0])
            for spec in self.tasks:
                self._check(spec, tasks[spec.name])
            for spec in self.held_out:  # now rather than after hours
                task = self._task(spec, self.held_out_seeds[0])
                self._check(spec, task, frozen=True)
            for line in self._warned(tasks, self.methods):
                observer.warn(line)
            folder.begin(documents)
            results = []
            for s, seed in enumerate(self.settings.seeds):
                tasks = tasks if s == 0 else self._tasks(seed)
                for m, method in enumerate(self.methods):
                    info = RunInfo(
                        method=method.name,
                        seed=seed,
                        number=s * len(self.methods) + m + 1,
                        runs=len(self.settings.seeds) * len(self.methods),
                        steps=self.recipe.epochs * sum(len(t.train) for t in tasks.values()),
                        epochs=self.recipe.epochs,
                    )
                    records = folder.run(method.name, seed)
                    results.append(self._learn(method, tasks, info, records, observer))
            about = environment(self.settings.device)
            folder.write_json("meta_training.json", {"runs": results, **about})
        if not self.held_out:
            return []
        rows = self.report(folder).run(folder.part("held-out"), observer)
        for method in self.methods:
            adjuster = folder.run(method.name, self.settings.seeds[0]).adjuster
            said = {"held_out": held_out_of(method, rows), "held_out_seeds": [*self.held_out_seeds]}
            on_first(add_to_card)(adjuster, said)
        return rows

    def report(self, folder: RunFolder) -> Comparison:
        """Return the comparison on the held-out tasks, with the adjusters saved in ``folder``."""
        rows = baselines([method.loss for method in self.methods])
        rows += [
            Transferred(
                name=f"transferred {method.name}",
                adjuster=folder.run(method.name, self.settings.seeds[0]).adjuster,
                components=method.components,
            )
            for method in self.methods
        ]
        return self._comparison(rows)

    def experiments(self) -> dict[str, Experiment]:
        """Return an experiment on each single task to learn from, by the task's name."""
        return Comparison(
            tasks=[replace(spec, recipe=self._recipe(spec)) for spec in self.tasks],
            methods=self.methods,
            recipe=self.recipe,
            model=self.model,
            settings=replace(self.settings, last=1),
        ).experiments()

    def _comparison(self, rows: Sequence[Method]) -> Comparison:
        return Comparison(
            tasks=self.held_out,
            methods=rows,
            recipe=self._held_out_recipe,
            model=self.model,
            settings=replace(self.settings, seeds=self.held_out_seeds),
        )

    def _learn(
        self,
        method: Adjusted,
        tasks: Mapping[str, TaskLike],
        info: RunInfo,
        records: RunRecords,
        observer: Observer,
    ) -> dict[str, Any]:
        trainings = self.start(method, tasks, info.seed)
        identity = {**run_identity(trainings, method), **self._strength(method.name)}
        done = records.finished(identity)
        if done is not None:
            return done
        observer.begin(info)
        run_resumable(trainings, identity, records, observer, self.settings)
        done = self._finish(trainings, info, records)
        observer.end(done)
        for line in done.get("warnings", ()):
            observer.warn(f"{info.method}, seed {info.seed}: {line}")
        return done

    def _finish(
        self, trainings: MultiTaskTraining, info: RunInfo, records: RunRecords
    ) -> dict[str, Any]:
        result = meta_result(trainings, records.metrics.read(trainings.epochs_finished), info)
        strength = self._strength(info.method)
        about = {**rounded(result), **environment(self.settings.device), **self.about, **strength}
        assert trainings.meta_learner is not None
        criterion = next(iter(trainings.trainings.values())).state.criterion
        snapshots = trainings.meta_learner.snapshots
        on_first(save_adjuster)(records.adjuster, criterion, snapshots, about, **strength)
        tasks = {name: each.task for name, each in trainings.trainings.items()}
        own = [method for method in self.methods if method.name == info.method]
        before = self._warned(tasks, own)
        said = {"warnings": doubts_of(trainings.trainings.values()), "warned_before": before}
        result |= {key: lines for key, lines in said.items() if lines}
        records.finish(result)
        return result

    def start(
        self, method: Adjusted, tasks: Mapping[str, TaskLike], seed: int
    ) -> MultiTaskTraining:
        """Return the trainings of one run, before their first step.

        The networks and the adjuster depend on the seed alone.
        """
        device = self.settings.torch_device
        meta_learner: MetaLearner | None = None
        trainings = {}
        for spec in self.tasks:
            task, model = tasks[spec.name], self._model(spec, seed)
            criterion = method.criterion(task).to(device)
            if meta_learner is not None:
                criterion = AdjustedLoss(
                    criterion.loss, criterion.conditioner, meta_learner.adjuster, criterion.detach
                )
            recipe = self._recipe(spec)
            engine = None if self.sampler.spread else self.settings.engine
            state = TrainState.start(model, criterion, task, recipe, meta_learner, engine=engine)
            meta_learner = state.meta_learner
            trainings[spec.name] = TaskTraining(state, task, recipe)
        own = derive(seed, "sampler", self.sampler.seed)
        return MultiTaskTraining(trainings, replace(self.sampler, seed=own))

    def _check(self, spec: TaskSpec, task: TaskLike, *, frozen: bool = False) -> None:
        recipe = (spec.recipe or self._held_out_recipe) if frozen else self._recipe(spec)
        make = partial(self._model, spec, self.settings.seeds[0])
        with alone(), as_input_error(spec.name):  # each process tries all of it
            dry_run(task, make, recipe, self.methods, frozen=frozen)

    def _warned(self, tasks: Mapping[str, TaskLike], methods: Sequence[Method]) -> list[str]:
        recipes = {spec.name: self._recipe(spec) for spec in self.tasks}
        return warned_before(methods, tasks, recipes, min(self.sampler.tasks_per_step, len(tasks)))

    def _task(self, spec: TaskSpec, seed: int) -> TaskLike:
        with as_input_error(spec.name):
            return make_task(spec.task, seed, self.settings.torch_device)

    def _strength(self, name: str) -> dict[str, float]:
        """Return a method's strength as records have it: nothing where it is 1."""
        return {"strength": given} if (given := self.strengths.get(name, 1.0)) != 1 else {}

    def _tasks(self, seed: int) -> dict[str, TaskLike]:
        return {spec.name: self._task(spec, seed) for spec in self.tasks}

    @property
    def _held_out_recipe(self) -> Recipe:
        return self.held_out_recipe or self.recipe

    def _recipe(self, spec: TaskSpec) -> Recipe:
        own: Recipe | None = spec.recipe
        return self.recipe if own is None else own.learning_as(self.recipe)

    def _model(self, spec: TaskSpec, seed: int) -> nn.Module:
        make = spec.model or self.model
        assert make is not None
        return fresh(make, seed, spec.name).to(self.settings.torch_device)
