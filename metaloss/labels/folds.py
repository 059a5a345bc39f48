"""Predictions for each training sample by a network that was trained without it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import InputError, check_at_least, require
from metaloss.experiments.part_observer import PartObserver
from metaloss.experiments.records.names import slug
from metaloss.experiments.records.run_records import RunRecords
from metaloss.experiments.trainer import Trainer
from metaloss.files import make_folder
from metaloss.labels.opening import OpenRun
from metaloss.seeding import generator
from metaloss.training.observe import Observer, RunInfo
from metaloss.types import Loader, Selectable, TaskLike, class_names

FOLDER = "folds"
"""The folder of all fold runs, in the folder of an experiment."""

_SETS = "fold"


def stratified(labels: Int[Tensor, " samples"], folds: int, seed: int) -> Int[Tensor, " samples"]:
    """Return the fold of each sample.

    Each fold has as many samples of each label as any other, give or take one, and as many in all.

    Args:
        labels: the given labels, ``[samples]``, int64.
        folds: the number of folds.
        seed: the seed that the samples are dealt out by.

    Returns:
        The folds, ``[samples]``, int64, from 0 to ``folds - 1``.

    Example:
        >>> import torch
        >>> from metaloss.labels.folds import stratified
        >>> labels = torch.tensor([0, 0, 0, 0, 1, 1])
        >>> found = stratified(labels, 2, seed=0)
        >>> found.bincount(), found[labels == 0].bincount()
        (tensor([3, 3]), tensor([2, 2]))
    """
    shuffled = torch.randperm(len(labels), generator=generator(seed, "folds", folds))
    by_label = shuffled[labels[shuffled].argsort(stable=True)]
    found = torch.empty_like(labels)
    found[by_label] = torch.arange(len(labels)) % folds
    return found


def check_folds(folds: int, labels: Int[Tensor, " samples"], classes: Sequence[str]) -> None:
    """Raise :class:`~metaloss.InputError` unless each fold can have a sample of each label.

    A class that nothing is labelled as does not count.
    """
    check_at_least("folds", folds, 2)
    counts = labels.bincount(minlength=len(classes))
    fewest = int(counts.masked_fill(counts == 0, len(labels) + 1).argmin())
    require(
        folds <= int(counts[fewest]),
        f"folds: expected at most {int(counts[fewest])}, the number of samples labelled "
        f"{classes[fewest]!r}, got {folds}",
    )


def fold_records(run: OpenRun, folds: int) -> list[RunRecords]:
    """Return the folder of each fold's run, ``RUN/folds/5/METHOD/seed-0/fold-1`` and so on."""
    place = run.folder.path / FOLDER / str(folds) / slug(run.method.name) / f"seed-{run.seed}"
    return [RunRecords(place / f"fold-{number}") for number in range(1, folds + 1)]


def out_of_fold(run: OpenRun, folds: int, observer: Observer) -> Float[Tensor, "samples classes"]:
    """Train a network without each fold in turn, and predict the samples that it left out.

    The networks are trained as that of the run was: by the same method and recipe, with the same
    clean samples. A fold that is finished is not trained again; one that was stopped is resumed.

    Args:
        run: the run, whose folder is locked meanwhile.
        folds: the number of folds.
        observer: the observer to report progress to; told by ``note`` how long it will take.

    Returns:
        The probabilities, ``[samples, classes]``, float64, in the order of the training targets.

    Raises:
        InputError: too few or too many folds, a task that cannot be cut down, another process
            writes to the folder, or the folds there are those of another run.
    """
    task = run.task
    labels = task.train_targets.cpu()
    check_folds(folds, labels, class_names(task))
    assigned = stratified(labels, folds, run.seed)
    probabilities = torch.full((len(labels), task.num_classes or 0), torch.nan, dtype=torch.float64)
    with run.folder:
        places = fold_records(run, folds)
        observer.note(_beforehand(run, places))
        for fold, records in enumerate(places):
            train, left_out = ((assigned != fold).nonzero(), (assigned == fold).nonzero())
            train, left_out = train.squeeze(1), left_out.squeeze(1)
            told = PartObserver(observer, f"fold {fold + 1} of {folds}", fold, folds)
            _train(run, train, left_out, records, told)
            found = run.predicted(records, _samples(task, left_out))
            probabilities[left_out[found.index]] = found.probabilities
    require(
        not probabilities.isnan().any(),
        "folds: expected a loader whose in_order() has every sample, got some without a prediction",
    )
    return probabilities


def _beforehand(run: OpenRun, places: Sequence[RunRecords]) -> str:
    """Say how many networks will be trained, and about how long that takes."""
    left = sum(records.result() is None for records in places)
    what = f"{len(places)} folds of {run.method.name}, seed {run.seed}"
    if left == 0:
        return f"{what}: all of them are done"
    own = (run.records.result() or {})["seconds"]
    count = left * run.method.num_trainings
    finished = len(places) - left
    done = f"{finished} fold{' is' if finished == 1 else 's are'} done; " if finished else ""
    many = f"{count} training{'' if count == 1 else 's'}"
    return f"{what}: {done}{many} to go, about {_duration(left * own)} (the run took {own:.0f} s)"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"


def _train(
    run: OpenRun, train: Tensor, left_out: Tensor, records: RunRecords, observer: Observer
) -> None:
    _keep_sets(records, {"train": train, "left_out": left_out})
    own = run.experiment
    task = _selected(run.task, train)
    info = RunInfo(
        method=run.method.name,
        seed=run.seed,
        number=1,
        runs=run.method.num_trainings,
        steps=own.recipe.epochs * len(task.train),
        epochs=own.recipe.epochs,
    )
    Trainer(own.model, own.recipe, own.settings).run(run.method, task, info, records, observer)


def _keep_sets(records: RunRecords, sets: dict[str, Tensor]) -> None:
    """Write down which samples a fold trains on, or compare them with those written down."""
    if not (records.path / f"{_SETS}.safetensors").is_file():
        make_folder(records.path)
        records.write_tensors(_SETS, sets)
        return
    kept = records.read_tensors(_SETS)
    require(
        kept.keys() == sets.keys() and all(torch.equal(kept[name], sets[name]) for name in sets),
        f"{records.path}: expected a fold with the same samples, got others; delete "
        f"{records.path} to train it anew",
    )


def _samples(task: TaskLike, index: Tensor) -> Loader:
    """Return some of the training samples; unlike a task's, they need no meta sample among them."""
    if not isinstance(task.train, Selectable):
        return _selected(task, index).train
    found: Loader = task.train.select(index)
    return found


def _selected(task: TaskLike, index: Tensor) -> TaskLike:
    if not isinstance(task, Selectable):
        raise InputError(
            f"task {task.name}: expected one that can be cut down to some of its training samples "
            "(metaloss.types.Selectable), such as metaloss.tasks.Task, got a "
            f"{type(task).__name__}"
        )
    found: TaskLike = task.select(index)
    return found
