"""What a task has to have to learn an adjuster on it: which meta losses take which labels."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead, Lookback
from metaloss.checks import InputError
from metaloss.conditioners import Margin
from metaloss.losses import GCE
from metaloss.meta_losses import MAE, RCE, CrossEntropy, MeanLoss, SquaredError
from metaloss.tasks import classification_task, corruption, diabetes, digits, noise, regression_task
from metaloss.training import Recipe
from metaloss.training.meta_checks import check_meta

NOISY = classification_task(
    data=digits,
    noise=partial(noise.symmetric, rate=0.4),
    meta_from="shared",
    num_meta=None,
    num_test=360,
)
VALUES = regression_task(
    data=diabetes,
    noise=partial(corruption.shifted, rate=0.4),
    meta_from="shared",
    num_meta=None,
)


def recipe(meta_loss, **changes) -> Recipe:
    return Recipe(epochs=1, lookahead=Lookahead(meta_loss=meta_loss), **changes)


@pytest.mark.parametrize("meta_loss", [MAE(), RCE(), MeanLoss(GCE(), {"q": 1.0})], ids=repr)
def test_a_symmetric_one_may(meta_loss) -> None:
    check_meta(NOISY, recipe(meta_loss))


@pytest.mark.parametrize(
    ("meta_loss", "named"),
    [
        (None, "got cross entropy"),
        (CrossEntropy(), r"got CrossEntropy\(\)"),
        (MeanLoss(GCE()), r"got MeanLoss\(loss=GCE"),
        (lambda outputs, targets: outputs.sum(), "got a function of your own"),
    ],
)
def test_another_may_not_unless_told_otherwise(meta_loss, named: str) -> None:
    with pytest.raises(InputError, match=rf"expected a symmetric meta loss.*{named}"):
        check_meta(NOISY, recipe(meta_loss))
    check_meta(NOISY, recipe(meta_loss, allow_noisy_meta=True))


def test_values() -> None:
    check_meta(VALUES, recipe(MAE()))
    for meta_loss in (None, SquaredError()):
        with pytest.raises(InputError, match="expected a noise-tolerant meta loss"):
            check_meta(VALUES, recipe(meta_loss))


def test_any_meta_loss_takes_checked_labels() -> None:
    clean = classification_task(data=digits, num_meta=100, num_test=360)
    check_meta(clean, recipe(None))


@pytest.mark.parametrize("kind", [Lookahead, Lookback])
def test_one_for_other_targets_is_refused(kind) -> None:
    model = nn.Linear(3, 4)
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = torch.randn(5, 3), torch.randint(4, (5,))
    look = kind(meta_loss=SquaredError())
    with pytest.raises(InputError, match="meta_loss: expected one for classification"):
        if isinstance(look, Lookahead):
            look.hypergradient(model, optimizer, criterion, [batch], batch)
        else:
            with look.step(model, optimizer, criterion, batch):
                criterion(model(batch[0]), batch[1]).backward()
                optimizer.step()
            look.hypergradient(batch)
