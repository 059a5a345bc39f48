"""Open a finished run: its experiment, its data and its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metaloss.checks import InputError, require
from metaloss.experiments import Comparison, Experiment, Method, RunFolder, RunSettings
from metaloss.experiments.makers import fresh, make_task
from metaloss.experiments.records.finished import (
    Choice,
    check_no_task,
    chosen_run,
    chosen_task,
    load_network,
)
from metaloss.experiments.records.identity import identity, samples_of
from metaloss.experiments.records.names import slug
from metaloss.experiments.records.run_records import RunRecords
from metaloss.files import read_text, user_path
from metaloss.machine import threads
from metaloss.runner import build, configuration_of
from metaloss.training import FabricEngine
from metaloss.training.evaluate import evaluating
from metaloss.training.streams import in_order
from metaloss.types import Loader, TaskLike


class LoaderPredictions(NamedTuple):
    """What a network predicts for the samples of a loader.

    Attributes:
        index: the samples' positions, ascending, ``[samples]``.
        targets: their given labels, ``[samples]``.
        probabilities: ``[samples, classes]``, float64.
    """

    index: Tensor  # type: ignore[assignment]  # hides a method of tuples
    targets: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class OpenRun:
    """A finished run whose experiment can make networks and train again.

    Attributes:
        experiment: the experiment on one task.
        folder: the folder of the experiment.
        method: the method.
        seed: the seed.
        task: the data of the seed, which are those that the run was trained on.
        records: the run's folder.
    """

    experiment: Experiment
    folder: RunFolder
    method: Method
    seed: int
    task: TaskLike
    records: RunRecords

    def predicted(self, records: RunRecords, loader: Loader) -> LoaderPredictions:
        """Predict samples with a network of this experiment.

        Args:
            records: the folder with the network's parameters.
            loader: the samples.

        Raises:
            InputError: the parameters are those of another network.
        """
        model = fresh(self.experiment.model, self.seed)
        model = model.to(self.experiment.settings.torch_device)
        load_network(model, records)
        return _predicted(model, loader)


@contextmanager
def opened(run: str | Path, choice: Choice) -> Iterator[OpenRun]:
    """Build a run's experiment and data again; its configuration is valid inside the block.

    Args:
        run: the folder that ``metaloss train`` wrote to.
        choice: which of its runs.

    Raises:
        InputError: as for :func:`~metaloss.labels.read_run`.
    """
    with _experiment(user_path(run), choice) as (experiment, folder):
        methods = {each.name: each for each in experiment.methods}
        seeds = experiment.settings.seeds
        name, seed, records = chosen_run(folder.path, list(methods), seeds, choice)
        with threads(experiment.settings.threads):
            task = make_task(experiment.task, seed, experiment.settings.torch_device)
            _check_same_data(task, records)
            yield OpenRun(experiment, folder, methods[name], seed, task, records)


@contextmanager
def _experiment(place: Path, choice: Choice) -> Iterator[tuple[Experiment, RunFolder]]:
    with configuration_of(place) as parsed:
        built = build(parsed)
        folder = RunFolder(place, resume=True)
        require(
            isinstance(built, Experiment | Comparison),
            f"{place}: expected a run that keeps its networks, got a meta-training, which does not",
        )
        built = replace(built, settings=_in_one_process(built.settings))
        if isinstance(built, Experiment):
            check_no_task(choice.task)
            yield built, folder
            return
        experiments = built.experiments()
        name = chosen_task(experiments, choice.task)
        yield experiments[name], folder.part(slug(name))


def _in_one_process(settings: RunSettings) -> RunSettings:
    """Return the settings for this process alone, as nobody launches the others here."""
    engine = settings.engine
    if not isinstance(engine, FabricEngine):
        return settings
    return replace(settings, engine=replace(engine, devices=1))


def _check_same_data(task: TaskLike, records: RunRecords) -> None:
    """Raise an error if the data that were built are not those that the run was trained on."""
    path = records.path / "identity.json"
    try:
        own = json.loads(read_text(path))["tasks"][task.name]
        kept = own["targets"], own["samples"]["train"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: expected the identity of a run on {task.name}") from None
    for what, before, now in (
        ("labels", kept[0], identity(task.train_targets)),
        ("samples", kept[1], samples_of(task.train)),
    ):
        require(
            before == now,
            f"{records.path}: expected the training {what} of the run, got others: the data have "
            "changed since",
        )


@torch.no_grad()
def _predicted(model: nn.Module, loader: Loader) -> LoaderPredictions:
    indices, targets, parts, count = [], [], [], 0
    with evaluating(model):
        for batch in in_order(loader).epoch(0):
            outputs = model(batch.inputs).cpu().double()
            own = batch.index
            indices.append(torch.arange(count, count + len(outputs)) if own is None else own.cpu())
            count += len(outputs)
            targets.append(batch.targets.cpu())
            parts.append(outputs.softmax(dim=1))
    index = torch.cat(indices)
    order = index.argsort()
    return LoaderPredictions(index[order], torch.cat(targets)[order], torch.cat(parts)[order])
