"""Noise on the targets of a task, newly made or read from a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import InputError, require

from .corruption import NoisyValues
from .folder_set import FolderSet
from .image_set import ImageSet
from .mapped import MappedSamples, joined_samples
from .noisy_labels import NoisyLabels
from .partition import Part
from .tables import Table

Samples = TypeVar("Samples", bound=ImageSet | FolderSet | Table)
Noisy = NoisyLabels | NoisyValues
MakeNoise = Callable[..., Noisy]
"""A function of :mod:`metaloss.tasks.noise` for labels, or of :mod:`metaloss.tasks.corruption` for
values, with its own arguments already bound."""


def make_noise(
    noise: MakeNoise,
    targets: Int[Tensor, " samples"] | Float[Tensor, "samples values"],
    num_classes: int | None,
    draws: torch.Generator,
    inputs: Tensor | MappedSamples | None,
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
        given["inputs"] = inputs.cpu() if isinstance(inputs, Tensor) else inputs
    noisy = noise(**given)
    require(
        isinstance(noisy, expected),
        f"noise: expected a function that returns {expected.__name__}, got {type(noisy).__name__}",
    )
    return noisy


def joined(
    sets: Mapping[str, Samples], parts: Sequence[str]
) -> tuple[Tensor, Tensor | MappedSamples | None]:
    """Return the targets and the inputs of some parts of a task, one part after the other.

    Args:
        sets: the task's parts by name.
        parts: the names of one part or more.

    Returns:
        The targets, and the inputs; ``None`` if they are files.
    """
    targets = [sets[part].targets for part in parts]
    inputs = [each for part in parts if (each := _inputs_of(sets[part])) is not None]
    return torch.cat(targets), joined_samples(inputs) if inputs else None


def with_noise(
    sets: Mapping[str, Samples], parts: Sequence[str], noisy: Noisy
) -> tuple[dict[str, Samples], Noisy]:
    """Give noisy targets to some parts of a task.

    Args:
        sets: the task's parts by name.
        parts: the names of the parts, "train" first.
        noisy: the targets of these parts, one part after the other.

    Returns:
        All parts, and the noise of the training samples.
    """
    changed, noises, begin = dict(sets), [], 0
    for part in parts:
        end = begin + len(sets[part])
        noises.append(noisy.select(torch.arange(begin, end)))
        changed[part] = cast(Samples, sets[part].with_targets(noises[-1].targets))
        begin = end
    return changed, noises[0]


def _inputs_of(samples: ImageSet | FolderSet | Table) -> Tensor | MappedSamples | None:
    if isinstance(samples, FolderSet):
        return None
    return samples.inputs if isinstance(samples, Table) else samples.images


def load_noise(path: Path, chosen: Part) -> NoisyLabels:
    """Read the noisy labels of some training samples of a source from a file.

    Args:
        path: a file that :meth:`NoisyLabels.save` wrote, for all training samples of the source or
            for exactly the chosen ones.
        chosen: the chosen samples.

    Raises:
        InputError: the file cannot be read, or was made from other labels.
    """
    noisy = NoisyLabels.load(path)
    require(
        noisy.num_classes == len(chosen.whole.class_names),
        f"{path}: expected {len(chosen.whole.class_names)} classes, got {noisy.num_classes}",
    )
    if len(noisy.labels) == len(chosen.whole):
        noisy.check_made_from(chosen.whole.targets, str(path))
        return noisy.select(chosen.index)
    noisy.check_made_from(chosen.whole.targets[chosen.index], str(path))
    return noisy
