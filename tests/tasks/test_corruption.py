"""Corrupted values."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import NoisyValues, corruption

VALUES = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
NOISES = [corruption.replaced, corruption.shifted]


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("make", "rate"), [*zip(NOISES * 2, (0.0, 0.2, 0.6, 1.0), strict=True)])
def test_the_rate(make, rate: float) -> None:
    noisy = make(VALUES, rate, drawn())
    assert noisy.rate == pytest.approx(rate, abs=0.03)
    assert torch.equal(noisy.targets[~noisy.flipped], VALUES[~noisy.flipped])
    assert torch.equal(noisy.original, VALUES)


@pytest.mark.parametrize("make", NOISES)
def test_a_greater_rate_corrupts_the_same_samples_and_more(make) -> None:
    few, many = (make(VALUES, rate, drawn()).flipped for rate in (0.2, 0.5))
    assert bool(many[few].all())


@pytest.mark.parametrize("make", NOISES)
def test_pure_in_the_generator(make) -> None:
    first, same, other = (make(VALUES, 0.3, drawn(seed)).targets for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_replaced_values_are_uniform_over_the_range() -> None:
    noisy = corruption.replaced(VALUES, 1.0, drawn()).targets
    low, high = VALUES.amin(dim=0), VALUES.amax(dim=0)
    unit = (noisy - low) / (high - low)
    torch.testing.assert_close(unit.mean(dim=0), torch.full((2,), 0.5), atol=0.02, rtol=0)
    torch.testing.assert_close(unit.std(dim=0), torch.full((2,), 12**-0.5), atol=0.02, rtol=0)


@pytest.mark.parametrize("shift", [3.0, -2.0])
def test_shifted_values_err_in_one_direction(shift: float) -> None:
    moved = corruption.shifted(VALUES, 1.0, drawn(), shift=shift).targets - VALUES
    lengths = moved / VALUES.std(dim=0) / shift
    assert lengths.min() + 1e-5 >= 0.5
    assert lengths.max() <= 1.5 + 1e-5
    assert lengths.mean() == pytest.approx(1.0, abs=0.02)


@pytest.mark.bad_input
@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_rates_out_of_range(rate: float) -> None:
    for make in NOISES:
        with pytest.raises(InputError, match="rate: expected a number in"):
            make(VALUES, rate, drawn())


@pytest.mark.bad_input
def test_bad_noisy_values() -> None:
    with pytest.raises(InputError, match="expected one shape"):
        NoisyValues(VALUES, VALUES[:5])
    with pytest.raises(InputError, match="targets: expected finite values"):
        NoisyValues(VALUES / 0, VALUES)
