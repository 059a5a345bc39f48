"""Read from a finished run what its network makes of the labels, and judge them by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from metaloss.checks import check_at_least, require
from metaloss.experiments.records.finished import Choice
from metaloss.experiments.records.run_records import RunRecords
from metaloss.labels.assessment import Assessment, assess
from metaloss.labels.folds import out_of_fold
from metaloss.labels.held_out import HeldOut, final_margins, held_out_of, with_held_out
from metaloss.labels.opening import opened
from metaloss.training import Observer
from metaloss.types import TaskLike, class_names


@dataclass(frozen=True)
class FinishedRun:
    """A finished run of a classification, with its data.

    Attributes:
        folder: the folder of its experiment.
        method: the method's name.
        seed: the seed.
        task: the data that it was trained on.
        index: the samples' positions in ``task.train_targets``, ascending, ``[samples]``.
        probabilities: the predictions for them, ``[samples, classes]``, float64: those of the
            final network, or of networks that were trained without the sample.
        weights: the weights that the loss gives them; ``None`` for a loss without hyperparameters.
        mean_margins: their mean margins over training; ``None`` if the run did not record any.
        folds: how many networks share the predictions; ``None`` if it is the run's own.
        own: the predictions of the final network if there are folds, else ``None``.
        held_out: the test samples, if they were held out of the data of unchecked labels; ``None``
            if they were not, or it is known which labels are wrong.
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
    folds: int | None = None
    own: Tensor | None = None
    held_out: HeldOut | None = None
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
    def judged_ids(self) -> Sequence[object]:
        """The names of the samples, and of those held out after them."""
        return self.ids if self.held_out is None else [*self.ids, *self.held_out.ids]

    @property
    def judged_paths(self) -> Sequence[str] | None:
        """The files of the samples and of those held out; ``None`` if they are not files."""
        paths = self.paths
        return paths if paths is None or self.held_out is None else [*paths, *self.held_out.ids]

    @property
    def ids(self) -> Sequence[object]:
        """The names of the samples, or their positions if the task has no names."""
        names = getattr(self.task, "train_ids", None)
        positions = self.index.tolist()
        return positions if names is None else [names[i] for i in positions]


def read_run(
    run: str | Path,
    choice: Choice | None = None,
    *,
    folds: int | None = None,
    observer: Observer | None = None,
) -> FinishedRun:
    """Build a run's data and network again, and predict its training samples.

    Args:
        run: the folder that ``metaloss train`` wrote to.
        choice: which of its runs.
        folds: train so many networks, and predict each sample with the one that was trained without
            it; see :func:`~metaloss.labels.folds.out_of_fold`. By default, the run's own network
            predicts the samples that it was trained on.
        observer: the observer to report the progress of the folds to.

    Raises:
        InputError: It is no such folder, the run is not finished or is one of regression, there is
            no such method, seed or task, the data are not those of the run any more, or there are
            fewer than two folds, or more than samples with one of the labels.
    """
    if folds is not None:
        check_at_least("folds", folds, 2)
    with opened(run, choice or Choice()) as own:
        index, _, probabilities = own.predicted(own.records, own.task.train)
        labels = own.task.train_targets.cpu()[index]
        methods = own.experiment.methods
        found = FinishedRun(
            folder=own.folder.path,
            method=own.method.name,
            seed=own.seed,
            task=own.task,
            index=index,
            probabilities=probabilities,
            weights=_weights(own.records, index),
            mean_margins=_mean_margins(own.records, index, probabilities, labels),
            held_out=held_out_of(own),
            components=tuple(each for method in methods for each in method.components),
        )
        if folds is None:
            return found
        others = out_of_fold(own, folds, observer or Observer())[index]
        return replace(found, probabilities=others, folds=folds, own=probabilities)


def judge(run: FinishedRun) -> Assessment:
    """Judges the labels of a finished run.

    Args:
        run: the run, as :func:`~metaloss.labels.read_run` returns it.

    Returns:
        The judged labels of its training samples, and after them those of its held-out samples, if
        their labels are unchecked, too: in the order of ``run.judged_ids``. The scores of both
        compare (:func:`~metaloss.labels.held_out.with_held_out`).

    Example:
        >>> from metaloss.labels import judge, labels_csv, read_run
        >>> run = read_run("runs/pets")  # doctest: +SKIP
        >>> text = labels_csv(judge(run), run.class_names, run.judged_ids)  # doctest: +SKIP
    """
    trained = assess(
        run.probabilities,
        run.labels,
        weights=run.weights,
        mean_margins=run.mean_margins,
        flipped=run.flipped,
        own=run.own,
    )
    if run.held_out is None:
        return trained
    return with_held_out(trained, run.held_out, run.probabilities)


def _weights(records: RunRecords, index: Tensor) -> Tensor | None:
    if not (records.path / "samples.safetensors").is_file():
        return None
    samples = records.read_tensors("samples")
    return _column(samples, "weights", index, records)


def _mean_margins(
    records: RunRecords, index: Tensor, probabilities: Tensor, labels: Tensor
) -> Tensor | None:
    """Return the mean margins over training; ``None`` if the run did not record any.

    A sample that was in no batch has its margin at the end of training.
    """
    if not (records.path / "margins.safetensors").is_file():
        return None
    means = _column(records.read_tensors("margins"), "mean_margin", index, records).double()
    return torch.where(means.isnan(), final_margins(probabilities, labels), means)


def _column(table: Mapping[str, Tensor], name: str, index: Tensor, records: RunRecords) -> Tensor:
    """Return a column of one of a run's files for these samples."""
    missing = int((~torch.isin(index, table["index"])).sum())
    require(
        missing == 0 and name in table,
        f"{records.path}: expected {name} of every training sample, got none of {missing}",
    )
    ascending, rows = table["index"].sort()
    return table[name][rows[torch.searchsorted(ascending, index)]]
