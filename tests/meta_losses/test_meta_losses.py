"""Meta losses: their values, which are symmetric, and what that is worth."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from metaloss.checks import InputError
from metaloss.kinds import CLASSIFICATION, REGRESSION
from metaloss.losses import (
    GCE,
    JS,
    SL,
    AbsoluteError,
    ActivePassive,
    Barron,
    Focal,
    ForwardCorrected,
    PolySoft,
    Ranged,
)
from metaloss.meta_losses import MAE, RCE, CrossEntropy, MeanLoss, SquaredError

SYMMETRIC = [
    MAE(),
    RCE(),
    RCE(A=-2.0),
    MeanLoss(GCE(), {"q": 1.0}),
    MeanLoss(SL(), {"gamma_1": 0.0}),
    MeanLoss(ActivePassive()),
]
OTHERS = [
    CrossEntropy(),
    MeanLoss(GCE()),
    MeanLoss(SL()),
    MeanLoss(JS()),
    MeanLoss(PolySoft()),
    MeanLoss(GCE(), {"q": 0.999}),
]


@pytest.mark.parametrize("meta_loss", [*SYMMETRIC, *OTHERS], ids=repr)
@pytest.mark.parametrize("classes", [2, 7])
def test_a_symmetric_loss_sums_to_a_constant_over_the_labels(meta_loss, classes: int) -> None:
    draws = torch.Generator().manual_seed(1)
    sums = []
    for scale in (0.1, 1.0, 5.0):
        outputs = scale * torch.randn(1, classes, generator=draws, dtype=torch.float64)
        each = [meta_loss(outputs, torch.tensor([label])) for label in range(classes)]
        sums.append(float(sum(each)))
    assert (max(sums) - min(sums) < 1e-9) == (meta_loss in SYMMETRIC) == meta_loss.symmetric


@pytest.mark.parametrize("meta_loss", [*SYMMETRIC, CrossEntropy()], ids=repr)
def test_the_minimiser_under_symmetric_noise(meta_loss) -> None:
    """The noisy risk of one sample over two-class probabilities, by exhaustive search (Theorem 1).

    With 40% wrong labels, a symmetric loss is lowest at probability 1 of the true class; cross
    entropy at 0.6.
    """
    rate = 0.4
    p = torch.linspace(1e-4, 1 - 1e-4, 999, dtype=torch.float64)
    logits = torch.stack([p.log(), (1 - p).log()], dim=1)
    zero, one = torch.tensor([0]), torch.tensor([1])
    right, wrong = (torch.vmap(lambda z, y=y: meta_loss(z[None], y))(logits) for y in (zero, one))
    lowest = float(p[((1 - rate) * right + rate * wrong).argmin()])
    expected = 1 - 1e-4 if meta_loss.symmetric else 0.6
    assert lowest == pytest.approx(expected, abs=0 if meta_loss.symmetric else 1e-3)


def test_values() -> None:
    outputs = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]], dtype=torch.float64)
    targets = torch.tensor([0, 2])
    one_hot = F.one_hot(targets, 3)
    difference = (one_hot - outputs.softmax(dim=1)).abs().sum(dim=1)
    torch.testing.assert_close(MAE()(outputs, targets), difference.mean())
    torch.testing.assert_close(RCE(A=-3.0)(outputs, targets), 1.5 * difference.mean())
    torch.testing.assert_close(CrossEntropy()(outputs, targets), F.cross_entropy(outputs, targets))
    q = 0.3
    expected = ((1 - outputs.softmax(dim=1)[[0, 1], targets] ** q) / q).mean()
    torch.testing.assert_close(MeanLoss(GCE(), {"q": q})(outputs, targets), expected)
    values = torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(MAE()(outputs, values), F.l1_loss(outputs, values))
    torch.testing.assert_close(SquaredError()(outputs, values), F.mse_loss(outputs, values) / 2)


@pytest.mark.parametrize("meta_loss", [CrossEntropy(), SquaredError(), MAE(), RCE()])
def test_half_precision_is_raised(meta_loss) -> None:
    outputs = torch.randn(8, 3).bfloat16()
    values = meta_loss.fits(REGRESSION) and not meta_loss.fits(CLASSIFICATION)
    targets = torch.randn(8, 3).bfloat16() if values else torch.arange(8) % 3
    expected = meta_loss(outputs.float(), targets.float() if values else targets)
    assert torch.equal(meta_loss(outputs, targets), expected)


def test_regression_needs_a_bounded_slope() -> None:
    assert MAE().noise_tolerant
    assert MeanLoss(AbsoluteError()).noise_tolerant
    assert MeanLoss(Barron(), {"alpha": 0.0}).noise_tolerant
    assert not MeanLoss(Barron(), {"alpha": 1.9}).noise_tolerant
    assert not SquaredError().noise_tolerant
    assert not MeanLoss(AbsoluteError()).symmetric


def test_kinds() -> None:
    assert MAE().fits(CLASSIFICATION) and MAE().fits(REGRESSION)
    assert CrossEntropy().fits(CLASSIFICATION) and not CrossEntropy().fits(REGRESSION)
    assert RCE().fits(CLASSIFICATION) and not RCE().fits(REGRESSION)
    assert SquaredError().fits(REGRESSION) and not SquaredError().fits(CLASSIFICATION)
    assert MeanLoss(Barron()).fits(REGRESSION) and not MeanLoss(Barron()).fits(CLASSIFICATION)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RCE(A=1.0), "A: expected a negative number, got 1.0"),
        (lambda: RCE(A=0.0), "A: expected a negative number, got 0.0"),
        (lambda: MeanLoss(GCE(), {"q": 2.0}), r"q: expected a number in \[0, 1\], got 2"),
        (lambda: MeanLoss(GCE(), {"p": 0.5}), "expected a hyperparameter of"),
    ],
)
def test_bad_input(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_equal_meta_losses_are_equal_and_can_be_keys() -> None:
    assert MeanLoss(GCE()) == MeanLoss(GCE(), {"q": 0.7}) != MeanLoss(GCE(), {"q": 0.6})
    assert len({MAE(), MAE(), RCE(), RCE(A=-2.0), MeanLoss(GCE()), MeanLoss(GCE())}) == 4


def test_meta_losses_are_known_where_tensors_are_made_on_another_device() -> None:
    with torch.device("meta"):  # which has no values
        assert MeanLoss(ActivePassive()).symmetric and not MeanLoss(GCE()).symmetric
        assert MeanLoss(AbsoluteError()).noise_tolerant
        assert not MeanLoss(Barron(), {"alpha": 1.99}).noise_tolerant
        Ranged(Focal(), {"gamma": (0.0, 6.0)})


def test_a_loss_for_a_number_of_classes_is_taken() -> None:
    transition = (torch.eye(10) * 0.5 + 0.05).tolist()
    meta_loss = MeanLoss(ForwardCorrected(transition))
    assert not meta_loss.symmetric and not meta_loss.noise_tolerant
    assert meta_loss(torch.zeros(2, 10), torch.tensor([0, 9])).isfinite()


def test_constants_are_not_rounded_to_half_precision() -> None:
    outputs, targets = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    for meta_loss in (MeanLoss(JS(), {"pi_1": 0.999}), MeanLoss(SL())):
        half = meta_loss(outputs.bfloat16(), targets)
        assert half == meta_loss(outputs, targets) and half.isfinite()
