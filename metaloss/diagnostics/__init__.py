"""Looking at what was learned, and at the theorems in numbers."""

from metaloss.diagnostics.learned_plot import Learned, draw_learned
from metaloss.diagnostics.theorems import Check, check_theorems

__all__ = ["Check", "Learned", "check_theorems", "draw_learned"]
