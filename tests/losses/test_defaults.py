"""The default hyperparameters are the published ones, and ranges stay as they are."""

from __future__ import annotations

import pytest

from metaloss import losses
from metaloss.losses import LossFamily
from tests.losses.cases import families

# From the lowest value to the highest; the default; the ends for right and for wrong labels.
DECLARED: dict[str, dict[str, tuple[float | None, ...]]] = {
    "CrossEntropy": {},
    "MAE": {},
    "NormalizedCE": {},
    "GCE": {"q": (0.0, 1.0, 0.7, 0.0, 1.0)},  # Zhang and Sabuncu, 2018
    "SL": {  # Wang et al., 2019, for CIFAR-10
        "gamma_1": (0.0, 1.0, 0.1, 1.0, 0.0),
        "gamma_2": (0.0, 1.0, 1.0, None, None),
    },
    "PolySoft": {"lam": (0.0, 10.0, 4.0, 10.0, 0.0), "d": (1.1, 5.0, 2.0, None, None)},
    "JS": {"pi_1": (0.001, 0.999, 0.5, 0.001, 0.999)},
    "WeightedCE": {"weight": (0.0, 1.0, 1.0, 1.0, 0.0)},
    "Focal": {"gamma": (0.0, 5.0, 2.0, None, None)},  # Lin et al., 2017
    "LabelSmoothing": {"epsilon": (0.0, 1.0, 0.1, 0.0, 1.0)},  # Szegedy et al., 2016
    "TaylorCE": {"t": (1.0, 10.0, 2.0, 10.0, 1.0)},
    "ActivePassive": {
        "alpha": (0.0, 4.0, 1.0, None, None),
        "beta": (0.0, 4.0, 1.0, None, None),
    },
    "SoftBootstrapping": {"beta": (0.0, 1.0, 0.95, 1.0, 0.0)},  # Reed et al., 2015
    "HardBootstrapping": {"beta": (0.0, 1.0, 0.8, 1.0, 0.0)},
    "Barron": {"alpha": (-4.0, 1.99, 1.0, 1.99, -4.0), "c": (0.1, 4.0, 1.0, None, None)},
}


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_a_family_keeps_its_hyperparameters(name: str):
    loss: LossFamily = getattr(losses, name)()
    found = {h.name: (h.low, h.high, h.default, h.clean, h.noisy) for h in loss.hyperparameters}
    assert found == DECLARED[name]
    assert loss.defaults == tuple(default for _, _, default, *_ in DECLARED[name].values())


def test_every_family_is_here():
    plain = {type(f).__name__ for f in families()} - {"Fixed", "Ranged"}
    assert plain <= set(DECLARED)
    assert {name for name in losses.__all__ if name in DECLARED} == set(DECLARED)
