"""Differentiating a clean loss through the training step."""

from metaloss.bilevel.lookahead import Lookahead
from metaloss.bilevel.problem import Problem, Solution

__all__ = ["Lookahead", "Problem", "Solution"]
