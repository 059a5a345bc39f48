"""Faster derivatives than torch's own, and nothing that changes what is computed.

Everything here can be left out: torch's own rules give the same numbers.
"""

from metaloss.bilevel.tangent.activations import Activations
from metaloss.bilevel.tangent.batch_norm import FastSecondDerivatives
from metaloss.bilevel.tangent.rules import FastTangents

__all__ = ["Activations", "FastSecondDerivatives", "FastTangents"]
