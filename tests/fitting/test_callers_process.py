"""What a fit leaves of the process that calls it: random numbers, standard output, threads."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import metaloss
from metaloss.checks import InputError

# Short trainings say that they learn little.
pytestmark = pytest.mark.filterwarnings("ignore:.*(meta steps or more|low margins to be)")

LABELS = np.arange(40) % 2
POINTS = np.random.default_rng(0).normal(size=(40, 2)) + 6 * LABELS[:, None]


def draws() -> tuple[float, float, float]:
    """Return a number of each global generator."""
    return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002


def seed_all() -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)


def test_the_callers_random_numbers_go_on_as_if_nothing_was_fitted() -> None:
    seed_all()
    expected = draws()
    seed_all()
    metaloss.fit(POINTS, LABELS, epochs=1)
    assert draws() == expected


def test_the_callers_random_numbers_go_on_after_a_fit_that_fails() -> None:
    seed_all()
    expected = draws()
    seed_all()
    with pytest.raises(InputError, match="device"):
        metaloss.fit(POINTS, LABELS, epochs=1, device="warp")
    assert draws() == expected
