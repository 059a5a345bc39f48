"""Finite distributions and noise, and what the noise does to the minimiser of a risk on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.diagnostics.theorems.minimise import Term, minimise, risk
from metaloss.losses import LossFamily


class Distribution(NamedTuple):
    """A finite distribution of inputs and labels.

    Attributes:
        inputs: the probability of each input, ``[inputs]``.
        labels: each input's distribution over the classes, ``[inputs, classes]``.
    """

    inputs: Float[Tensor, " inputs"]
    labels: Float[Tensor, "inputs classes"]

    @property
    def class_probs(self) -> list[float]:
        """The probability of each class."""
        found: list[float] = (self.inputs @ self.labels).tolist()
        return found


class Gaps(NamedTuple):
    r"""What noise does to the minimiser.

    Attributes:
        noisy: :math:`R^\eta(f^*) - R^\eta(\hat f)` for each transition matrix, ``[matrices]``.
        clean: :math:`R(f^*) - R(\hat f)`, likewise.
    """

    noisy: Float[Tensor, " matrices"]
    clean: Float[Tensor, " matrices"]


def random_labels(num_classes: int, num_inputs: int, generator: torch.Generator) -> Distribution:
    """Return a distribution whose inputs are of several classes, from nearly certain to uniform."""
    spread = torch.linspace(0.5, 6.0, num_inputs, dtype=torch.float64)[:, None]
    logits = torch.randn(num_inputs, num_classes, generator=generator, dtype=torch.float64)
    return Distribution(_shares(num_inputs, generator), (spread * logits).softmax(dim=1))


def one_class_each(num_classes: int, generator: torch.Generator) -> Distribution:
    """Return a distribution with an input of each class, as :math:`R(f^*) = 0` needs."""
    return Distribution(
        _shares(num_classes, generator), torch.eye(num_classes, dtype=torch.float64)
    )


def random_transitions(
    num_classes: int, count: int, generator: torch.Generator
) -> Float[Tensor, "matrices classes classes"]:
    """Return matrices whose classes keep their own labels most often, some of them barely.

    The first flips a class to the next one with probability 0.49.
    """
    c = num_classes
    eye = torch.eye(c, dtype=torch.float64)
    pairs = 0.51 * eye + 0.49 * eye.roll(1, dims=1)
    others = torch.rand(count - 1, c, c, generator=generator, dtype=torch.float64) ** 3 * (1 - eye)
    largest = others.amax(dim=2, keepdim=True)
    kept = 1 + torch.rand(count - 1, c, 1, generator=generator, dtype=torch.float64) ** 3
    matrices = others / largest + eye * kept * 1.001
    return torch.cat([pairs[None], matrices / matrices.sum(dim=2, keepdim=True)])


def gaps(
    distribution: Distribution,
    transitions: Float[Tensor, "matrices classes classes"],
    loss: LossFamily,
    clean: Mapping[str, float],
    noisy: Mapping[str, float],
) -> Gaps:
    r"""Return how far the minimisers with and without noise are from one another in both risks.

    Args:
        distribution: the inputs and their labels without noise.
        transitions: matrices; row ``i`` is the distribution of the noisy label of class ``i``.
        loss: the loss family.
        clean: hyperparameters of labels that the noise left alone.
        noisy: hyperparameters of labels that it changed; for the losses of Theorems 1 and 2 those
            of ``clean``.

    Example:
        >>> import torch
        >>> from metaloss.diagnostics.theorems.distributions import Distribution, gaps
        >>> from metaloss.losses import GCE
        >>> from metaloss.theory import symmetric_transition
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> labels = torch.tensor([[0.7, 0.3]], dtype=torch.float64)
        >>> noise = symmetric_transition(2, 0.2)[None]
        >>> found = gaps(Distribution(one, labels), noise, GCE(), {"q": 1.0}, {"q": 1.0})
        >>> [abs(round(float(gap), 6)) for gap in found]
        [0.0, 0.0]
    """
    labels, matrices = distribution.labels, len(transitions)
    inputs, classes = labels.shape
    kept = transitions.diagonal(dim1=1, dim2=2)
    moved = transitions * (1 - torch.eye(classes, dtype=labels.dtype))
    right = (labels * kept[:, None]).reshape(-1, classes)
    wrong = (labels @ moved).reshape(-1, classes)
    if clean == noisy:
        under_noise = [Term(loss, clean, right + wrong)]
    else:
        under_noise = [Term(loss, clean, right), Term(loss, noisy, wrong)]
    without = [Term(loss, clean, labels)]
    repeated = [Term(loss, clean, labels.repeat(matrices, 1))]

    star = minimise(without, labels[None])
    stars = star.repeat(matrices, 1)
    hat = minimise(under_noise, torch.stack([right + wrong, stars]))
    star_gap = risk(under_noise, stars) - risk(under_noise, hat)
    hat_gap = risk(repeated, stars) - risk(repeated, hat)
    return Gaps(
        star_gap.reshape(matrices, inputs) @ distribution.inputs,
        hat_gap.reshape(matrices, inputs) @ distribution.inputs,
    )


def _shares(count: int, generator: torch.Generator) -> Tensor:
    shares = 0.2 + torch.rand(count, generator=generator, dtype=torch.float64)
    return shares / shares.sum()
