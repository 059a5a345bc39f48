r"""Label noise: pure functions from labels and a generator to :class:`NoisyLabels`.

Each reads the original labels only and leaves them as they are. One uniform number is drawn for
each sample and inverted through its class's cumulative distribution, in float64 on the CPU, so the
same generator gives the same labels on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import (
    InputError,
    check_at_least,
    check_finite,
    check_in_range,
    check_labels,
    require,
)

from .noisy_labels import NoisyLabels, check_transition
from .tables import (
    CIFAR10_PAIRS,
    CIFAR100_COARSE,
    DIGITS_PAIRS,
    FASHION_MNIST_PAIRS,
    GROUPS,
    PAIRS,
)

__all__ = [
    "CIFAR10_PAIRS",
    "CIFAR100_COARSE",
    "DIGITS_PAIRS",
    "FASHION_MNIST_PAIRS",
    "NoisyLabels",
    "asymmetric",
    "from_matrix",
    "hierarchical",
    "instance_dependent",
    "symmetric",
]

_FLIP_RATE_SPREAD = 0.1  # the paper's standard deviation of a sample's flip rate
_CHUNK = 16_384  # samples whose distributions are held at once


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
        num_classes: the size the matrix must have, if given.

    Returns:
        The noisy labels, with ``matrix`` as their transition.

    Raises:
        InputError: the matrix is not square, not of the size asked for, or has a row that is not a
            distribution; a label is out of range; the generator is not on the CPU.

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
    _check(targets, len(transition), generator)
    original = targets.cpu()
    draws = torch.rand(len(original), dtype=torch.float64, generator=generator)
    cumulative = _cumulative(transition)
    labels = torch.cat(
        [
            _invert(cumulative[part], draw)
            for part, draw in zip(
                torch.split(original, _CHUNK), torch.split(draws, _CHUNK), strict=True
            )
        ]
    )
    return NoisyLabels(labels, original.clone(), transition)


def symmetric(
    targets: Int[Tensor, " samples"], rate: float, num_classes: int, generator: torch.Generator
) -> NoisyLabels:
    r"""Symmetric noise: at a given rate, a label becomes one of the *other* classes, uniformly.

    .. math:: T_{ii} = 1 - \eta, \qquad T_{ij} = \frac{\eta}{c - 1}

    Args:
        targets: the original labels, ``[samples]``, int64.
        rate: :math:`\eta`, in [0, 1].
        num_classes: :math:`c`, two or more.
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
    """Asymmetric noise: at a given rate, a label becomes the class that its own is mistaken for.

    Args:
        targets: the original labels, ``[samples]``, int64.
        rate: the probability, in [0, 1], for the classes that ``mapping`` names; others keep
            theirs.
        num_classes: number of classes.
        generator: a CPU generator.
        mapping: from each source class to its target class, or the name of a known mapping:
            "cifar10", "digits" or "fashion_mnist".

    Raises:
        InputError: an argument is out of its range, or the mapping names a class that does not
            exist, or maps one to itself.

    Example:
        >>> import torch
        >>> from metaloss.tasks import noise
        >>> noise.asymmetric(torch.arange(3), 1.0, 3, torch.Generator(), mapping={2: 0}).labels
        tensor([0, 1, 0])

    References:
        Section 4.1 of the paper; Patrini et al., Making deep neural networks robust to label noise:
        a loss correction approach, 2017.
    """
    _check(targets, num_classes, generator)
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
    """Hierarchical noise: symmetric among the classes of a group, such as a CIFAR-100 superclass.

    Args:
        targets: the original labels, ``[samples]``, int64.
        rate: the probability of another class of the same group, in [0, 1]. A class that is alone
            in its group keeps its labels.
        num_classes: number of classes, two or more.
        generator: a CPU generator.
        groups: each class's group, or the name of a known grouping: "cifar100".

    Raises:
        InputError: an argument is out of its range, or there is not one group for each class.

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
    _check(targets, num_classes, generator)
    check_in_range("rate", rate, 0.0, 1.0)
    group = torch.tensor(_groups(groups, num_classes))
    others = (group[:, None] == group).double().fill_diagonal_(0)
    mates = others.sum(1)
    matrix = rate * others / mates.clamp(min=1)[:, None]
    matrix.diagonal().copy_(1 - rate * (mates > 0).double())
    return from_matrix(targets, matrix, generator)


def instance_dependent(
    inputs: Tensor,
    targets: Int[Tensor, " samples"],
    rate: float,
    num_classes: int,
    generator: torch.Generator,
    *,
    chunk: int = 4096,
) -> NoisyLabels:
    r"""Noise whose rate and direction depend on the sample itself.

    .. math::
        q_i \sim \mathcal{N}(\eta, 0.1^2) \text{ truncated to } [0, 1], \qquad
        p_i = q_i \, \mathrm{softmax}(x_i W_{y_i}) \text{ without the true class}, \qquad
        p_{i, y_i} = 1 - q_i

    with one standard normal :math:`W_y`, ``[features, classes]``, for each class, as Xia et al. do;
    read literally, the paper's "for every sample" would make the direction of a flip independent of
    the sample. Near 0 and 1 the truncation moves the mean of :math:`q_i`: at a rate of 0 it is
    0.08.

    Args:
        inputs: the samples, ``[samples, ...]``, flattened here; uint8 is divided by 255, floats are
            taken as they are, and ought to be scaled alike, for :math:`W` is not.
        targets: the original labels, ``[samples]``, int64.
        rate: :math:`\eta`, in [0, 1].
        num_classes: number of classes, two or more.
        generator: a CPU generator.
        chunk: samples of a class whose inputs are held in float64 at once.

    Returns:
        The noisy labels, with the observed transition; a class that does not occur keeps its own.

    Raises:
        InputError: an argument is out of its range, the inputs are not finite, or there is not one
            for each label.

    Example:
        >>> import torch
        >>> from metaloss.tasks import noise
        >>> generator = torch.Generator().manual_seed(0)
        >>> images = torch.randint(256, (1000, 1, 8, 8), dtype=torch.uint8, generator=generator)
        >>> labels = torch.arange(10).repeat(100)
        >>> round(noise.instance_dependent(images, labels, 0.4, 10, generator).rate, 1)
        0.4

    References:
        Section 4.2 of the paper; Xia et al., Part-dependent label noise: towards instance-dependent
        label noise, 2020.
    """
    check_at_least("chunk", chunk, 1)
    check_in_range("rate", rate, 0.0, 1.0)
    _check(targets, num_classes, generator)
    require(
        inputs.ndim >= 2 and len(inputs) == len(targets),
        f"inputs: expected [{len(targets)}, ...], a sample for each label, "
        f"got {list(inputs.shape)}",
    )
    require(
        inputs.dtype == torch.uint8 or inputs.is_floating_point(),
        f"inputs: expected uint8 or floating point, got {inputs.dtype}",
    )
    if inputs.is_floating_point():
        check_finite("inputs", inputs)
    original, features = targets.cpu(), inputs.flatten(1)
    flip_rates = _flip_rates(rate, len(original), generator)
    draws = torch.rand(len(original), dtype=torch.float64, generator=generator)
    labels = torch.empty_like(original)
    for label in range(num_classes):
        weights = torch.randn(
            features.shape[1], num_classes, dtype=torch.float64, generator=generator
        )
        for part in torch.split((original == label).nonzero().squeeze(1), chunk):
            scores = _unit_scale(features[part.to(features.device)]) @ weights
            probabilities = _flip(scores, flip_rates[part], label)
            labels[part] = _invert(_cumulative(probabilities), draws[part])
    return NoisyLabels(
        labels, original.clone(), _observed_transition(original, labels, num_classes)
    )


def _check(targets: Tensor, num_classes: int, generator: torch.Generator) -> None:
    check_at_least("num_classes", num_classes, 2)
    check_labels("targets", targets, num_classes)
    require(
        generator.device.type == "cpu",
        f"generator: expected one on the CPU, got one on {generator.device}",
    )


def _as_matrix(matrix: Tensor | Sequence[Sequence[float]]) -> Tensor:
    try:
        return torch.as_tensor(matrix, dtype=torch.float64).cpu().clone()
    except (TypeError, ValueError) as error:
        raise InputError(f"matrix: expected rows of numbers, got {error}") from error


def _pairs(mapping: Mapping[int, int] | str, num_classes: int) -> Mapping[int, int]:
    if isinstance(mapping, str):
        require(
            mapping in PAIRS,
            f"mapping: expected a mapping or one of {', '.join(PAIRS)}, got {mapping!r}",
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


def _cumulative(probabilities: Tensor) -> Tensor:
    """Cumulative sums along the rows, the last of them exactly 1 and so above any draw."""
    sums = probabilities.cumsum(1)
    return sums / sums[:, -1:]


def _invert(cumulative: Tensor, draws: Tensor) -> Tensor:
    """The label of each sample, from its cumulative distribution ``[samples, classes]`` and a draw.

    A class of probability 0 is never taken: its step is empty.
    """
    return torch.searchsorted(cumulative, draws[:, None], right=True).squeeze(1)


def _flip_rates(rate: float, count: int, generator: torch.Generator) -> Tensor:
    """Draws from a normal distribution around ``rate``, truncated to [0, 1], ``[count]``."""
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    low, high = torch.special.ndtr((ends - rate) / _FLIP_RATE_SPREAD)
    uniform = torch.rand(count, dtype=torch.float64, generator=generator)
    standard = torch.special.ndtri(low + uniform * (high - low))
    return (rate + _FLIP_RATE_SPREAD * standard).clamp(0, 1)


def _unit_scale(features: Tensor) -> Tensor:
    values = features.to("cpu", torch.float64)
    return values / 255 if features.dtype == torch.uint8 else values


def _flip(scores: Tensor, flip_rates: Tensor, label: int) -> Tensor:
    """The distribution of the noisy label of samples of one class, ``[samples, classes]``."""
    scores[:, label] = -torch.inf
    probabilities = flip_rates[:, None] * scores.softmax(1)
    probabilities[:, label] = 1 - flip_rates
    return probabilities


def _observed_transition(original: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    counts = torch.bincount(original * num_classes + labels, minlength=num_classes**2)
    counts = counts.view(num_classes, num_classes).double()
    absent = counts.sum(1) == 0
    counts.diagonal().add_(absent)
    return counts / counts.sum(1, keepdim=True)
