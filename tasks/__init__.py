"""Tasks with noisy labels or corrupted values: data sets, noise, splits and loaders."""

from . import corruption, noise
from .animal10n import animal10n
from .array_files import array_files
from .batch_loader import BatchLoader
from .cifar_n import cifar10n, cifar100n
from .class_names import (
    ANIMAL10N_PAIRS,
    CIFAR10_PAIRS,
    CIFAR100_COARSE,
    DIGITS_PAIRS,
    FASHION_MNIST_PAIRS,
)
from .classification import classification_task
from .clothing1m import clothing1m
from .corruption import NoisyValues
from .datasets import cifar10, cifar100, digits, fashion_mnist
from .folder_loader import FolderLoader
from .folder_set import FolderSet
from .food101n import food101n
from .image_folders import image_files, image_folder
from .image_set import ImageSet
from .learn2learn_tasks import NoisyLabelsTransform, taskset_suite
from .mapped import MappedSamples
from .meta_samples import MetaSamples
from .noisy_labels import NoisyLabels
from .own_data import own_data
from .regression import regression_task
from .set_loaders import TransformFactory
from .sources import Source
from .splits import check_disjoint, split
from .stratified import stratified
from .suites import join, noise_grid, relabelled
from .tables import Table, diabetes
from .task import Task
from .tiny_imagenet import tiny_imagenet
from .transforms import STATISTICS, Augment, Normalise, Transform, channel_statistics
from .varied import varied

__all__ = [
    "ANIMAL10N_PAIRS",
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
    "MappedSamples",
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
    "animal10n",
    "array_files",
    "channel_statistics",
    "check_disjoint",
    "cifar10",
    "cifar10n",
    "cifar100",
    "cifar100n",
    "classification_task",
    "clothing1m",
    "corruption",
    "diabetes",
    "digits",
    "fashion_mnist",
    "food101n",
    "image_files",
    "image_folder",
    "join",
    "noise",
    "noise_grid",
    "own_data",
    "regression_task",
    "relabelled",
    "split",
    "stratified",
    "taskset_suite",
    "tiny_imagenet",
    "varied",
]
