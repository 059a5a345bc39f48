"""Grids of runs, one after another or several at once, and the table that they make."""

from metaloss.sweeps.grid import Grid, GridCell
from metaloss.sweeps.local import Local
from metaloss.sweeps.on_ray import OnRay
from metaloss.sweeps.sweep import Gathered, Outcome, Sweep

__all__ = ["Gathered", "Grid", "GridCell", "Local", "OnRay", "Outcome", "Sweep"]
