"""Is the hypergradient right? Strategies, differences and real training held together."""

from metaloss.diagnostics.gradients.check import check_grad

__all__ = ["check_grad"]
