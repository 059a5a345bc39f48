"""Noise on the targets of a task, newly made or read from a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import InputError, require

from .corruption import NoisyValues
from .noisy_labels import NoisyLabels
from .partition import Part

Noisy = NoisyLabels | NoisyValues
MakeNoise = Callable[..., Noisy]
"""A function of :mod:`metaloss.tasks.noise` for labels, or of :mod:`metaloss.tasks.corruption` for
values, with its own arguments already bound."""


def make_noise(
    noise: MakeNoise,
    targets: Int[Tensor, " samples"] | Float[Tensor, "samples values"],
    num_classes: int | None,
    draws: torch.Generator,
    inputs: Tensor | None,
) -> Noisy:
    """Call a noise function with the arguments that it takes.

    Args:
        noise: called with ``targets`` and ``generator``, with ``num_classes`` if the targets are
            labels, and with ``inputs`` if it takes them.
        targets: the original labels or values.
        num_classes: number of classes; ``None`` if the targets are values.
        draws: a CPU generator.
        inputs: the samples, ``[samples, ...]``, on any device; ``None`` if they are not in memory.

    Returns:
        :class:`NoisyLabels` if there are classes, :class:`NoisyValues` if there are none.

    Raises:
        InputError: the function needs inputs that are not in memory, or it is not for this kind of
            targets.
    """
    expected = NoisyValues if num_classes is None else NoisyLabels
    taken = inspect.signature(noise).parameters
    require(
        num_classes is not None or "num_classes" not in taken,
        f"noise: expected a function that returns {expected.__name__}, got one for labels, which "
        "takes num_classes",
    )
    any_name = any(p.kind is p.VAR_KEYWORD for p in taken.values())
    require(
        num_classes is None or any_name or "num_classes" in taken,
        f"noise: expected a function that returns {expected.__name__} and takes num_classes, got "
        f"one that takes {', '.join(taken)}",
    )
    given: dict[str, Any] = {"targets": targets, "generator": draws}
    if num_classes is not None:
        given["num_classes"] = num_classes
    if "inputs" in taken:
        if inputs is None:
            raise InputError(
                "noise: expected noise that needs no inputs, since the samples are files"
            )
        given["inputs"] = inputs.cpu()
    noisy = noise(**given)
    require(
        isinstance(noisy, expected),
        f"noise: expected a function that returns {expected.__name__}, got {type(noisy).__name__}",
    )
    return noisy


def load_noise(path: Path, train: Part) -> NoisyLabels:
    """Read the noisy labels of the training samples from a file.

    Args:
        path: a file that :meth:`NoisyLabels.save` wrote, for all training samples of the source or
            for exactly those of ``train``.
        train: the training samples.

    Raises:
        InputError: the file cannot be read, or was made from other labels.
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
