"""The real step, the meta step or both in bfloat16: the hypergradient is nearly that of float32."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import pytest
import torch
from _pytest.mark.structures import ParameterSet
from torch import Tensor

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead, Lookback
from metaloss.conditioners import Margin
from metaloss.losses import GCE
from metaloss.models import resnet8


def hypergradient(*, real: bool, meta: bool, steps: int = 1, ahead: bool = False) -> Tensor:
    """Train a network a little; return the hypergradient, by a lookback or a lookahead."""
    torch.manual_seed(0)
    model, loss, conditioner = resnet8(num_classes=10), GCE(), Margin()
    criterion = AdjustedLoss(loss, conditioner, Adjuster.for_loss(loss, conditioner))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    batch, clean = ((torch.randn(32, 3, 16, 16), torch.randint(10, (32,))) for _ in range(2))
    lookback = Lookback(steps, autocast=meta)
    for _ in range(3 + steps):
        with lookback.step(model, optimizer, criterion, batch):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=real):
                outputs = model(batch[0])
            criterion(outputs.float(), batch[1]).backward()
            optimizer.step()
    if ahead:
        arguments = model, optimizer, criterion, [batch] * steps, clean
        found = Lookahead(steps, autocast=meta).hypergradient(*arguments)
    else:
        found = lookback.hypergradient(clean)
    return torch.cat([grad.flatten() for grad in found.values()])


WAYS = {"one step": (1, False), "two steps": (2, False), "ahead": (1, True)}
ALONE = {"real": (True, False), "meta": (False, True)}
full_precision = cache(partial(hypergradient, real=False, meta=False))


def mostly_together() -> Iterator[ParameterSet]:
    """Both in half precision in every way; each alone in the way that has most to add up."""
    for name, (steps, ahead) in WAYS.items():
        yield pytest.param(True, True, steps, ahead, id=name)
        marks = () if name == "two steps" else pytest.mark.exhaustive
        for which, (real, meta) in ALONE.items():
            yield pytest.param(real, meta, steps, ahead, id=f"{name}-{which}", marks=marks)


@pytest.mark.parametrize(("real", "meta", "steps", "ahead"), list(mostly_together()))
def test_bfloat16_is_close_to_float32(real: bool, meta: bool, steps: int, ahead: bool) -> None:
    expected = full_precision(steps=steps, ahead=ahead)
    found = hypergradient(real=real, meta=meta, steps=steps, ahead=ahead)
    assert found.dtype == torch.float32
    off = (found - expected).norm() / expected.norm()
    assert 0 < off < 0.02
