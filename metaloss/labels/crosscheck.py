"""The scores of cleanlab for the same predictions, where it is installed."""

from __future__ import annotations

from typing import Any

from jaxtyping import Int
from torch import Tensor

from metaloss.labels.scores import Probabilities, Scores

METHODS: dict[str, dict[str, Any]] = {
    "self-confidence": {"method": "self_confidence"},
    "self-confidence, adjusted": {"method": "self_confidence", "adjust_pred_probs": True},
    "normalized margin": {"method": "normalized_margin"},
    "entropy": {"method": "confidence_weighted_entropy"},
}


def cleanlab_scores(
    probabilities: Probabilities, labels: Int[Tensor, " samples"]
) -> dict[str, Scores]:
    """Return cleanlab's scores by name; none if it is not installed or cannot score these labels.

    Its self-confidence and its normalized margin are those of this package. The adjusted one takes
    the thresholds of the classes into account; it needs a sample of each class.

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``.
        labels: the given labels, ``[samples]``, int64.

    References:
        https://github.com/cleanlab/cleanlab, ``cleanlab.rank.get_label_quality_scores``.
    """
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return {}
    import torch

    given, predicted = labels.numpy(), probabilities.double().numpy()
    found = {}
    for name, settings in METHODS.items():
        try:
            scores = get_label_quality_scores(given, predicted, **settings)
        except ValueError:  # such as labels without a sample of each class
            continue
        found[f"cleanlab: {name}"] = torch.as_tensor(scores)
    return found
