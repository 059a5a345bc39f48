"""Noise put on the labels of a task, made anew or read from a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import InputError, require

from .noisy_labels import NoisyLabels
from .partition import Part

MakeNoise = Callable[..., NoisyLabels]
"""A function of :mod:`metaloss.tasks.noise` whose own arguments are bound."""


def make_noise(
    noise: MakeNoise,
    targets: Int[Tensor, " samples"],
    num_classes: int,
    draws: torch.Generator,
    inputs: Tensor | None,
) -> NoisyLabels:
    """Call a noise function with what it takes.

    Args:
        noise: called with ``targets``, ``num_classes`` and ``generator``, and with ``inputs`` if it
            takes them.
        targets: the original labels.
        num_classes: number of classes.
        draws: a CPU generator.
        inputs: of the samples, ``[samples, ...]``; ``None`` if they are not in memory.

    Raises:
        InputError: noise that needs inputs where there are none, or that gives something else.
    """
    given = {"targets": targets, "num_classes": num_classes, "generator": draws}
    if "inputs" in inspect.signature(noise).parameters:
        if inputs is None:
            raise InputError("noise: expected noise that needs no inputs, the samples are files")
        given["inputs"] = inputs
    noisy = noise(**given)
    require(
        isinstance(noisy, NoisyLabels),
        f"noise: expected a function that gives NoisyLabels, got {type(noisy).__name__}",
    )
    return noisy


def load_noise(path: Path, train: Part) -> NoisyLabels:
    """The noisy labels of a file, for all training samples of a source or for those of this part.

    Args:
        path: what :meth:`NoisyLabels.save` wrote.
        train: the training samples.

    Raises:
        InputError: a file that cannot be read, or was made from other labels.
    """
    noisy = NoisyLabels.load(path)
    require(
        noisy.num_classes == len(train.whole.class_names),
        f"{path}: expected {len(train.whole.class_names)} classes, got {noisy.num_classes}",
    )
    if len(noisy.labels) == len(train.whole):
        noisy.check_made_from(train.whole.targets, str(path))
        return noisy.select(train.index)
    noisy.check_made_from(train.whole.targets[train.index], str(path))
    return noisy
