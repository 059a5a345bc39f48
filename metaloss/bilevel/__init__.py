"""Differentiating a clean loss through the training step."""

from metaloss.bilevel.clipping import Clip, ClipNorm, ClipValue
from metaloss.bilevel.lookahead import Lookahead
from metaloss.bilevel.lookback import Lookback
from metaloss.bilevel.problem import Problem, Shared, Solution
from metaloss.bilevel.rules import NoRuleError

__all__ = [
    "Clip",
    "ClipNorm",
    "ClipValue",
    "Lookahead",
    "Lookback",
    "NoRuleError",
    "Problem",
    "Shared",
    "Solution",
]
