"""Pure conditioners against direct computations."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError
from metaloss.conditioners import (
    ClassGroup,
    ClassOneHot,
    Concat,
    Flipped,
    LossValue,
    Margin,
    ProbabilityMargin,
    Progress,
)
from metaloss.losses import GCE, JS, MAE, SL, CrossEntropy, Fixed, PolySoft, WeightedCE
from tests.conditioners.cases import drawn
from tests.helpers import oracles

# Margin


def margin_by_hand(logits: list[float], target: int) -> float:
    """Computes the margin of Section 3.2."""
    others = [logit for j, logit in enumerate(logits) if j != target]
    return logits[target] - max(others)


@pytest.mark.parametrize("num_classes", [2, 3, 10, 1000])
@pytest.mark.parametrize("scale", [0.1, 1.0, 1e4])
def test_margin(num_classes: int, scale: float):
    outputs, targets, _ = drawn(num_classes, batch=30, scale=scale)
    expected = [
        margin_by_hand(z, y) for z, y in zip(outputs.tolist(), targets.tolist(), strict=True)
    ]
    assert Margin()(outputs, targets)[:, 0].tolist() == expected
    assert num_classes == 1000 or min(expected) < 0 < max(expected)


def test_margin_of_a_tie_is_zero():
    outputs = torch.tensor([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]])
    assert Margin()(outputs, torch.tensor([0, 2])).tolist() == [[0.0], [0.0]]


def test_margin_when_the_others_are_all_low():
    outputs = torch.tensor([[-5.0, -1e30], [-1e30, -5.0]], dtype=torch.float64)
    assert Margin()(outputs, torch.tensor([0, 0])).tolist() == [[1e30], [-1e30]]


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_margin_in_probabilities(scale: float):
    outputs, targets, _ = drawn(5, batch=30)
    by_hand = [
        scale * margin_by_hand(p, y)
        for p, y in zip(outputs.softmax(dim=1).tolist(), targets.tolist(), strict=True)
    ]
    found = ProbabilityMargin(scale)(outputs, targets)
    assert found[:, 0].tolist() == pytest.approx(by_hand)
    assert found.abs().max() <= scale


@pytest.mark.bad_input
@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan"), "10", True])
def test_a_margin_of_no_size(scale: float):
    with pytest.raises(InputError, match="scale: expected a number above 0, got"):
        ProbabilityMargin(scale)


@pytest.mark.parametrize("conditioner", [Margin(), LossValue(), LossValue(GCE())])
def test_neither_shifts_nor_names_of_classes_matter(conditioner):
    outputs, targets, _ = drawn(5)
    features = conditioner(outputs, targets)
    shifts = torch.linspace(-300, 500, len(targets)).double()[:, None]
    torch.testing.assert_close(
        conditioner(outputs + shifts, targets), features, rtol=1e-11, atol=1e-12
    )
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = torch.argsort(order)[targets]
    torch.testing.assert_close(
        conditioner(outputs[:, order], renamed), features, rtol=1e-13, atol=1e-14
    )


# LossValue


@pytest.mark.parametrize(
    ("conditioner", "oracle", "hparams"),
    [
        (LossValue(), oracles.cross_entropy, ()),
        (LossValue(CrossEntropy()), oracles.cross_entropy, ()),
        (LossValue(MAE()), oracles.mae, ()),
        (LossValue(GCE()), oracles.gce, (0.7,)),
        (LossValue(SL()), oracles.sl(-4.0), (0.1, 1.0)),
        (LossValue(PolySoft()), oracles.polysoft, (4.0, 2.0)),
        (LossValue(JS()), oracles.js, (0.5,)),
        (LossValue(WeightedCE()), oracles.weighted_cross_entropy, (1.0,)),
        (LossValue(Fixed(GCE(), {"q": 0.2})), oracles.gce, (0.2,)),
    ],
    ids=lambda item: str(item.loss) if isinstance(item, LossValue) else "",
)
def test_loss_value(conditioner: LossValue, oracle: oracles.Oracle, hparams: tuple[float, ...]):
    outputs, targets, _ = drawn(4, batch=12, scale=3.0)
    expected = [
        [float(oracle(z, y, hparams))]
        for z, y in zip(outputs.tolist(), targets.tolist(), strict=True)
    ]
    torch.testing.assert_close(
        conditioner(outputs, targets),
        torch.tensor(expected, dtype=torch.float64),
        rtol=1e-11,
        atol=1e-13,
    )


# ClassOneHot


def test_one_hot():
    features = ClassOneHot(4)(torch.zeros(3, 4), torch.tensor([2, 0, 2]))
    assert features.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]]


@pytest.mark.bad_input
@pytest.mark.parametrize("num_classes", [1, 0, -2, 2.5, True])
def test_one_hot_of_fewer_than_two_classes(num_classes):
    with pytest.raises(InputError, match=r"num_classes: expected .* at least 2, got"):
        ClassOneHot(num_classes)


@pytest.mark.parametrize("conditioner", [ClassOneHot(3), ClassGroup(2, groups=(0, 0, 1))])
def test_outputs_of_other_classes(conditioner):
    with pytest.raises(InputError, match=f"{type(conditioner).__name__}: expected .* 3 .*got 10"):
        conditioner(torch.zeros(2, 10), torch.tensor([0, 7]))


# Flipped


def test_flipped_is_looked_up_by_index():
    conditioner = Flipped(torch.tensor([False, True, False, True]))
    index = torch.tensor([3, 0, 1])
    features = conditioner(torch.zeros(3, 2), torch.tensor([0, 1, 0]), index)
    assert features.tolist() == [[1.0], [0.0], [1.0]]


def test_flipped_of_a_set_of_another_size_is_loaded():
    conditioner = Flipped(torch.tensor([False]))
    conditioner.load_state_dict({"flipped": torch.tensor([False, True, True])})
    features = conditioner(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([2]))
    assert features.tolist() == [[1.0]]


@pytest.mark.parametrize("index", [[0, 2], [-1, 0]])
def test_flipped_of_ids_that_are_not_there(index):
    conditioner = Flipped(torch.tensor([False, True]))
    with pytest.raises(
        InputError, match=rf"index: expected ids in 0..1, .*got {min(index)}..{max(index)}"
    ):
        conditioner(torch.zeros(2, 2), torch.tensor([0, 0]), torch.tensor(index))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "flipped", [torch.zeros(3), torch.zeros(3, dtype=torch.int64), torch.zeros(3, 1).bool()]
)
def test_flipped_must_be_a_row_of_bools(flipped):
    with pytest.raises(InputError, match=r"flipped: expected bool \[samples\], got torch"):
        Flipped(flipped)


# Progress


def test_progress_starts_at_zero_and_moves():
    conditioner = Progress()
    outputs, targets, _ = drawn(batch=3)
    assert conditioner(outputs, targets).tolist() == [[0.0]] * 3
    for fraction in (0.0, 0.25, 1.0):
        conditioner.set_progress(fraction)
        assert conditioner(outputs, targets).tolist() == [[fraction]] * 3
    before = conditioner(outputs, targets)
    conditioner.set_progress(0.5)
    assert before.tolist() == [[1.0]] * 3


def test_progress_that_was_loaded_is_not_awaited():
    conditioner, saved = Progress(), Progress()
    saved.set_progress(0.5)
    assert conditioner.awaits_progress
    conditioner.load_state_dict(saved.state_dict())
    assert not conditioner.awaits_progress


# Concat


def test_concat_keeps_the_order():
    outputs, targets, _ = drawn()
    progress = Progress()
    both = Concat([LossValue(), ClassOneHot(5), progress, Margin()])
    both.set_progress(0.75)
    assert both.num_features == 8
    expected = [
        LossValue()(outputs, targets),
        ClassOneHot(5)(outputs, targets),
        torch.full((len(targets), 1), 0.75, dtype=torch.float64),
        Margin()(outputs, targets),
    ]
    assert torch.equal(both(outputs, targets), torch.cat(expected, dim=1))
    assert torch.equal(progress.fraction, torch.tensor(0.75))


def test_concat_needs_the_index_when_a_part_does():
    assert not Concat([Margin(), Progress()]).needs_index
    assert Concat([Margin(), Concat([Flipped(torch.tensor([True]))])]).needs_index


@pytest.mark.bad_input
def test_concat_of_one_that_is_in_no_list():
    with pytest.raises(InputError, match="Concat: expected a list of conditioners, got a Margin"):
        Concat(Margin())


def test_concat_of_nothing():
    with pytest.raises(InputError, match="expected one conditioner or more, got none"):
        Concat([])
