"""The rows of tables."""

from __future__ import annotations

import pytest

from metaloss.checks import InputError
from metaloss.experiments.tables.results import last_epochs_mean, row


def test_last_epochs_mean_is_never_the_best() -> None:
    values = (99.0, 1.0, 2.0, 3.0)
    records = [{"epoch": i, "test_accuracy": value} for i, value in enumerate(values, start=1)]
    assert last_epochs_mean(records, "test_accuracy", last=3) == 2.0
    assert last_epochs_mean(records, "test_accuracy", last=9) == pytest.approx(105 / 4)
    with pytest.raises(InputError, match="one epoch or more"):
        last_epochs_mean([], "test_accuracy")


def test_a_row_has_the_sample_deviation() -> None:
    runs = [{"seed": 3, "accuracy": 1.0}, {"seed": 5, "accuracy": 4.0}]
    assert row("m", runs)["accuracy_std"] == pytest.approx((2 * 1.5**2) ** 0.5)
    assert row("m", runs[:1])["accuracy_std"] is None
