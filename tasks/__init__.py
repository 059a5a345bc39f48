"""Tasks with noisy labels or corrupted values: data sets, noise, splits and loaders."""

from . import corruption, noise
from .batch_loader import BatchLoader
from .class_names import (
    CIFAR10_PAIRS,
    CIFAR100_COARSE,
    DIGITS_PAIRS,
    FASHION_MNIST_PAIRS,
)
from .classification import classification_task
from .corruption import NoisyValues
from .datasets import cifar10, cifar100, digits, fashion_mnist
from .folder_loader import FolderLoader
from .folder_set import FolderSet
from .image_folders import image_files, image_folder
from .image_set import ImageSet
from .learn2learn_tasks import NoisyLabelsTransform, taskset_suite
from .meta_samples import MetaSamples
from .noisy_labels import NoisyLabels
from .regression import regression_task
from .set_loaders import TransformFactory
from .sources import Source
from .splits import check_disjoint, split
from .suites import join, noise_grid, relabelled
from .tables import Table, diabetes
from .task import Task
from .transforms import STATISTICS, Augment, Normalise, Transform, channel_statistics
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
    "MetaSamples",
    "NoisyLabels",
    "NoisyLabelsTransform",
    "NoisyValues",
    "Normalise",
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
