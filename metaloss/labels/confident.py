"""Confident learning: how many labels of each class are wrong, and what they should be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.labels.scores import Probabilities, check_predictions


def class_thresholds(
    probabilities: Probabilities, labels: Int[Tensor, " samples"]
) -> Float[Tensor, " classes"]:
    r"""Return how sure the network is of each class, on average.

    .. math:: t_j = \frac{1}{|X_{\tilde y = j}|} \sum_{x \in X_{\tilde y = j}} p_j(x)

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``.
        labels: the given labels :math:`\tilde y`, ``[samples]``, int64.

    Returns:
        The thresholds, ``[classes]``, float64; infinite for a class that no sample is labelled as.

    Raises:
        InputError: an argument has another shape or dtype, or a value is out of range.

    Example:
        >>> import torch
        >>> from metaloss.labels import class_thresholds
        >>> p = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.0, 1.0]])
        >>> class_thresholds(p, torch.tensor([0, 0, 1]))
        tensor([0.5000, 1.0000], dtype=torch.float64)

    References:
        Northcutt et al., Confident learning: estimating uncertainty in dataset labels, 2021, Eq. 2.
    """
    check_predictions(probabilities, labels)
    classes = probabilities.shape[1]
    own = probabilities.double().gather(1, labels.unsqueeze(1)).squeeze(1)
    sums = torch.zeros(classes, dtype=torch.float64, device=own.device).index_add(0, labels, own)
    counts = labels.bincount(minlength=classes)
    return torch.where(counts > 0, sums / counts, torch.inf)


def confident_joint(
    probabilities: Probabilities, labels: Int[Tensor, " samples"]
) -> Int[Tensor, "classes classes"]:
    r"""Count the samples that are labelled :math:`i` and confidently look like :math:`j`.

    .. math:: C_{ij} = \Bigl|\Bigl\{x \in X_{\tilde y = i} : p_j(x) \ge t_j, \;
              j = \arg\max_{l \,:\, p_l(x) \ge t_l} p_l(x)\Bigr\}\Bigr|

    :math:`t` are the :func:`class_thresholds`. A sample that reaches none of them is not counted.

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``.
        labels: the given labels, ``[samples]``, int64.

    Returns:
        The counts, ``[classes, classes]``, int64: a row for each given label.

    Raises:
        InputError: an argument has another shape or dtype, or a value is out of range.

    Example:
        >>> import torch
        >>> from metaloss.labels import confident_joint
        >>> p = torch.tensor([[0.75, 0.25], [0.0, 1.0], [0.25, 0.75]])
        >>> confident_joint(p, torch.tensor([0, 0, 1]))
        tensor([[1, 1],
                [0, 1]])

    References:
        Northcutt et al., 2021, Eq. 1.
    """
    thresholds = class_thresholds(probabilities, labels)
    p = probabilities.double()
    reached = p >= thresholds - 1e-12  # where all of a class are equal, the mean may round upwards
    looks_like = p.masked_fill(~reached, -1.0).argmax(dim=1)
    counted = reached.any(dim=1)
    classes = p.shape[1]
    cells = labels[counted] * classes + looks_like[counted]
    return cells.bincount(minlength=classes * classes).view(classes, classes)


@dataclass(frozen=True)
class LabelNoise:
    r"""What is estimated of the wrong labels of a data set.

    Attributes:
        joint: :math:`Q_{ij}`, the share of samples that are labelled :math:`i` and are of class
            :math:`j`, ``[classes, classes]``, float64; it sums to 1.

    References:
        Northcutt et al., 2021, Eq. 3.
    """

    joint: Float[Tensor, "classes classes"]

    @property
    def rate(self) -> float:
        """The share of samples whose label is wrong."""
        return float(1 - self.joint.trace())

    @property
    def class_rates(self) -> Float[Tensor, " classes"]:
        """The share of wrong labels among the samples labelled as each class; NaN if none is."""
        return 1 - self.joint.diag() / self.joint.sum(dim=1)

    @property
    def transition(self) -> Float[Tensor, "classes classes"]:
        r"""The probability :math:`T_{ji}` that a sample of class :math:`j` is labelled :math:`i`.

        A row for each true class, as noise models have it; the rows sum to 1. Where no sample is
        estimated to be of a class, its row says that labels stay.
        """
        totals = self.joint.sum(dim=0)
        rows = self.joint.T / totals.unsqueeze(1)
        stays = torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
        return torch.where(totals.unsqueeze(1) > 0, rows, stays)


def estimated_noise(probabilities: Probabilities, labels: Int[Tensor, " samples"]) -> LabelNoise:
    r"""Estimates how labels are wrong from a network's predictions.

    .. math:: Q_{ij} = \frac1n \, \frac{C_{ij}}{\sum_{j'} C_{ij'}} \, |X_{\tilde y = i}|

    :math:`C` is the :func:`confident_joint`; each row is scaled to the number of samples with that
    label. Where no sample of a row was counted, all its labels are taken for right.

    The estimate is as good as the predictions. A network that has learned wrong labels by heart
    predicts them, and the rate comes out too low.

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``.
        labels: the given labels, ``[samples]``, int64.

    Returns:
        The estimate.

    Raises:
        InputError: an argument has another shape or dtype, or a value is out of range.

    Example:
        >>> import torch
        >>> from metaloss.labels import estimated_noise
        >>> p = torch.tensor([[0.75, 0.25], [0.0, 1.0], [0.25, 0.75], [0.25, 0.75]])
        >>> noise = estimated_noise(p, torch.tensor([0, 0, 1, 1]))
        >>> noise.rate
        0.25
        >>> noise.transition
        tensor([[1.0000, 0.0000],
                [0.3333, 0.6667]], dtype=torch.float64)

    References:
        Northcutt et al., 2021, Eq. 3.
    """
    joint = confident_joint(probabilities, labels).double()
    joint += torch.diag((joint.sum(dim=1) == 0).double())
    counts = labels.bincount(minlength=len(joint)).double()
    scaled = joint / joint.sum(dim=1, keepdim=True) * counts.unsqueeze(1)
    return LabelNoise(scaled / counts.sum())


def suggested_labels(probabilities: Probabilities) -> Int[Tensor, " samples"]:
    """Return the class that the network predicts for each sample.

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``.

    Returns:
        The labels, ``[samples]``, int64; the first of several classes that are equally likely.

    Example:
        >>> import torch
        >>> from metaloss.labels import suggested_labels
        >>> suggested_labels(torch.tensor([[0.75, 0.25], [0.0, 1.0]]))
        tensor([0, 1])
    """
    return probabilities.argmax(dim=1)
