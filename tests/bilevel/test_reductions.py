"""The hypergradient of steps with class weights, ignored labels, sums and dense outputs."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead, Lookback
from metaloss.checks import InputError
from metaloss.conditioners import Concat, LossValue, Margin, RunningMean
from metaloss.losses import GCE, SL
from metaloss.meta_losses import MAE, CrossEntropy, MeanLoss
from tests.helpers.exhaustive import mostly_exhaustive

WEIGHT = torch.tensor([0.3, 2.0, 1.0, 0.0]).double()
SETTINGS = {
    "weights": {"weight": WEIGHT},
    "ignored": {},
    "weights, ignored, sum": {"weight": WEIGHT, "ignore_index": 2, "reduction": "sum"},
    "dense": {"weight": WEIGHT},
}
every = pytest.mark.parametrize("name", mostly_exhaustive(SETTINGS.keys(), *SETTINGS))


class Dense(nn.Module):
    """A network with outputs ``[batch, classes, positions]``."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Conv1d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).tanh() * 3


def problem(name: str):
    torch.manual_seed(0)
    loss, conditioner = SL(), Concat([Margin(), RunningMean(LossValue())])
    adjuster = Adjuster.for_loss(loss, conditioner, hidden=3)
    nn.init.normal_(adjuster.net[2].weight)
    criterion = AdjustedLoss(loss, conditioner, adjuster, **SETTINGS[name]).double()
    dense = name == "dense"
    model = (
        Dense() if dense else nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4))
    ).double()
    shape = (6, 5) if dense else (12,)
    x = torch.randn(*((6, 3, 5) if dense else (12, 3))).double()
    y, clean = torch.randint(4, shape), torch.randint(4, shape)
    if name != "weights":
        for labels in (y, clean):
            labels.view(-1)[::4] = criterion.ignore_index
    return model, criterion, (x, y), (x.flip(0), clean)


def by_hand(criterion: AdjustedLoss, outputs: Tensor, targets: Tensor) -> Tensor:
    """The plain loss on the clean batch."""
    weight, ignored = criterion.weight, criterion.ignore_index
    return F.cross_entropy(outputs, targets, weight=weight, ignore_index=ignored)


def after_a_step(theta: Tensor, name: str) -> Tensor:
    """The meta loss after a step with momentum, as a function of the first layer's weights."""
    model, criterion, (x, y), clean = problem(name)
    with torch.no_grad():
        criterion.adjuster.net[0].weight.copy_(theta)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, nesterov=True)
    criterion(model(x), y).backward()
    optimizer.step()
    return by_hand(criterion, model(clean[0]), clean[1])


def looked_back(name: str, **settings) -> dict[str, Tensor]:
    model, criterion, (x, y), clean = problem(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, nesterov=True)
    lookback = Lookback(**settings)
    with lookback.step(model, optimizer, criterion, (x, y)):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    return lookback.hypergradient(clean)


@every
def test_it_is_the_derivative_of_the_step_that_was_made(name: str) -> None:
    found = looked_back(name)
    unrolled = looked_back(name, strategy="unroll")
    model, criterion, batch, clean = problem(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, nesterov=True)
    ahead = Lookahead().hypergradient(model, optimizer, criterion, [batch], clean)
    for key, value in found.items():
        torch.testing.assert_close(value, unrolled[key], rtol=1e-10, atol=1e-15)
        torch.testing.assert_close(value, ahead[key], rtol=1e-10, atol=1e-15)
    theta = criterion.adjuster.net[0].weight.detach()
    slopes = found["net.0.weight"]
    assert slopes.abs().max() > 1e-5
    for row, column in ((0, 0), (1, 1), (2, 0)):
        moved = torch.zeros_like(theta)
        moved[row, column] = 1e-5
        difference = after_a_step(theta + moved, name) - after_a_step(theta - moved, name)
        assert difference.item() / 2e-5 == pytest.approx(
            slopes[row, column].item(), rel=1e-5, abs=1e-10
        )


@every
def test_accumulated_batches_too(name: str) -> None:
    found = {}
    for strategy in ("mixed", "unroll"):
        model, criterion, batch, clean = problem(name)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
        halves = [tuple(part[k::2] for part in batch) for k in range(2)]
        lookback = Lookback(strategy=strategy)
        with lookback.step(model, optimizer, criterion, halves):
            for x, y in halves:
                (criterion(model(x), y) / 2).backward()
            optimizer.step()
        found[strategy] = lookback.hypergradient(clean)
    for key, value in found["mixed"].items():
        torch.testing.assert_close(value, found["unroll"][key], rtol=1e-10, atol=1e-15)


def test_a_step_on_another_mean_is_refused() -> None:
    """The mean of ``losses`` is not the weighted mean that a call returns."""
    model, criterion, (x, y), clean = problem("weights")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    lookback = Lookback()
    with lookback.step(model, optimizer, criterion, (x, y)):
        criterion.losses(model(x), y).mean().backward()
        optimizer.step()
    with pytest.raises(InputError, match="the criterion's mean over exactly its batch"):
        lookback.hypergradient(clean)


def test_a_step_on_the_plain_loss_is_refused() -> None:
    model, criterion, (x, y), _ = problem("weights")
    criterion.eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    with (
        pytest.raises(InputError, match=r"expected training mode, .* call criterion.train\(\)"),
        Lookback().step(model, optimizer, criterion, (x, y)),
    ):
        criterion(model(x), y).backward()
        optimizer.step()


@pytest.mark.bad_input
def test_losses_that_are_not_reduced_are_refused() -> None:
    model, criterion, batch, clean = problem("weights")
    criterion = copy.deepcopy(criterion)
    criterion.reduction = "none"
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    with pytest.raises(InputError, match=r"expected the reduction 'mean' or 'sum'.* got 'none'"):
        Lookahead().hypergradient(model, optimizer, criterion, [batch], clean)


@pytest.mark.bad_input
def test_labels_out_of_range_are_still_refused() -> None:
    model, criterion, (x, y), clean = problem("ignored")
    y[1] = 4
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    with pytest.raises(InputError, match=r"train_batches: targets: expected labels in 0..3"):
        Lookahead().hypergradient(model, optimizer, criterion, [(x, y)], clean)


@pytest.mark.parametrize("meta_loss", [MAE(), CrossEntropy(), MeanLoss(GCE())], ids=repr)
def test_class_weights_count_in_a_meta_loss_of_clean_samples(meta_loss) -> None:
    model, criterion, batch, _ = problem("weights")
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    found = Lookahead(meta_loss=meta_loss).solve(model, still, criterion, [batch], batch).meta_loss
    losses, weight = meta_loss.per_sample(model(batch[0]), batch[1]), WEIGHT[batch[1]]
    if meta_loss.noise_tolerant:
        weight = torch.ones_like(weight)
    torch.testing.assert_close(found, ((weight * losses).sum() / weight.sum()).detach())


@pytest.mark.parametrize("meta_loss", [MAE(), CrossEntropy(), MeanLoss(GCE())], ids=repr)
def test_a_meta_loss_ignores_the_labels_that_the_criterion_ignores(meta_loss) -> None:
    model, criterion, batch, _ = problem("ignored")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    x, y = batch[0].detach(), batch[1]
    kept = y != criterion.ignore_index
    assert 0 < int(kept.sum()) < len(y)
    look = Lookahead(meta_loss=meta_loss)
    found = look.hypergradient(model, optimizer, criterion, [batch], (x, y))
    wanted = look.hypergradient(model, optimizer, criterion, [batch], (x[kept], y[kept]))
    for name, grad in wanted.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-9, atol=1e-12)
