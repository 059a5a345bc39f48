"""Learned adjusters against loops over samples and units."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from metaloss.adjusters import Adjuster, GroupedAdjuster
from metaloss.checks import InputError
from metaloss.conditioners import ClassGroup, Concat, LossValue, Margin
from metaloss.losses import GCE, SL, CrossEntropy, LossFamily, PolySoft, WeightedCE


def linear(weight: Tensor, bias: Tensor, x: list[float]) -> list[float]:
    return [
        math.fsum(w * v for w, v in zip(row, x, strict=True)) + b
        for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
    ]


def bounded(loss: LossFamily, logits: list[float]) -> list[float]:
    return [
        h.low + (h.high - h.low) / (1 + math.exp(-logit))
        for h, logit in zip(loss.hyperparameters, logits, strict=True)
    ]


@pytest.mark.parametrize(("loss", "num_features"), [(GCE(), 1), (SL(), 3), (PolySoft(), 1)])
def test_mlp_is_that_of_section_3_2(loss: LossFamily, num_features: int):
    adjuster = Adjuster(num_features, loss.hyperparameters, hidden=6).double()
    features = 2 * torch.randn(8, num_features).double()
    first, _, second = adjuster.net
    expected = []
    for sample in features.tolist():
        hidden = [max(h, 0.0) for h in linear(first.weight, first.bias, sample)]
        expected.append(bounded(loss, linear(second.weight, second.bias, hidden)))
    torch.testing.assert_close(
        adjuster(features), torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("loss", [WeightedCE(), SL(), PolySoft()], ids=str)
def test_each_group_has_its_own_head(loss: LossFamily):
    groups, width = 3, len(loss.hyperparameters)
    adjuster = GroupedAdjuster(2 + groups, groups, loss.hyperparameters, hidden=6).double()
    shared = 2 * torch.randn(9, 2).double()
    group = torch.tensor([2, 0, 1, 1, 2, 0, 0, 2, 1])
    expected = []
    for sample, g in zip(shared.tolist(), group.tolist(), strict=True):
        hidden = [
            max(h, 0.0) for h in linear(adjuster.trunk[0].weight, adjuster.trunk[0].bias, sample)
        ]
        mine = slice(g * width, (g + 1) * width)
        logits = linear(adjuster.heads.weight[mine], adjuster.heads.bias[mine], hidden)
        expected.append(bounded(loss, logits))
    features = torch.cat([shared, torch.eye(groups).double()[group]], dim=1)
    torch.testing.assert_close(
        adjuster(features), torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-7
    )


def test_a_group_teaches_no_other_head():
    adjuster = GroupedAdjuster(1 + 3, 3, SL().hyperparameters, hidden=6)
    features = torch.cat([torch.randn(5, 1), torch.eye(3)[[1] * 5]], dim=1)
    adjuster(features).sum().backward()
    taught = (adjuster.heads.bias.grad != 0).view(3, 2)
    assert taught.tolist() == [[False, False], [True, True], [False, False]]
    assert (adjuster.trunk[0].bias.grad != 0).any()


def test_fitted_to_a_loss_and_a_conditioner():
    both = Concat([Margin(), LossValue()])
    adjuster = Adjuster.for_loss(SL(), both)
    assert (adjuster.num_features, adjuster.hidden) == (2, 100)
    assert [tuple(p.shape) for p in adjuster.parameters()] == [(100, 2), (100,), (2, 100), (2,)]
    assert Adjuster.for_loss(GCE(), Margin(), hidden=3).net[0].out_features == 3
    grouped = Concat([Margin(), ClassGroup(4)])
    adjuster = GroupedAdjuster.for_loss(SL(), grouped, num_groups=4, hidden=3)
    assert adjuster.num_features == 5
    assert [tuple(p.shape) for p in adjuster.parameters()] == [(3, 1), (3,), (8, 3), (8,)]


def test_nothing_to_adjust():
    with pytest.raises(InputError, match=r"one or more to predict, got none.*ConstantAdjuster"):
        Adjuster.for_loss(CrossEntropy(), Margin())
    with pytest.raises(InputError, match="one or more to predict, got none"):
        GroupedAdjuster(3, 2, ())


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_features": 0}, "num_features: expected .* at least 1, got 0"),
        ({"num_features": 1, "hidden": 0}, "hidden: expected .* at least 1, got 0"),
        ({"num_features": 1, "hidden": 2.5}, "hidden: expected .* at least 1, got 2.5"),
    ],
)
def test_sizes_of_an_mlp(arguments: dict, words: str):
    with pytest.raises(InputError, match=words):
        Adjuster(hyperparameters=GCE().hyperparameters, **arguments)


@pytest.mark.parametrize(
    ("num_features", "num_groups", "words"),
    [
        (3, 3, "num_features: expected .* at least 4, got 3"),
        (3, 0, "num_groups: expected .* at least 1, got 0"),
    ],
)
def test_sizes_of_groups(num_features: int, num_groups: int, words: str):
    with pytest.raises(InputError, match=words):
        GroupedAdjuster(num_features, num_groups, GCE().hyperparameters)


def test_no_hyperparameter_is_too_small_for_a_cpu_to_be_quick() -> None:
    adjuster = Adjuster.for_loss(WeightedCE(), Margin())
    with torch.no_grad():
        for p in adjuster.parameters():
            p.fill_(100.0)
        adjuster.net[2].weight.fill_(-100.0)
        weights = adjuster(torch.linspace(-50.0, 50.0, 101).unsqueeze(1))
    assert (weights > 1e-13).all()
