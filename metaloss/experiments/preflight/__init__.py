"""Checks of data, networks and methods before a run begins."""

from metaloss.experiments.preflight.compatibility import check_fit, check_specs

__all__ = ["check_fit", "check_specs"]
