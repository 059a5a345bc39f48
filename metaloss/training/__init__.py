"""The training loop, which every method shares."""

from metaloss.training.engine import Engine
from metaloss.training.evaluate import Evaluation, evaluate
from metaloss.training.fabric_engine import FabricEngine
from metaloss.training.meta_learner import MetaLearner
from metaloss.training.multi_task import MultiTaskTraining, train
from metaloss.training.observe import Observer, RunInfo
from metaloss.training.recipe import Recipe
from metaloss.training.sampler import TaskSampler
from metaloss.training.speed import Speed
from metaloss.training.state import TrainState
from metaloss.training.task_training import TaskTraining

__all__ = [
    "Engine",
    "Evaluation",
    "FabricEngine",
    "MetaLearner",
    "MultiTaskTraining",
    "Observer",
    "Recipe",
    "RunInfo",
    "Speed",
    "TaskSampler",
    "TaskTraining",
    "TrainState",
    "evaluate",
    "train",
]
