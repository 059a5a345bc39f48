"""Conditioners compute the features that an adjuster reads for each sample."""

from metaloss.conditioners.base import Conditioner
from metaloss.conditioners.class_margins import ClassMargins
from metaloss.conditioners.classes import ClassGroup, ClassOneHot, group_by_size
from metaloss.conditioners.concat import Concat
from metaloss.conditioners.flipped import Flipped
from metaloss.conditioners.loss_value import LossValue
from metaloss.conditioners.magnitude import Magnitude
from metaloss.conditioners.margin import Margin
from metaloss.conditioners.margin_statistics import MarginStatistics
from metaloss.conditioners.moving_average import MovingAverage
from metaloss.conditioners.plain import plain_conditioner
from metaloss.conditioners.probability_margin import ProbabilityMargin
from metaloss.conditioners.progress import Progress
from metaloss.conditioners.residual import Residual
from metaloss.conditioners.running_mean import RunningMean

__all__ = [
    "ClassGroup",
    "ClassMargins",
    "ClassOneHot",
    "Concat",
    "Conditioner",
    "Flipped",
    "LossValue",
    "Magnitude",
    "Margin",
    "MarginStatistics",
    "MovingAverage",
    "ProbabilityMargin",
    "Progress",
    "Residual",
    "RunningMean",
    "group_by_size",
    "plain_conditioner",
]
