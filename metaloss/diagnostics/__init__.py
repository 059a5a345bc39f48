"""Looking at what was learned."""

from metaloss.diagnostics.plots import Learned, draw_learned

__all__ = ["Learned", "draw_learned"]
