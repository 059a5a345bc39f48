"""One training loop for every method, and what surrounds it."""

from metaloss.training.evaluate import Evaluation, evaluate
from metaloss.training.experiment import Experiment
from metaloss.training.loop import train
from metaloss.training.methods import Adjusted, Conventional, Method, Oracle, Transferred
from metaloss.training.observe import Observer, RunInfo
from metaloss.training.recipe import Recipe
from metaloss.training.records import RunFolder
from metaloss.training.samples import Samples, collect
from metaloss.training.side_by_side import SideBySide
from metaloss.training.speed import Speed
from metaloss.training.state import TrainState

__all__ = [
    "Adjusted",
    "Conventional",
    "Evaluation",
    "Experiment",
    "Method",
    "Observer",
    "Oracle",
    "Recipe",
    "RunFolder",
    "RunInfo",
    "Samples",
    "SideBySide",
    "Speed",
    "TrainState",
    "Transferred",
    "collect",
    "evaluate",
    "train",
]
