"""Methods: ways to set a loss's hyperparameters."""

from metaloss.experiments.methods.adjusted import Adjusted
from metaloss.experiments.methods.conventional import Conventional
from metaloss.experiments.methods.forward import Forward
from metaloss.experiments.methods.method import Method
from metaloss.experiments.methods.oracle import Oracle
from metaloss.experiments.methods.searched import Searched
from metaloss.experiments.methods.staged import Staged
from metaloss.experiments.methods.transferred import Transferred

__all__ = [
    "Adjusted",
    "Conventional",
    "Forward",
    "Method",
    "Oracle",
    "Searched",
    "Staged",
    "Transferred",
]
