"""Tasks with noisy labels or corrupted values: data sets, noise, splits and loaders."""

from . import corruption, noise
from .datasets import cifar10, cifar100, digits, fashion_mnist, image_folder
from .few_shot import NoisyLabelsTransform, taskset_suite
from .folders import FolderSet, image_files
from .images import ImageSet
from .loaders import BatchLoader
from .noisy_labels import NoisyLabels
from .noisy_values import NoisyValues
from .reading import FolderLoader
from .regression import RegressionTask, regression_task
from .set_loaders import TransformFactory
from .sources import Source
from .splits import check_disjoint, split
from .suites import join, noise_grid, relabelled
from .tables import (
    CIFAR10_PAIRS,
    CIFAR100_COARSE,
    DIGITS_PAIRS,
    FASHION_MNIST_PAIRS,
    STATISTICS,
)
from .task import Task, classification_task
from .transforms import Augment, Normalise, Transform, channel_statistics
from .values import Table, diabetes
from .varied import varied

__all__ = [
    "CIFAR10_PAIRS",
    "CIFAR100_COARSE",
    "DIGITS_PAIRS",
    "FASHION_MNIST_PAIRS",
    "STATISTICS",
    "Augment",
    "BatchLoader",
    "FolderLoader",
    "FolderSet",
    "ImageSet",
    "NoisyLabels",
    "NoisyLabelsTransform",
    "NoisyValues",
    "Normalise",
    "RegressionTask",
    "Source",
    "Table",
    "Task",
    "Transform",
    "TransformFactory",
    "channel_statistics",
    "check_disjoint",
    "cifar10",
    "cifar100",
    "classification_task",
    "corruption",
    "diabetes",
    "digits",
    "fashion_mnist",
    "image_files",
    "image_folder",
    "join",
    "noise",
    "noise_grid",
    "regression_task",
    "relabelled",
    "split",
    "taskset_suite",
    "varied",
]
