"""Adjusters without learned parameters."""

from __future__ import annotations

import math

import pytest
import torch

from metaloss.adjusters import ConstantAdjuster, OracleAdjuster
from metaloss.checks import InputError
from metaloss.conditioners import Flipped
from metaloss.losses import (
    GCE,
    JS,
    SL,
    CrossEntropy,
    Hyperparameter,
    LossFamily,
    PolySoft,
    WeightedCE,
)


@pytest.mark.parametrize(
    ("loss", "values", "row"),
    [
        (GCE(), None, [0.7]),
        (GCE(), {"q": 0.25}, [0.25]),
        (SL(), {"gamma_2": 0.5}, [0.1, 0.5]),
        (PolySoft(), {"d": 3.0, "lam": 2.0}, [2.0, 3.0]),
        (PolySoft(), {"lam": 0}, [0.0, 2.0]),
        (CrossEntropy(), None, []),
    ],
    ids=str,
)
def test_the_same_row_for_every_sample(loss: LossFamily, values: dict, row: list[float]):
    hparams = ConstantAdjuster(loss.hyperparameters, values)(torch.randn(3, 4))
    assert torch.equal(hparams, torch.tensor([row] * 3).reshape(3, len(row)))


@pytest.mark.parametrize(
    ("loss", "clean", "noisy"),
    [  # Section 4.3
        (GCE(), [0.0], [1.0]),
        (SL(), [1.0, 1.0], [0.0, 1.0]),
        (JS(), [1e-3], [1 - 1e-3]),
        (PolySoft(), [10.0, 2.0], [0.0, 2.0]),
        (WeightedCE(), [1.0], [0.0]),
    ],
    ids=str,
)
def test_the_oracle_tells_wrong_labels_apart(
    loss: LossFamily, clean: list[float], noisy: list[float]
):
    flipped = torch.tensor([False, True, True, False, True])
    index = torch.tensor([4, 3, 0, 1])
    features = Flipped(flipped)(torch.zeros(4, 2), torch.zeros(4).long(), index)
    hparams = OracleAdjuster(loss.hyperparameters)(features)
    assert torch.equal(hparams, torch.tensor([noisy, clean, clean, noisy]))


def test_the_oracle_can_be_told_otherwise():
    adjuster = OracleAdjuster(PolySoft().hyperparameters, clean={"d": 5.0}, noisy={"lam": 1.5})
    hparams = adjuster(torch.tensor([[0.0], [1.0]]))
    assert hparams.tolist() == [[10.0, 5.0], [1.5, 2.0]]


def test_the_oracle_falls_back_on_the_default():
    plain = Hyperparameter("h", 0.0, 1.0, default=0.25)
    assert OracleAdjuster((plain,))(torch.tensor([[0.0], [1.0]])).tolist() == [[0.25], [0.25]]


def test_the_oracle_reads_one_feature():
    assert OracleAdjuster(GCE().hyperparameters).num_features == 1
    assert ConstantAdjuster(GCE().hyperparameters).num_features is None


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_a_value_out_of_range(value: float):
    declared = GCE().hyperparameters
    for build in (
        lambda: ConstantAdjuster(declared, {"q": value}),
        lambda: OracleAdjuster(declared, clean={"q": value}),
        lambda: OracleAdjuster(declared, noisy={"q": value}),
    ):
        with pytest.raises(InputError, match=r"q: expected a number in \[0, 1\], got"):
            build()


def test_an_unknown_name():
    declared = PolySoft().hyperparameters
    for build in (
        lambda: ConstantAdjuster(declared, {"q": 0.5}),
        lambda: OracleAdjuster(declared, clean={"q": 0.5}),
        lambda: OracleAdjuster(declared, noisy={"q": 0.5}),
    ):
        with pytest.raises(InputError, match=r"expected names of \(lam, d\), got 'q'"):
            build()
