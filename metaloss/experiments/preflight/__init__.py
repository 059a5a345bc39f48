"""Checks of data, networks and methods before a run begins."""

from metaloss.experiments.preflight.dry_run import dry_run
from metaloss.experiments.preflight.specs import check_specs

__all__ = ["check_specs", "dry_run"]
