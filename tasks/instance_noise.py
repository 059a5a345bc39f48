"""Label noise that depends on the input."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import check_finite, check_in_range, require

from .mapped import MappedSamples
from .noisy_labels import NoisyLabels
from .sampling import check_labels_and_generator, cumulate, draw_labels

_CHUNK = 4096  # samples of a class that are held in float64 at once
_FLIP_RATE_SPREAD = 0.1  # the paper's standard deviation of a sample's flip rate


def instance_dependent(
    inputs: Tensor | MappedSamples,
    targets: Int[Tensor, " samples"],
    rate: float,
    num_classes: int,
    generator: torch.Generator,
) -> NoisyLabels:
    r"""Label noise whose rate and direction depend on the input.

    .. math::
        q_i \sim \mathcal{N}(\eta, 0.1^2) \text{ truncated to } [0, 1], \qquad
        p_i = q_i \, \mathrm{softmax}(x_i W_{y_i}) \text{ without the true class}, \qquad
        p_{i, y_i} = 1 - q_i

    The entries of :math:`W_y`, ``[features, classes]``, are standard normal. There is one
    :math:`W_y` for each class, as in Xia et al.; the paper's "for every sample", taken literally,
    would make the direction of a flip independent of the input. For rates near 0 and 1, truncation
    shifts the mean of :math:`q_i`: at rate 0 it is 0.08.

    Args:
        inputs: the samples, ``[samples, ...]``, flattened here. uint8 is divided by 255. Floating-
            point features are used unchanged, and should all be of a similar scale.
        targets: the original labels, ``[samples]``, int64.
        rate: :math:`\eta`, in [0, 1].
        num_classes: number of classes, at least 2.
        generator: a CPU generator.

    Returns:
        The noisy labels, with the observed transition matrix. The row of a class that does not
        occur is that of the identity.

    Raises:
        InputError: an argument is out of its range, the inputs are not finite, or inputs and labels
            differ in number.

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
    check_in_range("rate", rate, 0.0, 1.0)
    check_labels_and_generator(targets, num_classes, generator)
    require(
        inputs.ndim >= 2 and len(inputs) == len(targets),
        f"inputs: expected [{len(targets)}, ...], a sample for each label, "
        f"got {list(inputs.shape)}",
    )
    require(
        inputs.dtype == torch.uint8 or inputs.is_floating_point(),
        f"inputs: expected uint8 or floating point, got {inputs.dtype}",
    )
    if isinstance(inputs, Tensor) and inputs.is_floating_point():
        check_finite("inputs", inputs)
    original = targets.cpu()
    flip_rates = _flip_rates(rate, len(original), generator)
    draws = torch.rand(len(original), dtype=torch.float64, generator=generator)
    labels = torch.empty_like(original)
    for label in range(num_classes):
        weights = torch.randn(
            inputs.shape[1:].numel(), num_classes, dtype=torch.float64, generator=generator
        )
        for part in torch.split((original == label).nonzero().squeeze(1), _CHUNK):
            scores = _unit_scale(_read(inputs, part).flatten(1)) @ weights
            probabilities = _flip(scores, flip_rates[part], label)
            labels[part] = draw_labels(cumulate(probabilities), draws[part])
    return NoisyLabels.of_labels(labels, original.clone(), num_classes)


def _flip_rates(rate: float, count: int, generator: torch.Generator) -> Tensor:
    """Draw from a normal distribution around ``rate``, truncated to [0, 1], ``[count]``."""
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    low, high = torch.special.ndtr((ends - rate) / _FLIP_RATE_SPREAD)
    uniform = torch.rand(count, dtype=torch.float64, generator=generator)
    standard = torch.special.ndtri(low + uniform * (high - low))
    return (rate + _FLIP_RATE_SPREAD * standard).clamp(0, 1)


def _read(inputs: Tensor | MappedSamples, part: Tensor) -> Tensor:
    return inputs[part.to(inputs.device) if isinstance(inputs, Tensor) else part]


def _unit_scale(features: Tensor) -> Tensor:
    values = features.to("cpu", torch.float64)
    return values / 255 if features.dtype == torch.uint8 else values


def _flip(scores: Tensor, flip_rates: Tensor, label: int) -> Tensor:
    """Return the noisy label's distribution for samples of one class, ``[samples, classes]``."""
    scores[:, label] = -torch.inf
    probabilities = flip_rates[:, None] * scores.softmax(1)
    probabilities[:, label] = 1 - flip_rates
    return probabilities
