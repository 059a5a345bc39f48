"""The paper's theorems in numbers."""

from metaloss.diagnostics.theorems.check import TOLERANCE, Bounds, Check, check_theorems

__all__ = ["TOLERANCE", "Bounds", "Check", "check_theorems"]
