"""Read from a finished run what its network makes of the labels it was trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from metaloss.checks import InputError, require
from metaloss.conditioners.margin import margins
from metaloss.config import configuration
from metaloss.experiments import Comparison, Experiment, RunFolder, recorded
from metaloss.experiments.confusion import class_names
from metaloss.experiments.finished import Choice, chosen_run, config_of, load_network
from metaloss.experiments.identity import identity, samples_of
from metaloss.experiments.makers import make_task
from metaloss.experiments.names import slug
from metaloss.experiments.run_records import RunRecords
from metaloss.files import read_text, user_path
from metaloss.machine import threads
from metaloss.runner import build
from metaloss.training.evaluate import evaluating
from metaloss.training.state import fresh
from metaloss.training.streams import in_order
from metaloss.types import Loader, TaskLike


@dataclass(frozen=True)
class FinishedRun:
    """A finished run of a classification, with its data.

    Attributes:
        folder: the folder of its experiment.
        method: the method's name.
        seed: the seed.
        task: the data that it was trained on.
        index: the samples' positions in ``task.train_targets``, ascending, ``[samples]``.
        probabilities: the final network's predictions for them, ``[samples, classes]``, float64.
        weights: the weights that the loss gives them; ``None`` for a loss without hyperparameters.
        mean_margins: their mean margins over training; ``None`` if the run did not record any.
        components: classes of the user's own that the run's adjusters were made with.
    """

    folder: Path
    method: str
    seed: int
    task: TaskLike
    index: Tensor
    probabilities: Tensor
    weights: Tensor | None
    mean_margins: Tensor | None
    components: tuple[type, ...] = ()

    @property
    def labels(self) -> Tensor:
        """The labels that it was trained on, ``[samples]``."""
        return self.task.train_targets.cpu()[self.index]

    @property
    def flipped(self) -> Tensor | None:
        """Which of them are wrong, ``[samples]``; ``None`` if that is not known."""
        return None if self.task.flipped is None else self.task.flipped.cpu()[self.index]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, or their numbers if the task has no names."""
        return class_names(self.task)

    @property
    def paths(self) -> Sequence[str] | None:
        """The files of the samples; ``None`` if they are not files."""
        files = getattr(self.task, "train_ids", None)
        if files is None or not Path(files[0]).is_file():
            return None
        return [files[i] for i in self.index.tolist()]

    @property
    def ids(self) -> Sequence[object]:
        """The names of the samples, or their positions if the task has no names."""
        names = getattr(self.task, "train_ids", None)
        positions = self.index.tolist()
        return positions if names is None else [names[i] for i in positions]


def read_run(run: str | Path, choice: Choice | None = None) -> FinishedRun:
    """Build a run's data and network again, and predict its training samples.

    Args:
        run: the folder that ``metaloss train`` wrote to.
        choice: which of its runs.

    Raises:
        InputError: It is no such folder, the run is not finished or is one of regression, there is
            no such method, seed or task, or the data are not those of the run any more.
    """
    place, choice = user_path(run), choice or Choice()
    with _experiment(place, choice) as (experiment, folder):
        methods = [method.name for method in experiment.methods]
        method, seed, records = chosen_run(folder.path, methods, experiment.settings.seeds, choice)
        device = experiment.settings.torch_device
        with threads(experiment.settings.threads):
            task = make_task(experiment.task, seed, device)
            _check_same_data(task, records)
            model = fresh(experiment.model, seed).to(device)
            load_network(model, records)
            index, probabilities = _predicted(model, task.train)
        labels = task.train_targets.cpu()[index]
        return FinishedRun(
            folder=folder.path,
            method=method,
            seed=seed,
            task=task,
            index=index,
            probabilities=probabilities,
            weights=_weights(records, index),
            mean_margins=_mean_margins(records, index, probabilities, labels),
            components=tuple(
                each for one in experiment.methods for each in getattr(one, "components", ())
            ),
        )


@contextmanager
def _experiment(place: Path, choice: Choice) -> Iterator[tuple[Experiment, RunFolder]]:
    with configuration([config_of(place)]) as parsed:
        built = build(parsed)
        folder = RunFolder(place, resume=True)
        require(
            isinstance(built, Experiment | Comparison),
            f"{place}: expected a run that keeps its networks, got a meta-training, which does not",
        )
        if isinstance(built, Experiment):
            require(choice.task is None, f"task: expected none, there is one, got {choice.task!r}")
            yield built, folder
            return
        experiments = built.experiments()
        name = next(iter(experiments)) if choice.task is None else choice.task
        known = ", ".join(experiments)
        require(name in experiments, f"task: expected one of {known}, got {name!r}")
        yield experiments[name], folder.part(slug(name))


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
def _predicted(model: nn.Module, loader: Loader) -> tuple[Tensor, Tensor]:
    """Return the positions of the samples, ascending, and the predictions for them."""
    indices, parts, count = [], [], 0
    with evaluating(model):
        for batch in in_order(loader).epoch(0):
            outputs = model(batch.inputs).cpu().double()
            own = batch.index
            indices.append(torch.arange(count, count + len(outputs)) if own is None else own.cpu())
            count += len(outputs)
            parts.append(outputs.softmax(dim=1))
    index = torch.cat(indices)
    order = index.argsort()
    return index[order], torch.cat(parts)[order]


def _weights(records: RunRecords, index: Tensor) -> Tensor | None:
    if not (records.path / "samples.safetensors").is_file():
        return None
    samples = records.read_tensors("samples")
    return _column(samples, "weights", index, records)


def _mean_margins(
    records: RunRecords, index: Tensor, probabilities: Tensor, labels: Tensor
) -> Tensor | None:
    """Return the mean margins over training, or over the recorded times of an older run.

    A sample that was in no batch has its margin at the end of training.
    """
    if (records.path / "margins.safetensors").is_file():
        means = _column(records.read_tensors("margins"), "mean_margin", index, records).double()
        # Differences of log-probabilities are differences of logits.
        at_the_end = margins(probabilities.clamp_min(1e-300).log(), labels).margin.squeeze(1)
        return torch.where(means.isnan(), at_the_end, means)
    if len(list(records.path.glob("samples-epoch-*.safetensors"))) == 0:
        return None
    times = [_column(time.samples, "margin", index, records) for time in recorded(records)]
    return torch.stack(times).double().mean(dim=0)


def _column(table: Mapping[str, Tensor], name: str, index: Tensor, records: RunRecords) -> Tensor:
    """Return a column of one of a run's files for these samples."""
    missing = int((~torch.isin(index, table["index"])).sum())
    require(
        missing == 0 and name in table,
        f"{records.path}: expected {name} of every training sample, got none of {missing}",
    )
    ascending, rows = table["index"].sort()
    return table[name][rows[torch.searchsorted(ascending, index)]]
