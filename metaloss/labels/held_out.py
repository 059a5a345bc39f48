"""Labels of samples that were held out of training, on the scale of those trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import check_labels, require
from metaloss.conditioners.margin import margins
from metaloss.labels.assessment import Assessment, assess
from metaloss.labels.confident import estimated_noise
from metaloss.labels.opening import OpenRun
from metaloss.labels.scores import Probabilities, Scores
from metaloss.types import has_checked_test


class HeldOut(NamedTuple):
    """Samples that were held out of the training samples, with labels that nobody checked.

    Attributes:
        ids: their names.
        index: their positions in the task's test samples, ascending, ``[held out]``.
        labels: their given labels, ``[held out]``, int64.
        probabilities: the predictions of the run's own network, ``[held out, classes]``, float64.
    """

    ids: tuple[str, ...]
    index: Tensor  # type: ignore[assignment]  # hides a method of tuples
    labels: Int[Tensor, " held_out"]
    probabilities: Float[Tensor, "held_out classes"]


def held_out_of(run: OpenRun) -> HeldOut | None:
    """Predict the samples that a run held out, if their labels are as doubtful as the others.

    Returns:
        The samples; ``None`` if the test samples are others, their labels are known to be right, or
        it is known which training labels are wrong.
    """
    names = getattr(run.task, "held_out_ids", None)
    if names is None or has_checked_test(run.task) or run.task.flipped is not None:
        return None
    index, labels, probabilities = run.predicted(run.records, run.task.test)
    return HeldOut(tuple(names[i] for i in index.tolist()), index, labels, probabilities)


def final_margins(
    probabilities: Probabilities, labels: Int[Tensor, " samples"]
) -> Float[Tensor, " samples"]:
    """Return the margins in logits at the end of training.

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``, float64.
        labels: the given labels, ``[samples]``, int64.

    Example:
        >>> import torch
        >>> from metaloss.labels.held_out import final_margins
        >>> p = torch.tensor([[1.0, 3.0]], dtype=torch.float64).softmax(dim=1)
        >>> round(final_margins(p, torch.tensor([1])).item(), 6)
        2.0
    """
    check_labels("labels", labels, probabilities.shape[1])
    # Differences of log-probabilities are differences of logits.
    return margins(probabilities.clamp_min(1e-300).log(), labels).margin.squeeze(1)


def of_same_rank(scores: Scores, others: Float[Tensor, " others"]) -> Scores:
    r"""Return, for each score, the one that has the same rank among others.

    The share of lower scores says where to look among the others. A network scores the samples that
    it was trained on higher than those that it never saw, so the scores themselves do not compare.
    The shares do, if the samples were divided at random.

    Args:
        scores: the scores of some samples, ``[samples]``.
        others: the scores of other samples, ``[others]``.

    Returns:
        The scores of the others at the same ranks, ``[samples]``, float64, linear between two of
        them. Equal scores stay equal.

    Raises:
        InputError: there are no scores.

    Example:
        >>> import torch
        >>> from metaloss.labels.held_out import of_same_rank
        >>> of_same_rank(torch.tensor([0.2, 0.1]), torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9]))
        tensor([0.8000, 0.6000], dtype=torch.float64)
    """
    require(
        len(scores) > 0 and len(others) > 0,
        f"scores: expected one or more of each kind, got {len(scores)} and {len(others)}",
    )
    ordered = scores.sort().values.contiguous()
    below = torch.searchsorted(ordered, scores.contiguous())
    up_to = torch.searchsorted(ordered, scores.contiguous(), right=True)
    shares = (below + up_to).double() / (2 * len(scores))
    return torch.from_numpy(np.quantile(others.double().numpy(), shares.numpy()))


def with_held_out(
    trained: Assessment, held_out: HeldOut, probabilities: Probabilities
) -> Assessment:
    """Return the judged labels with those of held-out samples after them.

    The margin at the end stands for the mean margin over training, in which they had none. Each
    score is then replaced by that of the same rank among the training samples
    (:func:`of_same_rank`). ``weight`` is NaN: the loss gave them none. The noise is estimated anew,
    of all samples.

    Args:
        trained: the judged labels of the training samples.
        held_out: the samples.
        probabilities: the predictions that ``trained`` was judged by, ``[samples, classes]``.
    """
    own = assess(
        held_out.probabilities,
        held_out.labels,
        mean_margins=final_margins(held_out.probabilities, held_out.labels),
    )
    scores = {
        name: torch.cat([values.double(), of_same_rank(own.scores[name], values)])
        if name in own.scores
        else torch.cat([values.double(), torch.full((len(held_out.labels),), torch.nan).double()])
        for name, values in trained.scores.items()
    }
    labels = torch.cat([trained.labels, held_out.labels])
    return Assessment(
        labels,
        torch.cat([trained.suggested, own.suggested]),
        scores,
        estimated_noise(torch.cat([probabilities, held_out.probabilities]), labels),
        held_out=torch.arange(len(labels)) >= len(trained.labels),
    )
