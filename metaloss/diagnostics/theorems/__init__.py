"""The paper's theorems in numbers."""

from metaloss.diagnostics.theorems.check import check_theorems
from metaloss.diagnostics.theorems.slips import counterexamples
from metaloss.diagnostics.theorems.statement import TOLERANCE, Check

__all__ = ["TOLERANCE", "Check", "check_theorems", "counterexamples"]
