"""One run: a method with a seed on a task, from its first step to its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from metaloss.experiments.makers import fresh
from metaloss.experiments.methods import Method
from metaloss.experiments.methods.staged import PreliminaryRun, Staged
from metaloss.experiments.recorded_samples import margins_over_training, recorder, training_samples
from metaloss.experiments.records.confusion import write_confusion
from metaloss.experiments.records.identity import run_identity
from metaloss.experiments.records.run_records import RunRecords
from metaloss.experiments.result_entries import about_meta_loss, rounded
from metaloss.experiments.resume import run_resumable
from metaloss.experiments.settings import RunSettings
from metaloss.experiments.tables.results import last_epochs_mean
from metaloss.experiments.warnings.beforehand import warned_before
from metaloss.experiments.warnings.given_up import given_up
from metaloss.experiments.warnings.learned import doubts
from metaloss.machine import environment
from metaloss.pretrained import save_adjuster
from metaloss.processes import check_same_text, on_first
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.observe import Observer, RunInfo
from metaloss.training.recipe import Recipe
from metaloss.training.state import TrainState
from metaloss.training.task_training import TaskTraining
from metaloss.types import TaskLike, class_names, has_checked_test, inputs_of


class _Place(NamedTuple):
    """Where a run is recorded, what it is, and who is told of it."""

    records: RunRecords
    identity: Mapping[str, Any]
    observer: Observer


@dataclass(frozen=True)
class Trainer:
    """Trains networks of one kind by one recipe."""

    model: Callable[[], nn.Module]
    recipe: Recipe
    settings: RunSettings

    def run(
        self, method: Method, task: TaskLike, info: RunInfo, records: RunRecords, observer: Observer
    ) -> dict[str, Any]:
        """Return the result of a run, after making it or what is left of it.

        Raises:
            InputError: another run was begun in the folder, or a checkpoint is damaged.
        """
        trainings = self._start(method, task, info.seed)
        identity = {**run_identity(trainings, method), **self.settings.identity}
        check_same_text("data and settings of the run", str(identity))
        done = records.finished(identity)
        if done is not None:
            return done
        records.identify(identity)
        inputs = inputs_of(task)
        if inputs is not None:
            records.write_inputs(inputs)
        place = _Place(records, identity, observer)
        if isinstance(method, Staged):
            done = self._staged(method, task, info, place)
        else:
            done = self._trained(method, trainings, info, place)
        records.finish(done)
        observer.end(done)
        for line in done.get("warnings", ()):
            observer.warn(f"{method.name}, seed {info.seed}: {line}")
        return done

    def _staged(
        self,
        method: Staged,
        task: TaskLike,
        info: RunInfo,
        place: _Place,
    ) -> dict[str, Any]:
        """Make the preliminary runs, and the run that they lead to."""
        runs, results = [], []
        for i, preliminary in enumerate(method.preliminary):
            own = place.records.preliminary(preliminary.name)
            named = f"{method.name}, {preliminary.name}"
            told = info._replace(method=named, number=info.number + i)
            results.append(self.run(preliminary, task, told, own, place.observer))
            model = self._model(info.seed)
            model.load_state_dict(own.read_tensors("model"))
            runs.append(PreliminaryRun(preliminary, model))
        last, about = method.conclude(task, runs)
        chosen = [i for i, run in enumerate(runs) if run.method is last]
        if chosen:
            place.records.adopt(place.records.preliminary(last.name))
            found = {**results[chosen[0]], "method": method.name}
        else:
            info = info._replace(number=info.number + len(runs))
            trainings = self._start(last, task, info.seed)
            found = self._trained(method, trainings, info, place)
            results.append(found)
        return {**found, **about, "seconds": sum(result["seconds"] for result in results)}

    def _start(self, method: Method, task: TaskLike, seed: int) -> MultiTaskTraining:
        model = self._model(seed)  # before the criterion: it seeds the adjuster's weights too
        criterion = method.criterion(task).to(self.settings.torch_device)
        engine = self.settings.engine
        state = TrainState.start(model, criterion, task, self.recipe, engine=engine)
        return MultiTaskTraining({task.name: TaskTraining(state, task, self.recipe)})

    def _trained(
        self,
        method: Method,
        trainings: MultiTaskTraining,
        info: RunInfo,
        place: _Place,
    ) -> dict[str, Any]:
        """Train to the end, write what was learned, and return the result."""
        records = place.records
        place.observer.begin(info)
        record = recorder(trainings, records, self.settings.recorded_epochs(self.recipe.epochs))
        run_resumable(
            trainings, place.identity, records, place.observer, self.settings, record=record
        )
        (training,) = trainings.trainings.values()
        result = self._result(method, trainings, info, records)
        samples = training_samples(training) if _has_hyperparameters(training) else None
        _write(training, samples, records)
        warnings = self._warnings(training, samples)
        result |= {"warnings": warnings} if warnings else {}
        name = training.task.name
        before = warned_before([method], {name: training.task}, {name: self.recipe})
        result |= {"warned_before": before} if before else {}
        learner = training.state.meta_learner
        if learner is not None:
            about = {**rounded(result), **environment(self.settings.device)}
            criterion = training.state.criterion
            on_first(save_adjuster)(records.adjuster, criterion, learner.snapshots, about)
        return result

    def _result(
        self, method: Method, trainings: MultiTaskTraining, info: RunInfo, records: RunRecords
    ) -> dict[str, Any]:
        """Return the run's entries in ``result.json``, but for warnings."""
        (training,) = trainings.trainings.values()
        metrics = records.metrics.read(trainings.epochs_finished)
        metric = training.state.criterion.loss.kind.metric.name
        return {
            "method": method.name,
            "seed": info.seed,
            "task": training.task.name,
            "metric": metric,
            metric: last_epochs_mean(metrics, f"test_{metric}", self.settings.last),
            "last": min(self.settings.last, self.recipe.epochs),
            "epochs": self.recipe.epochs,
            **({} if has_checked_test(training.task) else {"test_unchecked": True}),
            **({"informed": True} if method.informed else {}),
            **method.provenance,
            **about_meta_loss(trainings),
            "seconds": sum(epoch["seconds"] for epoch in metrics),
        }

    def _warnings(self, training: TaskTraining, samples: Mapping[str, Tensor] | None) -> list[str]:
        """Return what is doubtful in what was learned."""
        if samples is None:
            return []
        state, classes = training.state, class_names(training.task)
        warnings = given_up(samples, classes, state.step, self.recipe.warmup_epochs)
        if state.meta_learner is not None:
            hold_norm = self.recipe.lookahead.hold_norm
            warnings += doubts(state.criterion.loss.hyperparameters, samples, hold_norm)
        return warnings

    def _model(self, seed: int) -> nn.Module:
        return fresh(self.model, seed).to(self.settings.torch_device)


def _has_hyperparameters(training: TaskTraining) -> bool:
    return len(training.state.criterion.loss.hyperparameters) > 0


def _write(
    training: TaskTraining, samples: Mapping[str, Tensor] | None, records: RunRecords
) -> None:
    """Write the network, and what is known of test and training samples."""
    state = training.state
    records.write_tensors("model", state.model.state_dict())
    if training.confusion is not None:
        on_first(write_confusion)(records, training.confusion, class_names(training.task))
    if state.margins is not None and state.margins.counts.any():
        records.write_tensors("margins", margins_over_training(state.margins))
    if samples is not None:
        records.write_tensors("samples", samples)
