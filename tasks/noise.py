r"""Label noise: pure functions from labels and a generator to :class:`NoisyLabels`.

No function changes the original labels. Each draws one uniform number per sample and inverts the
cumulative distribution of the sample's class there, in float64 on the CPU. The same generator
therefore gives the same labels on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import InputError, check_at_least, check_in_range, require

from .class_names import GROUPS, PAIRS
from .instance_noise import instance_dependent
from .noisy_labels import NoisyLabels, check_transition
from .sampling import check_labels_and_generator, cumulate, draw_labels

__all__ = [
    "NoisyLabels",
    "asymmetric",
    "from_matrix",
    "hierarchical",
    "instance_dependent",
    "symmetric",
]

_CHUNK = 16_384  # number of samples whose distributions are in memory at once


def from_matrix(
    targets: Int[Tensor, " samples"],
    matrix: Float[Tensor, "classes classes"] | Sequence[Sequence[float]],
    generator: torch.Generator,
    num_classes: int | None = None,
) -> NoisyLabels:
    r"""Class-dependent noise: a label :math:`i` becomes :math:`j` with probability :math:`T_{ij}`.

    Args:
        targets: the original labels, ``[samples]``, int64.
        matrix: the transition matrix :math:`T`, ``[classes, classes]``; rows sum to 1.
        generator: a CPU generator; one uniform number is drawn for each sample.
        num_classes: if given, the size that the matrix must have.

    Returns:
        The noisy labels, with ``matrix`` as their transition.

    Raises:
        InputError: the matrix is not square, has another size than ``num_classes``, or has a row
            that is not a distribution; a label is out of range; the generator is not on the CPU.

    Example:
        >>> import torch
        >>> from metaloss.tasks import noise
        >>> swap = [[0.0, 1.0], [1.0, 0.0]]
        >>> noise.from_matrix(torch.tensor([0, 1, 1]), swap, torch.Generator()).labels
        tensor([1, 0, 0])
    """
    transition = _as_matrix(matrix)
    check_transition(transition)
    require(
        num_classes is None or num_classes == len(transition),
        f"matrix: expected {num_classes} classes, got {len(transition)}",
    )
    check_labels_and_generator(targets, len(transition), generator)
    original = targets.cpu()
    draws = torch.rand(len(original), dtype=torch.float64, generator=generator)
    cumulative = cumulate(transition)
    labels = torch.cat(
        [
            draw_labels(cumulative[part], draw)
            for part, draw in zip(
                torch.split(original, _CHUNK), torch.split(draws, _CHUNK), strict=True
            )
        ]
    )
    return NoisyLabels(labels, original.clone(), transition)


def symmetric(
    targets: Int[Tensor, " samples"], rate: float, num_classes: int, generator: torch.Generator
) -> NoisyLabels:
    r"""Symmetric noise: a label changes to one of the *other* classes, drawn uniformly.

    .. math:: T_{ii} = 1 - \eta, \qquad T_{ij} = \frac{\eta}{c - 1}

    Args:
        targets: the original labels, ``[samples]``, int64.
        rate: the probability of a change, :math:`\eta`, in [0, 1].
        num_classes: :math:`c`, at least 2.
        generator: a CPU generator.

    Raises:
        InputError: an argument is out of its range.

    Example:
        >>> import torch
        >>> from metaloss.tasks import noise
        >>> noisy = noise.symmetric(torch.arange(10), 1.0, 10, torch.Generator().manual_seed(0))
        >>> bool(noisy.flipped.all())
        True

    References:
        Section 4.1 of the paper.
    """
    check_at_least("num_classes", num_classes, 2)
    return hierarchical(targets, rate, num_classes, generator, groups=[0] * num_classes)


def asymmetric(
    targets: Int[Tensor, " samples"],
    rate: float,
    num_classes: int,
    generator: torch.Generator,
    mapping: Mapping[int, int] | str,
) -> NoisyLabels:
    """Asymmetric noise: a label changes to the class that its own class is mistaken for.

    Args:
        targets: the original labels, ``[samples]``, int64.
        rate: the probability of a change, in [0, 1], for the classes in ``mapping``; labels of
            other classes are kept.
        num_classes: number of classes.
        generator: a CPU generator.
        mapping: maps a class to the class that it is mistaken for; or the name of a known mapping:
            "animal10n", "cifar10", "digits" or "fashion_mnist"; or "next", which maps each class to
            the one after it, and the last to the first.

    Raises:
        InputError: an argument is out of its range, or the mapping has a class that does not exist
            or maps a class to itself.

    Example:
        >>> import torch
        >>> from metaloss.tasks import noise
        >>> noise.asymmetric(torch.arange(3), 1.0, 3, torch.Generator(), mapping={2: 0}).labels
        tensor([0, 1, 0])

    References:
        Section 4.1 of the paper; Patrini et al., Making deep neural networks robust to label noise:
        a loss correction approach, 2017.
    """
    check_labels_and_generator(targets, num_classes, generator)
    check_in_range("rate", rate, 0.0, 1.0)
    pairs = _pairs(mapping, num_classes)
    sources, destinations = torch.tensor(list(pairs)), torch.tensor(list(pairs.values()))
    matrix = torch.eye(num_classes, dtype=torch.float64)
    matrix[sources, sources] = 1 - rate
    matrix[sources, destinations] = rate
    return from_matrix(targets, matrix, generator)


def hierarchical(
    targets: Int[Tensor, " samples"],
    rate: float,
    num_classes: int,
    generator: torch.Generator,
    groups: Sequence[int] | str,
) -> NoisyLabels:
    """Hierarchical noise: a label changes to another class of its group, drawn uniformly.

    A group is, for example, a CIFAR-100 superclass.

    Args:
        targets: the original labels, ``[samples]``, int64.
        rate: the probability of a change, in [0, 1]. Labels of a class that is alone in its group
            are kept.
        num_classes: number of classes, at least 2.
        generator: a CPU generator.
        groups: the group of each class, or the name of a known grouping: "cifar100".

    Raises:
        InputError: an argument is out of its range, or groups and classes differ in number.

    Example:
        >>> import torch
        >>> from metaloss.tasks import noise
        >>> groups = [0, 0, 1]
        >>> noise.hierarchical(torch.arange(3), 1.0, 3, torch.Generator(), groups=groups).labels
        tensor([1, 0, 2])

    References:
        Section 4.1 of the paper; Hendrycks et al., Using trusted data to train deep networks on
        labels corrupted by severe noise, 2018.
    """
    check_labels_and_generator(targets, num_classes, generator)
    check_in_range("rate", rate, 0.0, 1.0)
    group = torch.tensor(_groups(groups, num_classes))
    others = (group[:, None] == group).double().fill_diagonal_(0)
    mates = others.sum(1)
    matrix = rate * others / mates.clamp(min=1)[:, None]
    matrix.diagonal().copy_(1 - rate * (mates > 0).double())
    return from_matrix(targets, matrix, generator)


def _as_matrix(matrix: Tensor | Sequence[Sequence[float]]) -> Tensor:
    try:
        return torch.as_tensor(matrix, dtype=torch.float64).cpu().clone()
    except (TypeError, ValueError) as error:
        raise InputError(f"matrix: expected rows of numbers, got {error}") from error


def _pairs(mapping: Mapping[int, int] | str, num_classes: int) -> Mapping[int, int]:
    if mapping == "next":
        return {label: (label + 1) % num_classes for label in range(num_classes)}
    if isinstance(mapping, str):
        require(
            mapping in PAIRS,
            f"mapping: expected a mapping or one of {', '.join(PAIRS)}, next, got {mapping!r}",
        )
        require(num_classes == 10, f"mapping {mapping}: expected 10 classes, got {num_classes}")
        return PAIRS[mapping]
    require(len(mapping) > 0, "mapping: expected one class or more to flip, got none")
    for source, target in mapping.items():
        require(
            _is_class(source, num_classes) and _is_class(target, num_classes) and source != target,
            f"mapping: expected two different classes in 0..{num_classes - 1}, "
            f"got {source!r} to {target!r}",
        )
    return mapping


def _is_class(value: object, num_classes: int) -> bool:
    return isinstance(value, int) and 0 <= value < num_classes


def _groups(groups: Sequence[int] | str, num_classes: int) -> Sequence[int]:
    if isinstance(groups, str):
        require(
            groups in GROUPS,
            f"groups: expected a group for each class or one of {', '.join(GROUPS)}, "
            f"got {groups!r}",
        )
        groups = GROUPS[groups]
    require(
        len(groups) == num_classes,
        f"groups: expected one for each of {num_classes} classes, got {len(groups)}",
    )
    require(
        all(isinstance(group, int) for group in groups),
        f"groups: expected whole numbers, got {list(groups)!r}",
    )
    return groups
