"""Adjusters predict hyperparameters from features, within their ranges."""

from metaloss.adjusters.base import BaseAdjuster
from metaloss.adjusters.constant import ConstantAdjuster, OracleAdjuster
from metaloss.adjusters.mlp import Adjuster, GroupedAdjuster
from metaloss.adjusters.scheduled import ScheduledAdjuster

__all__ = [
    "Adjuster",
    "BaseAdjuster",
    "ConstantAdjuster",
    "GroupedAdjuster",
    "OracleAdjuster",
    "ScheduledAdjuster",
]
