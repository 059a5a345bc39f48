"""Experiments: methods, tasks and seeds, what they write to disk, and the tables they make."""

from metaloss.experiments.comparison import Comparison
from metaloss.experiments.experiment import Experiment
from metaloss.experiments.meta_training import MetaTraining
from metaloss.experiments.methods import (
    Adjusted,
    Conventional,
    Forward,
    Method,
    Oracle,
    Searched,
    Staged,
    Transferred,
)
from metaloss.experiments.methods.transferred import transferred
from metaloss.experiments.recorded_samples import Recorded, recorded
from metaloss.experiments.records.confusion import Confusion, read_confusion
from metaloss.experiments.records.run_folder import RunFolder
from metaloss.experiments.samples import collect
from metaloss.experiments.settings import RunSettings
from metaloss.types import TaskSpec

__all__ = [
    "Adjusted",
    "Comparison",
    "Confusion",
    "Conventional",
    "Experiment",
    "Forward",
    "MetaTraining",
    "Method",
    "Oracle",
    "Recorded",
    "RunFolder",
    "RunSettings",
    "Searched",
    "Staged",
    "TaskSpec",
    "Transferred",
    "collect",
    "read_confusion",
    "recorded",
    "transferred",
]
