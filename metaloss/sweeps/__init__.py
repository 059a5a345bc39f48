"""Grids of runs, one after another or several at once, and the table that they make."""

from metaloss.sweeps.grid import Grid, GridCell
from metaloss.sweeps.local import Local
from metaloss.sweeps.on_ray import OnRay
from metaloss.sweeps.sweep import Outcome, Sweep

__all__ = ["Grid", "GridCell", "Local", "OnRay", "Outcome", "Sweep"]
