"""Cross entropy through a transition matrix."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from metaloss import AdjustedLoss
from metaloss.checks import InputError
from metaloss.losses import CrossEntropy, ForwardCorrected

TRANSITION = ((0.7, 0.2, 0.1), (0.0, 0.6, 0.4), (0.3, 0.0, 0.7))
NONE = torch.empty(4, 0, dtype=torch.float64)


def logits(batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, 3, dtype=torch.float64)


def test_it_is_the_printed_formula() -> None:
    outputs, targets = logits(), torch.tensor([0, 1, 2, 1])
    found = ForwardCorrected(TRANSITION)(outputs, targets, NONE)
    for row, y, loss in zip(outputs.tolist(), targets.tolist(), found.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        probability = sum(math.exp(z) / total * TRANSITION[i][y] for i, z in enumerate(row))
        assert loss == pytest.approx(-math.log(probability), abs=1e-12)


def test_without_noise_it_is_cross_entropy() -> None:
    outputs, targets = logits(), torch.tensor([0, 1, 2, 1])
    found = ForwardCorrected(torch.eye(3).tolist())(outputs, targets, NONE)
    assert torch.allclose(found, CrossEntropy()(outputs, targets, NONE), atol=1e-12)


def test_noisy_labels_are_fitted_by_the_clean_distribution() -> None:
    """Patrini et al., Theorem 2: at the clean class probabilities the noisy risk is stationary."""
    clean = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    noisy = clean @ torch.tensor(TRANSITION, dtype=torch.float64)
    outputs = clean.log().requires_grad_()
    losses = ForwardCorrected(TRANSITION)(outputs.expand(3, 3), torch.arange(3), NONE[:3])
    (noisy.squeeze(0) * losses).sum().backward()
    assert outputs.grad is not None
    assert outputs.grad.abs().max() < 1e-12


def test_gradients_are_finite_where_flips_are_impossible() -> None:
    outputs = (1e4 * torch.eye(3, dtype=torch.float64)).requires_grad_()
    ForwardCorrected(TRANSITION)(outputs, torch.tensor([1, 0, 1]), NONE[:3]).sum().backward()
    assert outputs.grad is not None and outputs.grad.isfinite().all()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("transition", "said"),
    [
        (((0.5, 0.5),), "expected a square matrix, got rows of [2]"),
        (((0.5, 0.4), (0.0, 1.0)), "that sum to 1, got 0.9 in row 0"),
        (((1.5, -0.5), (0.0, 1.0)), "expected probabilities"),
        (((1.0, 0.0), (1.0, 0.0)), "got label 1 with probability 0 in every row"),
    ],
)
def test_what_is_no_transition_matrix(transition: object, said: str) -> None:
    with pytest.raises(InputError) as refused:
        ForwardCorrected(transition)
    assert said in str(refused.value)


def test_a_first_call_inside_a_transform_leaves_nothing_behind() -> None:
    loss = ForwardCorrected(TRANSITION)
    outputs, labels, none = torch.randn(2, 3), torch.tensor([0, 2]), torch.empty(2, 0)
    slope = torch.func.grad(lambda z: loss(z, labels, none).sum())(outputs)
    again = outputs.clone().requires_grad_()
    copy.deepcopy(loss)(again, labels, none).sum().backward()
    torch.testing.assert_close(slope, again.grad)


def test_another_number_of_classes() -> None:
    with pytest.raises(InputError, match="expected 3 classes as in the transition matrix, got 2"):
        ForwardCorrected(TRANSITION)(torch.zeros(1, 2), torch.tensor([0]), torch.empty(1, 0))


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range(label: int) -> None:
    criterion = AdjustedLoss.fixed(ForwardCorrected(TRANSITION))
    with pytest.raises(InputError, match=f"got .*{label}"):
        criterion.per_sample(torch.zeros(2, 3), torch.tensor([0, label]))
