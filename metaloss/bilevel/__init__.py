"""Differentiating a meta loss through the training step."""

from metaloss.bilevel.errors import NoRuleError
from metaloss.bilevel.lookahead import Lookahead
from metaloss.bilevel.lookback import Lookback
from metaloss.bilevel.optimizer.clipping import Clip, ClipNorm, ClipValue
from metaloss.bilevel.solution import Solution

__all__ = ["Clip", "ClipNorm", "ClipValue", "Lookahead", "Lookback", "NoRuleError", "Solution"]
