"""Own losses and conditioners that are declared or computed wrongly are refused at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.conditioners import Conditioner, Margin
from metaloss.losses import GCE, Hyperparameter, LossFamily

pytestmark = pytest.mark.bad_input

OUTPUTS, TARGETS = torch.linspace(-1, 1, 12).reshape(4, 3), torch.tensor([0, 1, 2, 1])
WEIGHT = Hyperparameter("weight", 0.0, 1.0, default=0.5)


def refused(action, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    for word in ("expected", *words):
        assert word in str(caught.value), str(caught.value)


class Features(Conditioner):
    """Features of a shape that is given."""

    num_features = 2

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, outputs: Tensor, targets: Tensor, index: Tensor | None = None) -> Tensor:
        return outputs.new_zeros(self.shape)


@pytest.mark.parametrize("shape", [(4, 1), (4,), (2, 4), (1, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_features_of_another_shape(shape: tuple[int, ...], training: bool):
    conditioner = Features(*shape)
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner))
    ask = criterion if training else criterion.hparams
    refused(lambda: ask(OUTPUTS, TARGETS), "Features.forward", "[4, 2]", str(list(shape)))


def test_features_of_the_declared_shape_pass():
    conditioner = Features(4, 2)
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner))
    assert criterion(OUTPUTS, TARGETS).isfinite()


def test_a_conditioner_that_declares_no_number_of_features():
    class Nameless(Conditioner):
        def forward(self, outputs: Tensor, targets: Tensor, index: Tensor | None = None) -> Tensor:
            return outputs

    refused(lambda: Adjuster.for_loss(GCE(), Nameless()), "Nameless.num_features", "None")


@pytest.mark.parametrize("declared", [None, WEIGHT, [WEIGHT], (("weight", 0.0, 1.0, 0.5),)])
def test_hyperparameters_that_are_no_tuple_of_them(declared: object):
    @dataclass(frozen=True)
    class Weighted(LossFamily):
        hyperparameters: ClassVar = declared

        def per_sample(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
            return hparams[:, 0] * F.cross_entropy(outputs, targets, reduction="none")

    refused(lambda: Adjuster.for_loss(Weighted(), Margin()), "Weighted.hyperparameters", "tuple")


def test_two_hyperparameters_of_one_name():
    @dataclass(frozen=True)
    class Twice(LossFamily):
        hyperparameters: ClassVar = (WEIGHT, WEIGHT)

        def per_sample(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
            return hparams.sum(dim=1)

    refused(lambda: Adjuster.for_loss(Twice(), Margin()), "names that differ", "weight")


def test_classes_in_place_of_objects():
    adjuster = Adjuster.for_loss(GCE(), Margin())
    refused(lambda: AdjustedLoss(GCE, Margin(), adjuster), "loss", "GCE()")
    refused(lambda: AdjustedLoss(GCE(), Margin, adjuster), "conditioner", "Margin()")
    refused(lambda: AdjustedLoss(GCE(), Margin(), nn.Linear(1, 1)), "BaseAdjuster", "a Linear")
    refused(lambda: Adjuster.for_loss(GCE, Margin()), "loss", "GCE()")
    refused(lambda: Adjuster.for_loss(GCE(), Margin), "conditioner", "Margin()")
