"""Labels of one byte, labels that are ignored in the training set, and no labels at all."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import metaloss
from metaloss import AdjustedLoss, Adjuster
from metaloss.checks import InputError
from metaloss.conditioners import ClassGroup, Concat, Margin, MovingAverage
from metaloss.losses import GCE, CrossEntropy
from tests.helpers import states
from tests.objective.test_as_cross_entropy import drawn


@pytest.mark.parametrize("name", ["gce", "sl-fashion-mnist-context"])
def test_an_empty_batch_has_no_loss_and_is_not_remembered(name: str) -> None:
    criterion = metaloss.from_pretrained(name, total_steps=9, reduction="sum")
    outputs, labels, index = torch.randn(6, 4), torch.arange(6) % 4, torch.arange(6)
    criterion.prepare(labels, 4)
    criterion(outputs, labels, index)
    before = {key: value.clone() for key, value in criterion.conditioner.state_dict().items()}
    assert criterion(outputs[:0], labels[:0], index[:0]) == 0
    assert states.same(criterion.conditioner.state_dict(), before)
    criterion.observe(outputs[:0], labels[:0], index[:0])
    assert states.same(criterion.conditioner.state_dict(), before)
    criterion.reduction = "none"
    assert criterion(outputs[:0], labels[:0], index[:0]).shape == (0,)


def test_labels_that_are_ignored_are_part_of_the_training_set() -> None:
    labels = torch.tensor([0, -100, 2, 1])
    conditioner = Concat([MovingAverage(Margin()), ClassGroup(2)])
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner))
    with pytest.raises(InputError, match=r"labels in 0..2, got -1..2"):
        criterion.prepare(labels.clamp(min=-1), 3)
    sizes = torch.cat([labels.repeat(2), torch.zeros(9).long()])
    criterion.prepare(sizes.to(torch.int64), 3)
    assert criterion.conditioner.conditioners[1].class_groups.tolist() == [1, 0, 0]
    criterion(torch.randn(4, 3), labels, torch.arange(4)).backward()


def test_labels_of_one_byte() -> None:
    criterion = AdjustedLoss.fixed(CrossEntropy(), ignore_index=1)
    for shape in ((7,), (3, 4)):
        outputs, targets = drawn(shape)
        small = targets.clamp(min=0).to(torch.uint8)
        expected = F.cross_entropy(outputs, small.long(), ignore_index=1)
        torch.testing.assert_close(criterion(outputs, small), expected)
    remembering = metaloss.from_pretrained("gce-fashion-mnist-context", total_steps=9)
    remembering.prepare(torch.arange(6, dtype=torch.uint8) % 4, 4)
