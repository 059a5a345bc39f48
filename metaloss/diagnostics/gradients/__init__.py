"""Is the hypergradient right? Strategies, differences and real training held together."""

from metaloss.diagnostics.gradients.check import check_experiment, check_grad
from metaloss.diagnostics.gradients.layers import Layer
from metaloss.diagnostics.gradients.modules import Fault
from metaloss.diagnostics.gradients.report import Check, Report
from metaloss.diagnostics.gradients.subject import Size, Subject

__all__ = [
    "Check",
    "Fault",
    "Layer",
    "Report",
    "Size",
    "Subject",
    "check_experiment",
    "check_grad",
]
