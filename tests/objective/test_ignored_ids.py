"""The ids of samples whose label is ignored, which padded batches have."""

from __future__ import annotations

import copy

import pytest
import torch

from metaloss import AdjustedLoss, Adjuster
from metaloss.conditioners import Margin, MovingAverage
from metaloss.losses import GCE


@pytest.mark.parametrize("padding", [-100, 2, 40])
def test_any_id_will_do(padding: int) -> None:
    """Also that of a sample which is kept, before it or after it, or one that is out of range."""
    conditioner = MovingAverage(Margin())
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner)).double()
    criterion.prepare(torch.arange(9) % 4, 4)
    without = copy.deepcopy(criterion)
    torch.manual_seed(0)
    kept = torch.tensor([[False, True, False], [True, False, False]])
    targets = torch.randint(4, (2, 3)).where(kept, -100)
    index = torch.tensor([[0, 2, 0], [5, 0, 0]]).where(kept, padding)
    for _ in range(2):
        outputs = torch.randn(2, 4, 3).double().requires_grad_()
        few = outputs.movedim(1, -1)[kept], targets[kept], index[kept]
        found, expected = criterion(outputs, targets, index), without(*few)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(conditioner.memory, without.conditioner.memory)
        assert conditioner.seen.nonzero().flatten().tolist() == [2, 5]
