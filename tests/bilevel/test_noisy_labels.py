"""What a hypergradient is worth whose meta labels are noisy."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead
from metaloss.conditioners import Margin
from metaloss.losses import GCE
from metaloss.meta_losses import MAE, RCE, CrossEntropy

CLASSES, RATE = 5, 0.4


def hypergradient(meta_loss, labels) -> torch.Tensor:
    """The hypergradient of one network, with the meta loss of 12 samples with these labels."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, CLASSES)).double()
    adjuster = Adjuster.for_loss(GCE(), Margin(), hidden=6)
    criterion = AdjustedLoss(GCE(), Margin(), adjuster).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    inputs = torch.randn(24, 3).double()
    batch = inputs[:12], torch.randint(CLASSES, (12,))
    found = Lookahead(meta_loss=meta_loss).hypergradient(
        model, optimizer, criterion, [batch], (inputs[12:], labels)
    )
    return torch.cat([grad.flatten() for grad in found.values()])


def expected(meta_loss, labels, transition) -> torch.Tensor:
    """The mean hypergradient over noisy labels, which is linear in each label's probability.

    So it is the sum over the shifts of all labels, weighted by the probability of a shift.
    """
    shifts = [(labels + shift) % CLASSES for shift in range(CLASSES)]
    return sum(
        transition[shift] * hypergradient(meta_loss, shifted)
        for shift, shifted in enumerate(shifts)
    )


@pytest.mark.parametrize("meta_loss", [MAE(), RCE()], ids=repr)
def test_symmetric_noise_shortens_the_hypergradient_of_a_symmetric_loss(meta_loss) -> None:
    """By the factor 1 - eta c / (c - 1), and leaves its direction alone."""
    labels = torch.randint(CLASSES, (12,), generator=torch.Generator().manual_seed(1))
    symmetric = [1 - RATE] + [RATE / (CLASSES - 1)] * (CLASSES - 1)
    noisy, clean = expected(meta_loss, labels, symmetric), hypergradient(meta_loss, labels)
    assert clean.norm() > 1e-6
    torch.testing.assert_close(
        noisy, (1 - RATE * CLASSES / (CLASSES - 1)) * clean, rtol=1e-9, atol=1e-15
    )


def test_symmetric_noise_turns_the_hypergradient_of_cross_entropy() -> None:
    labels = torch.randint(CLASSES, (12,), generator=torch.Generator().manual_seed(1))
    symmetric = [1 - RATE] + [RATE / (CLASSES - 1)] * (CLASSES - 1)
    noisy = expected(CrossEntropy(), labels, symmetric)
    clean = hypergradient(CrossEntropy(), labels)
    assert torch.cosine_similarity(noisy, clean, dim=0) < 0.99


def test_labels_that_say_nothing_give_no_hypergradient() -> None:
    labels = torch.zeros(12, dtype=torch.int64)
    nothing = expected(MAE(), labels, [1 / CLASSES] * CLASSES)
    assert nothing.norm() < 1e-12 * hypergradient(MAE(), labels).norm()
