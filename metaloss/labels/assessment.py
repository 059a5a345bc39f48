"""What can be said of the labels of a data set, together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import require
from metaloss.labels.confident import LabelNoise, estimated_noise, suggested_labels
from metaloss.labels.scores import (
    Probabilities,
    adjuster_weight,
    area_under_margin,
    combined,
    normalized_margin,
    self_confidence,
)

PREFERRED = ("combined", "normalized-margin")
"""The scores to rank by, the best first; the second needs no record of training."""

SCORES = ("area-under-margin", "combined", "normalized-margin", "self-confidence", "weight")
"""The names of all scores."""


BY_HEART = 0.95
"""The share of the labels that a network predicts if it has learned them by heart."""


def by_heart(own: Probabilities, labels: Int[Tensor, " samples"]) -> bool:
    """Return whether a network predicts nearly all labels that it was trained on.

    Its predictions then say little of which labels are wrong.

    Args:
        own: its predictions for the samples, ``[samples, classes]``.
        labels: the labels that it was trained on, ``[samples]``, int64.

    Example:
        >>> import torch
        >>> from metaloss.labels import by_heart
        >>> p = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
        >>> by_heart(p, torch.tensor([0, 1])), by_heart(p, torch.tensor([0, 0]))
        (True, False)
    """
    return bool((own.argmax(dim=1) == labels).double().mean() >= BY_HEART)


@dataclass(frozen=True)
class Assessment:
    """The labels of a data set, judged.

    Attributes:
        labels: the given labels, ``[samples]``.
        suggested: the network's labels, ``[samples]``.
        scores: each score by name, ``[samples]``, in [0, 1]; those that can be computed. NaN for
            held-out samples that have none.
        noise: the estimated noise.
        flipped: which labels are wrong, ``[samples]``; ``None`` if that is not known.
        held_out: which samples were held out of training, ``[samples]``; ``None`` if none was.
    """

    labels: Int[Tensor, " samples"]
    suggested: Int[Tensor, " samples"]
    scores: Mapping[str, Float[Tensor, " samples"]]
    noise: LabelNoise
    flipped: Bool[Tensor, " samples"] | None = None
    held_out: Bool[Tensor, " samples"] | None = None

    @property
    def preferred(self) -> str:
        """The name of the score to rank by."""
        return next(name for name in PREFERRED if name in self.scores)

    def score(self, name: str | None = None) -> Float[Tensor, " samples"]:
        """Return a score.

        Args:
            name: its name; that of :attr:`preferred` by default.

        Raises:
            InputError: there is no such score.
        """
        name = self.preferred if name is None else name
        known = f"expected one of {', '.join(self.scores)}, got {name!r}"
        more = "; this run has no data for it" if name in SCORES else ""
        require(name in self.scores, f"score: {known}{more}")
        return self.scores[name]

    def order(self, name: str | None = None) -> Int[Tensor, " samples"]:
        """Return the samples by a score, the most doubtful first; ties are in order of position.

        Held-out samples that the score is not known of (NaN, of ``weight``) are left out.

        Args:
            name: the score's name; that of :attr:`preferred` by default.

        Raises:
            InputError: there is no such score.
        """
        score = self.score(name)
        return score.argsort(stable=True)[: int((~score.isnan()).sum())]


def assess(
    probabilities: Probabilities,
    labels: Int[Tensor, " samples"],
    *,
    weights: Float[Tensor, " samples"] | None = None,
    mean_margins: Float[Tensor, " samples"] | None = None,
    flipped: Bool[Tensor, " samples"] | None = None,
    own: Probabilities | None = None,
) -> Assessment:
    """Judges labels by what a network makes of them.

    Args:
        probabilities: the predicted probabilities, ``[samples, classes]``.
        labels: the given labels, ``[samples]``, int64.
        weights: the weights that the loss gives the samples, ``[samples]``.
        mean_margins: the mean margins over training, ``[samples]``.
        flipped: which labels are wrong, ``[samples]``, if that is known.
        own: the predictions of the network that was trained on these samples, ``[samples,
            classes]``, if ``probabilities`` are those of networks that were not. The combined score
            takes them unless that network has learned the labels :func:`by_heart`.

    Raises:
        InputError: an argument has another shape or dtype, or a value is out of range.

    Example:
        >>> import torch
        >>> from metaloss.labels import assess
        >>> p = torch.tensor([[0.75, 0.25], [0.25, 0.75], [1.0, 0.0]])
        >>> found = assess(p, torch.tensor([0, 0, 0]))
        >>> found.order(), found.suggested
        (tensor([1, 0, 2]), tensor([0, 1, 0]))
    """
    scores: dict[str, Tensor] = {}
    if mean_margins is not None:
        scores["area-under-margin"] = area_under_margin(mean_margins)
        final = probabilities if own is None or by_heart(own, labels) else own
        scores["combined"] = combined(final, labels, mean_margins)
    scores["normalized-margin"] = normalized_margin(probabilities, labels)
    scores["self-confidence"] = self_confidence(probabilities, labels)
    if weights is not None:
        scores["weight"] = adjuster_weight(weights)
    given = {**scores, **({} if flipped is None else {"flipped": flipped})}
    for name, column in given.items():
        require(
            column.shape == labels.shape,
            f"{name}: expected {len(labels)}, one for each label, got {list(column.shape)}",
        )
    return Assessment(
        labels,
        suggested_labels(probabilities),
        scores,
        estimated_noise(probabilities, labels),
        flipped,
    )
