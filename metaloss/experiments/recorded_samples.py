"""What the training samples are given over training, written to the run's folder and read back."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss.checks import InputError
from metaloss.experiments.records.run_records import RunRecords
from metaloss.experiments.samples import collect
from metaloss.randomness import randomness_restored
from metaloss.training.kept_buffers import restored
from metaloss.training.mean_margins import MeanMargins
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.task_training import TaskTraining

_NAME = "samples-epoch-"


class Recorded(NamedTuple):
    """The training samples after an epoch.

    Attributes:
        epoch: the epoch, counted from 1.
        epochs: the number of epochs of the run.
        samples: the columns of :func:`~metaloss.experiments.collect`, one row a sample, and
            ``flipped``, ``[samples]``, if it is known which labels are wrong.
    """

    epoch: int
    epochs: int
    samples: Mapping[str, Tensor]


def training_samples(training: TaskTraining) -> dict[str, Tensor]:
    """Return what a training makes of its samples now, as :class:`Recorded` describes it.

    Args:
        training: its random generators, network and criterion are left as they are.
    """
    state, task = training.state, training.task
    devices = {parameter.device for parameter in state.model.parameters()}
    # A network of a user's own may draw random numbers, or count its calls, in evaluation mode.
    with randomness_restored(devices), restored(state.model):
        samples = collect(state.model, state.criterion, task.train)
    if task.flipped is not None:
        samples["flipped"] = task.flipped[samples["index"].to(task.flipped.device)]
    return samples


def margins_over_training(margins: MeanMargins) -> dict[str, Tensor]:
    """Return the columns of ``margins.safetensors``, one row a training sample.

    Returns:
        ``index``, ``mean_margin`` (NaN for a sample that was in no batch) and ``batches``, the
        number of batches that it was in; ``[samples]`` each.
    """
    index = torch.arange(len(margins.counts))
    return {"index": index, "mean_margin": margins.means(), "batches": margins.counts}


def recorder(
    trainings: MultiTaskTraining, records: RunRecords, epochs: Container[int]
) -> Callable[[], None]:
    """Return a function that writes the training samples to a run's folder if it is time.

    It writes nothing for a loss without hyperparameters, and nothing at the end, where
    ``samples.safetensors`` is written with the result.

    Args:
        trainings: the training of one task, at the end of an epoch when the function is called.
        records: the run's folder.
        epochs: the epochs after which samples are written, counted from 1.
    """
    (training,) = trainings.trainings.values()

    def record() -> None:
        learned = training.state.criterion.loss.hyperparameters
        if learned and training.epoch in epochs and training.state.step < training.total:
            records.write_tensors(f"{_NAME}{training.epoch}", training_samples(training))

    return record


def recorded(records: RunRecords) -> list[Recorded]:
    """Read what the training samples were given over training.

    Args:
        records: the folder of a finished run.

    Returns:
        The samples at each recorded time, in the order of training. The last are those of the end.

    Raises:
        InputError: The run is not finished, its loss has no hyperparameters, or a file is damaged.

    Example:
        >>> import tempfile
        >>> from metaloss.experiments import RunFolder, recorded
        >>> folder = RunFolder(tempfile.mkdtemp())
        >>> recorded(folder.run("A-GCE", seed=0))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: .../A-GCE/seed-0: expected a finished run, got none
    """
    result = records.finished_result()
    if not (records.path / "samples.safetensors").is_file():
        raise InputError(
            f"{records.path}: expected a run of a loss with hyperparameters, got "
            f"{result['method']}, which has no samples.safetensors"
        )
    last = result["epochs"]
    numbers = (path.stem.removeprefix(_NAME) for path in records.path.glob(f"{_NAME}*.safetensors"))
    found = [
        Recorded(epoch, last, records.read_tensors(f"{_NAME}{epoch}"))
        for epoch in sorted(int(number) for number in numbers if number.isdigit())
    ]
    return [*found, Recorded(last, last, records.read_tensors("samples"))]
