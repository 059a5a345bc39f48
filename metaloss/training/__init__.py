"""One training loop for every method, and what surrounds it."""

from metaloss.training.comparison import Comparison
from metaloss.training.evaluate import Evaluation, evaluate
from metaloss.training.experiment import Experiment
from metaloss.training.loop import train
from metaloss.training.meta_learner import MetaLearner
from metaloss.training.meta_training import MetaTraining
from metaloss.training.methods import Adjusted, Conventional, Method, Oracle, Transferred
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.observe import Observer, RunInfo
from metaloss.training.recipe import Recipe
from metaloss.training.records import RunFolder
from metaloss.training.sampler import TaskSampler
from metaloss.training.samples import collect
from metaloss.training.side_by_side import SideBySide
from metaloss.training.speed import Speed
from metaloss.training.state import TrainState
from metaloss.training.task_training import TaskTraining
from metaloss.training.transfer import transferred
from metaloss.types import TaskSpec

__all__ = [
    "Adjusted",
    "Comparison",
    "Conventional",
    "Evaluation",
    "Experiment",
    "MetaLearner",
    "MetaTraining",
    "Method",
    "MultiTaskTraining",
    "Observer",
    "Oracle",
    "Recipe",
    "RunFolder",
    "RunInfo",
    "SideBySide",
    "Speed",
    "TaskSampler",
    "TaskSpec",
    "TaskTraining",
    "TrainState",
    "Transferred",
    "collect",
    "evaluate",
    "train",
    "transferred",
]
