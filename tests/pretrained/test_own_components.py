"""Saving and loading with components of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

import metaloss
from metaloss import AdjustedLoss, Adjuster, BaseAdjuster, InputError
from metaloss.conditioners import Concat, Conditioner, Margin, MovingAverage
from metaloss.losses import GCE, Hyperparameter, LossFamily
from metaloss.pretrained import from_pretrained, load_adjuster, save_adjuster
from tests.pretrained.cases import learned, same


@dataclass(frozen=True)
class Focused(LossFamily):
    """A focal loss times a factor."""

    hyperparameters: ClassVar = (Hyperparameter("gamma", low=0.0, high=5.0, default=2.0),)
    factor: float = 1.0

    def per_sample(self, outputs, targets, hparams):
        log_p = outputs.log_softmax(dim=1).gather(1, targets[:, None]).squeeze(1)
        return -self.factor * ((1 - log_p.exp()) ** hparams[:, 0]) * log_p


class Entropy(Conditioner):
    """The entropy of the softmax at a temperature."""

    num_features = 1

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, outputs, targets, index=None):
        p = (outputs / self.temperature).softmax(1)
        return -(p * p.log()).sum(1, keepdim=True)


class Linear(BaseAdjuster):
    """An adjuster without a hidden layer."""

    def __init__(self, hyperparameters, num_features: int, bias: bool = True) -> None:
        super().__init__(hyperparameters)
        self.num_features = num_features
        self.bias = bias
        self.net = nn.Linear(num_features, len(self.hyperparameters), bias=bias)

    def forward(self, features):
        return self.bounded(self.net(features))


def of_ones_own() -> AdjustedLoss:
    loss, conditioner = Focused(factor=2.5), Concat([MovingAverage(Entropy(3.0)), Margin()])
    return AdjustedLoss(loss, conditioner, Linear(loss.hyperparameters, 2, bias=False))


@pytest.mark.parametrize("load", [load_adjuster, from_pretrained])
def test_parts_of_ones_own_are_named_when_loading(load, tmp_path: Path):
    save_adjuster(tmp_path, of_ones_own())
    loaded = load(tmp_path, components=[Focused, Entropy, Linear])
    assert loaded.loss == Focused(factor=2.5)
    assert loaded.conditioner.conditioners[0].conditioner.temperature == 3.0
    torch.manual_seed(0)
    criterion = of_ones_own()
    criterion.adjuster.load_state_dict(loaded.adjuster.adjusters[0].state_dict())
    assert same(loaded, criterion)


@pytest.mark.parametrize("missing", [Focused, Entropy, Linear])
def test_a_part_of_ones_own_that_is_not_named(missing: type, tmp_path: Path):
    save_adjuster(tmp_path, of_ones_own())
    given = [cls for cls in (Focused, Entropy, Linear) if cls is not missing]
    with pytest.raises(InputError, match=rf"'{missing.__name__}' is not known here.*components="):
        load_adjuster(tmp_path, components=given)


def namesake(of: type) -> type:
    """Return a new class with the name of one of the package's."""
    return type(of.__name__, (of,), {})


@pytest.mark.parametrize("of", [Margin, GCE, Adjuster])
def test_a_part_of_ones_own_with_the_name_of_another_is_refused(of: type, tmp_path: Path):
    """A card with this name would mean the package's class."""
    parts = [namesake(cls) if cls is of else cls for cls in (GCE, Margin, Adjuster)]
    loss, conditioner, adjuster = parts[0](), parts[1](), parts[2]
    criterion = AdjustedLoss(loss, conditioner, adjuster.for_loss(loss, conditioner))
    with pytest.raises(InputError, match=rf"{of.__name__}: expected .*a name that none .*rename"):
        save_adjuster(tmp_path / "new", criterion)
    assert not (tmp_path / "new").exists()
    save_adjuster(tmp_path, learned())
    with pytest.raises(InputError, match=rf"{of.__name__}: expected .*rename"):
        load_adjuster(tmp_path, components=[namesake(of)])


def test_two_parts_of_ones_own_with_one_name(tmp_path: Path):
    save_adjuster(tmp_path, of_ones_own())
    other = namesake(Focused)
    with pytest.raises(InputError, match="components: expected classes of different names"):
        load_adjuster(tmp_path, components=[Focused, Entropy, Linear, other])
    load_adjuster(tmp_path, components=[Focused, Entropy, Linear, Focused])


class Looks(Adjuster):
    """An adjuster whose constructor reads values of tensors."""

    def __init__(self, num_features, hyperparameters, hidden=5) -> None:
        super().__init__(num_features, hyperparameters, hidden)
        self.width = (self.high - self.low).max().item()


def test_a_constructor_may_read_values(tmp_path: Path):
    criterion = AdjustedLoss(GCE(), Margin(), Looks(1, GCE().hyperparameters))
    save_adjuster(tmp_path, criterion)
    found = metaloss.from_pretrained(tmp_path, components=[Looks])
    outputs, targets = torch.randn(5, 4), torch.arange(5) % 4
    assert torch.equal(found.hparams(outputs, targets), criterion.hparams(outputs, targets))
