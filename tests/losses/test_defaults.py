"""The default hyperparameters are the published ones."""

from __future__ import annotations

import pytest

from metaloss import losses
from metaloss.losses import LossFamily
from tests.losses.cases import families

DEFAULTS: dict[str, dict[str, float]] = {
    "CrossEntropy": {},
    "MAE": {},
    "NormalizedCE": {},
    "GCE": {"q": 0.7},  # Zhang and Sabuncu, 2018
    "SL": {"gamma_1": 0.1, "gamma_2": 1.0},  # Wang et al., 2019, for CIFAR-10
    "PolySoft": {"lam": 4.0, "d": 2.0},
    "JS": {"pi_1": 0.5},
    "WeightedCE": {"weight": 1.0},
    "Focal": {"gamma": 2.0},  # Lin et al., 2017
    "LabelSmoothing": {"epsilon": 0.1},  # Szegedy et al., 2016
    "TaylorCE": {"t": 2.0},
    "ActivePassive": {"alpha": 1.0, "beta": 1.0},
    "SoftBootstrapping": {"beta": 0.95},  # Reed et al., 2015
    "HardBootstrapping": {"beta": 0.8},
    "Barron": {"alpha": 1.0, "c": 1.0},
}


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_a_family_keeps_its_defaults(name: str):
    loss: LossFamily = getattr(losses, name)()
    assert {h.name: h.default for h in loss.hyperparameters} == DEFAULTS[name]
    assert loss.defaults == tuple(DEFAULTS[name].values())


def test_every_family_is_here():
    plain = {type(f).__name__ for f in families()} - {"Fixed", "Ranged"}
    assert plain <= set(DEFAULTS)
    assert {name for name in losses.__all__ if name in DEFAULTS} == set(DEFAULTS)
