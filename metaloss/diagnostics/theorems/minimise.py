"""The minimum of a risk over the outputs of a network, one input at a time.

The risk of an input is a sum over the labels of terms that depend on one probability each. So the
probabilities of two labels can be chosen best, with their sum held fixed, by a search in one
number. This is done for pair after pair until nothing changes, from several starts. For losses that
are convex in the probability, the end is the minimum. For PolySoft, which is not, no change of two
probabilities leads lower; the tests hold it against a grid of all outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.losses import LossFamily
from metaloss.theory.of_probability import at_probability, is_unbounded, log_probability, of_paper

# From all starts roughly, then from the best of them: sweeps, and how often a grid is narrowed.
_ROUGH, _FINE = (3, 2), (60, 6)
_POINTS = 33
_NEAR_ZERO = torch.logspace(-8, -1, 15, dtype=torch.float64)
_SHARES = torch.cat([torch.linspace(0, 1, 41).double(), _NEAR_ZERO, 1 - _NEAR_ZERO]).sort().values


class Term(NamedTuple):
    """A part of a risk: labels with the same hyperparameters.

    Attributes:
        loss: the loss family.
        values: its hyperparameters by name.
        weights: the probability of each label, ``[inputs, classes]``.
    """

    loss: LossFamily
    values: Mapping[str, float]
    weights: Float[Tensor, "inputs classes"]


def risk(
    terms: Sequence[Term], outputs: Float[Tensor, "inputs classes"]
) -> Float[Tensor, " inputs"]:
    """Return the expected loss of each input, from the losses of all its labels.

    Args:
        terms: the parts of the risk.
        outputs: the probabilities that a network gives, ``[inputs, classes]``, float64.

    Example:
        >>> import torch
        >>> from metaloss.diagnostics.theorems.minimise import Term, risk
        >>> from metaloss.losses import GCE
        >>> even = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
        >>> risk([Term(GCE(), {"q": 1.0}, even)], even)
        tensor([0.5000], dtype=torch.float64)
    """
    logits, total = log_probability(outputs), torch.zeros_like(outputs)
    for loss, given, weights in terms:
        family, values = of_paper(loss, given)
        hparams = family.constant(len(logits), list(values.values()), like=logits)
        labels = torch.arange(outputs.shape[1]).expand(outputs.shape)
        losses = torch.stack([family(logits, column, hparams) for column in labels.unbind(1)], 1)
        losses = torch.where((outputs == 0) & is_unbounded(family, values), torch.inf, losses)
        total = total + torch.where(weights > 0, weights * losses, 0.0)
    return total.sum(dim=1)


def minimise(
    terms: Sequence[Term], starts: Float[Tensor, "starts inputs classes"]
) -> Float[Tensor, "inputs classes"]:
    """Return the outputs of the smallest risk, one for each input.

    Args:
        terms: the parts of the risk.
        starts: outputs to start from, float64. One-hot and uniform ones are added.

    Example:
        >>> import torch
        >>> from metaloss.diagnostics.theorems.minimise import Term, minimise
        >>> from metaloss.losses import CrossEntropy
        >>> labels = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64)
        >>> minimise([Term(CrossEntropy(), {}, labels)], labels[None].roll(1, 2))
        tensor([[0.7000, 0.2000, 0.1000]], dtype=torch.float64)
    """
    _, inputs, classes = starts.shape
    one_hot = torch.eye(classes, dtype=starts.dtype)[:, None].expand(-1, inputs, -1)
    uniform = torch.full((1, inputs, classes), 1 / classes, dtype=starts.dtype)
    every = torch.cat([starts, one_hot, uniform])
    copies = [Term(loss, values, w.repeat(len(every), 1)) for loss, values, w in terms]
    found = _swept(copies, every.reshape(-1, classes), *_ROUGH)
    best = risk(copies, found).reshape(-1, inputs).argmin(dim=0)
    found = found.reshape(-1, inputs, classes)[best, torch.arange(inputs)]
    return _swept(terms, found, *_FINE)


def _swept(terms: Sequence[Term], outputs: Tensor, sweeps: int, zooms: int) -> Tensor:
    """Choose every pair best, over and over, until nothing changes."""
    for _ in range(sweeps):
        before = outputs
        for i, j in combinations(range(outputs.shape[1]), 2):
            outputs = _exchanged(terms, outputs, i, j, zooms)
        if (outputs - before).abs().max() < 1e-8:  # the risk is flat at its minimum
            break
    return outputs


def _exchanged(terms: Sequence[Term], outputs: Tensor, i: int, j: int, zooms: int) -> Tensor:
    """Share the sum of two probabilities in the best way."""
    total = (outputs[:, i] + outputs[:, j])[:, None]

    def value(shares: Tensor) -> Tensor:
        both = torch.stack([total * shares, total * (1 - shares)])
        found = torch.zeros_like(both)
        for loss, values, weights in terms:
            each = weights[:, [i, j]].T[:, :, None]
            losses = at_probability(loss, both, values)
            found = found + torch.where(each > 0, each * losses, 0.0)
        return found.sum(dim=0)

    now = outputs[:, i : i + 1] / total.clamp_min(1e-300)
    shares = torch.cat([_SHARES.expand(len(outputs), -1), now], 1).sort(dim=1).values
    grid = torch.linspace(0, 1, _POINTS, dtype=outputs.dtype)
    best, least = now, value(now)
    for _ in range(zooms):
        values = value(shares)
        lowest, at = values.min(dim=1, keepdim=True)
        best = torch.where(lowest < least, shares.gather(1, at), best)
        least = torch.minimum(lowest, least)
        low = shares.gather(1, (at - 1).clamp_min(0))
        high = shares.gather(1, (at + 1).clamp_max(shares.shape[1] - 1))
        shares = low + (high - low) * grid
    outputs = outputs.clone()
    outputs[:, i], outputs[:, j] = (total * best).squeeze(1), (total * (1 - best)).squeeze(1)
    return outputs
