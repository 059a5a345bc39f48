"""Check a hypergradient: compare strategies with one another and with real training."""

from metaloss.diagnostics.gradients.check import check_experiment, check_grad
from metaloss.diagnostics.gradients.layers import Layer
from metaloss.diagnostics.gradients.report import Check, Report
from metaloss.diagnostics.gradients.subject import Size, Subject

__all__ = [
    "Check",
    "Layer",
    "Report",
    "Size",
    "Subject",
    "check_experiment",
    "check_grad",
]
