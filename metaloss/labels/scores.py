"""How far the label of each sample can be trusted: scores in [0, 1], 1 for surely right."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import check_labels, require, seen

Scores = Float[Tensor, " samples"]
Probabilities = Float[Tensor, "samples classes"]


def self_confidence(probabilities: Probabilities, labels: Int[Tensor, " samples"]) -> Scores:
    r"""Return the probability that the network gives the label, :math:`p_y`.

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``, in [0, 1].
        labels: the given labels, ``[samples]``, int64.

    Returns:
        The scores, ``[samples]``, in [0, 1].

    Raises:
        InputError: an argument has another shape or dtype, or a value is out of range.

    Example:
        >>> import torch
        >>> from metaloss.labels import self_confidence
        >>> p = torch.tensor([[0.75, 0.25], [0.75, 0.25]])
        >>> self_confidence(p, torch.tensor([0, 1]))
        tensor([0.7500, 0.2500])

    References:
        Northcutt et al., Confident learning: estimating uncertainty in dataset labels, 2021.
    """
    check_predictions(probabilities, labels)
    return probabilities.gather(1, labels.unsqueeze(1)).squeeze(1)


def normalized_margin(probabilities: Probabilities, labels: Int[Tensor, " samples"]) -> Scores:
    r"""Return the label's lead over the best other class, moved into [0, 1].

    .. math:: \tfrac12 \bigl(1 + p_y - \max_{j \ne y} p_j\bigr)

    It is below 1/2 where the network predicts another class than the label.

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``, in [0, 1].
        labels: the given labels, ``[samples]``, int64.

    Returns:
        The scores, ``[samples]``, in [0, 1].

    Raises:
        InputError: an argument has another shape or dtype, or a value is out of range.

    Example:
        >>> import torch
        >>> from metaloss.labels import normalized_margin
        >>> p = torch.tensor([[0.75, 0.25], [0.75, 0.25]])
        >>> normalized_margin(p, torch.tensor([0, 1]))
        tensor([0.7500, 0.2500])

    References:
        Northcutt et al., 2021, Section 4 (ranking by the normalized margin).
    """
    own = self_confidence(probabilities, labels)
    others = probabilities.scatter(1, labels.unsqueeze(1), -torch.inf).amax(dim=1)
    return (1 + own - others) / 2


def adjuster_weight(weights: Float[Tensor, " samples"]) -> Scores:
    r"""Return the weight that the loss gives each sample, moved into [0, 1].

    .. math:: \frac{\max(v, 0)}{\max(1, \max_i v_i)}

    :math:`v` is the factor by which the sample's loss scales the gradient of cross entropy. With
    learned hyperparameters it is how far the adjuster trusts the label. Losses such as PolySoft
    give many samples the weight 0, and these are tied.

    Args:
        weights: the factors of :func:`~metaloss.losses.gradient_weight`, ``[samples]``.

    Returns:
        The scores, ``[samples]``, in [0, 1].

    Raises:
        InputError: it is no vector of floating-point numbers, or one is not finite.

    Example:
        >>> import torch
        >>> from metaloss.labels import adjuster_weight
        >>> adjuster_weight(torch.tensor([-0.5, 1.0, 2.0]))
        tensor([0.0000, 0.5000, 1.0000])

    References:
        The paper, Section 4.3 and Figure 9.
    """
    _check_vector("weights", weights)
    positive = weights.clamp_min(0)
    return positive / positive.max().clamp_min(1)


def area_under_margin(mean_margins: Float[Tensor, " samples"]) -> Scores:
    r"""Return the area under the margin, moved into [0, 1].

    .. math:: \sigma(\bar m), \qquad
              \bar m = \frac1T \sum_{t=1}^T \bigl(z_y^{(t)} - \max_{j \ne y} z_j^{(t)}\bigr)

    The mean is over the batches of training that the sample was in, so that it also tells how early
    the label was learned. The sigmoid changes no rank; it makes 1/2 of a margin of 0.

    Args:
        mean_margins: :math:`\bar m`, ``[samples]``, such as the ``mean_margin`` of a run's
            ``margins.safetensors``.

    Returns:
        The scores, ``[samples]``, float64, in [0, 1].

    Raises:
        InputError: it is no vector of floating-point numbers, or one is not finite.

    Example:
        >>> import torch
        >>> from metaloss.labels import area_under_margin
        >>> area_under_margin(torch.tensor([0.0, 4.0]))
        tensor([0.5000, 0.9820], dtype=torch.float64)

    References:
        Pleiss et al., Identifying mislabeled data using the area under the margin ranking, 2020,
        Eq. 1 and 2; the paper's reference [12].
    """
    _check_vector("mean_margins", mean_margins)
    # In float32 all margins above 17 would be tied.
    return mean_margins.double().sigmoid()


def combined(
    probabilities: Probabilities,
    labels: Int[Tensor, " samples"],
    mean_margins: Float[Tensor, " samples"],
) -> Scores:
    r"""Return the geometric mean of the normalized margin and of the area under the margin.

    The first tells what the network makes of the label at the end, the second how early it learned
    it.

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``, in [0, 1].
        labels: the given labels, ``[samples]``, int64.
        mean_margins: the mean margins over training, ``[samples]``.

    Returns:
        The scores, ``[samples]``, float64, in [0, 1].

    Raises:
        InputError: as for :func:`normalized_margin` and :func:`area_under_margin`.

    Example:
        >>> import torch
        >>> from metaloss.labels import combined
        >>> p = torch.tensor([[0.75, 0.25], [0.75, 0.25]])
        >>> combined(p, torch.tensor([0, 1]), torch.tensor([4.0, 0.0]))
        tensor([0.8582, 0.3536], dtype=torch.float64)
    """
    now, over_training = normalized_margin(probabilities, labels), area_under_margin(mean_margins)
    require(
        now.shape == over_training.shape,
        f"mean_margins: expected {len(now)}, one for each row of probabilities, got "
        f"{len(over_training)}",
    )
    return (now.double().clamp_min(0) * over_training).sqrt()


def check_predictions(probabilities: Tensor, labels: Tensor) -> None:
    """Raise :class:`~metaloss.InputError` unless these are probabilities and labels of samples.

    Args:
        probabilities: ``[samples, classes]``, floating point.
        labels: ``[samples]``, int64.
    """
    require(
        isinstance(probabilities, Tensor)
        and probabilities.ndim == 2
        and probabilities.is_floating_point()
        and probabilities.shape[1] >= 2,
        "probabilities: expected floating-point numbers [samples, classes] for two classes or "
        f"more, got {seen(probabilities)}",
    )
    check_labels("labels", labels, probabilities.shape[1])
    require(
        len(labels) == len(probabilities),
        f"labels: expected {len(probabilities)}, one for each row of probabilities, got "
        f"{len(labels)}",
    )
    error = (probabilities.sum(dim=1) - 1).abs().amax().item()
    require(
        probabilities.amin().item() >= 0 and error < 1e-3,  # a NaN fails both
        "probabilities: expected rows of numbers of at least 0 that sum to 1, got others; of "
        "logits take .softmax(dim=1)",
    )


def _check_vector(name: str, values: Tensor) -> None:
    require(
        isinstance(values, Tensor)
        and values.ndim == 1
        and len(values) > 0
        and values.is_floating_point(),
        f"{name}: expected floating-point numbers [samples], got {seen(values)}",
    )
    bad = int((~values.isfinite()).sum())
    require(bad == 0, f"{name}: expected finite numbers, got {bad} that are not")
