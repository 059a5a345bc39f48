"""Losses with hyperparameters that may differ from sample to sample."""

from metaloss.losses.active_passive import ActivePassive, NormalizedCE
from metaloss.losses.barron import Barron
from metaloss.losses.base import LossFamily
from metaloss.losses.bootstrapping import HardBootstrapping, SoftBootstrapping
from metaloss.losses.cross_entropy import MAE, CrossEntropy
from metaloss.losses.derived import Fixed, Ranged, toward_defaults
from metaloss.losses.errors import AbsoluteError, SquaredError
from metaloss.losses.focal import Focal
from metaloss.losses.forward_corrected import ForwardCorrected
from metaloss.losses.gce import GCE
from metaloss.losses.gradient_weight import gradient_weight
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.js import JS
from metaloss.losses.label_smoothing import LabelSmoothing
from metaloss.losses.of_label import OfLabel
from metaloss.losses.plain import plain_loss
from metaloss.losses.polysoft import PolySoft
from metaloss.losses.polysoft_above_guessing import polysoft_above_guessing
from metaloss.losses.sl import SL
from metaloss.losses.taylor import TaylorCE
from metaloss.losses.weighted import WeightedCE

__all__ = [
    "GCE",
    "JS",
    "MAE",
    "SL",
    "AbsoluteError",
    "ActivePassive",
    "Barron",
    "CrossEntropy",
    "Fixed",
    "Focal",
    "ForwardCorrected",
    "HardBootstrapping",
    "Hyperparameter",
    "LabelSmoothing",
    "LossFamily",
    "NormalizedCE",
    "OfLabel",
    "PolySoft",
    "Ranged",
    "SoftBootstrapping",
    "SquaredError",
    "TaylorCE",
    "WeightedCE",
    "gradient_weight",
    "plain_loss",
    "polysoft_above_guessing",
    "toward_defaults",
]
