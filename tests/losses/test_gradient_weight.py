"""The weight of a sample: closed forms, least squares in fifty digits, and the ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from metaloss.checks import InputError
from metaloss.losses import (
    GCE,
    JS,
    MAE,
    SL,
    ActivePassive,
    Barron,
    Fixed,
    LabelSmoothing,
    PolySoft,
    WeightedCE,
    gradient_weight,
)
from tests.helpers import oracles

BATCH, CLASSES = 30, 4


def batch() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    outputs = 3 * torch.randn(BATCH, CLASSES, generator=draw, dtype=torch.float64)
    return outputs, torch.randint(CLASSES, (BATCH,), generator=draw)


def column(low: float, high: float) -> Tensor:
    return torch.linspace(low, high, BATCH, dtype=torch.float64)


def closed_forms():
    outputs, targets = batch()
    p = outputs.softmax(dim=1)[torch.arange(BATCH), targets]
    ce = -p.log()
    q, pi, weight = column(0, 1), column(0.01, 0.99), column(0, 1)
    gamma_1, gamma_2 = column(0, 1), column(1, 0)
    lam, d = column(0.5, 9), column(1.2, 5)
    inside = (1 - ce / lam).clamp(min=0)
    m_y = pi + (1 - pi) * p
    return {
        "GCE": (GCE(), [q], p**q),
        "SL": (SL(), [gamma_1, gamma_2], gamma_1 + 4 * gamma_2 * p),
        "PolySoft": (PolySoft(), [lam, d], inside ** (1 / (d - 1))),
        "PolySoft, d fixed": (Fixed(PolySoft(), {"d": 3.0}), [lam], inside**0.5),
        # dL/dp of Eq. 5 by hand, times dp/dCE = -p
        "JS": (JS(), [pi], p * (1 - (m_y / p).log() / (1 - pi).log())),
        "Meta-Weight-Net": (WeightedCE(), [weight], weight),
        "MAE": (MAE(), [], 2 * p),
    }


@pytest.mark.parametrize("name", list(closed_forms()))
def test_closed_forms(name: str) -> None:
    family, columns, expected = closed_forms()[name]
    outputs, targets = batch()
    hparams = torch.stack(columns, dim=1) if columns else outputs.new_zeros(BATCH, 0)
    found = gradient_weight(family, outputs, targets, hparams)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
    assert not found.requires_grad
    if name == "PolySoft":  # both sides of lambda are there
        assert 5 < (found == 0).sum() < 25


@pytest.mark.parametrize(
    ("family", "oracle", "hparams"),
    [
        (JS(), oracles.js, [0.3]),
        (LabelSmoothing(), oracles.label_smoothing, [0.2]),
        (ActivePassive(), oracles.active_passive, [1.0, 0.5]),
    ],
)
def test_least_squares_of_the_gradients_in_fifty_digits(family, oracle, hparams) -> None:
    outputs, targets = (each[:4] for each in batch())
    found = gradient_weight(family, outputs, targets, torch.tensor([hparams] * 4).double())
    for i in range(4):
        logits, label = outputs[i].tolist(), int(targets[i])
        of, reference = (
            np.array([float(oracles.derivative(f, logits, label, h, [j])) for j in range(CLASSES)])
            for f, h in ((oracle, hparams), (oracles.cross_entropy, []))
        )
        ((expected,), *_) = np.linalg.lstsq(reference[:, None], of, rcond=None)
        assert float(found[i]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("margin", [30.0, 100.0, 600.0])
def test_labels_that_are_certain(margin: float) -> None:
    outputs = torch.tensor([[margin, 0.0], [0.0, margin]], dtype=torch.float64)
    targets = torch.tensor([0, 0])
    found = gradient_weight(GCE(), outputs, targets, torch.full((2, 1), 0.5).double())
    expected = torch.tensor([1.0, np.exp(-margin / 2)], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_without_any_gradient_it_is_zero() -> None:
    outputs = torch.tensor([[5000.0, 0.0]], dtype=torch.float64)
    found = gradient_weight(GCE(), outputs, torch.tensor([0]), torch.full((1, 1), 0.5).double())
    assert found.tolist() == [0.0]


def test_of_values_relative_to_half_the_squared_error() -> None:
    """Barron's loss with alpha = -2, d/dr: (r / c^2) (1 + (r / c)^2 / 4)^-2; see its Eq. 1."""
    outputs = torch.tensor([[0.5], [3.0], [-8.0]], dtype=torch.float64)
    targets = torch.zeros(3, 1, dtype=torch.float64)
    hparams = torch.tensor([[-2.0, 1.0]] * 3, dtype=torch.float64)
    found = gradient_weight(Barron(), outputs, targets, hparams)
    expected = (1 + outputs[:, 0] ** 2 / 4) ** -2
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_it_works_where_no_gradients_are_recorded() -> None:
    outputs, targets = batch()
    hparams = GCE().constant(BATCH, like=outputs)
    expected = gradient_weight(GCE(), outputs, targets, hparams)
    with torch.no_grad():
        assert torch.equal(gradient_weight(GCE(), outputs, targets, hparams), expected)


@pytest.mark.bad_input
def test_hyperparameters_of_another_loss_are_refused() -> None:
    outputs, targets = batch()
    with pytest.raises(InputError, match=r"hparams of GCE: expected shape \[30, 1\]"):
        gradient_weight(GCE(), outputs, targets, outputs.new_zeros(BATCH, 2))
