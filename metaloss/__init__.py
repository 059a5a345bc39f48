"""Learn the hyperparameters of a loss, one value per sample, through the training step."""

from metaloss.adjusters import (
    Adjuster,
    BaseAdjuster,
    ConstantAdjuster,
    GroupedAdjuster,
    OracleAdjuster,
    ScheduledAdjuster,
)
from metaloss.checks import InputError
from metaloss.fitting.from_python import fit
from metaloss.objective import AdjustedLoss
from metaloss.pretrained import from_pretrained, list_pretrained
from metaloss.recommendation import recommended
from metaloss.shim import install as _mend_torchvision

_mend_torchvision()  # here, so that whatever imports torchvision afterwards can

__version__ = "0.1.0"

__all__ = [
    "AdjustedLoss",
    "Adjuster",
    "BaseAdjuster",
    "ConstantAdjuster",
    "GroupedAdjuster",
    "InputError",
    "OracleAdjuster",
    "ScheduledAdjuster",
    "fit",
    "from_pretrained",
    "list_pretrained",
    "recommended",
]
