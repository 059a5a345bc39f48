"""Meta losses: the loss of the meta samples after a training step (the outer loss of Eq. 9)."""

from metaloss.meta_losses.base import MetaLoss
from metaloss.meta_losses.mean_loss import MeanLoss
from metaloss.meta_losses.plain import CrossEntropy, SquaredError
from metaloss.meta_losses.tolerant import MAE, RCE

__all__ = ["MAE", "RCE", "CrossEntropy", "MeanLoss", "MetaLoss", "SquaredError"]
