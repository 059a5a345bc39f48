"""Meta losses: their values, which are symmetric, and what that is worth."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from metaloss.checks import InputError
from metaloss.kinds import CLASSIFICATION, REGRESSION
from metaloss.losses import GCE, JS, SL, AbsoluteError, ActivePassive, Barron, PolySoft
from metaloss.meta_losses import (
    MAE,
    RCE,
    CorrectedCrossEntropy,
    CrossEntropy,
    MeanLoss,
    SquaredError,
)

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
    CorrectedCrossEntropy(rate=0.4),
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


@pytest.mark.parametrize("meta_loss", [*SYMMETRIC, *OTHERS], ids=repr)
def test_the_minimiser_under_symmetric_noise(meta_loss) -> None:
    """The noisy risk of one sample over two-class probabilities, by exhaustive search (Theorem 1).

    With 40% wrong labels, a symmetric loss is lowest at probability 1 of the true class, and so is
    cross entropy that is corrected for them; cross entropy at 0.6.
    """
    rate = 0.4
    p = torch.linspace(1e-4, 1 - 1e-4, 999, dtype=torch.float64)
    logits = torch.stack([p.log(), (1 - p).log()], dim=1)
    zero, one = torch.tensor([0]), torch.tensor([1])
    risks = [(1 - rate) * meta_loss(z[None], zero) + rate * meta_loss(z[None], one) for z in logits]
    lowest = float(p[torch.stack(risks).argmin()])
    if meta_loss.symmetric or meta_loss == CorrectedCrossEntropy(rate=rate):
        assert lowest == pytest.approx(1 - 1e-4)
    if meta_loss == CrossEntropy():
        assert lowest == pytest.approx(0.6, abs=1e-3)


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
        (lambda: RCE(A=1.0), "A"),
        (lambda: MeanLoss(GCE(), {"q": 2.0}), r"q: expected a value in \[0, 1\], got 2"),
        (lambda: MeanLoss(GCE(), {"p": 0.5}), "expected a hyperparameter of"),
    ],
)
def test_bad_input(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_equal_meta_losses_are_equal_and_can_be_keys() -> None:
    assert MeanLoss(GCE()) == MeanLoss(GCE(), {"q": 0.7}) != MeanLoss(GCE(), {"q": 0.6})
    assert len({MAE(), MAE(), RCE(), RCE(A=-2.0), MeanLoss(GCE()), MeanLoss(GCE())}) == 4


def test_corrected_cross_entropy_is_that_of_the_noisy_label() -> None:
    outputs = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 2, 1, 1])
    noise = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.1, 0.1, 0.8]], dtype=torch.float64)
    expected = F.nll_loss((outputs.softmax(dim=1) @ noise).log(), targets)
    found = CorrectedCrossEntropy(transition=noise.tolist())(outputs, targets)
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad(found, outputs)  # zeros of the matrix make no NaN
    torch.testing.assert_close(slope, torch.autograd.grad(expected, outputs)[0])
    symmetric = torch.full((3, 3), 0.2, dtype=torch.float64).fill_diagonal_(0.6)
    torch.testing.assert_close(
        CorrectedCrossEntropy(rate=0.4)(outputs, targets),
        CorrectedCrossEntropy(transition=symmetric.tolist())(outputs, targets),
    )
    clean = CorrectedCrossEntropy(rate=0.0)(outputs, targets)
    torch.testing.assert_close(clean, F.cross_entropy(outputs, targets))


def test_corrected_cross_entropy_under_class_dependent_noise() -> None:
    """Over half of the labels of class 0 are wrong, and the minimiser is still the true class."""
    noise = ((0.4, 0.6), (0.0, 1.0))
    p = torch.linspace(1e-4, 1 - 1e-4, 999, dtype=torch.float64)
    logits = torch.stack([p.log(), (1 - p).log()], dim=1)
    labels = torch.zeros(999, dtype=torch.int64)
    for meta_loss, best in ((CorrectedCrossEntropy(transition=noise), 1.0), (MAE(), 0.0)):
        risk = sum(
            share * meta_loss.per_sample(logits, labels + label)
            for label, share in enumerate(noise[0])
        )
        assert isinstance(risk, torch.Tensor)
        assert float(p[risk.argmin()]) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "expected either rate or transition, got rate=None and transition=None"),
        ({"rate": 0.1, "transition": ((1.0,),)}, "got rate=0.1 and transition=a matrix"),
        ({"rate": 1.5}, r"rate: expected a number in \[0, 1\], got 1.5"),
        ({"transition": ((1.0, 0.0),)}, r"expected a square matrix, got shape \[1, 2\]"),
        ({"transition": ((0.5, 0.6), (0.0, 1.0))}, "expected rows that are >= 0 and sum to 1"),
        ({"transition": ((0.5, 0.5), (0.5, 0.5))}, "expected a matrix that can be inverted"),
    ],
)
def test_noise_that_cannot_be_corrected(settings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CorrectedCrossEntropy(**settings)


def test_corrected_cross_entropy_refuses_other_outputs() -> None:
    outputs, targets = torch.zeros(1, 2), torch.tensor([0])
    with pytest.raises(InputError, match="for outputs of 2 classes, got 0"):
        CorrectedCrossEntropy(rate=0.6)(outputs, targets)
    three = CorrectedCrossEntropy(transition=torch.eye(3).tolist())
    with pytest.raises(InputError, match="expected 3 classes as in transition, got 2"):
        three(outputs, targets)
