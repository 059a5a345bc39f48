"""What the network of a run predicts for data of your own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import InputError, check_at_least, require
from metaloss.experiments.records.finished import Choice
from metaloss.predict.chunks import Skipped
from metaloss.predict.data import Data, Source, open_data
from metaloss.predict.network import RunNetwork, read_network
from metaloss.tasks.described import batch_transform

BATCH_SIZE = 100


class Predicted(NamedTuple):
    """The predictions for some samples, one after the other.

    Attributes:
        ids: the paths of their files, or their positions.
        probabilities: ``[samples, classes]``, float64.
        skipped: those between them that could not be predicted.
    """

    ids: Sequence[str | int]
    probabilities: Float[Tensor, "samples classes"]
    skipped: Sequence[Skipped]


@dataclass(frozen=True)
class Predictions:
    """What a network predicts.

    Attributes:
        ids: the paths of the files, or the positions of the samples.
        labels: the most probable class of each, ``[samples]``, int64.
        probabilities: ``[samples, classes]``, float64; each row sums to 1.
        class_names: a name for each class.
        skipped: the samples that could not be predicted; they are in none of the above.
    """

    ids: tuple[str | int, ...]
    labels: Int[Tensor, " samples"]
    probabilities: Float[Tensor, "samples classes"]
    class_names: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()


def predict_run(
    run: str | Path,
    data: Source,
    *,
    method: str | None = None,
    seed: int | None = None,
    task: str | None = None,
    batch_size: int = BATCH_SIZE,
    device: str | None = None,
    strict: bool = False,
) -> Predictions:
    """Predict data of your own by the network of a finished run.

    The data that the run was trained on need not exist any more. Inputs are made as in its
    evaluation.

    Args:
        run: the folder that ``metaloss train`` wrote to.
        data: an image file; a folder with image files anywhere in it; a CSV file with a column
            ``path``, relative to its folder; a NumPy file ``.npy``, or ``.npz`` with an array
            ``inputs`` or ``x``; or such an array. Arrays are uint8 images or features,
            ``[samples, ...]``, of the shape that the run was trained on.
        method: the name of the method; by default the first that learned an adjuster, else the
            first that was given one, else the first.
        seed: the seed; by default the first.
        task: the name of the task, if the run has several; by default the first.
        batch_size: the number of samples that are read and predicted at a time, at least 1.
        device: the device to predict on; by default a GPU if there is one.
        strict: whether to stop at the first sample that cannot be read, rather than skip it.

    Raises:
        InputError: as for :func:`read_network`; there are no such data, they do not go with the
            run, none of them can be read, or one cannot with ``strict``.

    Example:
        >>> from metaloss.predict import predict_run
        >>> found = predict_run("runs/pets", "new-images")  # doctest: +SKIP
        >>> found.class_names[found.labels[0]]  # doctest: +SKIP
        'cat'
    """
    network = read_network(run, Choice(method, seed, task), device)
    return predict_by(network, data, batch_size=batch_size, strict=strict)


def predict_by(
    network: RunNetwork, data: Source, *, batch_size: int = BATCH_SIZE, strict: bool = False
) -> Predictions:
    """Predict data of your own by a network that was read already; see :func:`predict_run`.

    Raises:
        InputError: as for :func:`predict_run`.
    """
    samples = open_data(data, network.inputs)
    parts = list(predicted(network, samples, batch_size, strict=strict))
    probabilities = torch.cat([part.probabilities for part in parts])
    return Predictions(
        ids=tuple(name for part in parts for name in part.ids),
        labels=probabilities.argmax(dim=1),
        probabilities=probabilities,
        class_names=network.inputs.class_names,
        skipped=tuple(each for part in parts for each in part.skipped),
    )


def predicted(
    network: RunNetwork, data: Data, batch_size: int = BATCH_SIZE, *, strict: bool = False
) -> Iterator[Predicted]:
    """Yield the predictions for data, in parts.

    Raises:
        InputError: no sample can be read, one cannot with ``strict``, or the network returns
            something other than a logit for each class.
    """
    check_at_least("batch_size", batch_size, 1)
    prepare, any_read = batch_transform(network.inputs), False
    classes = len(network.inputs.class_names)
    for part in data.chunks(batch_size):
        if strict and part.skipped:
            raise InputError(part.skipped[0].reason)
        probabilities = torch.empty(0, classes, dtype=torch.float64)
        if part.samples is not None:
            any_read = True
            probabilities = _probabilities(network, prepare(part.samples.to(network.device)))
        yield Predicted(part.ids, probabilities, part.skipped)
    require(
        any_read,
        f"{data.name}: expected samples that can be predicted, got none among {data.total}",
    )


@torch.no_grad()
def _probabilities(network: RunNetwork, inputs: Tensor) -> Tensor:
    outputs = network.model(inputs)
    expected = [len(inputs), len(network.inputs.class_names)]
    found = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    require(
        found == expected,
        f"{network.folder}: expected a network that returns logits {expected}, got {found}",
    )
    return outputs.cpu().double().softmax(dim=1)
