"""How well scores find the labels that are known to be wrong."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from metaloss.checks import require

FEW = 100


class Detection(NamedTuple):
    """How well a score finds wrong labels.

    Attributes:
        auroc: the probability that a wrong label has a lower score than a right one.
        average_precision: the mean precision over all thresholds at which a wrong label is found.
        precision_at_few: the share of wrong labels among the 100 most doubtful ones, or among all
            of fewer.
        precision_at_wrong: the same among as many as there are wrong labels.
    """

    auroc: float
    average_precision: float
    precision_at_few: float
    precision_at_wrong: float


def detection(
    scores: Float[Tensor, " samples"], flipped: Bool[Tensor, " samples"]
) -> Detection | None:
    """Compare a score with the truth, by scikit-learn's metrics.

    Args:
        scores: the scores, ``[samples]``, low where a label is doubtful.
        flipped: which labels are wrong, ``[samples]``.

    Returns:
        The figures; ``None`` if all labels are right, or all are wrong.

    Raises:
        InputError: they differ in number.

    Example:
        >>> import torch
        >>> from metaloss.labels import detection
        >>> wrong = torch.tensor([True, False, True, False])
        >>> found = detection(torch.tensor([0.1, 0.2, 0.3, 0.4]), wrong)
        >>> round(found.auroc, 2), round(found.average_precision, 2), found.precision_at_wrong
        (0.75, 0.83, 0.5)
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    require(
        scores.shape == flipped.shape,
        f"scores: expected {len(flipped)}, one for each label, got {list(scores.shape)}",
    )
    wrong = int(flipped.sum())
    if wrong in {0, len(flipped)}:
        return None
    truth, doubt = flipped.cpu().numpy(), -scores.double().cpu().numpy()
    by_doubt = flipped.cpu()[scores.argsort(stable=True).cpu()].double()
    return Detection(
        float(roc_auc_score(truth, doubt)),
        float(average_precision_score(truth, doubt)),
        float(by_doubt[:FEW].mean()),
        float(by_doubt[:wrong].mean()),
    )
