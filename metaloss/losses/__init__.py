"""Per-sample losses whose hyperparameters may differ from sample to sample."""

from metaloss.losses.base import Fixed, Hyperparameter, LossFamily, Ranged
from metaloss.losses.cross_entropy import MAE, CrossEntropy
from metaloss.losses.gce import GCE
from metaloss.losses.js import JS
from metaloss.losses.polysoft import PolySoft
from metaloss.losses.sl import SL
from metaloss.losses.weighted import WeightedCE

__all__ = [
    "GCE",
    "JS",
    "MAE",
    "SL",
    "CrossEntropy",
    "Fixed",
    "Hyperparameter",
    "LossFamily",
    "PolySoft",
    "Ranged",
    "WeightedCE",
]
